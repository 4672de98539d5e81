-- upkeep.c: history leaves in which every row may go
SELECT leaf FROM jobq.leaves() WHERE due

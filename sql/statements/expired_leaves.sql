-- upkeep.c: history leaves in which every row may go
SELECT * FROM jobq.expired_leaves()

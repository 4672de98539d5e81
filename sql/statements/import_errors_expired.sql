-- upkeep.c: bad rows of imports that are as old as their jobs may be
DELETE FROM jobq.import_errors WHERE expire_on < current_date

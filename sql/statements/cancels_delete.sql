-- complete.c: settled cancel requests. $1 ids
DELETE FROM jobq.cancels WHERE id = ANY ($1::int8[])

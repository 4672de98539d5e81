-- complete.c: claims without jobs. $1 tokens
DELETE FROM jobq.claims WHERE token = ANY ($1::int8[])

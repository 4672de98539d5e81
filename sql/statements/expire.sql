-- tick.c: waiting jobs whose deadline has passed end; how many of each queue. $1 at most
SELECT queue, n FROM jobq.expire_due($1::int4)

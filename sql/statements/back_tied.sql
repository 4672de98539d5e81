-- complete.c: tied jobs, pending again; run_at stays when the delay is negative
-- $1 ids  $2 tokens  $3 retries burnt  $4 delays, us  $5 crashes (0 = unchanged)  $6 errors  $7 results (NULL = unchanged)
SELECT id, busy, again_at, priority
  FROM jobq.back_tied($1::int8[], $2::int8[], $3::int4[], $4::int8[], $5::int4[], $6::text[], $7::jsonb[])

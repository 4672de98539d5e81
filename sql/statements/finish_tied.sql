-- complete.c: tied jobs, finished in any way: moved to their history leaf or deleted, or waiting to run once more
-- $1 ids  $2 tokens  $3 expire_on, days since 2000-01-01 (0 = nothing is kept)  $4 batches  $5 statuses  $6 results  $7 errors
SELECT id, busy, again_at, priority
  FROM jobq.finish_tied($1::int8[], $2::int8[], date '2000-01-01' + nullif($3::int4, 0), $4::int8[], $5::text[], $6::jsonb[], $7::text[])

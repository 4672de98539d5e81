-- sync_db.c: the job's completion, last in the transaction of its effect; false: the job is no longer ours. $1 job  $2 token  $3 result
SELECT jobq.complete($1::int8, $2::int8, $3::jsonb)

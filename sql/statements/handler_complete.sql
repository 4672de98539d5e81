-- handlers: the job's completion, in the transaction of its effect; false: the job is no longer ours
-- $1 job  $2 token  $3 result
SELECT jobq.complete($1, $2, $3::jsonb)

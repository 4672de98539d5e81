-- sync_db.c: progress in the transaction of a page; false: the job is no longer ours. $1 job  $2 token  $3 note
SELECT jobq.set_progress($1::int8, $2::int8, NULL, $3::text)

-- sql_run.c: completes these jobs of ours in the transaction of their effects; the ids of those that are ours no more: then nothing was done
-- $1 the installation  $2 ids  $3 tokens  $4 results
SELECT jobq.complete_all($1, $2::int8[], $3::int8[], $4::jsonb[])

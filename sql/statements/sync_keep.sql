-- sync_db.c: a step, first in the transaction of its rows; false: it is not ours to take. $1 queue  $2 tenant  $3 source  $4 seq  $5 state
SELECT jobq.sync_keep($1::text, $2::text, $3::text, $4::int8, $5::jsonb)

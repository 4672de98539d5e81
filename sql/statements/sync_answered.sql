-- sync_db.c: the tenant's host has answered. $1 queue  $2 tenant  $3 host
SELECT jobq.sync_answered($1::text, $2::text, $3::text)

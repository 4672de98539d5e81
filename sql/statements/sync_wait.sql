-- sync_db.c: the tenant's host is to be left alone. $1 queue  $2 tenant  $3 host  $4 reason  $5 seconds or NULL
SELECT jobq.sync_wait($1::text, $2::text, $3::text, $4::text, $5::float8)

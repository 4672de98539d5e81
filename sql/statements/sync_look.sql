-- sync_db.c: where a sync is, and whether its host may be called. $1 queue  $2 tenant  $3 source  $4 host
SELECT installation, seq, state::text, wait_seconds, waits, reason, horizon FROM jobq.sync_look($1::text, $2::text, $3::text, $4::text)

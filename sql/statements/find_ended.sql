-- complete.c: which of these pairs have been written already (their answer was lost, or jobq.complete was called)
-- $1 ids  $2 tokens
SELECT j.id
  FROM unnest($1::int8[], $2::int8[]) AS d (id, token)
  JOIN jobq.jobs j ON j.id = d.id AND j.claim_token = d.token
 WHERE j.expire_on < 'infinity' OR j.status = 'held'

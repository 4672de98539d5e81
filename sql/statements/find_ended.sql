-- complete.c: which of these pairs have been written already (their answer was lost, or jobq.complete was called); true: it runs once more
-- $1 ids  $2 tokens
SELECT j.id, false
  FROM unnest($1::int8[], $2::int8[]) AS d (id, token)
  JOIN jobq.jobs j ON j.id = d.id AND j.claim_token = d.token
 WHERE j.expire_on < 'infinity' OR j.status = 'held'
UNION ALL
SELECT r.id, true
  FROM unnest($1::int8[], $2::int8[]) AS d (id, token)
  JOIN jobq.replacements r ON r.id = d.id AND r.ended_token = d.token

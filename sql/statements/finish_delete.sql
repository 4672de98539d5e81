-- complete.c: finished, nothing is kept. $1 ids (ascending)  $2 tokens
DELETE FROM jobq.jobs_live j USING unnest($1::int8[], $2::int8[]) AS d (id, token)
 WHERE j.id = d.id AND j.claim_token = d.token
RETURNING j.id

-- complete.c: finished, nothing is kept. $1 ids (ascending)  $2 tokens  $3 places, as the claim left them (NULL = unknown)
-- By its place a row costs no index look-up, and its page no pruning, at each visit of which jobs_live's fillfactor makes one.
DELETE FROM jobq.jobs_live j USING unnest($1::int8[], $2::int8[], $3::tid[]) AS d (id, token, place)
 WHERE j.ctid = coalesce(d.place, (SELECT k.ctid FROM jobq.jobs_live k WHERE k.id = d.id))
   AND j.id = d.id AND j.claim_token = d.token
RETURNING j.id

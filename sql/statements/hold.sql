-- complete.c: held for a person's verdict; run_at = infinity keeps it out of every lane's head
-- $1 ids (ascending)  $2 tokens  $3 errors  $4 results (NULL = unchanged)
UPDATE jobq.jobs_live j
   SET status = 'held', run_at = 'infinity', claimed_by = NULL, error_message = coalesce(d.error, j.error_message),
       result = coalesce(d.result, j.result)
  FROM unnest($1::int8[], $2::int8[], $3::text[], $4::jsonb[]) AS d (id, token, error, result)
 WHERE j.id = d.id AND j.claim_token = d.token AND j.status <> 'held'
RETURNING j.id

-- complete.c: held for a person's verdict; run_at = infinity keeps it out of every lane's head
-- $1 ids (ascending)  $2 tokens  $3 errors
UPDATE jobq.jobs_live j
   SET status = 'held', run_at = 'infinity', claimed_by = NULL, error_message = coalesce(d.error, j.error_message)
  FROM unnest($1::int8[], $2::int8[], $3::text[]) AS d (id, token, error)
 WHERE j.id = d.id AND j.claim_token = d.token AND j.status <> 'held'
RETURNING j.id

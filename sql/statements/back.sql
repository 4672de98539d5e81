-- complete.c: pending again; run_at stays when the delay is negative
-- $1 ids (ascending)  $2 tokens  $3 retries burnt  $4 delays, us  $5 crashes (0 = unchanged)  $6 errors  $7 results (NULL = unchanged): for the next attempt
UPDATE jobq.jobs_live j
   SET status = 'pending', claim_token = NULL, claimed_by = NULL, started_at = NULL,
       run_at = CASE WHEN d.delay < 0 THEN coalesce(j.run_at, j.created_at) ELSE now() + d.delay * interval '1 microsecond' END,
       retry_count = j.retry_count + d.charge, crashes = greatest(j.crashes, d.crashes::int2),
       error_message = coalesce(d.error, j.error_message), result = coalesce(d.result, j.result)
  FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::int8[], $5::int4[], $6::text[], $7::jsonb[])
       AS d (id, token, charge, delay, crashes, error, result)
 WHERE j.id = d.id AND j.claim_token = d.token
RETURNING j.id, j.run_at

-- complete.c: tied jobs, held as hold.sql holds others; those whose row somebody has locked are told apart
-- $1 ids  $2 tokens  $3 errors  $4 results (NULL = unchanged)
WITH mine AS MATERIALIZED (
  SELECT j.id FROM unnest($1::int8[], $2::int8[]) AS d (id, token)
    JOIN jobq.jobs_live j ON j.id = d.id AND j.claim_token = d.token
   WHERE j.status <> 'held' FOR UPDATE OF j SKIP LOCKED
), held AS (
  UPDATE jobq.jobs_live j
     SET status = 'held', run_at = 'infinity', claimed_by = NULL, error_message = coalesce(d.error, j.error_message),
         result = coalesce(d.result, j.result)
    FROM mine, unnest($1::int8[], $3::text[], $4::jsonb[]) AS d (id, error, result)
   WHERE j.id = mine.id AND d.id = mine.id
  RETURNING j.id
)
SELECT id, false, NULL::timestamptz, NULL::int2 FROM held
UNION ALL
SELECT j.id, true, NULL, NULL FROM unnest($1::int8[], $2::int8[]) AS d (id, token)
  JOIN jobq.jobs_live j ON j.id = d.id AND j.claim_token = d.token
 WHERE j.status <> 'held' AND j.id NOT IN (SELECT id FROM mine)

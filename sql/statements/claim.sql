-- claim.c: claims due rows of some lanes of one queue under a new token
-- $1 queue  $2 incarnation  $3 node; lanes: $4 tenants  $5 priorities  $6 how many of each  $7, $8 cursors (run_at, id)
-- tied: NULL = no; else what tells this run from the runs before it (0 = nothing, it is the first).
-- The lateral reads each lane in order from behind its cursor. A row that changed since the snapshot is locked and skipped.
WITH token AS MATERIALIZED (
  SELECT nextval('jobq.claim_token_seq') AS token
), claimed AS (
  UPDATE jobq.jobs_live
     SET status = 'claimed', claim_token = (SELECT token FROM token), claimed_by = $3, started_at = now()
   WHERE ctid = ANY (ARRAY(
           SELECT x.ctid
             FROM unnest($4::text[], $5::int2[], $6::int4[], $7::timestamptz[], $8::int8[]) AS l (tenant, priority, n, after_at, after_id)
            CROSS JOIN LATERAL (
                  SELECT j.ctid FROM jobq.jobs_live j
                   WHERE j.queue = $1 AND coalesce(j.tenant_id, '') = l.tenant AND coalesce(j.priority, 5::smallint) = l.priority AND coalesce(j.run_at, j.created_at) <= now()
                     AND (coalesce(j.run_at, j.created_at), j.id) > (l.after_at, l.after_id) AND j.status = 'pending'
                   ORDER BY coalesce(j.run_at, j.created_at), j.id LIMIT l.n FOR UPDATE SKIP LOCKED) AS x))
     AND EXISTS (SELECT FROM jobq.nodes WHERE incarnation = $2::int8)
  RETURNING claim_token, id, coalesce(tenant_id, '') AS tenant_id, coalesce(priority, 5::smallint) AS priority, type, user_id, payload, coalesce(run_at, created_at) AS run_at, created_at, deadline, retry_count, max_retries, crashes, result,
            CASE WHEN unique_key IS NOT NULL THEN coalesce((SELECT r.ended_token FROM jobq.replacements r WHERE r.id = jobs_live.id), 0)
                 WHEN notify_channel IS NOT NULL THEN 0 END AS tied, ctid AS place
), noted AS (
  INSERT INTO jobq.claims (token, incarnation, ids)
  SELECT (SELECT token FROM token), $2::int8, array_agg(id) FROM claimed HAVING count(*) > 0
)
SELECT * FROM claimed

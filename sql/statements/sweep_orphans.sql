-- sweep.c: releases the jobs of claims whose node is gone, some claims at a time; returns how many jobs by queue, and how many claims (NULL)
WITH lost AS (
  SELECT token, ids FROM jobq.claims c
   WHERE NOT EXISTS (SELECT FROM jobq.nodes n WHERE n.incarnation = c.incarnation)
   ORDER BY token LIMIT 20 FOR UPDATE SKIP LOCKED
), freed AS (
  UPDATE jobq.jobs_live j
     SET status = 'pending', claim_token = NULL, claimed_by = NULL, started_at = NULL
    FROM (SELECT u.id, lost.token FROM lost CROSS JOIN LATERAL unnest(lost.ids) AS u (id) ORDER BY u.id) AS d
   WHERE j.id = d.id AND j.claim_token = d.token AND j.status IN ('claimed', 'running')
  RETURNING j.queue
), gone AS (
  DELETE FROM jobq.claims c USING lost WHERE c.token = lost.token RETURNING c.token
)
SELECT queue, count(*) FROM freed GROUP BY queue
UNION ALL
SELECT NULL, count(*) FROM gone

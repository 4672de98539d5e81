-- sweep.c: releases the jobs of these claims of ours, whose reply was lost. $1 tokens
WITH freed AS (
  UPDATE jobq.jobs_live j
     SET status = 'pending', claim_token = NULL, claimed_by = NULL, started_at = NULL
    FROM (SELECT u.id, c.token FROM jobq.claims c CROSS JOIN LATERAL unnest(c.ids) AS u (id)
           WHERE c.token = ANY ($1::int8[]) ORDER BY u.id) AS d
   WHERE j.id = d.id AND j.claim_token = d.token AND j.status IN ('claimed', 'running')
  RETURNING j.id
), gone AS (
  DELETE FROM jobq.claims WHERE token = ANY ($1::int8[])
)
SELECT count(*) FROM freed

-- lanes.c: when the first waiting row of each of these lanes is due, read from the lane's start, in the order of the question
-- $1 queues  $2 tenants  $3 priorities
SELECT head.run_at
  FROM unnest($1::text[], $2::text[], $3::int2[]) WITH ORDINALITY AS l (queue, tenant, priority, n)
  LEFT JOIN LATERAL (
    SELECT j.run_at FROM jobq.jobs_live j
     WHERE j.queue = l.queue AND j.tenant_id = l.tenant AND j.priority = l.priority AND j.status = 'pending'
     ORDER BY j.run_at, j.id LIMIT 1) AS head ON true
 ORDER BY l.n

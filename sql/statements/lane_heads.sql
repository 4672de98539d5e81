-- lanes.c: when the first waiting row of each of these lanes is due, read from the lane's start, in the order of the question
-- $1 queues  $2 tenants  $3 priorities
SELECT head.due
  FROM unnest($1::text[], $2::text[], $3::int2[]) WITH ORDINALITY AS l (queue, tenant, priority, n)
  LEFT JOIN LATERAL (
    SELECT coalesce(j.run_at, j.created_at) AS due FROM jobq.jobs_live j
     WHERE j.queue = l.queue AND coalesce(j.tenant_id, '') = l.tenant AND coalesce(j.priority, 5::smallint) = l.priority
       AND j.status = 'pending'
     ORDER BY coalesce(j.run_at, j.created_at), j.id LIMIT 1) AS head ON true
 ORDER BY l.n

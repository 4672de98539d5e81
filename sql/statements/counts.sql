-- counts.c: exact, by queue: due, later, held, since when the oldest is due, and whether a living node serves the queue
SELECT j.queue,
       count(*) FILTER (WHERE j.status = 'pending' AND coalesce(j.run_at, j.created_at) <= now()),
       count(*) FILTER (WHERE j.status = 'pending' AND coalesce(j.run_at, j.created_at) > now()),
       count(*) FILTER (WHERE j.status = 'held'),
       min(coalesce(j.run_at, j.created_at)) FILTER (WHERE j.status = 'pending' AND coalesce(j.run_at, j.created_at) <= now()),
       EXISTS (SELECT FROM jobq.nodes n WHERE j.queue = ANY (n.queues) AND n.lease_until > now())
  FROM jobq.jobs_live j GROUP BY j.queue

-- lanes.c: what came in behind an id, by lane: when the first waiting row is due, how many are new to us, the largest id
-- $1 behind this id  $2 the largest id that we have seen
SELECT queue, coalesce(tenant_id, ''), coalesce(priority, 5::smallint),
       min(coalesce(run_at, created_at)) FILTER (WHERE status = 'pending'),
       count(*) FILTER (WHERE status = 'pending' AND id > $2::int8), max(id)
  FROM jobq.jobs_live WHERE id > $1::int8
 GROUP BY 1, 2, 3

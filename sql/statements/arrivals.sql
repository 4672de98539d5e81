-- lanes.c: what came in behind an id, by lane: when the first waiting row is due, how many are new to us, the largest id, how many were read
-- $1 behind this id  $2 the largest id that we have seen  $3 at most so many rows
-- ORDER BY and LIMIT keep the planner to the primary key: a generic plan takes `id > $1` for a third of the table, and with a million rows it would
-- rather walk all of the lane index, which is in the order of the groups: 30 ms for each new job instead of 0.1.
SELECT queue, coalesce(tenant_id, ''), coalesce(priority, 5::smallint),
       min(coalesce(run_at, created_at)) FILTER (WHERE status = 'pending'),
       count(*) FILTER (WHERE status = 'pending' AND id > $2::int8), max(id), count(*)
  FROM (SELECT queue, tenant_id, priority, run_at, created_at, status, id FROM jobq.jobs_live WHERE id > $1::int8 ORDER BY id LIMIT $3::int8) j
 GROUP BY 1, 2, 3
 ORDER BY min(coalesce(run_at, created_at)) DESC, min(id) DESC

-- lanes.c: every lane that has rows, and when its first waiting row is due (NULL: none waits); a skip scan of the lane index
WITH RECURSIVE lane AS (
  (SELECT queue, coalesce(tenant_id, '') AS tenant, coalesce(priority, 5::smallint) AS priority
     FROM jobq.jobs_live ORDER BY queue, coalesce(tenant_id, ''), coalesce(priority, 5::smallint) LIMIT 1)
  UNION ALL
  SELECT next.* FROM lane CROSS JOIN LATERAL (
    SELECT j.queue, coalesce(j.tenant_id, ''), coalesce(j.priority, 5::smallint) FROM jobq.jobs_live j
     WHERE (j.queue, coalesce(j.tenant_id, ''), coalesce(j.priority, 5::smallint)) > (lane.queue, lane.tenant, lane.priority)
     ORDER BY j.queue, coalesce(j.tenant_id, ''), coalesce(j.priority, 5::smallint) LIMIT 1) AS next
)
SELECT lane.queue, lane.tenant, lane.priority, head.due
  FROM lane LEFT JOIN LATERAL (
    SELECT coalesce(j.run_at, j.created_at) AS due, j.id FROM jobq.jobs_live j
     WHERE j.queue = lane.queue AND coalesce(j.tenant_id, '') = lane.tenant AND coalesce(j.priority, 5::smallint) = lane.priority
       AND j.status = 'pending'
     ORDER BY coalesce(j.run_at, j.created_at), j.id LIMIT 1) AS head ON true
 ORDER BY head.due DESC, head.id DESC

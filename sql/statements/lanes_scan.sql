-- lanes.c: every lane that has rows, and when its first waiting row is due (NULL: none waits); a skip scan of the lane index
WITH RECURSIVE lane AS (
  (SELECT queue, tenant_id, priority FROM jobq.jobs_live ORDER BY queue, tenant_id, priority LIMIT 1)
  UNION ALL
  SELECT next.* FROM lane CROSS JOIN LATERAL (
    SELECT j.queue, j.tenant_id, j.priority FROM jobq.jobs_live j
     WHERE (j.queue, j.tenant_id, j.priority) > (lane.queue, lane.tenant_id, lane.priority)
     ORDER BY j.queue, j.tenant_id, j.priority LIMIT 1) AS next
)
SELECT lane.queue, lane.tenant_id, lane.priority, head.run_at
  FROM lane LEFT JOIN LATERAL (
    SELECT j.run_at FROM jobq.jobs_live j
     WHERE j.queue = lane.queue AND j.tenant_id = lane.tenant_id AND j.priority = lane.priority AND j.status = 'pending'
     ORDER BY j.run_at, j.id LIMIT 1) AS head ON true

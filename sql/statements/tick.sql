-- tick.c: cancel requests ('c', id), pauses ('p', -, queue, tenant, by, reason, at, until), and whether deadlines have passed ('d')
SELECT 'c' AS kind, id, NULL::text AS queue, NULL::text AS tenant_id, NULL::text AS paused_by, NULL::text AS reason,
       requested_at AS at, NULL::timestamptz AS until
  FROM jobq.cancels
UNION ALL
SELECT 'p', NULL, queue, tenant_id, paused_by, reason, paused_at, until
  FROM jobq.pauses WHERE until IS NULL OR until > now()
UNION ALL
SELECT 'd', NULL, NULL, NULL, NULL, NULL, NULL, NULL
 WHERE EXISTS (SELECT FROM jobq.jobs_live WHERE deadline < now() AND status = 'pending')

-- recover.c: every row under a claim of ours; the columns of claim.sql, and the queue
-- $1 incarnation
SELECT j.claim_token, j.id, coalesce(j.tenant_id, ''), coalesce(j.priority, 5::smallint), j.type, j.user_id, j.payload, coalesce(j.run_at, j.created_at), j.created_at, j.deadline,
       j.retry_count, j.max_retries, j.crashes, j.result, CASE WHEN j.unique_key IS NOT NULL THEN coalesce((SELECT r.ended_token FROM jobq.replacements r WHERE r.id = j.id), 0)
            WHEN j.notify_channel IS NOT NULL THEN 0 END, j.ctid, j.queue
  FROM jobq.claims c CROSS JOIN LATERAL unnest(c.ids) AS u (id)
  JOIN jobq.jobs_live j ON j.id = u.id AND j.claim_token = c.token
 WHERE c.incarnation = $1::int8

-- complete.c: completed without result, moved to their history leaf
-- $1 ids (ascending)  $2 tokens  $3 places, as in finish_delete  $4 expire_on, days since 2000-01-01  $5 batches
WITH gone AS (
  DELETE FROM jobq.jobs_live j USING unnest($1::int8[], $2::int8[], $3::tid[], $5::int8[]) AS d (id, token, place, batch)
   WHERE j.ctid = coalesce(d.place, (SELECT k.ctid FROM jobq.jobs_live k WHERE k.id = d.id))
     AND j.id = d.id AND j.claim_token = d.token
  RETURNING j.*, d.batch
)
INSERT INTO jobq.%LEAF% (id, queue, type, tenant_id, user_id, priority, status, payload, progress, progress_note, retry_count,
       max_retries, error_message, unique_key, run_at, deadline, notify_channel, created_at, started_at, completed_at, claim_token,
       claimed_by, batch_id, crashes, expire_on)
SELECT id, queue, type, tenant_id, user_id, priority, 'completed', payload, progress, progress_note, retry_count,
       max_retries, error_message, unique_key, run_at, deadline, notify_channel, created_at, started_at, now(), claim_token,
       claimed_by, batch, crashes, date '2000-01-01' + $4::int4
  FROM gone
RETURNING id

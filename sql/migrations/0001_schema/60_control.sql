-- What the control socket's listings show of a job: one document, the same in `jobs`, `job`, `held` and `why`.

CREATE FUNCTION jobq.utc(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN isfinite(at) THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END $$;

CREATE FUNCTION jobq.job_document(j jobq.jobs) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('id', j.id::text, 'queue', j.queue, 'type', j.type, 'tenant_id', coalesce(j.tenant_id, ''), 'user_id', j.user_id,
        'priority', CASE coalesce(j.priority, 5) WHEN 1 THEN 'urgent' WHEN 2 THEN 'high' WHEN 5 THEN 'normal' WHEN 10 THEN 'low' ELSE j.priority::text END,
        'status', j.status, 'retry_count', j.retry_count, 'max_retries', j.max_retries, 'run_at', jobq.utc(coalesce(j.run_at, j.created_at)),
        'created_at', jobq.utc(j.created_at), 'started_at', jobq.utc(j.started_at), 'completed_at', jobq.utc(j.completed_at),
        'error_message', j.error_message, 'progress', j.progress, 'progress_note', j.progress_note, 'claimed_by', j.claimed_by)
$$;

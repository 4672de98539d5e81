-- What may be done with a job that is there: cancel, retry, resolve, status, progress, complete; and pausing queues.
--
-- Each function locks the live row first and decides while it holds the lock, so it never races with a claim, a completion or
-- another caller: a claim skips the locked row, a completion waits and then finds what was decided.

-- Moves a live row, which the caller has locked, to its leaf; or deletes it when its queue keeps nothing.
CREATE FUNCTION jobq.move_to_history(job_id bigint, queue text, new_status text, new_result jsonb, new_error text, new_note text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    day date := jobq.expire_day(queue, new_status);
BEGIN
    DELETE FROM jobq.cancels WHERE id = job_id;
    IF day IS NULL THEN
        DELETE FROM jobq.jobs_live WHERE id = job_id;
        RETURN;
    END IF;
    EXECUTE format('
        WITH gone AS (DELETE FROM jobq.jobs_live WHERE id = $1 RETURNING *)
        INSERT INTO jobq.%I (id, queue, type, tenant_id, user_id, priority, status, payload, result, progress, progress_note, retry_count, max_retries,
            error_message, unique_key, run_at, deadline, notify_channel, created_at, started_at, completed_at, claim_token, claimed_by, batch_id,
            crashes, expire_on)
        SELECT id, queue, type, tenant_id, user_id, priority, $2, payload, coalesce($3, result),
            CASE WHEN $2 = ''completed'' THEN 100 ELSE progress END, coalesce($5, progress_note), retry_count, max_retries,
            coalesce($4, error_message), unique_key, CASE WHEN isfinite(run_at) THEN run_at ELSE created_at END, deadline, notify_channel, created_at,
            started_at, clock_timestamp(), claim_token, claimed_by, batch_id, crashes, $6
        FROM gone', jobq.ensure_leaf(day))
    USING job_id, new_status, new_result, new_error, new_note, day;
END $$;

-- cancelled: it will not run. requested: it is in flight, its node is told, its outcome decides. finished, unknown: too late.
CREATE FUNCTION jobq.cancel(id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job record;
BEGIN
    SELECT j.queue, j.status INTO job FROM jobq.jobs_live j WHERE j.id = cancel.id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM jobq.jobs j WHERE j.id = cancel.id) THEN 'finished' ELSE 'unknown' END;
    END IF;
    IF job.status IN ('pending', 'held') THEN
        PERFORM jobq.move_to_history(id, job.queue, 'cancelled', NULL, NULL, NULL);
        RETURN 'cancelled';
    END IF;
    INSERT INTO jobq.cancels (id) VALUES (cancel.id) ON CONFLICT DO NOTHING;
    PERFORM pg_notify('jobq_wake', '!');
    RETURN 'requested';
END $$;

-- Puts a job that ended badly (failed, cancelled, held) back under its own id with all its tries; one that waits for its next
-- try goes at once. pending: it waits now. running, completed: nothing done. duplicate: its unique key is taken by another job.
CREATE FUNCTION jobq.retry(id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was text;
BEGIN
    FOR attempt IN 1..3 LOOP -- it may be on its way from one table to the other
        SELECT j.status INTO was FROM jobq.jobs_live j WHERE j.id = retry.id FOR UPDATE;
        IF was IN ('claimed', 'running') THEN
            RETURN 'running';
        ELSIF FOUND THEN
            UPDATE jobq.jobs_live j SET status = 'pending', run_at = now(), retry_count = 0, crashes = 0, claim_token = NULL, claimed_by = NULL,
                started_at = NULL, batch_id = NULL, progress = NULL, progress_note = NULL
            WHERE j.id = retry.id AND (was = 'held' OR j.retry_count > 0);
            PERFORM jobq.wake(jobq.wake_hint(j.id, j.queue, coalesce(j.tenant_id, ''), coalesce(j.priority, 5::smallint), coalesce(j.run_at, j.created_at)))
                FROM jobq.jobs_live j WHERE j.id = retry.id;
            RETURN 'pending';
        END IF;
        BEGIN
            WITH gone AS (DELETE FROM jobq.jobs j WHERE j.id = retry.id AND j.expire_on < 'infinity' AND j.status IN ('failed', 'cancelled') RETURNING *)
            INSERT INTO jobq.jobs_live (id, queue, type, tenant_id, user_id, priority, payload, max_retries, error_message, unique_key, run_at, deadline,
                notify_channel, created_at)
            SELECT g.id, g.queue, g.type, g.tenant_id, g.user_id, g.priority, g.payload, g.max_retries, g.error_message, g.unique_key, now(), g.deadline,
                g.notify_channel, g.created_at
            FROM gone g;
        EXCEPTION WHEN unique_violation THEN
            RETURN 'duplicate';
        END;
        IF FOUND THEN
            PERFORM jobq.wake(jobq.wake_hint(j.id, j.queue, coalesce(j.tenant_id, ''), coalesce(j.priority, 5::smallint), coalesce(j.run_at, j.created_at)))
                FROM jobq.jobs_live j WHERE j.id = retry.id;
            RETURN 'pending';
        END IF;
        SELECT j.status INTO was FROM jobq.jobs j WHERE j.id = retry.id AND j.expire_on < 'infinity';
        IF was = 'completed' THEN
            RETURN was;
        END IF;
    END LOOP;
    RETURN 'unknown';
END $$;

-- A person's verdict on a held job. Says the new status; "not held" or "unknown" when there is nothing to decide.
CREATE FUNCTION jobq.resolve(id bigint, verdict text, note text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job record;
BEGIN
    IF verdict IS NULL OR verdict NOT IN ('done', 'failed', 'retry') THEN
        RAISE EXCEPTION 'jobq: verdict "%" is not one of done, failed, retry', coalesce(verdict, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT j.queue, j.status INTO job FROM jobq.jobs_live j WHERE j.id = resolve.id FOR UPDATE;
    IF NOT FOUND AND NOT EXISTS (SELECT FROM jobq.jobs j WHERE j.id = resolve.id) THEN
        RETURN 'unknown';
    ELSIF job.status IS DISTINCT FROM 'held' THEN
        RETURN 'not held';
    END IF;
    CASE verdict
        WHEN 'done' THEN
            PERFORM jobq.move_to_history(id, job.queue, 'completed', NULL, NULL, note);
            RETURN 'completed';
        WHEN 'failed' THEN
            PERFORM jobq.move_to_history(id, job.queue, 'failed', NULL, note, NULL);
            RETURN 'failed';
        ELSE
            RETURN jobq.retry(id);
    END CASE;
END $$;

CREATE FUNCTION jobq.status(id bigint)
    RETURNS TABLE(status text, progress numeric, progress_note text, result jsonb, error_message text, completed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT j.status, j.progress::numeric, j.progress_note, j.result, j.error_message, j.completed_at FROM jobq.jobs j WHERE j.id = $1
$$;

-- Takes effect only on a job that is in flight under this token; percent NULL keeps what was there.
CREATE FUNCTION jobq.set_progress(id bigint, claim_token bigint, percent numeric, note text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF percent < 0 OR percent > 100 THEN
        RAISE EXCEPTION 'jobq: progress is %, it must be between 0 and 100', percent USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE jobq.jobs_live j SET progress = coalesce(percent::real, j.progress), progress_note = coalesce(note, j.progress_note), status = 'running'
    WHERE j.id = set_progress.id AND j.claim_token = set_progress.claim_token AND j.status IN ('claimed', 'running');
    RETURN FOUND;
END $$;

-- For a handler's own transaction: its effect and the completion commit together. false: the job is not in flight under this
-- token any more; roll back.
CREATE FUNCTION jobq.complete(id bigint, claim_token bigint, result jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_queue text;
BEGIN
    SELECT j.queue INTO of_queue FROM jobq.jobs_live j
    WHERE j.id = complete.id AND j.claim_token = complete.claim_token AND j.status IN ('claimed', 'running') FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM jobq.move_to_history(id, of_queue, 'completed', result, NULL, NULL);
    RETURN true;
END $$;

-- Stops claiming a queue, or one tenant's jobs in it, on all nodes. Again: replaces. By whom: jobq.actor if set, else the session's user.
CREATE FUNCTION jobq.pause(queue text, tenant_id text DEFAULT NULL, until timestamptz DEFAULT NULL, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF pause.queue IS NULL OR pause.queue !~ '^[a-z][a-z0-9_.-]{0,62}$' THEN
        RAISE EXCEPTION 'jobq: queue "%" is not a queue name: ^[a-z][a-z0-9_.-]{0,62}$', coalesce(pause.queue, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO jobq.pauses (queue, tenant_id, until, reason, paused_by)
    VALUES (pause.queue, pause.tenant_id, pause.until, pause.reason, coalesce(nullif(current_setting('jobq.actor', true), ''), session_user))
    ON CONFLICT (queue, tenant_id) DO UPDATE
        SET until = excluded.until, reason = excluded.reason, paused_by = excluded.paused_by, paused_at = now();
    PERFORM pg_notify('jobq_wake', '!');
END $$;

-- true: there was a pause. The pause of a tenant and that of the whole queue are lifted one by one.
CREATE FUNCTION jobq.resume(queue text, tenant_id text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM jobq.pauses p WHERE p.queue = resume.queue AND p.tenant_id IS NOT DISTINCT FROM resume.tenant_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_notify('jobq_wake', '!');
    RETURN true;
END $$;

-- How jobs end that somebody waits for: once more with a replacement, and with a word on their channel.
--
-- Replacing and ending meet at the lock of the live row: jobq.enqueue takes it before it writes a replacement, and every end takes
-- it before it looks for one, in a statement of its own with a snapshot of its own. The dispatcher's ends never wait for that
-- lock: a producer's open transaction holds up the jobs that it touches, and no others.

CREATE FUNCTION jobq.tell_end(id bigint, status text, channel text) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_notify(channel, jsonb_build_object('id', id::text, 'status', status)::text) $$;

-- Of these live jobs, which the caller has locked, those for which a replacement waits are pending again with it, with all their
-- tries, and whoever asked to cancel the run before has been served. Returns their ids.
CREATE FUNCTION jobq.run_again(jobs bigint[]) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    again bigint[] := ARRAY(SELECT r.id FROM jobq.replacements r WHERE r.id = ANY (jobs) AND r.payload IS NOT NULL);
BEGIN
    IF again = '{}' THEN
        RETURN again;
    END IF;
    DELETE FROM jobq.cancels c WHERE c.id = ANY (again);
    WITH taken AS (
        UPDATE jobq.replacements r SET payload = NULL, ended_token = j.claim_token
        FROM jobq.jobs_live j, jobq.replacements w WHERE r.id = ANY (again) AND j.id = r.id AND w.id = r.id
        RETURNING r.id, w.payload, r.priority, r.run_at, r.deadline
    )
    UPDATE jobq.jobs_live j SET status = 'pending', payload = t.payload, priority = t.priority, run_at = t.run_at, deadline = t.deadline, retry_count = 0,
        crashes = 0, result = NULL, claim_token = NULL, claimed_by = NULL, started_at = NULL, batch_id = NULL, progress = NULL, progress_note = NULL
    FROM taken t WHERE j.id = t.id;
    RETURN again;
END $$;

-- Ends a live row, which the caller has locked: moves it to its leaf, or deletes it when its queue keeps nothing; or it waits again, when
-- it is to run once more. Returns the status that it has now.
DROP FUNCTION jobq.move_to_history(bigint, text, text, jsonb, text, text);
CREATE FUNCTION jobq.move_to_history(job_id bigint, queue text, new_status text, new_result jsonb, new_error text, new_note text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    day     date := jobq.expire_day(queue, new_status);
    job     record;
BEGIN
    SELECT j.unique_key, j.notify_channel INTO job FROM jobq.jobs_live j WHERE j.id = job_id;
    IF job.unique_key IS NOT NULL THEN
        IF jobq.run_again(ARRAY[job_id]) <> '{}' THEN
            PERFORM pg_notify('jobq_wake', jobq.wake_hint(j.id, j.queue, coalesce(j.tenant_id, ''), j.priority, j.run_at)) FROM jobq.jobs_live j WHERE j.id = job_id;
            RETURN 'pending';
        END IF;
        DELETE FROM jobq.replacements r WHERE r.id = job_id;
    END IF;
    IF job.notify_channel IS NOT NULL THEN
        PERFORM jobq.tell_end(job_id, new_status, job.notify_channel);
    END IF;
    DELETE FROM jobq.cancels WHERE id = job_id;
    IF day IS NULL THEN
        DELETE FROM jobq.jobs_live WHERE id = job_id;
        RETURN new_status;
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
    RETURN new_status;
END $$;

-- Of these claims those whose rows can be locked now, and are.
CREATE FUNCTION jobq.lock_tied(ids bigint[], tokens bigint[]) RETURNS bigint[]
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY(SELECT j.id FROM unnest(ids, tokens) d(id, token) JOIN jobq.jobs_live j ON j.id = d.id AND j.claim_token = d.token
                 FOR UPDATE OF j SKIP LOCKED)
$$;

-- What the dispatcher is told of tied jobs: busy, somebody holds the row, ask again; again_at and priority, it waits again; neither, it
-- has ended. A claim that is not in the answer is not ours any more. Planned each time: a plan for any arrays compares each id with each.

-- Ends tied jobs as finish_move.sql and finish_delete.sql end others. expire_on NULL: nothing is kept.
CREATE FUNCTION jobq.finish_tied(ids bigint[], tokens bigint[], expire_on date, batches bigint[], statuses text[], results jsonb[], errors text[])
    RETURNS TABLE(id bigint, busy boolean, again_at timestamptz, priority smallint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_hashjoin = on
AS $$
#variable_conflict use_column
DECLARE
    mine  bigint[] := jobq.lock_tied(ids, tokens);
    again bigint[] := jobq.run_again(mine);
    over  bigint[] := ARRAY(SELECT m FROM unnest(mine) m WHERE m <> ALL (again));
BEGIN
    RETURN QUERY SELECT j.id, true, NULL::timestamptz, NULL::smallint FROM unnest(ids, tokens) d(id, token)
        JOIN jobq.jobs_live j ON j.id = d.id AND j.claim_token = d.token WHERE j.id <> ALL (mine);
    IF again <> '{}' THEN
        UPDATE jobq.jobs_live j SET error_message = d.error FROM unnest(ids, errors) d(id, error) WHERE j.id = d.id AND j.id = ANY (again) AND d.error IS NOT NULL;
        RETURN QUERY SELECT j.id, false, j.run_at, j.priority FROM jobq.jobs_live j WHERE j.id = ANY (again);
    END IF;
    DELETE FROM jobq.replacements r WHERE r.id = ANY (over);
    PERFORM jobq.tell_end(j.id, d.status, j.notify_channel) FROM unnest(ids, statuses) d(id, status)
        JOIN jobq.jobs_live j ON j.id = d.id WHERE j.id = ANY (over) AND j.notify_channel IS NOT NULL;
    IF expire_on IS NULL THEN
        DELETE FROM jobq.jobs_live j WHERE j.id = ANY (over);
    ELSE
        EXECUTE format('
            WITH gone AS (DELETE FROM jobq.jobs_live j USING unnest($1, $2, $3, $4, $5) d(id, batch, end_status, end_result, end_error)
                          WHERE j.id = d.id AND j.id = ANY ($6) RETURNING j.*, d.batch, d.end_status, d.end_result, d.end_error)
            INSERT INTO jobq.%I (id, queue, type, tenant_id, user_id, priority, status, payload, result, progress, progress_note, retry_count,
                max_retries, error_message, unique_key, run_at, deadline, notify_channel, created_at, started_at, completed_at, claim_token,
                claimed_by, batch_id, crashes, expire_on)
            SELECT id, queue, type, tenant_id, user_id, priority, end_status, payload,
                CASE WHEN end_status = ''completed'' THEN end_result ELSE coalesce(end_result, result) END, progress, progress_note, retry_count,
                max_retries, coalesce(end_error, error_message), unique_key, run_at, deadline, notify_channel, created_at, started_at, now(),
                claim_token, claimed_by, batch, crashes, $7
            FROM gone', jobq.ensure_leaf(expire_on))
        USING ids, batches, statuses, results, errors, over, expire_on;
    END IF;
    RETURN QUERY SELECT o, false, NULL::timestamptz, NULL::smallint FROM unnest(over) o;
END $$;

-- Puts tied jobs back as back.sql does others: with their replacement when there is one.
CREATE FUNCTION jobq.back_tied(ids bigint[], tokens bigint[], charges integer[], delays bigint[], new_crashes integer[], errors text[], results jsonb[])
    RETURNS TABLE(id bigint, busy boolean, again_at timestamptz, priority smallint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_hashjoin = on
AS $$
#variable_conflict use_column
DECLARE
    mine  bigint[] := jobq.lock_tied(ids, tokens);
    again bigint[] := jobq.run_again(mine);
BEGIN
    RETURN QUERY SELECT j.id, true, NULL::timestamptz, NULL::smallint FROM unnest(ids, tokens) d(id, token)
        JOIN jobq.jobs_live j ON j.id = d.id AND j.claim_token = d.token WHERE j.id <> ALL (mine);
    UPDATE jobq.jobs_live j
       SET status = 'pending', claim_token = NULL, claimed_by = NULL, started_at = NULL,
           run_at = CASE WHEN d.delay < 0 THEN coalesce(j.run_at, j.created_at) ELSE now() + d.delay * interval '1 microsecond' END,
           retry_count = j.retry_count + d.charge, crashes = greatest(j.crashes, d.crashes::smallint),
           error_message = coalesce(d.error, j.error_message), result = coalesce(d.result, j.result)
      FROM unnest(ids, charges, delays, new_crashes, errors, results) d(id, charge, delay, crashes, error, result)
     WHERE j.id = d.id AND j.id = ANY (mine) AND j.id <> ALL (again);
    RETURN QUERY SELECT j.id, false, coalesce(j.run_at, j.created_at), coalesce(j.priority, 5::smallint) FROM jobq.jobs_live j WHERE j.id = ANY (mine);
END $$;

-- Completes jobs of one queue in the transaction of a handler that had their effects together, as jobq.complete does one. Returns
-- those that are not in flight under their token any more: then nothing was done, and the caller rolls back. `installation`: the
-- caller's, so that the completion cannot go to another database's jobs of the same numbers.
CREATE FUNCTION jobq.complete_all(installation text, ids bigint[], tokens bigint[], results jsonb[]) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here     text := (SELECT i.id FROM jobq.installation i);
    mine     bigint[];
    of_queue text;
BEGIN
    IF installation IS DISTINCT FROM here THEN
        RAISE EXCEPTION 'jobq: these jobs are of the installation %, this database belongs to %', installation, here
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    mine := ARRAY(SELECT j.id FROM unnest(ids, tokens) d(id, token) JOIN jobq.jobs_live j ON j.id = d.id AND j.claim_token = d.token
                  WHERE j.status IN ('claimed', 'running') ORDER BY j.id FOR UPDATE OF j);
    IF cardinality(mine) < cardinality(ids) THEN
        RETURN QUERY SELECT i FROM unnest(ids) i WHERE i <> ALL (mine);
        RETURN;
    END IF;
    SELECT j.queue INTO of_queue FROM jobq.jobs_live j WHERE j.id = mine[1];
    PERFORM pg_notify('jobq_wake', jobq.wake_hint(j.id, j.queue, coalesce(j.tenant_id, ''), f.priority, f.again_at))
    FROM jobq.finish_tied(ids, tokens, jobq.expire_day(of_queue, 'completed'), NULL, array_fill('completed'::text, ARRAY[cardinality(ids)]), results, NULL) f
    JOIN jobq.jobs_live j ON j.id = f.id WHERE f.again_at IS NOT NULL;
    DELETE FROM jobq.cancels c WHERE c.id = ANY (ids);
END $$;

-- Waiting jobs whose deadline has passed end, whether anybody would have claimed them or not. Returns how many by queue.
CREATE FUNCTION jobq.expire_due(most integer) RETURNS TABLE(queue text, n bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH late AS MATERIALIZED (
        SELECT j.id, j.queue FROM jobq.jobs_live j WHERE j.deadline < now() AND j.status = 'pending'
        ORDER BY j.deadline LIMIT most FOR UPDATE SKIP LOCKED
    ), ended AS MATERIALIZED (
        SELECT l.queue, jobq.move_to_history(l.id, l.queue, 'failed', NULL, 'deadline passed', NULL) AS status FROM late l
    )
    SELECT e.queue, count(*) FROM ended e WHERE e.status = 'failed' GROUP BY 1;
END $$;

-- cancelled: it will not run. requested: it is in flight, its node is told, its outcome decides. finished, unknown: too late. What it
-- was to run with once more is withdrawn with it.
CREATE OR REPLACE FUNCTION jobq.cancel(id bigint) RETURNS text
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
    DELETE FROM jobq.replacements r WHERE r.id = cancel.id AND r.payload IS NOT NULL;
    IF job.status IN ('pending', 'held') THEN
        RETURN jobq.move_to_history(id, job.queue, 'cancelled', NULL, NULL, NULL);
    END IF;
    INSERT INTO jobq.cancels (id) VALUES (cancel.id) ON CONFLICT DO NOTHING;
    PERFORM pg_notify('jobq_wake', '!');
    RETURN 'requested';
END $$;

-- Cancels the unfinished job with this key, as cancel does; unknown: there is none.
CREATE FUNCTION jobq.cancel_key(queue text, unique_key text, tenant_id text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_id bigint;
BEGIN
    SELECT j.id INTO found_id FROM jobq.jobs_live j
    WHERE j.queue = cancel_key.queue AND coalesce(j.tenant_id, '') = coalesce(cancel_key.tenant_id, '') AND j.unique_key = cancel_key.unique_key;
    RETURN CASE WHEN found_id IS NULL THEN 'unknown' ELSE jobq.cancel(found_id) END;
END $$;

-- Puts a job that ended badly (failed, cancelled, held) back under its own id with all its tries; one that waits for its next
-- try goes at once. A deadline that has passed is dropped: who asks for this wants it to run. pending: it waits now.
-- running, completed: nothing done. duplicate: its unique key is taken by another job.
CREATE OR REPLACE FUNCTION jobq.retry(id bigint) RETURNS text
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
            IF jobq.run_again(ARRAY[retry.id]) = '{}' THEN
                UPDATE jobq.jobs_live j SET status = 'pending', run_at = now(), retry_count = 0, crashes = 0, claim_token = NULL, claimed_by = NULL,
                    started_at = NULL, batch_id = NULL, progress = NULL, progress_note = NULL, deadline = CASE WHEN j.deadline > now() THEN j.deadline END
                WHERE j.id = retry.id AND (was = 'held' OR j.retry_count > 0);
            END IF;
            PERFORM jobq.wake(jobq.wake_hint(j.id, j.queue, coalesce(j.tenant_id, ''), coalesce(j.priority, 5::smallint), coalesce(j.run_at, j.created_at)))
                FROM jobq.jobs_live j WHERE j.id = retry.id;
            RETURN 'pending';
        END IF;
        BEGIN
            WITH gone AS (DELETE FROM jobq.jobs j WHERE j.id = retry.id AND j.expire_on < 'infinity' AND j.status IN ('failed', 'cancelled') RETURNING *)
            INSERT INTO jobq.jobs_live (id, queue, type, tenant_id, user_id, priority, payload, max_retries, error_message, unique_key, run_at, deadline,
                notify_channel, created_at, result) -- the result: what its last attempt left for the next
            SELECT g.id, g.queue, g.type, g.tenant_id, g.user_id, g.priority, g.payload, g.max_retries, g.error_message, g.unique_key, now(),
                CASE WHEN g.deadline > now() THEN g.deadline END, g.notify_channel, g.created_at, g.result
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

-- A person's verdict on a held job. Says the new status, which is pending when it is to run once more; "not held" or "unknown" when
-- there is nothing to decide.
CREATE OR REPLACE FUNCTION jobq.resolve(id bigint, verdict text, note text DEFAULT NULL) RETURNS text
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
    RETURN CASE verdict
        WHEN 'done' THEN jobq.move_to_history(id, job.queue, 'completed', NULL, NULL, note)
        WHEN 'failed' THEN jobq.move_to_history(id, job.queue, 'failed', NULL, note, NULL)
        ELSE jobq.retry(id)
    END;
END $$;

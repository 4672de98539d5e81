-- Enqueueing: names of priorities, the wake gate, one job, many jobs.
--
-- The wake gate: a dispatcher that polls does not hold the advisory lock jobq.wake_key(); then taking it shared costs little,
-- and as it is kept to the end of the transaction, the dispatcher, which needs it exclusively before it relies on being
-- notified, cannot overlook a job that is not committed yet. So it is taken BEFORE a job's id is drawn. When it cannot be had, a
-- dispatcher listens (or waits for the lock): then there is one NOTIFY. Its payload is a hint, no more:
--   queue TAB tenant TAB priority TAB run_at in microseconds since 1970     that lane has something to do
--   #id                                                                     look at what lies behind this id
--   !                                                                       read pauses and cancel requests

CREATE FUNCTION jobq.wake_key() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 1785684593::bigint $$;

CREATE FUNCTION jobq.priority(name text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE name
        WHEN 'urgent' THEN RETURN 1;
        WHEN 'high' THEN RETURN 2;
        WHEN 'normal' THEN RETURN 5;
        WHEN 'low' THEN RETURN 10;
        ELSE
            IF name IS NULL THEN
                RETURN 5;
            END IF;
            RAISE EXCEPTION 'jobq: priority "%" is not one of urgent, high, normal, low', name USING ERRCODE = 'invalid_parameter_value';
    END CASE;
END $$;

CREATE FUNCTION jobq.priority_from_level(level integer) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE level
        WHEN 0 THEN RETURN 5;
        WHEN 1 THEN RETURN 2;
        WHEN 2 THEN RETURN 1;
        ELSE
            IF level IS NULL THEN
                RETURN 5;
            END IF;
            RAISE EXCEPTION 'jobq: priority level % is not one of 0 (normal), 1 (high), 2 (urgent)', level USING ERRCODE = 'invalid_parameter_value';
    END CASE;
END $$;

-- The hint of one job, due at due_at.
CREATE FUNCTION jobq.wake_hint(id bigint, queue text, tenant_id text, priority smallint, due_at timestamptz) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN isfinite(due_at) AND octet_length(tenant_id) < 900
        THEN concat(queue, E'\t', tenant_id, E'\t', priority, E'\t', (extract(epoch FROM due_at) * 1000000)::bigint)
        ELSE concat('#', id - 1) END
$$;

-- Wakes dispatchers that listen.
CREATE FUNCTION jobq.wake(hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(1785684593) THEN
        PERFORM pg_notify('jobq_wake', hint);
    END IF;
END $$;

-- INSERT and COPY through jobq.jobs: the gate is taken before the first id is drawn.
CREATE FUNCTION jobq.jobs_wake() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(1785684593) THEN
        PERFORM pg_notify('jobq_wake', concat('#', s.last_value - 1)) FROM jobq.jobs_id_seq s;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_wake BEFORE INSERT ON jobq.jobs FOR EACH STATEMENT EXECUTE FUNCTION jobq.jobs_wake();

-- One job; NULL means the default everywhere. Inserts into the live leaf (faster than through jobq.jobs) and wakes by itself.
CREATE FUNCTION jobq.enqueue(queue text, payload jsonb DEFAULT '{}', tenant_id text DEFAULT NULL, priority text DEFAULT 'normal',
    run_at timestamptz DEFAULT NULL, type text DEFAULT NULL, max_retries integer DEFAULT NULL, unique_key text DEFAULT NULL,
    on_duplicate text DEFAULT 'keep', user_id text DEFAULT NULL, deadline timestamptz DEFAULT NULL,
    notify_channel text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    prio   smallint := CASE priority WHEN 'normal' THEN 5 WHEN 'high' THEN 2 WHEN 'urgent' THEN 1 WHEN 'low' THEN 10 ELSE jobq.priority(priority) END;
    due_at timestamptz := coalesce(run_at, now());
    new_id bigint;
    gated  boolean;
BEGIN
    IF queue IS NULL OR queue !~ '^[a-z][a-z0-9_.-]{0,62}$' OR queue = 'system' THEN
        RAISE EXCEPTION 'jobq: queue "%" is not a queue name: ^[a-z][a-z0-9_.-]{0,62}$, and "system" is reserved', coalesce(queue, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF max_retries < 0 THEN
        RAISE EXCEPTION 'jobq: max_retries is %, it must be 0 or more', max_retries USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF unique_key IS NOT NULL OR deadline IS NOT NULL OR notify_channel IS NOT NULL OR on_duplicate <> 'keep' THEN
        RAISE EXCEPTION 'jobq: % is not in this version',
            CASE WHEN unique_key IS NOT NULL THEN 'unique_key' WHEN deadline IS NOT NULL THEN 'deadline'
                 WHEN notify_channel IS NOT NULL THEN 'notify_channel' ELSE 'on_duplicate' END
            USING ERRCODE = 'feature_not_supported';
    END IF;
    gated := pg_try_advisory_xact_lock_shared(1785684593);
    INSERT INTO jobq.jobs_live (queue, type, tenant_id, user_id, priority, payload, max_retries, run_at)
    VALUES (queue, type, coalesce(tenant_id, ''), user_id, prio, coalesce(payload, '{}'), max_retries, due_at)
    RETURNING id INTO new_id;
    IF NOT gated THEN
        PERFORM pg_notify('jobq_wake', jobq.wake_hint(new_id, queue, coalesce(tenant_id, ''), prio, due_at));
    END IF;
    RETURN new_id;
END $$;

-- Many jobs in one statement: an array of objects with the argument names of enqueue; all or nothing. n counts from 1. The
-- checks are written out in one query, since a function call a row would cost more than the rows.
CREATE FUNCTION jobq.enqueue_many(jobs jsonb) RETURNS TABLE(n integer, id bigint, created boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known CONSTANT text[] := '{queue,payload,tenant_id,priority,run_at,type,max_retries,user_id,unique_key,on_duplicate,deadline,notify_channel}';
    later CONSTANT text[] := '{unique_key,on_duplicate,deadline,notify_channel}';
    bad   record;
BEGIN
    IF jsonb_typeof(jobs) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'jobq: enqueue_many needs an array of objects' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT e.n, e.job, c.problem INTO bad
    FROM jsonb_array_elements(jobs) WITH ORDINALITY e(job, n)
    CROSS JOIN LATERAL (SELECT CASE
        WHEN jsonb_typeof(e.job) <> 'object' THEN 'object'
        WHEN e.job - known <> '{}' THEN 'key'
        WHEN e.job->>'queue' IS NULL OR e.job->>'queue' !~ '^[a-z][a-z0-9_.-]{0,62}$' OR e.job->>'queue' = 'system' THEN 'queue'
        WHEN e.job->>'priority' NOT IN ('urgent', 'high', 'normal', 'low') THEN 'priority'
        WHEN e.job->>'max_retries' !~ '^[0-9]{1,9}$' THEN 'max_retries'
        WHEN e.job ?| later AND (e.job->>'unique_key' IS NOT NULL OR e.job->>'deadline' IS NOT NULL OR e.job->>'notify_channel' IS NOT NULL
            OR e.job->>'on_duplicate' <> 'keep') THEN 'later'
        END) c(problem)
    WHERE c.problem IS NOT NULL ORDER BY e.n LIMIT 1;
    IF bad.problem = 'later' THEN
        RAISE EXCEPTION 'jobq: job %: % is not in this version', bad.n,
            (SELECT k FROM unnest(later) k WHERE bad.job->>k IS NOT NULL AND NOT (k = 'on_duplicate' AND bad.job->>k = 'keep') LIMIT 1)
            USING ERRCODE = 'feature_not_supported';
    ELSIF bad.problem IS NOT NULL THEN
        RAISE EXCEPTION 'jobq: job % %', bad.n, CASE bad.problem
            WHEN 'object' THEN 'is not an object'
            WHEN 'key' THEN format('has an unknown key "%s"', (SELECT min(k) FROM jsonb_object_keys(bad.job - known) k))
            WHEN 'queue' THEN CASE WHEN bad.job->>'queue' IS NULL THEN 'has no queue'
                ELSE format('queue "%s" is not a queue name: ^[a-z][a-z0-9_.-]{0,62}$, and "system" is reserved', bad.job->>'queue') END
            WHEN 'priority' THEN format('priority "%s" is not one of urgent, high, normal, low', bad.job->>'priority')
            ELSE format('max_retries is "%s", it must be a number of 0 or more', bad.job->>'max_retries')
            END USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock_shared(1785684593) THEN
        PERFORM pg_notify('jobq_wake', concat('#', s.last_value - 1)) FROM jobq.jobs_id_seq s;
    END IF;
    RETURN QUERY
    WITH job AS MATERIALIZED (
        SELECT e.n::integer AS n, nextval('jobq.jobs_id_seq') AS id, r.*
        FROM jsonb_array_elements(jobs) WITH ORDINALITY e(job, n)
        CROSS JOIN LATERAL jsonb_to_record(e.job) r(queue text, payload jsonb, tenant_id text, priority text, run_at timestamptz,
                                                    type text, max_retries integer, user_id text)
    ), stored AS (
        INSERT INTO jobq.jobs_live (id, queue, type, tenant_id, user_id, priority, payload, max_retries, run_at)
        SELECT j.id, j.queue, j.type, coalesce(j.tenant_id, ''), j.user_id,
               CASE j.priority WHEN 'urgent' THEN 1 WHEN 'high' THEN 2 WHEN 'low' THEN 10 ELSE 5 END,
               coalesce(j.payload, '{}'), j.max_retries, coalesce(j.run_at, now())
        FROM job j ORDER BY j.id
    )
    SELECT j.n, j.id, true FROM job j ORDER BY j.n;
END $$;

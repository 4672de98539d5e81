-- Enqueueing with a unique key, a deadline, a notify channel. Jobs without a key take the way they took before.

-- One job with a key: a new one, or what `mode` says of the unfinished one that has it. keep takes no lock. replace takes that of the
-- job's row, to the end of the transaction: a job that waits does not begin before, and one that runs does not end.
CREATE FUNCTION jobq.enqueue_keyed(of_queue text, of_tenant text, of_key text, mode text, new_payload jsonb, new_priority smallint, due_at timestamptz,
    new_type text, new_max_retries integer, new_user text, new_deadline timestamptz, channel text, OUT id bigint, OUT created boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    live record;
BEGIN
    LOOP -- the one that has the key may end between two statements
        INSERT INTO jobq.jobs_live (queue, type, tenant_id, user_id, priority, payload, max_retries, unique_key, run_at, deadline, notify_channel)
        VALUES (of_queue, new_type, of_tenant, new_user, new_priority, new_payload, new_max_retries, of_key, due_at, new_deadline, channel)
        ON CONFLICT (queue, (coalesce(tenant_id, '')), unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING jobs_live.id INTO id;
        created := FOUND;
        EXIT WHEN created;
        IF mode = 'replace' THEN
            SELECT j.id, j.status INTO live FROM jobq.jobs_live j
            WHERE j.queue = of_queue AND coalesce(j.tenant_id, '') = of_tenant AND j.unique_key = of_key FOR UPDATE;
        ELSE
            SELECT j.id, j.status INTO live FROM jobq.jobs_live j
            WHERE j.queue = of_queue AND coalesce(j.tenant_id, '') = of_tenant AND j.unique_key = of_key;
        END IF;
        EXIT WHEN FOUND;
    END LOOP;
    IF created THEN
        RETURN;
    END IF;
    id := live.id;
    IF mode = 'error' THEN
        RAISE EXCEPTION 'jobq: queue "%" has an unfinished job with the unique key "%"', of_queue, of_key USING ERRCODE = 'unique_violation',
            DETAIL = format('It is job %s.', live.id), SCHEMA = 'jobq', TABLE = 'jobs_live', CONSTRAINT = 'jobs_unique_key';
    ELSIF mode = 'replace' AND live.status = 'pending' THEN
        INSERT INTO jobq.replacements (id, ended_token) VALUES (live.id, nextval('jobq.claim_token_seq'))
        ON CONFLICT (id) DO UPDATE SET payload = NULL, ended_token = excluded.ended_token;
        UPDATE jobq.jobs_live j SET payload = new_payload, priority = new_priority, run_at = due_at, deadline = new_deadline, retry_count = 0, crashes = 0,
            result = NULL
        WHERE j.id = live.id;
        PERFORM jobq.wake(jobq.wake_hint(live.id, of_queue, of_tenant, new_priority, due_at));
    ELSIF mode = 'replace' THEN
        INSERT INTO jobq.replacements (id, payload, priority, run_at, deadline) VALUES (live.id, new_payload, new_priority, due_at, new_deadline)
        ON CONFLICT (id) DO UPDATE SET payload = excluded.payload, priority = excluded.priority, run_at = excluded.run_at, deadline = excluded.deadline,
            requested_at = now();
    END IF;
END $$;

-- One job; NULL means the default everywhere. Inserts into the live leaf (faster than through jobq.jobs) and wakes by itself.
CREATE OR REPLACE FUNCTION jobq.enqueue(queue text, payload jsonb DEFAULT '{}', tenant_id text DEFAULT NULL, priority text DEFAULT 'normal',
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
    made   boolean := true;
BEGIN
    IF queue IS NULL OR queue !~ '^[a-z][a-z0-9_.-]{0,62}$' OR queue = 'system' THEN
        RAISE EXCEPTION 'jobq: queue "%" is not a queue name: ^[a-z][a-z0-9_.-]{0,62}$, and "system" is reserved', coalesce(queue, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF max_retries < 0 THEN
        RAISE EXCEPTION 'jobq: max_retries is %, it must be 0 or more', max_retries USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(notify_channel) NOT BETWEEN 1 AND 63 OR notify_channel = 'jobq_wake' THEN
        RAISE EXCEPTION 'jobq: notify_channel "%" is not a channel: 1 to 63 bytes, and "jobq_wake" is reserved', notify_channel USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(unique_key) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'jobq: unique_key has % bytes, it may have 1 to 1000', octet_length(unique_key) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF on_duplicate NOT IN ('keep', 'replace', 'error') THEN
        RAISE EXCEPTION 'jobq: on_duplicate "%" is not one of keep, replace, error', on_duplicate USING ERRCODE = 'invalid_parameter_value';
    END IF;
    gated := pg_try_advisory_xact_lock_shared(1785684593);
    IF unique_key IS NULL THEN
        INSERT INTO jobq.jobs_live (queue, type, tenant_id, user_id, priority, payload, max_retries, run_at, deadline, notify_channel)
        VALUES (queue, type, coalesce(tenant_id, ''), user_id, prio, coalesce(payload, '{}'), max_retries, due_at, deadline, notify_channel)
        RETURNING id INTO new_id;
    ELSE
        SELECT k.id, k.created INTO new_id, made FROM jobq.enqueue_keyed(queue, coalesce(tenant_id, ''), unique_key, coalesce(on_duplicate, 'keep'),
            coalesce(payload, '{}'), prio, due_at, type, max_retries, user_id, deadline, notify_channel) k;
    END IF;
    IF made AND NOT gated THEN
        PERFORM pg_notify('jobq_wake', jobq.wake_hint(new_id, queue, coalesce(tenant_id, ''), prio, due_at));
    END IF;
    RETURN new_id;
END $$;

-- Many jobs in one statement: an array of objects with the argument names of enqueue; all or nothing. n counts from 1. The
-- checks are written out in one query, since a function call a row would cost more than the rows. Those whose key was taken
-- go one by one, in the order of their keys, as all of them are stored: two callers with the same keys wait for each other, no more.
CREATE OR REPLACE FUNCTION jobq.enqueue_many(jobs jsonb) RETURNS TABLE(n integer, id bigint, created boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known CONSTANT text[] := '{queue,payload,tenant_id,priority,run_at,type,max_retries,user_id,unique_key,on_duplicate,deadline,notify_channel}';
    bad   record;
    one   record;
    got   record;
    ids   bigint[];
    made  boolean[];
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
        WHEN octet_length(e.job->>'unique_key') NOT BETWEEN 1 AND 1000 THEN 'unique_key'
        WHEN e.job->>'on_duplicate' NOT IN ('keep', 'replace', 'error') THEN 'on_duplicate'
        WHEN octet_length(e.job->>'notify_channel') NOT BETWEEN 1 AND 63 OR e.job->>'notify_channel' = 'jobq_wake' THEN 'notify_channel'
        END) c(problem)
    WHERE c.problem IS NOT NULL ORDER BY e.n LIMIT 1;
    IF bad.problem IS NOT NULL THEN
        RAISE EXCEPTION 'jobq: job % %', bad.n, CASE bad.problem
            WHEN 'object' THEN 'is not an object'
            WHEN 'key' THEN format('has an unknown key "%s"', (SELECT min(k) FROM jsonb_object_keys(bad.job - known) k))
            WHEN 'queue' THEN CASE WHEN bad.job->>'queue' IS NULL THEN 'has no queue'
                ELSE format('queue "%s" is not a queue name: ^[a-z][a-z0-9_.-]{0,62}$, and "system" is reserved', bad.job->>'queue') END
            WHEN 'priority' THEN format('priority "%s" is not one of urgent, high, normal, low', bad.job->>'priority')
            WHEN 'unique_key' THEN format('unique_key has %s bytes, it may have 1 to 1000', octet_length(bad.job->>'unique_key'))
            WHEN 'on_duplicate' THEN format('on_duplicate "%s" is not one of keep, replace, error', bad.job->>'on_duplicate')
            WHEN 'notify_channel' THEN format('notify_channel "%s" is not a channel: 1 to 63 bytes, and "jobq_wake" is reserved', bad.job->>'notify_channel')
            ELSE format('max_retries is "%s", it must be a number of 0 or more', bad.job->>'max_retries')
            END USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock_shared(1785684593) THEN
        PERFORM pg_notify('jobq_wake', concat('#', s.last_value - 1)) FROM jobq.jobs_id_seq s;
    END IF;
    IF NOT jsonb_path_exists(jobs, '$[*].unique_key ? (@ != null)') THEN
        RETURN QUERY
        WITH job AS MATERIALIZED (
            SELECT e.n::integer AS n, nextval('jobq.jobs_id_seq') AS id, r.*
            FROM jsonb_array_elements(jobs) WITH ORDINALITY e(job, n)
            CROSS JOIN LATERAL jsonb_to_record(e.job) r(queue text, payload jsonb, tenant_id text, priority text, run_at timestamptz,
                                                        type text, max_retries integer, user_id text, deadline timestamptz, notify_channel text)
        ), stored AS (
            INSERT INTO jobq.jobs_live (id, queue, type, tenant_id, user_id, priority, payload, max_retries, run_at, deadline, notify_channel)
            SELECT j.id, j.queue, j.type, coalesce(j.tenant_id, ''), j.user_id,
                   CASE j.priority WHEN 'urgent' THEN 1 WHEN 'high' THEN 2 WHEN 'low' THEN 10 ELSE 5 END,
                   coalesce(j.payload, '{}'), j.max_retries, coalesce(j.run_at, now()), j.deadline, j.notify_channel
            FROM job j ORDER BY j.id
        )
        SELECT j.n, j.id, true FROM job j ORDER BY j.n;
        RETURN;
    END IF;
    WITH job AS MATERIALIZED (
        SELECT e.n, nextval('jobq.jobs_id_seq') AS id, r.*
        FROM jsonb_array_elements(jobs) WITH ORDINALITY e(job, n)
        CROSS JOIN LATERAL jsonb_to_record(e.job) r(queue text, payload jsonb, tenant_id text, priority text, run_at timestamptz, type text,
                                                    max_retries integer, user_id text, unique_key text, deadline timestamptz, notify_channel text)
    ), stored AS (
        INSERT INTO jobq.jobs_live (id, queue, type, tenant_id, user_id, priority, payload, max_retries, unique_key, run_at, deadline, notify_channel)
        SELECT j.id, j.queue, j.type, coalesce(j.tenant_id, ''), j.user_id,
               CASE j.priority WHEN 'urgent' THEN 1 WHEN 'high' THEN 2 WHEN 'low' THEN 10 ELSE 5 END,
               coalesce(j.payload, '{}'), j.max_retries, j.unique_key, coalesce(j.run_at, now()), j.deadline, j.notify_channel
        FROM job j ORDER BY j.queue, j.tenant_id, j.unique_key, j.n
        ON CONFLICT (queue, (coalesce(tenant_id, '')), unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        RETURNING id
    )
    SELECT array_agg(s.id ORDER BY j.n), array_agg(s.id IS NOT NULL ORDER BY j.n) INTO ids, made FROM job j LEFT JOIN stored s ON s.id = j.id;
    FOR one IN
        SELECT e.n, r.* FROM jsonb_array_elements(jobs) WITH ORDINALITY e(job, n)
        CROSS JOIN LATERAL jsonb_to_record(e.job) r(queue text, payload jsonb, tenant_id text, priority text, run_at timestamptz, type text, max_retries integer,
                                                    user_id text, unique_key text, on_duplicate text, deadline timestamptz, notify_channel text)
        WHERE NOT made[e.n] ORDER BY r.queue, r.tenant_id, r.unique_key, e.n
    LOOP
        SELECT k.id, k.created INTO got
        FROM jobq.enqueue_keyed(one.queue, coalesce(one.tenant_id, ''), one.unique_key, coalesce(one.on_duplicate, 'keep'), coalesce(one.payload, '{}'),
            CASE one.priority WHEN 'urgent' THEN 1 WHEN 'high' THEN 2 WHEN 'low' THEN 10 ELSE 5 END::smallint, coalesce(one.run_at, now()), one.type,
            one.max_retries, one.user_id, one.deadline, one.notify_channel) k;
        ids[one.n] := got.id;
        made[one.n] := got.created;
    END LOOP;
    RETURN QUERY SELECT u.n::integer, u.id, u.created FROM unnest(ids, made) WITH ORDINALITY u(id, created, n);
END $$;

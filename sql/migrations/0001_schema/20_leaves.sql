-- The leaves of finished rows: their names, making and dropping them, and which one a job goes to.
--
-- A leaf holds one week of expire_on, from Monday to Monday. It is made beside the table and attached (SHARE UPDATE EXCLUSIVE
-- on jobq.jobs, so nothing waits), never as PARTITION OF.

CREATE FUNCTION jobq.leaf_name(day date) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'jobs_h_' || to_char(date_trunc('week', day::timestamp), 'YYYYMMDD') $$;

-- Makes the leaf for `day` when it is not there, and says its name. Repeatable, and safe in many sessions at once. Privileges
-- are those of jobs_live.
CREATE FUNCTION jobq.ensure_leaf(day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    leaf  text := jobq.leaf_name(day);
    first date;
    grant_ text;
BEGIN
    IF day IS NULL OR NOT isfinite(day) THEN
        RAISE EXCEPTION 'jobq: there is no leaf for the day "%"', day USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM pg_inherits
               WHERE inhrelid = to_regclass(format('jobq.%I', leaf)) AND inhparent = 'jobq.jobs'::regclass AND NOT inhdetachpending) THEN
        RETURN leaf;
    END IF;
    PERFORM pg_advisory_xact_lock(1785684594); -- the wake gate's key + 1: one maker of leaves at a time
    IF EXISTS (SELECT FROM pg_inherits
               WHERE inhrelid = to_regclass(format('jobq.%I', leaf)) AND inhparent = 'jobq.jobs'::regclass) THEN
        RETURN leaf;
    END IF;
    first := date_trunc('week', day::timestamp)::date;
    IF to_regclass(format('jobq.%I', leaf)) IS NULL THEN
        EXECUTE format('CREATE TABLE jobq.%I (LIKE jobq.jobs INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION)', leaf);
        EXECUTE format('CREATE INDEX %I ON jobq.%I (id)', leaf || '_id', leaf);
        EXECUTE format('CREATE INDEX %I ON jobq.%I (tenant_id, status, completed_at)', leaf || '_tenant', leaf);
        EXECUTE format('CREATE INDEX %I ON jobq.%I (user_id, id) WHERE user_id IS NOT NULL', leaf || '_user', leaf);
        EXECUTE format('CREATE INDEX %I ON jobq.%I (type, status, completed_at) WHERE type IS NOT NULL', leaf || '_type', leaf);
        EXECUTE format('CREATE INDEX %I ON jobq.%I (queue, completed_at) WHERE status <> ''completed''', leaf || '_unwell', leaf);
        FOR grant_ IN
            SELECT format('GRANT %s ON jobq.%I TO %I', string_agg(a.privilege_type, ', '), leaf, r.rolname)
            FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
            WHERE c.oid = 'jobq.jobs_live'::regclass AND a.grantee <> c.relowner
            GROUP BY r.rolname
        LOOP
            EXECUTE grant_;
        END LOOP;
    END IF;
    EXECUTE format('ALTER TABLE jobq.jobs ATTACH PARTITION jobq.%I FOR VALUES FROM (%L) TO (%L)', leaf, first, first + 7);
    RETURN leaf;
END $$;

-- The attached leaves of finished rows, whatever they are called. `due`: every row in it may go today (UTC).
CREATE FUNCTION jobq.leaves() RETURNS TABLE(leaf text, from_day date, until_day date, due boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $$
    SELECT b.relname, b.bounds[1]::date, b.bounds[2]::date, b.bounds[2]::date <= (now() AT TIME ZONE 'UTC')::date
    FROM (SELECT c.relname::text, regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \(''([^'']+)''\) TO \(''([^'']+)''\)$')
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = 'jobq.jobs'::regclass AND c.relnamespace = 'jobq'::regnamespace) b(relname, bounds)
    WHERE b.bounds IS NOT NULL
    ORDER BY 2
$$;

-- Drops one leaf that is due. It needs jobq.jobs to itself for a moment: it waits at most half a second for that (55P03: try
-- again later), so that writers through jobq.jobs never queue behind it for longer. true = dropped, false = not a leaf, or not due.
CREATE FUNCTION jobq.drop_leaf(leaf text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '500ms'
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM jobq.leaves() l WHERE l.leaf = drop_leaf.leaf AND l.due) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE jobq.%I', leaf);
    RETURN true;
END $$;

-- The day on which a job of this queue that ends now with this status may go; NULL: at once.
CREATE FUNCTION jobq.expire_day(queue text, status text) RETURNS date
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN keep > interval '0' THEN (now() AT TIME ZONE 'UTC' + keep)::date + 1 END
    FROM (SELECT CASE WHEN $2 = 'failed' THEN coalesce(max(q.retain_failed), interval '90 days')
                      ELSE coalesce(max(q.retain_completed), interval '30 days') END
          FROM jobq.queues q WHERE q.name = $1) k(keep)
$$;

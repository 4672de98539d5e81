-- Changes of tenants are told to the dispatchers when they commit, so that what these know of tenants is never stale for long.
--
-- The note is "!tenants": a dispatcher that does not know it does what it does at any note that begins with "!", it reads
-- pauses and cancel requests. A transaction sends it once, however many statements it has. There is no row trigger.

CREATE FUNCTION jobq.tenants_changed() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('jobq_wake', '!tenants');
    RETURN NULL;
END $$;

CREATE FUNCTION jobq.tenants_touch() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

-- Makes a table's changes known at once: one that [tenants] source names, or that a view named there reads. Runs as its caller,
-- who must own the table or have TRIGGER on it. Repeatable. A table with the columns id, active and tier is watched for changes
-- of these alone, so that an application that writes other columns of it often pays nothing.
CREATE FUNCTION jobq.watch_tenants(source regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind "char" := (SELECT relkind FROM pg_class WHERE oid = source);
    found integer := (SELECT count(*) FROM pg_attribute WHERE attrelid = source AND attname IN ('id', 'active', 'tier') AND NOT attisdropped);
BEGIN
    IF kind IS NULL THEN
        RAISE EXCEPTION 'jobq: watch_tenants needs a table' USING ERRCODE = 'invalid_parameter_value';
    ELSIF kind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION 'jobq: % is not a table, so its changes cannot be watched', source
            USING ERRCODE = 'wrong_object_type', HINT = 'Call jobq.watch_tenants for each table that it reads.';
    END IF;
    EXECUTE format('CREATE OR REPLACE TRIGGER jobq_watch_tenants AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE %s ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION jobq.tenants_changed()',
        CASE WHEN found = 3 THEN 'OF id, active, tier' ELSE '' END, source);
END $$;

CREATE TRIGGER tenants_touch BEFORE UPDATE ON jobq.tenants
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.* AND OLD.updated_at IS NOT DISTINCT FROM NEW.updated_at) EXECUTE FUNCTION jobq.tenants_touch();
SELECT jobq.watch_tenants(t) FROM unnest('{jobq.tenants,jobq.tiers,jobq.tenant_limits}'::regclass[]) t;

-- The four roles, made when they are missing, and the settings of jobq_worker's sessions. Repeatable; run by
-- `jobqctl migrate --roles create` in the migration's transaction, before it. None may log in by itself: grant them to your users.
--
-- Settings stand at the role, not in the connection, so that they hold behind a transaction pooler as well. They count for
-- sessions that log in as jobq_worker; jobqd sets the same on its own connections when there is no pooler.

DO $roles$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{jobq_owner,jobq_worker,jobq_producer,jobq_reader}'::text[] LOOP
        IF to_regrole(name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I', name);
        END IF;
    END LOOP;
    -- whoever migrates must be able to act as the owner
    IF NOT pg_has_role(current_user, 'jobq_owner', 'MEMBER') THEN
        EXECUTE format('GRANT jobq_owner TO %I', current_user);
    END IF;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO jobq_owner', current_database());
END $roles$;

ALTER ROLE jobq_worker SET search_path = pg_catalog, pg_temp;
ALTER ROLE jobq_worker SET jit = off;
ALTER ROLE jobq_worker SET statement_timeout = '60s';
ALTER ROLE jobq_worker SET lock_timeout = '5s';
ALTER ROLE jobq_worker SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE jobq_worker SET timezone = 'UTC';
ALTER ROLE jobq_worker SET client_min_messages = 'warning';

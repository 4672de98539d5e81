-- The four roles, made when they are missing, and the settings of jobq_worker's sessions. Repeatable; run by
-- `jobqctl migrate --roles create` in the migration's transaction, before it. All but jobq_owner may log in, once they have a
-- password or pg_hba.conf lets them in; or grant them to roles of yours.
--
-- Settings stand at the role, not in the connection, so that they hold behind a transaction pooler as well. They count for
-- sessions that log in as jobq_worker; jobqd sets the same on its own connections when there is no pooler. What is already
-- as it should be is left alone, so that a migrator without CREATEROLE can run this again.

DO $roles$
DECLARE
    name    text;
    setting text;
BEGIN
    FOREACH name IN ARRAY '{jobq_owner,jobq_worker,jobq_producer,jobq_reader}'::text[] LOOP
        IF to_regrole(name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I %s', name, CASE name WHEN 'jobq_owner' THEN 'NOLOGIN' ELSE 'LOGIN' END);
        END IF;
    END LOOP;
    FOREACH setting IN ARRAY '{"search_path=pg_catalog, pg_temp",jit=off,statement_timeout=60s,lock_timeout=5s,
            idle_in_transaction_session_timeout=60s,TimeZone=UTC,client_min_messages=warning}'::text[] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'jobq_worker' AND setting = ANY (rolconfig)) THEN
            EXECUTE format('ALTER ROLE jobq_worker SET %s = %s', split_part(setting, '=', 1),
                CASE WHEN setting LIKE 'search_path%' THEN split_part(setting, '=', 2) ELSE quote_literal(split_part(setting, '=', 2)) END);
        END IF;
    END LOOP;
    -- whoever migrates must be able to act as the owner
    IF NOT pg_has_role(current_user, 'jobq_owner', 'MEMBER') THEN
        EXECUTE format('GRANT jobq_owner TO %I', current_user);
    END IF;
    IF NOT has_database_privilege('jobq_owner', current_database(), 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO jobq_owner', current_database());
    END IF;
END $roles$;

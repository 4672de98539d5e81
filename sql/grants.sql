-- What the roles may do. Repeatable; run after every migration, in its transaction, as the owner of the schema. A role that is
-- not there is passed over. Privileges on future leaves are copied from jobs_live by jobq.ensure_leaf.

DO $grants$
BEGIN
    IF to_regrole('jobq_worker') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA jobq TO jobq_worker;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobq TO jobq_worker;
        REVOKE INSERT, UPDATE, DELETE ON jobq.migrations, jobq.installation FROM jobq_worker;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobq TO jobq_worker;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA jobq TO jobq_worker;
    END IF;
    IF to_regrole('jobq_producer') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA jobq TO jobq_producer;
        GRANT INSERT (queue, type, tenant_id, user_id, priority, payload, max_retries, unique_key, run_at, deadline, notify_channel)
            ON jobq.jobs TO jobq_producer;
        GRANT SELECT (id) ON jobq.jobs TO jobq_producer;
        GRANT USAGE ON SEQUENCE jobq.jobs_id_seq TO jobq_producer;
        GRANT EXECUTE ON FUNCTION jobq.priority, jobq.priority_from_level, jobq.enqueue, jobq.enqueue_many, jobq.cancel, jobq.retry,
            jobq.status, jobq.set_progress, jobq.complete TO jobq_producer;
        IF to_regproc('jobq.watch_tenants') IS NOT NULL THEN -- of migration 2; it runs with its caller's rights
            GRANT EXECUTE ON FUNCTION jobq.watch_tenants, jobq.tenants_changed TO jobq_producer;
        END IF;
        IF to_regproc('jobq.installation_id') IS NOT NULL THEN -- of migration 3: what a pool's database user needs for imports
            GRANT EXECUTE ON FUNCTION jobq.installation_id, jobq.note_import_errors TO jobq_producer;
        END IF;
        IF to_regproc('jobq.cancel_key') IS NOT NULL THEN -- of migration 3
            GRANT EXECUTE ON FUNCTION jobq.cancel_key, jobq.complete_all TO jobq_producer;
        END IF;
    END IF;
    IF to_regrole('jobq_reader') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA jobq TO jobq_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA jobq TO jobq_reader;
        GRANT EXECUTE ON FUNCTION jobq.priority, jobq.priority_from_level, jobq.status, jobq.leaf_name, jobq.leaves, jobq.expire_day TO jobq_reader;
    END IF;
END $grants$;

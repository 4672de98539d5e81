-- What producers may ask of a job beyond its run: one unfinished job a key, a deadline, a notification of its end; version 3.
--
-- A job with a unique key or a notify channel is called tied: somebody relies on how it ends. A claim says which jobs are, and
-- only those end through jobq.finish_tied and jobq.back_tied: the statements that finish all others know nothing of this.

-- Channels are limited as LISTEN limits them, so that no end of a job fails over one; and nobody plays the wake gate. Only
-- the live leaf checks it: finished rows have been there.
ALTER TABLE jobq.jobs DROP CONSTRAINT jobs_not_in_this_version;
ALTER TABLE jobq.jobs_live ADD CONSTRAINT jobs_notify_channel CHECK (octet_length(notify_channel) BETWEEN 1 AND 63 AND notify_channel <> 'jobq_wake');
CREATE INDEX jobs_live_deadline ON jobq.jobs_live (deadline) WHERE deadline IS NOT NULL;

-- What a job that had started is to run with once more when it ends (on_duplicate => 'replace'). The latest wish counts. Whoever
-- writes or takes a row holds the lock of the job's live row. When the job waits again, payload is NULL and ended_token the
-- token of the run that ended, so that a repeated acknowledgement finds it. It also tells the idempotency key of the next run from
-- that of the one before, which had another payload; so a waiting job that is replaced gets a fresh one. The row goes with the job.
CREATE TABLE jobq.replacements (
    id           bigint      PRIMARY KEY,
    payload      jsonb,
    priority     smallint,
    run_at       timestamptz,
    deadline     timestamptz,
    ended_token  bigint,
    requested_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off);

-- Tables of jobq, version 1.
--
-- jobq.jobs is partitioned by the day a row may go (expire_on). Rows that are not finished have 'infinity' there and lie in
-- jobq.jobs_live, the hot table; finished rows lie in leaves of one week each (jobs_h_YYYYMMDD, see 20_leaves.sql), which are
-- dropped whole. A job is finished by DELETE from jobs_live + INSERT into its leaf, never by an UPDATE of expire_on.
--
-- No index on jobs_live holds a column that a claim changes (status, claim_token, claimed_by, started_at), so claims are HOT
-- and need the room that fillfactor 50 leaves. There is no row trigger, no foreign key and no default partition.

CREATE SCHEMA jobq;

CREATE SEQUENCE jobq.jobs_id_seq AS bigint;
CREATE SEQUENCE jobq.claim_token_seq AS bigint;
CREATE SEQUENCE jobq.incarnation_seq AS bigint;

-- tenant_id, priority and run_at accept NULL from COPY and INSERT; it means the default. The lane index and every statement
-- therefore say coalesce(tenant_id, ''), coalesce(priority, 5::smallint), coalesce(run_at, created_at).
CREATE TABLE jobq.jobs (
    id             bigint      NOT NULL DEFAULT nextval('jobq.jobs_id_seq'),
    queue          text        NOT NULL,
    type           text,
    tenant_id      text        DEFAULT '',
    user_id        text,
    priority       smallint    DEFAULT 5,
    status         text        NOT NULL DEFAULT 'pending',
    payload        jsonb       NOT NULL DEFAULT '{}',
    result         jsonb,
    progress       real,
    progress_note  text,
    retry_count    integer     NOT NULL DEFAULT 0,
    max_retries    integer,
    error_message  text,
    unique_key     text,
    run_at         timestamptz DEFAULT now(),
    deadline       timestamptz,
    notify_channel text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    started_at     timestamptz,
    completed_at   timestamptz,
    claim_token    bigint,
    claimed_by     text,
    batch_id       bigint,
    crashes        smallint    NOT NULL DEFAULT 0,
    expire_on      date        NOT NULL DEFAULT 'infinity',
    CONSTRAINT jobs_payload_size CHECK (pg_column_size(payload) <= 262144),
    CONSTRAINT jobs_priority CHECK (priority BETWEEN 1 AND 10),
    CONSTRAINT jobs_not_in_this_version CHECK (deadline IS NULL AND notify_channel IS NULL)
) PARTITION BY RANGE (expire_on);
ALTER SEQUENCE jobq.jobs_id_seq OWNED BY jobq.jobs.id;

COMMENT ON TABLE jobq.jobs IS 'One row a job. Enqueue with jobq.enqueue(), INSERT or COPY.';
COMMENT ON COLUMN jobq.jobs.priority IS '1 urgent, 2 high, 5 normal, 10 low';
COMMENT ON COLUMN jobq.jobs.status IS 'pending, claimed, running, held (live); completed, failed, cancelled (finished)';
COMMENT ON COLUMN jobq.jobs.expire_on IS 'infinity while live; then the day the row may go';

-- Vacuum often, in small bites, and never shorten the file (that needs an exclusive lock on the hot table).
CREATE TABLE jobq.jobs_live PARTITION OF jobq.jobs FOR VALUES FROM ('infinity') TO (MAXVALUE) WITH (
    fillfactor = 50,
    vacuum_truncate = off,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_cost_limit = 2000,
    toast.vacuum_truncate = off,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 1, toast.autovacuum_vacuum_cost_limit = 2000
);
ALTER TABLE jobq.jobs_live ADD CONSTRAINT jobs_live_pkey PRIMARY KEY (id) WITH (fillfactor = 90);
CREATE INDEX jobs_live_lane ON jobq.jobs_live
    (queue, (coalesce(tenant_id, '')), (coalesce(priority, 5::smallint)), (coalesce(run_at, created_at)), id);
CREATE UNIQUE INDEX jobs_unique_key ON jobq.jobs_live (queue, (coalesce(tenant_id, '')), unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX jobs_live_tenant ON jobq.jobs_live (tenant_id, id);
CREATE INDEX jobs_live_user ON jobq.jobs_live (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX jobs_live_type ON jobq.jobs_live (type, id) WHERE type IS NOT NULL;

-- One row a claim. What a dispatcher incarnation holds, for its adoption, its sweep, and a lost reply.
CREATE TABLE jobq.claims (
    token       bigint      PRIMARY KEY,
    incarnation bigint      NOT NULL,
    ids         bigint[]    NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off);
CREATE INDEX claims_incarnation ON jobq.claims (incarnation);

-- One row a dispatcher incarnation: its lease is the lease of all it has claimed. `queues`: what its node serves.
CREATE TABLE jobq.nodes (
    incarnation    bigint      PRIMARY KEY,
    instance       text        NOT NULL,
    node           text        NOT NULL,
    version        text        NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT now(),
    last_seen      timestamptz NOT NULL DEFAULT now(),
    lease_until    timestamptz NOT NULL,
    schema_version integer     NOT NULL,
    queues         text[]      NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- Requests to cancel a job that is in flight; whoever ends or releases the job removes the row.
CREATE TABLE jobq.cancels (
    id           bigint      PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now()
);

-- What the nodes' configuration says of a queue, for the functions; written by dispatchers. NULL = the built-in default.
CREATE TABLE jobq.queues (
    name             text        PRIMARY KEY,
    handler          text,
    max_retries      integer,
    retain_completed interval,
    retain_failed    interval,
    updated_at       timestamptz NOT NULL DEFAULT now()
);

-- tenant_id NULL: the whole queue.
CREATE TABLE jobq.pauses (
    queue     text        NOT NULL,
    tenant_id text,
    until     timestamptz,
    reason    text,
    paused_by text        NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX pauses_key ON jobq.pauses (queue, tenant_id) NULLS NOT DISTINCT;

-- Sums of what ended, a queue, status and minute; added to by dispatchers, so that no report counts finished rows.
CREATE TABLE jobq.queue_minutes (
    queue        text             NOT NULL,
    status       text             NOT NULL,
    minute       timestamptz      NOT NULL,
    count        bigint           NOT NULL,
    duration_sum double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (queue, status, minute)
) WITH (fillfactor = 50);
COMMENT ON COLUMN jobq.queue_minutes.duration_sum IS 'seconds from start to end, summed';

-- One row. The id begins every idempotency key; cluster and database tell a copy from the original.
CREATE TABLE jobq.installation (
    id                text        PRIMARY KEY CHECK (id ~ '^[0-9a-f]{8}$'),
    created_at        timestamptz NOT NULL DEFAULT now(),
    system_identifier bigint      NOT NULL,
    database          text        NOT NULL
);
CREATE UNIQUE INDEX installation_one_row ON jobq.installation ((true));
INSERT INTO jobq.installation (id, system_identifier, database)
SELECT left(md5(gen_random_uuid()::text), 8), system_identifier, current_database() FROM pg_control_system();

CREATE TABLE jobq.migrations (
    number     integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

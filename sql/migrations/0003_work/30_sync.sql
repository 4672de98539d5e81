-- Where syncs are: what has been pulled or pushed so far, and whom to leave alone for a while; version 3.
--
-- A pool's database user needs nothing but to call these functions (jobq_producer and jobq_worker may).

-- One row a queue, tenant and source (a digest of what is synced with what). seq counts the steps: whoever keeps a new state must know
-- the last one, so of two answers that were fetched at once only one is merged.
CREATE TABLE jobq.sync_state (
    queue      text        NOT NULL,
    tenant_id  text        NOT NULL,
    source     text        NOT NULL,
    seq        bigint      NOT NULL DEFAULT 1,
    state      jsonb       NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (queue, tenant_id, source)
);
COMMENT ON TABLE jobq.sync_state IS 'Positions of syncs, written with the rows; to begin one from its start, delete its row';

-- Until when a tenant's host is not to be called: it asked for that, or failed `times` times in a row.
CREATE TABLE jobq.sync_waits (
    queue     text        NOT NULL,
    tenant_id text        NOT NULL,
    host      text        NOT NULL,
    until     timestamptz NOT NULL,
    times     int         NOT NULL DEFAULT 1,
    reason    text        NOT NULL,
    PRIMARY KEY (queue, tenant_id, host)
);

-- What a sync must know before it begins; one row, always. horizon: every transaction below it is over.
CREATE FUNCTION jobq.sync_look(queue text, tenant_id text, source text, host text,
    OUT installation text, OUT seq bigint, OUT state jsonb, OUT wait_seconds double precision, OUT waits int, OUT reason text, OUT horizon bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT i.id, coalesce(s.seq, 0), s.state, greatest(0, extract(epoch FROM w.until - clock_timestamp()))::float8, coalesce(w.times, 0),
        coalesce(w.reason, ''), pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    FROM jobq.installation i
    LEFT JOIN jobq.sync_state s ON s.queue = sync_look.queue AND s.tenant_id = sync_look.tenant_id AND s.source = sync_look.source
    LEFT JOIN jobq.sync_waits w ON w.queue = sync_look.queue AND w.tenant_id = sync_look.tenant_id AND w.host = sync_look.host
$$;

-- Keeps a new state, first in the transaction of its rows; false: somebody else has gone on from seq, and these rows are old.
CREATE FUNCTION jobq.sync_keep(queue text, tenant_id text, source text, seq bigint, state jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF sync_keep.seq = 0 THEN
        INSERT INTO jobq.sync_state (queue, tenant_id, source, state)
        VALUES (sync_keep.queue, sync_keep.tenant_id, sync_keep.source, sync_keep.state)
        ON CONFLICT DO NOTHING;
    ELSE
        UPDATE jobq.sync_state s SET seq = s.seq + 1, state = sync_keep.state, updated_at = now()
        WHERE s.queue = sync_keep.queue AND s.tenant_id = sync_keep.tenant_id AND s.source = sync_keep.source AND s.seq = sync_keep.seq;
    END IF;
    RETURN FOUND;
END $$;

-- A host is to be left alone, for the seconds that it asked for, or (NULL) 1 s, doubling to 5 min; says for how long. What fails while a
-- wait is on makes it no longer.
CREATE FUNCTION jobq.sync_wait(queue text, tenant_id text, host text, reason text, seconds double precision DEFAULT NULL) RETURNS double precision
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO jobq.sync_waits AS w (queue, tenant_id, host, until, reason)
    VALUES (sync_wait.queue, sync_wait.tenant_id, sync_wait.host, clock_timestamp() + make_interval(secs => coalesce(seconds, 1)), left(sync_wait.reason, 600))
    ON CONFLICT (queue, tenant_id, host) DO UPDATE SET
        reason = excluded.reason,
        times = CASE WHEN w.until > clock_timestamp() THEN w.times ELSE least(w.times + 1, 20) END,
        until = CASE
            WHEN seconds IS NOT NULL THEN greatest(w.until, clock_timestamp() + make_interval(secs => seconds))
            WHEN w.until > clock_timestamp() THEN w.until
            ELSE clock_timestamp() + make_interval(secs => least(2 ^ least(w.times, 20), 300)) END
    RETURNING greatest(0, extract(epoch FROM w.until - clock_timestamp()))::float8
$$;

-- It has answered: the next failure is the first again.
CREATE FUNCTION jobq.sync_answered(queue text, tenant_id text, host text) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM jobq.sync_waits w WHERE w.queue = $1 AND w.tenant_id = $2 AND w.host = $3
$$;

-- Rate limits over several nodes: each node takes from its own bucket, and these functions say how large it is and for how long.
--
-- Time is cut into slices of one second of the database's clock. A node that uses a limit asks once a second and is told its
-- share (units a second, and burst) of what is left of this slice and of the next one; without an answer its share ends with
-- the slice. At every moment the shares of all nodes are at most the limit's rate, and their bursts at most its burst, so what
-- all of them send in any time is at most rate * time + burst. Shares follow what each node could use (the least ones first in
-- full, the rest in equal parts, and what is over in equal parts), and what was told for a slice is never taken back.
--
-- A bucket below one unit could never be taken from, so at most burst-many nodes hold a limit at once. The others wait for their
-- turn, which comes when a holder has no use for it, or has had it for 20 units and 5 s.
--
-- The only living node that serves a queue holds all its limits together ("alone"), until its lease in jobq.nodes ends: one row,
-- written seldom, and a database that is away for a moment stops nobody. When another node comes, the hold counts until the
-- node that has it no longer names it in its question: it may have missed the answer that took it away.
--
-- A bucket that was not running starts with what nobody could take: rate * the time since anybody held the limit (idle), at most
-- its burst.

-- One row a limit and node. rate and burst are of `slice`, next_rate and next_burst of the slice after it.
CREATE TABLE jobq.rate_leases (
    queue      text             NOT NULL,
    scope      text             NOT NULL CONSTRAINT rate_leases_scope CHECK (scope IN ('queue', 'tenant', 'tier')),
    name       text             NOT NULL,
    node       text             NOT NULL,
    slice      bigint           NOT NULL,
    demand     double precision NOT NULL,
    rate       double precision NOT NULL,
    burst      integer          NOT NULL,
    next_rate  double precision NOT NULL,
    next_burst integer          NOT NULL,
    since      timestamptz      NOT NULL,
    last_end   timestamptz      NOT NULL,
    forget_at  timestamptz      NOT NULL,
    PRIMARY KEY (queue, scope, name, node)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off);
COMMENT ON COLUMN jobq.rate_leases.slice IS 'in which the node asked last, seconds since 1970';
COMMENT ON COLUMN jobq.rate_leases.demand IS 'units a second that the node could use';
COMMENT ON COLUMN jobq.rate_leases.since IS 'since when it holds a share, or waits for one';
COMMENT ON COLUMN jobq.rate_leases.last_end IS 'end of the last share that was told';
COMMENT ON COLUMN jobq.rate_leases.forget_at IS 'when the limit''s bucket is full again, if nobody takes from it';

-- One row a queue: the node that was the only one to serve it, last.
CREATE TABLE jobq.rate_holds (
    queue       text        PRIMARY KEY,
    node        text        NOT NULL,
    incarnation bigint      NOT NULL,
    held_until  timestamptz NOT NULL,
    before      timestamptz
) WITH (fillfactor = 50);
COMMENT ON COLUMN jobq.rate_holds.before IS 'end of what others held before; NULL: nobody did';

-- Answers to what node `me` wants of limits: one statement for all of them, since there may be a thousand. The caller holds the
-- lock. A row of rate_leases is read as it stands in slice k: what was told for the slice after the one before is this slice's.
CREATE FUNCTION jobq.lease_limits(me text, at timestamptz, wants jsonb) RETURNS TABLE(n bigint, answer jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    k    CONSTANT bigint := floor(extract(epoch FROM at));
    turn CONSTANT timestamptz := to_timestamp(k + 1); -- the next slice begins
BEGIN
    RETURN QUERY
    WITH want AS MATERIALIZED (
        SELECT e.n, w.queue, w.scope, w.name, w.rate AS total, w.burst AS depth, w.want, jobq.lease_foreign(me, w.queue) AS foreign_until, h.held_until
          FROM jsonb_array_elements(wants) WITH ORDINALITY e(doc, n)
         CROSS JOIN LATERAL jsonb_to_record(e.doc) w(queue text, scope text, name text, rate double precision, burst integer, want double precision)
          LEFT JOIN jobq.rate_holds h ON h.queue = w.queue
         WHERE e.doc <> 'null'
    ), held AS MATERIALIZED (
        SELECT w.n, l.node, l.demand, l.since, l.last_end, l.slice >= k - 1 AS fresh, l.slice >= k - 1 AND l.rate + l.next_rate > 0 AS did,
               CASE l.slice WHEN k THEN l.rate WHEN k - 1 THEN l.next_rate ELSE 0 END AS rate,
               CASE l.slice WHEN k THEN l.burst WHEN k - 1 THEN l.next_burst ELSE 0 END AS burst,
               CASE l.slice WHEN k THEN l.next_rate ELSE 0 END AS next_rate,
               CASE l.slice WHEN k THEN l.next_burst ELSE 0 END AS next_burst
          FROM want w JOIN jobq.rate_leases l ON l.queue = w.queue AND l.scope = w.scope AND l.name = w.name
    ), mine AS (
        SELECT w.*, coalesce(h.rate, 0) AS rate, coalesce(h.burst, 0) AS burst, coalesce(h.next_rate, 0) AS next_rate, coalesce(h.next_burst, 0) AS next_burst,
               CASE WHEN h.fresh AND NOT (h.did AND h.rate = 0) THEN h.since ELSE at END AS since, coalesce(h.last_end, '-infinity') AS last_end
          FROM want w LEFT JOIN held h ON h.n = w.n AND h.node = me
    ), others AS (
        SELECT h.n, sum(h.rate) AS rate, sum(h.burst) AS burst, sum(h.next_rate) AS next_rate, sum(h.next_burst) AS next_burst, max(h.last_end) AS last_end
          FROM held h WHERE h.node <> me GROUP BY h.n
    ), wanting AS ( -- all who could use some
        SELECT h.n, h.node, h.demand, h.since, h.rate + h.next_rate > 0 AS holds, w.total, w.depth FROM held h JOIN want w ON w.n = h.n
         WHERE h.node <> me AND h.fresh AND h.demand > 0
        UNION ALL
        SELECT m.n, me, m.want, m.since, m.rate + m.next_rate > 0, m.total, m.depth FROM mine m WHERE m.want > 0
    ), turns AS ( -- whose turn it is: who holds and has not had it for long, who waits, who has had it for long
        SELECT w.n, w.node, w.total, w.depth, least(w.demand, w.total) AS demand, row_number() OVER (PARTITION BY w.n ORDER BY
               CASE WHEN NOT w.holds THEN 1 WHEN extract(epoch FROM at - w.since) < greatest(5, 20 / w.total) THEN 0 ELSE 2 END, w.since, w.node) AS place
          FROM wanting w
    ), seated AS ( -- the least demand first; `level`: what each from here on would get of what is left
        SELECT t.n, t.node, t.total, t.demand, count(*) OVER (PARTITION BY t.n) AS seats, sum(t.demand) OVER (PARTITION BY t.n) AS demands,
               (t.total - sum(t.demand) OVER least_first + t.demand) / (count(*) OVER (PARTITION BY t.n) - row_number() OVER least_first + 1) AS level
          FROM turns t WHERE t.place <= t.depth
        WINDOW least_first AS (PARTITION BY t.n ORDER BY t.demand, t.node ROWS UNBOUNDED PRECEDING)
    ), share AS (
        SELECT s.n, s.seats, trunc(coalesce(CASE WHEN s.demands <= s.total THEN max(s.demand) FILTER (WHERE s.node = me) + (s.total - s.demands) / s.seats
               ELSE least(max(s.demand) FILTER (WHERE s.node = me), max(s.level)) END, 0)::numeric, 6) AS share
          FROM seated s GROUP BY s.n, s.total, s.seats, s.demands
         HAVING bool_or(s.node = me)
    ), told AS ( -- what was told stays; the rest is at most what is left
        SELECT m.n, m.queue, m.scope, m.name, m.total, m.depth, m.want, m.since, m.last_end, greatest(o.last_end, m.last_end, m.held_until) AS used,
               m.rate + m.next_rate > 0 AS held, coalesce(s.seats, 0) AS seats, coalesce(o.burst, 0) AS o_burst, coalesce(o.next_burst, 0) AS o_next_burst,
               CASE WHEN m.rate > 0 THEN m.rate WHEN m.foreign_until > at OR o.burst >= m.depth THEN 0
                    ELSE greatest(0, least(coalesce(s.share, 0), trunc((m.total - coalesce(o.rate, 0))::numeric, 6))) END AS rate, m.burst,
               CASE WHEN m.next_rate > 0 THEN m.next_rate WHEN m.foreign_until > turn OR o.next_burst >= m.depth THEN 0
                    ELSE greatest(0, least(coalesce(s.share, 0), trunc((m.total - coalesce(o.next_rate, 0))::numeric, 6))) END AS next_rate, m.next_burst
          FROM mine m LEFT JOIN others o ON o.n = m.n LEFT JOIN share s ON s.n = m.n
    ), sized AS (
        SELECT t.n, t.queue, t.scope, t.name, t.total, t.depth, t.want, t.used, t.rate, t.next_rate,
               CASE WHEN t.burst > 0 OR t.rate = 0 THEN t.burst ELSE least(1 + floor((t.depth - t.seats) * t.rate / t.total), t.depth - t.o_burst) END::integer AS burst,
               CASE WHEN t.next_burst > 0 OR t.next_rate = 0 THEN t.next_burst
                    ELSE least(1 + floor((t.depth - t.seats) * t.next_rate / t.total), t.depth - t.o_next_burst) END::integer AS next_burst,
               CASE WHEN t.held = (t.rate + t.next_rate > 0) THEN t.since ELSE at END AS since,
               CASE WHEN t.next_rate > 0 THEN turn + interval '1 second' WHEN t.rate > 0 THEN turn ELSE t.last_end END AS last_end
          FROM told t
    ), stored AS (
        INSERT INTO jobq.rate_leases (queue, scope, name, node, slice, demand, rate, burst, next_rate, next_burst, since, last_end, forget_at)
        SELECT s.queue, s.scope, s.name, me, k, s.want, s.rate, s.burst, s.next_rate, s.next_burst, s.since, s.last_end,
               greatest(s.last_end, at) + s.depth / s.total * interval '1 second'
          FROM sized s
        ON CONFLICT (queue, scope, name, node) DO UPDATE SET slice = excluded.slice, demand = excluded.demand, rate = excluded.rate, burst = excluded.burst,
            next_rate = excluded.next_rate, next_burst = excluded.next_burst, since = excluded.since, last_end = excluded.last_end, forget_at = excluded.forget_at
    )
    SELECT s.n, jsonb_build_object('idle_us', CASE WHEN s.used > '-infinity' THEN (extract(epoch FROM at - least(s.used, at)) * 1000000)::bigint END, 'slices',
        CASE WHEN s.rate > 0 THEN jsonb_build_array(jsonb_build_object('from_us', 0, 'until_us', u.turn, 'rate', s.rate, 'burst', s.burst)) ELSE '[]' END
        || CASE WHEN s.next_rate > 0 THEN jsonb_build_array(jsonb_build_object('from_us', u.turn, 'until_us', u.turn + 1000000, 'rate', s.next_rate,
            'burst', s.next_burst)) ELSE '[]' END)
      FROM sized s CROSS JOIN (SELECT (extract(epoch FROM turn - at) * 1000000)::bigint AS turn) u;
END $$;

-- Whether this incarnation may hold all limits of the queue by itself, and until when. NULL: it may not. A hold that it does not
-- believe in any more (`believed`) ends here.
CREATE FUNCTION jobq.lease_alone(me text, of_incarnation bigint, lease_until timestamptz, at timestamptz, of_queue text, believed boolean) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hold  jobq.rate_holds;
    ended timestamptz;
BEGIN
    SELECT * INTO hold FROM jobq.rate_holds WHERE queue = of_queue;
    IF EXISTS (SELECT FROM jobq.nodes o WHERE o.node <> me AND of_queue = ANY (o.queues) AND o.lease_until > at)
       OR EXISTS (SELECT FROM jobq.rate_leases l WHERE l.queue = of_queue AND l.node <> me AND l.last_end > at)
       OR (hold.node <> me AND jobq.lease_foreign(me, of_queue) > at) THEN
        IF hold.node = me AND hold.held_until > at AND NOT believed THEN
            UPDATE jobq.rate_holds SET held_until = at WHERE queue = of_queue;
        END IF;
        RETURN NULL;
    END IF;
    IF hold.incarnation IS DISTINCT FROM of_incarnation OR hold.held_until <= at THEN
        ended := greatest(hold.held_until, (SELECT nullif(max(last_end), '-infinity') FROM jobq.rate_leases WHERE queue = of_queue));
        hold.before := CASE WHEN ended > at THEN at ELSE ended END;
        hold.held_until := at;
    END IF;
    IF hold.held_until - at <= (lease_until - at) / 2 THEN
        hold.held_until := lease_until;
        INSERT INTO jobq.rate_holds (queue, node, incarnation, held_until, before) VALUES (of_queue, me, of_incarnation, lease_until, hold.before)
        ON CONFLICT (queue) DO UPDATE SET node = excluded.node, incarnation = excluded.incarnation, held_until = excluded.held_until, before = excluded.before;
    END IF;
    RETURN jsonb_build_object('until_us', (extract(epoch FROM hold.held_until - at) * 1000000)::bigint,
        'idle_us', (extract(epoch FROM at - hold.before) * 1000000)::bigint);
END $$;

-- Until when another node may hold the queue alone; -infinity: no other. A hold ends with its incarnation.
CREATE FUNCTION jobq.lease_foreign(me text, of_queue text) RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(max(h.held_until), '-infinity') FROM jobq.rate_holds h
     WHERE h.queue = of_queue AND h.node <> me AND EXISTS (SELECT FROM jobq.nodes n WHERE n.incarnation = h.incarnation)
$$;

-- What lease_rate does, at a given time of the database's clock and without its lock.
CREATE FUNCTION jobq.lease_rate_at(incarnation bigint, wants jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    node   record;
    q      text;
    bad    bigint;
    hold   jsonb;
    alone  jsonb := '{}';
    grants jsonb := '[]';
BEGIN
    SELECT n.node, n.lease_until INTO node FROM jobq.nodes n WHERE n.incarnation = lease_rate_at.incarnation AND n.lease_until > at;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT min(e.n) INTO bad FROM jsonb_array_elements(wants->'limits') WITH ORDINALITY e(doc, n)
     WHERE ((e.doc->>'rate')::double precision > 0 AND (e.doc->>'burst')::integer > 0 AND (e.doc->>'want')::double precision >= 0
            AND e.doc->>'name' IS NOT NULL) IS NOT TRUE;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'jobq: limit % needs a name, a rate above 0, a burst of at least 1 and a want of at least 0', bad USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR q IN SELECT e->>'queue' FROM jsonb_array_elements(wants->'limits') e UNION SELECT jsonb_array_elements_text(wants->'alone') LOOP
        hold := jobq.lease_alone(node.node, incarnation, node.lease_until, at, q, coalesce(wants->'alone' ? q, false));
        alone := alone || CASE WHEN hold IS NULL THEN '{}' ELSE jsonb_build_object(q, hold) END;
    END LOOP;
    IF EXISTS (SELECT FROM jsonb_array_elements(wants->'limits') e WHERE NOT alone ? (e->>'queue')) THEN
        SELECT jsonb_agg(a.answer ORDER BY e.n) INTO grants
          FROM jsonb_array_elements(wants->'limits') WITH ORDINALITY e(doc, n)
          LEFT JOIN jobq.lease_limits(node.node, at, (SELECT jsonb_agg(CASE WHEN alone ? (x.doc->>'queue') THEN 'null' ELSE x.doc END ORDER BY x.n)
                                                        FROM jsonb_array_elements(wants->'limits') WITH ORDINALITY x(doc, n))) a ON a.n = e.n;
    ELSE
        SELECT coalesce(jsonb_agg(NULL::jsonb), '[]') INTO grants FROM jsonb_array_elements(wants->'limits');
    END IF;
    IF floor(extract(epoch FROM at))::bigint % 64 = incarnation % 64 THEN
        DELETE FROM jobq.rate_leases r WHERE r.forget_at < at - interval '1 minute' AND r.slice < extract(epoch FROM at) - 60;
    END IF;
    RETURN jsonb_build_object('alone', alone, 'grants', grants);
END $$;

-- A node's question, at least once a second while a limit is in use (asking twice loses less when an answer is late), and at once
-- when one comes into use:
--   {"alone": [the queues whose limits it believes to hold by itself],
--    "limits": [{"queue", "scope": queue | tenant | tier, "name": "" | tenant | tier, "rate": units a second, "burst", "want": units a second}]}
-- and the answer: NULL when the incarnation is not there any more, else
--   {"alone": {queue: {"until_us", "idle_us"}},
--    "grants": [for each limit null, when its queue is held alone, or {"slices": [{"from_us", "until_us", "rate", "burst"}], "idle_us"}]}
-- Times count from the answer's moment. A node adds until_us to the moment at which it asked, and from_us to the one at which it
-- was answered, so that it never uses more than is meant for it.
CREATE FUNCTION jobq.lease_rate(incarnation bigint, wants jsonb) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1785684596); -- the wake gate's key + 3: one answer at a time
    RETURN jobq.lease_rate_at(incarnation, wants, clock_timestamp());
END $$;

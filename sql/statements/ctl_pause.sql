-- control.c: a pause, and who asked for it. $1 queue, tenant, for_s, reason, by
INSERT INTO jobq.pauses (queue, tenant_id, until, reason, paused_by, paused_at)
VALUES ($1::jsonb ->> 'queue', $1::jsonb ->> 'tenant', now() + ($1::jsonb ->> 'for_s')::float8 * interval '1 second',
        $1::jsonb ->> 'reason', $1::jsonb ->> 'by', now())
ON CONFLICT (queue, coalesce(tenant_id, E'\x01')) DO UPDATE
   SET until = excluded.until, reason = excluded.reason, paused_by = excluded.paused_by, paused_at = excluded.paused_at

-- control.c: a pause, and who asked for it. $1 queue, tenant, for_s, reason, by
SELECT jobq.pause($1::jsonb ->> 'queue', $1::jsonb ->> 'tenant', now() + ($1::jsonb ->> 'for_s')::float8 * interval '1 second',
                  $1::jsonb ->> 'reason')
  FROM (SELECT set_config('jobq.actor', coalesce($1::jsonb ->> 'by', ''), true) OFFSET 0) AS actor

-- control.c: retries or cancels the next jobs that a filter finds, in order of id. $1 verb, filter, after_id, last_id, limit
WITH found AS MATERIALIZED (
  SELECT j.id
    FROM jobq.jobs j, jsonb_to_record($1::jsonb -> 'filter')
         AS f (queue text, tenant text, "user" text, status text, type text, error text, since_s float8)
   WHERE (f.queue IS NULL OR j.queue = f.queue) AND (f.tenant IS NULL OR coalesce(j.tenant_id, '') = f.tenant)
     AND (f."user" IS NULL OR j.user_id = f."user") AND (f.status IS NULL OR j.status = f.status)
     AND (f.type IS NULL OR j.type = f.type) AND (f.error IS NULL OR j.error_message LIKE f.error)
     AND (f.since_s IS NULL OR j.created_at >= now() - f.since_s * interval '1 second')
     AND CASE $1::jsonb ->> 'verb' WHEN 'cancel' THEN j.status IN ('pending', 'claimed', 'running', 'held')
                                   ELSE j.status IN ('failed', 'cancelled', 'completed', 'held') AND (f.status IS NOT NULL OR j.status = 'failed') END
     AND j.id > coalesce(($1::jsonb ->> 'after_id')::int8, 0)
     AND j.id <= coalesce(($1::jsonb ->> 'last_id')::int8, 9223372036854775807)
   ORDER BY j.id LIMIT coalesce(($1::jsonb ->> 'limit')::int, 100)
)
SELECT jsonb_build_object('results', coalesce(jsonb_agg(jsonb_build_object('id', id::text, 'result',
         CASE $1::jsonb ->> 'verb' WHEN 'cancel' THEN jobq.cancel(id) ELSE jobq.retry(id) END) ORDER BY id), '[]'))
  FROM found

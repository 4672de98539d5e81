-- control.c: how many jobs a retry or cancel by filter would change. $1 verb, filter
SELECT jsonb_build_object('count', count(*), 'last_id', max(j.id)::text)
  FROM jobq.jobs j, jsonb_to_record($1::jsonb -> 'filter')
       AS f (queue text, tenant text, "user" text, status text, type text, error text, since_s float8)
 WHERE (f.queue IS NULL OR j.queue = f.queue) AND (f.tenant IS NULL OR coalesce(j.tenant_id, '') = f.tenant)
   AND (f."user" IS NULL OR j.user_id = f."user") AND (f.status IS NULL OR j.status = f.status)
   AND (f.type IS NULL OR j.type = f.type) AND (f.error IS NULL OR j.error_message LIKE f.error)
   AND (f.since_s IS NULL OR j.created_at >= now() - f.since_s * interval '1 second')
   AND CASE $1::jsonb ->> 'verb' WHEN 'cancel' THEN j.status IN ('pending', 'claimed', 'running', 'held')
                                 ELSE j.status IN ('failed', 'cancelled', 'completed', 'held') AND (f.status IS NOT NULL OR j.status = 'failed') END

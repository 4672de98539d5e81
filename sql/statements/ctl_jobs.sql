-- control.c: jobs that match, newest first. $1 filter and limit
SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jobq.job_document(found.job) ORDER BY found.id DESC), '[]'))
  FROM (SELECT j AS job, j.id FROM jobq.jobs j, jsonb_to_record($1::jsonb)
               AS f (queue text, tenant text, "user" text, status text, type text, error text, since_s float8, "limit" int)
         WHERE (f.queue IS NULL OR j.queue = f.queue) AND (f.tenant IS NULL OR coalesce(j.tenant_id, '') = f.tenant)
           AND (f."user" IS NULL OR j.user_id = f."user") AND (f.status IS NULL OR j.status = f.status)
           AND (f.type IS NULL OR j.type = f.type) AND (f.error IS NULL OR j.error_message LIKE f.error)
           AND (f.since_s IS NULL OR j.created_at >= now() - f.since_s * interval '1 second')
         ORDER BY j.id DESC LIMIT coalesce((SELECT least(($1::jsonb ->> 'limit')::int, 10000)), 50)) AS found

-- control.c: held jobs, oldest first. $1 queue, limit
SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jobq.job_document(j) ORDER BY j.id), '[]'))
  FROM (SELECT j.* FROM jobq.jobs_live j
         WHERE j.status = 'held' AND (j.queue = $1::jsonb ->> 'queue' OR $1::jsonb ->> 'queue' IS NULL)
         ORDER BY j.id LIMIT coalesce(($1::jsonb ->> 'limit')::int, 1000)) AS j

-- control.c: held jobs, oldest first. $1 queue, limit
SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jobq.job_document(found.job) ORDER BY found.id), '[]'))
  FROM (SELECT j::jobq.jobs AS job, j.id FROM jobq.jobs_live j
         WHERE j.status = 'held' AND (j.queue = $1::jsonb ->> 'queue' OR $1::jsonb ->> 'queue' IS NULL)
         ORDER BY j.id LIMIT coalesce(($1::jsonb ->> 'limit')::int, 1000)) AS found

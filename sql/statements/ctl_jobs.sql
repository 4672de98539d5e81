-- control.c: jobs that match, newest first. $1 filter, limit
SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jobq.job_document(found.job) ORDER BY found.id DESC), '[]'))
  FROM (SELECT j AS job, j.id FROM jobq.jobs j
         WHERE true %FILTER%
         ORDER BY j.id DESC LIMIT least(coalesce(($1::jsonb ->> 'limit')::int, 50), 10000)) AS found

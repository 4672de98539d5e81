-- control.c: retries or cancels the next jobs that a filter finds, in order of id. $1 verb, filter, after_id, last_id, limit
WITH found AS MATERIALIZED (
  SELECT j.id
    FROM jobq.jobs j
   WHERE CASE $1::jsonb ->> 'verb' WHEN 'cancel' THEN j.status IN ('pending', 'claimed', 'running', 'held')
                                   ELSE j.status IN ('failed', 'cancelled', 'completed', 'held') END
     AND j.id > coalesce(($1::jsonb ->> 'after_id')::int8, 0)
     AND j.id <= coalesce(($1::jsonb ->> 'last_id')::int8, 9223372036854775807)
         %FILTER%
   ORDER BY j.id LIMIT coalesce(($1::jsonb ->> 'limit')::int, 100)
)
SELECT jsonb_build_object('results', coalesce(jsonb_agg(jsonb_build_object('id', id::text, 'result',
         CASE $1::jsonb ->> 'verb' WHEN 'cancel' THEN jobq.cancel(id) ELSE jobq.retry(id) END) ORDER BY id), '[]'))
  FROM found

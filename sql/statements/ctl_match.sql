-- control.c: how many jobs a retry or cancel by filter would change. $1 verb, filter
SELECT jsonb_build_object('count', count(*), 'last_id', max(j.id)::text)
  FROM jobq.jobs j
 WHERE CASE $1::jsonb ->> 'verb' WHEN 'cancel' THEN j.status IN ('pending', 'claimed', 'running', 'held')
                                 ELSE j.status IN ('failed', 'cancelled', 'completed', 'held') END
       %FILTER%

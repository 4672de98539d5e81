-- control.c: $1 the array of jobs, as it came
SELECT jsonb_build_object('results', jsonb_agg(jsonb_build_object('n', e.n, 'id', e.id::text, 'created', e.created) ORDER BY e.n))
  FROM jobq.enqueue_many($1::jsonb) AS e

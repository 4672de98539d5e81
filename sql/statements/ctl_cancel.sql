-- control.c: $1 ids
SELECT jsonb_build_object('results', coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'result', jobq.cancel(i.id::int8)) ORDER BY i.n), '[]'))
  FROM jsonb_array_elements_text($1::jsonb -> 'ids') WITH ORDINALITY AS i (id, n)

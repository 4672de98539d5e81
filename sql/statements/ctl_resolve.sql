-- control.c: $1 ids, verdict, note
SELECT jsonb_build_object('results', coalesce(jsonb_agg(jsonb_build_object('id', i.id,
         'result', jobq.resolve(i.id::int8, $1::jsonb ->> 'verdict', $1::jsonb ->> 'note')) ORDER BY i.n), '[]'))
  FROM jsonb_array_elements_text($1::jsonb -> 'ids') WITH ORDINALITY AS i (id, n)

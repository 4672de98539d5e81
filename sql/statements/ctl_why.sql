-- control.c: what `why` needs of a job's row. $1 id
SELECT jobq.job_document(j) || jsonb_build_object('later', j.run_at > now(),
         'served', EXISTS (SELECT FROM jobq.nodes n WHERE j.queue = ANY (n.queues) AND n.lease_until > now()),
         'cancel_requested', EXISTS (SELECT FROM jobq.cancels c WHERE c.id = j.id))
  FROM jobq.jobs j WHERE j.id = ($1::jsonb ->> 'id')::int8

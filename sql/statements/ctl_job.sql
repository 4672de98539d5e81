-- control.c: one job. $1 id, payload
SELECT jobq.job_document(j) || jsonb_build_object('result', j.result, 'batch_id', j.batch_id::text, 'crashes', j.crashes, 'unique_key', j.unique_key,
         'deadline', jobq.utc(j.deadline), 'notify_channel', j.notify_channel)
       || CASE WHEN ($1::jsonb ->> 'payload')::bool THEN jsonb_build_object('payload', j.payload) ELSE '{}' END
  FROM jobq.jobs j WHERE j.id = ($1::jsonb ->> 'id')::int8

-- tick.c: progress as reported (percent < 0: none yet), and `running` from then on
-- $1 ids (ascending)  $2 tokens  $3 percents  $4 notes
UPDATE jobq.jobs_live j
   SET status = 'running', progress = CASE WHEN d.percent < 0 THEN j.progress ELSE d.percent::float4 END,
       progress_note = CASE WHEN d.percent < 0 THEN j.progress_note ELSE d.note END
  FROM unnest($1::int8[], $2::int8[], $3::float8[], $4::text[]) AS d (id, token, percent, note)
 WHERE j.id = d.id AND j.claim_token = d.token AND j.status IN ('claimed', 'running')

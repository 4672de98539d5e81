-- tick.c: progress as reported (percent < 0: none yet), and `running` from then on; a row that somebody has locked goes without
-- $1 ids (ascending)  $2 tokens  $3 percents  $4 notes
WITH mine AS MATERIALIZED (
  SELECT j.id, d.percent, d.note
    FROM unnest($1::int8[], $2::int8[], $3::float8[], $4::text[]) AS d (id, token, percent, note)
    JOIN jobq.jobs_live j ON j.id = d.id AND j.claim_token = d.token AND j.status IN ('claimed', 'running')
     FOR UPDATE OF j SKIP LOCKED
)
UPDATE jobq.jobs_live j
   SET status = 'running', progress = CASE WHEN m.percent < 0 THEN j.progress ELSE m.percent::float4 END,
       progress_note = CASE WHEN m.percent < 0 THEN j.progress_note ELSE m.note END
  FROM mine m WHERE j.id = m.id

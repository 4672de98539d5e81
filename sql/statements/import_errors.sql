-- import_end.c: rows that were passed over; false: the job is no longer ours
-- $1 job  $2 token  $3 lines  $4 reasons  $5 rows
SELECT jobq.note_import_errors($1, $2, $3, $4, $5)

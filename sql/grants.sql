-- What the roles may do. Repeatable; run after every migration, in its transaction.
SELECT 1;

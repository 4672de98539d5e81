-- sync_db.c: a table's columns, with their types as they stand in a cast. $1 schema and name, quoted
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, -1), a.attgenerated <> '' OR a.attidentity = 'a', c.relkind::text
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.oid = pg_catalog.to_regclass($1::text)
 ORDER BY a.attnum

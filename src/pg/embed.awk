# embed.awk: SQL files in, one C file of string constants out (pg/sql_embed.c; see pg/sql.h).
#
# Runs at build time. Arguments: every sql/migrations/NNNN_name/*.sql in order, sql/roles.sql, sql/grants.sql, every
# sql/statements/*.sql. The files of one folder of migrations are one migration, joined in order, unchanged (its checksum
# is taken over this text). Of the other files the leading comment is dropped. The tables are sorted by name.

function base(path) { sub(/.*\//, "", path); sub(/\.sql$/, "", path); return path }
function folder(path) { sub(/\/[^\/]*$/, "", path); sub(/.*\//, "", path); return path }

FNR == 1 {
	dir = folder(FILENAME)
	if (dir ~ /^[0-9][0-9][0-9][0-9]_/) {
		kind = "migration"
		if (n_migrations == 0 || migration[n_migrations] != dir)
			migration[++n_migrations] = dir
	} else {
		kind = dir == "statements" ? "statement" : "text"
		key = base(FILENAME)
		if (kind == "statement")
			statement[++n_statements] = key
		skipping = 1
	}
}

{
	line = $0
	if (kind != "migration" && skipping) {
		if (line ~ /^[ \t]*(--.*)?$/)
			next
		skipping = 0
	}
	gsub(/\\/, "\\\\&", line)
	gsub(/"/, "\\\"", line)
	gsub(/\t/, "\\t", line)
	gsub(/\?/, "\\?", line)
	text = "\t\"" line "\\n\"\n"
	if (kind == "migration")
		migration_text[n_migrations] = migration_text[n_migrations] text
	else
		body[kind, key] = body[kind, key] text
}

END {
	print "/* Made by src/pg/embed.awk from sql/; edit those files. */"
	print "#include \"pg/sql.h\"\n#include \"pg/sql_embed.h\"\n"
	print "const struct pg_migration pg_migrations[] = {"
	for (i = 1; i <= n_migrations; i++)
		printf "{ %d, \"%s\",\n%s},\n", substr(migration[i], 1, 4) + 0, migration[i], migration_text[i]
	print "};\nconst size_t pg_migration_count = sizeof pg_migrations / sizeof pg_migrations[0];\n"
	printf "const char *const pg_roles_sql =\n%s;\n\nconst char *const pg_grants_sql =\n%s;\n\n", body["text", "roles"], body["text", "grants"]
	print "const struct sql_text sql_texts[] = {"
	for (i = 1; i <= n_statements; i++)
		printf "{ \"%s\",\n%s},\n", statement[i], body["statement", statement[i]]
	print "{ 0, 0 }\n};"
}

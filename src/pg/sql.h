/*
 * pg/sql.h: every SQL text that C sends, embedded at build time from sql/ (src/pg/embed.awk makes pg/sql_embed.c).
 *
 * sql/statements/claim.sql is pg_sql("claim"); a leading comment block of each file says what it is for and what its
 * parameters are, and is stripped. The files of the folder sql/migrations/0001_name/, in order, are migration 1, unchanged.
 */
#ifndef JOBQ_PG_SQL_H
#define JOBQ_PG_SQL_H

#include <stddef.h>

const char *pg_sql(const char *name); /* aborts on an unknown name: a build error that slipped through */

struct pg_migration {
	int number;
	const char *name; /* "0001_schema" */
	const char *sql;
};
extern const struct pg_migration pg_migrations[];
extern const size_t pg_migration_count;
extern const char *const pg_roles_sql;  /* sql/roles.sql: makes the roles that are missing */
extern const char *const pg_grants_sql; /* sql/grants.sql: what they may do; repeatable */

#endif

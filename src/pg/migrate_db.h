/*
 * pg/migrate_db.h: the migrator's connection and what it finds there. Private to src/pg.
 */
#ifndef JOBQ_PG_MIGRATE_DB_H
#define JOBQ_PG_MIGRATE_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "jobq/exit.h"
#include "pg/migrate.h"
#include "pg/sql.h"

struct migrate_db {
	PGconn *pq;
	char *err; /* the caller's buffer */
	size_t errlen;
};

/* What the database says of one of our migrations. */
struct migrate_step {
	bool applied;
	char applied_at[40];
};

struct migrate_state {
	bool schema;                /* a schema jobq is there */
	size_t applied;             /* how many of ours, from the first */
	struct migrate_step *steps; /* pg_migration_count of them */
};

/* All return an exit code; a failure's reason is in db->err. */
int migrate_db_open(struct migrate_db *db, const char *conninfo, char *err, size_t errlen);
void migrate_db_close(struct migrate_db *db);
int migrate_db_exec(struct migrate_db *db, const char *what, const char *sql);
/* One statement with text parameters; the first column of the first row goes to `value` (may be NULL). */
int migrate_db_query(struct migrate_db *db, const char *what, const char *sql, int n, const char *const *values, char *value, size_t size);
int migrate_db_lock(struct migrate_db *db);
/* Compares jobq.migrations with what is embedded; refuses what does not fit. */
int migrate_db_state(struct migrate_db *db, struct migrate_state *state);

#endif

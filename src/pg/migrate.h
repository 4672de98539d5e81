/*
 * pg/migrate.h: applies the numbered migrations of sql/migrations; blocking libpq.
 *
 * Used by `jobqctl migrate`, and by the dispatcher before its event loop when the database is embedded. Each migration is
 * one transaction with lock_timeout, recorded in jobq.migrations(number, name, checksum, applied_at) with its SHA-256. One
 * migrator at a time (advisory lock). A recorded migration whose text differs, a gap, or a schema newer than ours is
 * refused with a text that says what to do.
 */
#ifndef JOBQ_PG_MIGRATE_H
#define JOBQ_PG_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum migrate_roles { MIGRATE_ROLES_CREATE, MIGRATE_ROLES_EXISTING, MIGRATE_ROLES_NONE };

/* Returns an exit code of jobq/exit.h; messages go to out (progress) and err (the reason). */
int migrate_apply(const char *conninfo, enum migrate_roles roles, FILE *out, char *err, size_t errlen);
int migrate_status(const char *conninfo, FILE *out, char *err, size_t errlen);          /* what is applied */
int migrate_plan(const char *conninfo, FILE *out, char *err, size_t errlen);            /* what would be applied */
void migrate_print(enum migrate_roles roles, FILE *out);                                /* the SQL, no connection */
#define MIGRATE_SCHEMA_VERSION 3 /* what this build was made for; it runs on this one and the next */

#endif

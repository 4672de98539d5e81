/*
 * migrate.c: brings a database to the schema of this build, tells what it would do, and prints it (see migrate.h).
 *
 * Runs in jobqctl, and in the dispatcher before its event loop; blocking. A migration, the roles, the grants and the row
 * in jobq.migrations are one transaction: a failure leaves the schema as the last complete migration left it. Objects
 * belong to jobq_owner, or to whoever migrates when there are to be no roles; later migrations act as the schema's owner.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg/migrate_db.h"

/* Become whoever owns the schema, or is to own it. */
#define BECOME_OWNER \
	"DO $$ DECLARE who text := coalesce((SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'jobq'), 'jobq_owner');" \
	" BEGIN IF who <> quote_ident(current_user) THEN EXECUTE 'SET LOCAL ROLE ' || who; END IF; END $$"
#define NOTE "INSERT INTO jobq.migrations (number, name, checksum) VALUES ($1::integer, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))"

static int begin(struct migrate_db *db, enum migrate_roles roles, bool fresh)
{
	int code = migrate_db_exec(db, "begin", "BEGIN; SET LOCAL client_min_messages = warning");

	if (code == JOBQ_EXIT_OK && roles == MIGRATE_ROLES_CREATE)
		code = migrate_db_exec(db, "making the roles", pg_roles_sql);
	if (code == JOBQ_EXIT_OK && (!fresh || roles != MIGRATE_ROLES_NONE))
		code = migrate_db_exec(db, "becoming the schema's owner", BECOME_OWNER);
	return code;
}

static int commit(struct migrate_db *db, enum migrate_roles roles)
{
	int code = JOBQ_EXIT_OK;

	if (roles != MIGRATE_ROLES_NONE)
		code = migrate_db_exec(db, "granting privileges", pg_grants_sql);
	if (code == JOBQ_EXIT_OK)
		code = migrate_db_exec(db, "commit", "COMMIT");
	return code;
}

static int apply_one(struct migrate_db *db, enum migrate_roles roles, const struct pg_migration *m, bool fresh)
{
	char number[16];
	const char *values[] = { number, m->name, m->sql };
	int code = begin(db, roles, fresh);

	snprintf(number, sizeof number, "%d", m->number);
	if (code == JOBQ_EXIT_OK)
		code = migrate_db_exec(db, m->name, m->sql);
	if (code == JOBQ_EXIT_OK)
		code = migrate_db_query(db, "noting the migration", NOTE, 3, values, NULL, 0);
	return code == JOBQ_EXIT_OK ? commit(db, roles) : code;
}

/* Nothing to migrate: roles and privileges are still brought up to date. */
static int refresh_grants(struct migrate_db *db, enum migrate_roles roles)
{
	int code = roles == MIGRATE_ROLES_NONE ? JOBQ_EXIT_OK : begin(db, roles, false);

	return roles != MIGRATE_ROLES_NONE && code == JOBQ_EXIT_OK ? commit(db, roles) : code;
}

static int apply_all(struct migrate_db *db, enum migrate_roles roles, const struct migrate_state *state, FILE *out)
{
	int code = JOBQ_EXIT_OK;

	if (state->applied == pg_migration_count) {
		code = refresh_grants(db, roles);
		if (code == JOBQ_EXIT_OK)
			fprintf(out, "schema is up to date (%zu)\n", pg_migration_count);
	}
	for (size_t i = state->applied; i < pg_migration_count && code == JOBQ_EXIT_OK; i++) {
		code = apply_one(db, roles, &pg_migrations[i], i == 0);
		if (code == JOBQ_EXIT_OK)
			fprintf(out, "applied %s\n", pg_migrations[i].name);
	}
	return code;
}

int migrate_apply(const char *conninfo, enum migrate_roles roles, FILE *out, char *err, size_t errlen)
{
	struct migrate_state state = { .steps = xcalloc(pg_migration_count, sizeof *state.steps) };
	struct migrate_db db;
	int code = migrate_db_open(&db, conninfo, err, errlen);

	if (code == JOBQ_EXIT_OK)
		code = migrate_db_lock(&db);
	if (code == JOBQ_EXIT_OK)
		code = migrate_db_state(&db, &state);
	if (code == JOBQ_EXIT_OK)
		code = apply_all(&db, roles, &state, out);
	migrate_db_close(&db);
	free(state.steps);
	return code;
}

/* Connects, compares, and prints a line for each migration that `print` wants. */
static int tell(const char *conninfo, FILE *out, char *err, size_t errlen, bool plan)
{
	struct migrate_state state = { .steps = xcalloc(pg_migration_count, sizeof *state.steps) };
	struct migrate_db db;
	int code = migrate_db_open(&db, conninfo, err, errlen);

	if (code == JOBQ_EXIT_OK)
		code = migrate_db_state(&db, &state);
	for (size_t i = 0; i < pg_migration_count && code == JOBQ_EXIT_OK; i++) {
		const struct migrate_step *s = &state.steps[i];

		if (plan && !s->applied)
			fprintf(out, "would apply %s\n", pg_migrations[i].name);
		else if (!plan)
			fprintf(out, "%-24s %s\n", pg_migrations[i].name, s->applied ? s->applied_at : "not applied");
	}
	if (code == JOBQ_EXIT_OK && plan && state.applied == pg_migration_count)
		fprintf(out, "nothing to do: schema is up to date (%zu)\n", pg_migration_count);
	migrate_db_close(&db);
	free(state.steps);
	return code;
}

int migrate_status(const char *conninfo, FILE *out, char *err, size_t errlen)
{
	return tell(conninfo, out, err, errlen, false);
}

int migrate_plan(const char *conninfo, FILE *out, char *err, size_t errlen)
{
	return tell(conninfo, out, err, errlen, true);
}

void migrate_print(enum migrate_roles roles, FILE *out)
{
	fprintf(out, "-- jobq: schema %d. Run by psql -v ON_ERROR_STOP=1, as a user who may create%s a schema.\n", MIGRATE_SCHEMA_VERSION,
		roles == MIGRATE_ROLES_CREATE ? " roles and" : "");
	for (size_t i = 0; i < pg_migration_count; i++) {
		const struct pg_migration *m = &pg_migrations[i];

		fprintf(out, "\nBEGIN;\nSET LOCAL search_path = pg_catalog, pg_temp;\nSET LOCAL lock_timeout = '10s';\n");
		if (roles == MIGRATE_ROLES_CREATE)
			fprintf(out, "\n%s", pg_roles_sql);
		if (i > 0 || roles != MIGRATE_ROLES_NONE)
			fprintf(out, "\n" BECOME_OWNER ";\n");
		/* the text is executed and its checksum taken from one copy */
		fprintf(out, "\nDO $jobq_migration$\nDECLARE\n\tmigration text := $jobq_text$%s$jobq_text$;\nBEGIN\n\tEXECUTE migration;\n", m->sql);
		fprintf(out, "\tINSERT INTO jobq.migrations (number, name, checksum)\n\tVALUES (%d, '%s', encode(sha256(convert_to(migration, 'UTF8')), 'hex'));\nEND $jobq_migration$;\n",
			m->number, m->name);
		if (roles != MIGRATE_ROLES_NONE)
			fprintf(out, "\n%s", pg_grants_sql);
		fprintf(out, "COMMIT;\n");
	}
}

/*
 * migrate_db.c: what the migrator asks the database: is it ours, what is applied, who is in the way.
 *
 * Runs in jobqctl, and in the dispatcher before its event loop; blocking libpq. It owns the connection of one migration
 * run. Checksums are SHA-256 as PostgreSQL computes them over the embedded text. Nothing is changed here but the
 * session's settings and its advisory lock, which end with the connection. Every failure leaves one line in err.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "pg/conn.h"
#include "pg/conninfo.h"
#include "pg/migrate_db.h"

#define MIN_SERVER 150000
#define LOCK_KEY "1785684595" /* the wake gate's key + 2: one migrator at a time */

static int fail(struct migrate_db *db, int code, const char *text)
{
	text_copy(db->err, db->errlen, text);
	return code;
}

/* One line about who holds what we wanted, after ": "; empty when it is gone by now. */
static void holders(struct migrate_db *db, char *dst, size_t size)
{
	PGresult *res = PQexec(db->pq,
		"SELECT string_agg(DISTINCT format('process %s (%s, %s, %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no name'), a.state), ', ')"
		" FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation AND l.database <> 0"
		" WHERE l.pid <> pg_backend_pid() AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
		" AND ((l.locktype = 'relation' AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'jobq'))"
		" OR (l.locktype = 'advisory' AND l.objid = " LOCK_KEY "))");

	dst[0] = '\0';
	if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1 && !PQgetisnull(res, 0, 0))
		text_printable(dst, size, PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0));
	PQclear(res);
}

/* "what: message (hint)" into err; the transaction, if there is one, is rolled back. */
static int explain(struct migrate_db *db, const char *what, PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	char who[400] = "", line[300];
	int code = state != NULL && strcmp(state, "42501") == 0 ? JOBQ_EXIT_PERMISSION : JOBQ_EXIT_RUNTIME;
	bool locked = state != NULL && strcmp(state, "55P03") == 0;

	if (message == NULL)
		message = PQerrorMessage(db->pq);
	text_printable(line, sizeof line, message, strcspn(message, "\n"));
	if (PQtransactionStatus(db->pq) != PQTRANS_IDLE)
		PQclear(PQexec(db->pq, "ROLLBACK"));
	if (locked)
		holders(db, who, sizeof who);
	if (locked)
		snprintf(db->err, db->errlen, "%s: a lock was not to be had in time%s%s; nothing was changed, try again", what, who[0] != '\0' ? ", held by " : "", who);
	else if (code == JOBQ_EXIT_PERMISSION)
		snprintf(db->err, db->errlen, "%s: %s (migrate as the schema's owner or a superuser; see --roles)", what, line);
	else
		snprintf(db->err, db->errlen, "%s: %s%s%.200s", what, line, hint != NULL ? "; " : "", hint != NULL ? hint : "");
	PQclear(res);
	return code;
}

int migrate_db_exec(struct migrate_db *db, const char *what, const char *sql)
{
	PGresult *res = PQexec(db->pq, sql);
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		return explain(db, what, res);
	PQclear(res);
	return JOBQ_EXIT_OK;
}

int migrate_db_query(struct migrate_db *db, const char *what, const char *sql, int n, const char *const *values, char *value, size_t size)
{
	PGresult *res = PQexecParams(db->pq, sql, n, NULL, values, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		return explain(db, what, res);
	if (value != NULL)
		text_copy(value, size, PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	return JOBQ_EXIT_OK;
}

static void silent(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

static int check_server(struct migrate_db *db)
{
	char text[200];
	int version = PQserverVersion(db->pq);

	if (version >= MIN_SERVER)
		return JOBQ_EXIT_OK;
	snprintf(text, sizeof text, "the server is PostgreSQL %d.%d; jobq needs 15 or newer", version / 10000, version % 10000);
	return fail(db, JOBQ_EXIT_SCHEMA, text);
}

int migrate_db_open(struct migrate_db *db, const char *conninfo, char *err, size_t errlen)
{
	struct conninfo ci;
	char line[400], target[200];
	int code;

	*db = (struct migrate_db){ .err = err, .errlen = errlen };
	if (!conninfo_parse(&ci, conninfo, "jobq migrate", 0, err, errlen))
		return JOBQ_EXIT_CONFIG;
	db->pq = PQconnectdbParams(ci.keys, ci.values, 0);
	if (db->pq == NULL || PQstatus(db->pq) != CONNECTION_OK) {
		const char *message = db->pq == NULL ? "out of memory" : PQerrorMessage(db->pq);

		text_printable(line, sizeof line, message, strcspn(message, "\n"));
		conninfo_mask(&ci, line);
		pg_target_text(conninfo, target, sizeof target);
		snprintf(err, errlen, "cannot connect to %s: %s", target, line);
		conninfo_free(&ci);
		migrate_db_close(db);
		return JOBQ_EXIT_RUNTIME;
	}
	conninfo_free(&ci);
	PQsetNoticeProcessor(db->pq, silent, NULL);
	code = check_server(db);
	if (code == JOBQ_EXIT_OK)
		code = migrate_db_exec(db, "settings", "SET search_path = pg_catalog, pg_temp; SET lock_timeout = '10s'; SET statement_timeout = 0; SET jit = off");
	if (code != JOBQ_EXIT_OK)
		migrate_db_close(db);
	return code;
}

void migrate_db_close(struct migrate_db *db)
{
	PQfinish(db->pq);
	db->pq = NULL;
}

int migrate_db_lock(struct migrate_db *db)
{
	return migrate_db_exec(db, "another migration is running", "SELECT pg_advisory_lock(" LOCK_KEY ")");
}

/* Row `row` of jobq.migrations (number, checksum, applied_at, our checksum) against the migration of that place. */
static int compare(struct migrate_db *db, struct migrate_state *state, PGresult *res, int row)
{
	const char *number = PQgetvalue(res, row, 0);
	size_t i = (size_t)row;
	char text[300];

	if (i >= pg_migration_count) {
		snprintf(text, sizeof text, "the schema is at migration %s, this build knows %zu: use the jobq that migrated it, or a newer one", number, pg_migration_count);
		return fail(db, JOBQ_EXIT_SCHEMA, text);
	}
	if (strtol(number, NULL, 10) != pg_migrations[i].number) {
		snprintf(text, sizeof text, "jobq.migrations has number %s where %d should be: a row is missing; restore it, nothing was changed", number, pg_migrations[i].number);
		return fail(db, JOBQ_EXIT_SCHEMA, text);
	}
	if (strcmp(PQgetvalue(res, row, 1), PQgetvalue(res, row, 3)) != 0) {
		snprintf(text, sizeof text, "migration %s was applied with another text than this build has (checksum): use the jobq that applied it", pg_migrations[i].name);
		return fail(db, JOBQ_EXIT_SCHEMA, text);
	}
	state->steps[i].applied = true;
	text_copy(state->steps[i].applied_at, sizeof state->steps[i].applied_at, PQgetvalue(res, row, 2));
	state->applied = i + 1;
	return JOBQ_EXIT_OK;
}

static int read_rows(struct migrate_db *db, struct migrate_state *state)
{
	const char **texts = xcalloc(pg_migration_count, sizeof *texts);
	struct buf sql = { 0 };
	PGresult *res;
	int code = JOBQ_EXIT_OK;

	buf_puts(&sql, "SELECT m.number, m.checksum, to_char(m.applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
		" encode(sha256(convert_to(o.text, 'UTF8')), 'hex') FROM jobq.migrations m LEFT JOIN (VALUES (0, NULL::text)");
	for (size_t i = 0; i < pg_migration_count; i++) {
		texts[i] = pg_migrations[i].sql;
		buf_printf(&sql, ", (%d, $%zu)", pg_migrations[i].number, i + 1);
	}
	buf_puts(&sql, ") o(number, text) ON o.number = m.number ORDER BY m.number");
	res = PQexecParams(db->pq, buf_str(&sql), (int)pg_migration_count, NULL, texts, NULL, NULL, 0);
	buf_free(&sql);
	free(texts);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		return explain(db, "reading jobq.migrations", res);
	for (int row = 0; row < PQntuples(res) && code == JOBQ_EXIT_OK; row++)
		code = compare(db, state, res, row);
	PQclear(res);
	return code;
}

int migrate_db_state(struct migrate_db *db, struct migrate_state *state)
{
	char schema[8], table[8];
	int code = migrate_db_query(db, "looking for the schema", "SELECT count(*) FROM pg_namespace WHERE nspname = 'jobq'", 0, NULL, schema, sizeof schema);

	if (code == JOBQ_EXIT_OK)
		code = migrate_db_query(db, "looking for jobq.migrations",
			"SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'jobq' AND c.relname = 'migrations'",
			0, NULL, table, sizeof table);
	if (code != JOBQ_EXIT_OK)
		return code;
	state->schema = schema[0] == '1';
	if (state->schema && table[0] != '1')
		return fail(db, JOBQ_EXIT_SCHEMA, "there is a schema jobq without jobq.migrations: it is not ours; use another database, or drop it if nothing needs it");
	return state->schema ? read_rows(db, state) : JOBQ_EXIT_OK;
}

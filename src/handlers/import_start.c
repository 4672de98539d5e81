/*
 * import_start.c: what an import must know before it reads rows: whose database it is in, the table, the file's columns.
 *
 * Runs in a worker; the first part of a struct import_run (see import.h). Whether the connection leads to the queue's own database
 * is asked once a worker: the installation's id in there is the one that idempotency keys begin with. A database that has a jobq
 * which may not be asked is an error: taken for a stranger's, its imports would lose their exactness without a word.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/import.h"

/* ---- whose database ---- */

static void ask_table(struct import_run *run);

static void answer_installation(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;
	const char *key = jobq_idempotency_key(run->job);

	if (result->status == PG_SCHEMA) {
		import_fail(run, "the database of the pool has a schema jobq, but its user may not ask it: grant it jobq_producer, or run "
			"`jobqctl migrate` (%s)", result->error);
		return;
	}
	if (result->status != PG_OK) {
		import_sql_failed(run, result, "asking for the installation");
		return;
	}
	const char *id = PQntuples(result->res) == 1 ? pg_get_text(result->res, 0, 0, NULL) : "";
	size_t len = strlen(id);
	bool here = len > 0 && strncmp(key, id, len) == 0 && key[len] == '-';
	run->import->home = here ? HOME_HERE : HOME_ELSEWHERE;
	ask_table(run);
}

static void answer_home(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status != PG_OK) {
		import_sql_failed(run, result, "asking for the schema jobq");
		return;
	}
	if (PQntuples(result->res) == 1 && pg_get_bool(result->res, 0, 0)) {
		(void)import_send_named(run, "import_installation", answer_installation);
		return;
	}
	run->import->home = HOME_ELSEWHERE;
	ask_table(run);
}

void import_start(struct import_run *run)
{
	pg_params_reset(&run->params);
	if (run->import->home == HOME_UNKNOWN)
		(void)import_send_named(run, "import_home", answer_home);
	else
		ask_table(run);
}

/* ---- the table ---- */

static void take_table(struct import_run *run, const PGresult *res)
{
	int rows = PQntuples(res);

	run->table.columns = xcalloc((size_t)rows + 1, sizeof *run->table.columns);
	for (int i = 0; i < rows; i++) {
		struct import_table_column *c = &run->table.columns[run->table.n++];

		c->name = xstrdup(pg_get_text(res, i, 0, NULL));
		c->type = xstrdup(pg_get_text(res, i, 1, NULL));
		c->fixed = pg_get_bool(res, i, 2);
	}
}

static void answer_table(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status != PG_OK) {
		import_sql_failed(run, result, "looking at the table");
		return;
	}
	const char *kind = PQntuples(result->res) > 0 ? pg_get_text(result->res, 0, 3, NULL) : "";
	if (strcmp(kind, "r") != 0 && strcmp(kind, "p") != 0) {
		import_fail(run, *kind == '\0' ? "there is no table %s" : "%s is not a table", run->spec->table_name);
		return;
	}
	run->table.parted = *kind == 'p';
	take_table(run, result->res);
	import_read_open(run);
	if (run->spec->url ? !import_url_open(run) : !import_file_open(run))
		return;
	import_read_go(run);
}

static void ask_table(struct import_run *run)
{
	pg_params_reset(&run->params);
	pg_param_text(&run->params, run->spec->table);
	(void)import_send_named(run, "import_table", answer_table);
}

/* ---- the transaction ---- */

static void answer_stage(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status != PG_OK)
		import_sql_failed(run, result, "making the temporary table");
	else
		import_read_copy(run);
}

static void answer_tenant(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status == PG_DATA) {
		import_fail(run, "the tenant does not fit the column %s: %s", run->plan.tenant_column, result->error);
		return;
	}
	if (result->status != PG_OK) {
		import_sql_failed(run, result, "looking at the tenant");
		return;
	}
	buf_reset(&run->sql);
	import_plan_stage(&run->plan, &run->sql);
	(void)import_send(run, buf_str(&run->sql), false, answer_stage);
}

static void answer_begin(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status != PG_OK) {
		import_sql_failed(run, result, "beginning the transaction");
		return;
	}
	buf_reset(&run->sql);
	pg_params_reset(&run->params);
	pg_param_text(&run->params, run->job->tenant);
	if (run->plan.tenant_column != NULL)
		buf_printf(&run->sql, "SELECT $1::text::%s", run->plan.tenant_type);
	else
		buf_puts(&run->sql, "SELECT $1::text");
	(void)import_send(run, buf_str(&run->sql), true, answer_tenant);
}

static void answer_nothing(void *arg, const struct pg_result *result)
{
	(void)arg; /* its failure is that of what was sent with it */
	(void)result;
}

void import_known(struct import_run *run)
{
	const char *tenant_column = run->import->queue->k.tenant_column;
	char err[512];

	if (!import_plan_make(&run->plan, run->spec, &run->table, run->names, run->nnames, tenant_column, err, sizeof err)) {
		import_fail(run, "%s", err);
		return;
	}
	if (!import_send(run, "BEGIN", false, answer_nothing) || !import_send(run, "SET LOCAL statement_timeout = 0", false, answer_nothing))
		return;
	/* a worker that is frozen between two statements holds its locks no longer than this */
	(void)import_send(run, "SET LOCAL idle_in_transaction_session_timeout = '60s'", false, answer_begin);
}

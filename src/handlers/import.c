/*
 * import.c: the import handler: a file's rows into a table, exactly once (see import.h for the map, docs/import.md for people).
 *
 * Runs in a worker, on its event loop; owns a struct import_run for each begun job and, through it, one connection of the pool
 * from beginning to end. All of an import is one transaction, and where the table is in the queue's database the job's own
 * completion is its last statement: rows and completion are there together or not at all, whoever is killed when. Whatever else
 * happens, the connection is given back in the middle of its transaction, which closes it: nothing is ever undone by hand.
 *
 * Fails by outcome: what the payload, the file or the rows are to blame for FAILs with line and reason; a table that is locked, a full
 * disk or a file that changes is tried again (RETRY); the database away burns no try (SNOOZE).
 */
#include "config.h"

#include "handlers/import.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "handlers/payload.h"
#include "handlers/registry.h"
#include "pg/pool.h"
#include "pg/sql.h"

#define AWAY_NS NS_PER_S /* before an import is tried again whose database went away */

static int import_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	struct import *im = xcalloc(1, sizeof *im);

	im->base = env->base;
	im->queue = env->queue;
	im->pool = env->pool;
	im->user_agent = env->user_agent;
	*state = im;
	if (!env->queue->k.allow_url || (im->url = import_url_new(im, err, errlen)) != NULL)
		return 0;
	free(im);
	return -1;
}

static void import_close(void *state)
{
	struct import *im = state;

	import_url_free(im->url);
	free(im);
}

static size_t import_width(void *state)
{
	const struct import *im = state;

	return pg_pool_max(im->pool);
}

/* ---- the ends of a run ---- */

static void run_free(struct import_run *run)
{
	struct import *im = run->import;

	import_read_close(run);
	if (run->wait != NULL)
		pg_pool_forget(im->pool, run->wait);
	if (run->conn != NULL)
		pg_pool_release(im->pool, run->conn);
	for (size_t i = 0; i < run->nbad; i++) {
		free(run->bad[i].reason);
		free(run->bad[i].row);
	}
	import_plan_free(&run->plan);
	import_table_free(&run->table);
	import_spec_free(run->spec);
	pg_params_free(&run->params);
	buf_free(&run->sql);
	free(run->bad);
	free(run->names);
	free(run->stack);
	free(run->reason);
	free(run->failed);
	free(run->result);
	free(run);
}

void import_end(struct import_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error, const char *result)
{
	const struct jobq_outcome o = {.kind = kind, .after_ns = after_ns, .error = error, .error_len = error == NULL ? 0 : strlen(error),
		.result = result, .result_len = result == NULL ? 0 : strlen(result)};

	run->job->data = NULL;
	jobq_end(run->job, &o);
	run_free(run);
}

void import_fail(struct import_run *run, const char *format, ...)
{
	char text[TEXT_ERROR_MAX + 1];
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(text, sizeof text, format, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	import_end(run, OUTCOME_FAIL, -1, text, NULL);
}

static void lost(struct import_run *run, const char *why)
{
	char text[600];

	snprintf(text, sizeof text, "the connection to the database was lost: %.500s", why);
	if (run->committing && run->import->home == HOME_HERE)
		import_end(run, OUTCOME_COMMITTED, -1, text, run->result); /* it may be so: the dispatcher looks */
	else
		import_end(run, OUTCOME_SNOOZE, AWAY_NS, text, NULL);
}

void import_sql_failed(struct import_run *run, const struct pg_result *result, const char *doing)
{
	char text[TEXT_ERROR_MAX + 1];
	bool away = strncmp(result->sqlstate, "57P", 3) == 0; /* the server is leaving */

	if (result->status == PG_LOST || away) {
		lost(run, result->error);
		return;
	}
	snprintf(text, sizeof text, "%s: %s (%s)", doing, result->error, result->sqlstate);
	import_end(run, result->status == PG_TRANSIENT ? OUTCOME_RETRY : OUTCOME_FAIL, -1, text, NULL);
}

void import_lost(struct import_run *run)
{
	lost(run, pg_conn_error(run->conn));
}

/* ---- statements ---- */

bool import_send(struct import_run *run, const char *sql, bool with_params, pg_done *done)
{
	const struct pg_stmt stmt = {.sql = sql};

	if (pg_conn_send(run->conn, &stmt, with_params ? &run->params : NULL, false, done, run))
		return true;
	import_lost(run);
	return false;
}

bool import_send_named(struct import_run *run, const char *name, pg_done *done)
{
	const struct pg_stmt stmt = {.name = name, .sql = pg_sql(name)};

	if (pg_conn_send(run->conn, &stmt, &run->params, false, done, run))
		return true;
	import_lost(run);
	return false;
}

/* ---- jobs ---- */

static struct import_spec *read_payload(const struct import *im, const struct jobq_job *job, char *err, size_t errlen)
{
	const struct conf_queue_keys *k = &im->queue->k;
	struct import_spec *spec = import_spec_read(job->payload, job->payload_len, k->tables, k->tenant_column, err, errlen);

	if (spec == NULL)
		return NULL;
	if (*k->tenant_column != '\0' && *job->tenant == '\0')
		snprintf(err, errlen, "the job has no tenant, and rows of this queue belong to one");
	else if (spec->url && !k->allow_url)
		snprintf(err, errlen, "\"source\" is a URL, which this queue does not allow (allow_url)");
	else if (!spec->url && *k->import_dir == '\0')
		snprintf(err, errlen, "\"source\" is a file, and this queue has no import_dir");
	else
		return spec;
	import_spec_free(spec);
	return NULL;
}

static void acquired(void *arg, struct pg_conn *conn, const char *error)
{
	struct import_run *run = arg;

	run->wait = NULL;
	run->conn = conn;
	if (conn == NULL)
		import_end(run, OUTCOME_SNOOZE, AWAY_NS, error, NULL);
	else
		import_start(run);
}

static void import_go(void *state, struct jobq_job *job)
{
	struct import_run *run = xcalloc(1, sizeof *run);
	char err[512];

	run->import = state;
	run->job = job;
	run->fd = -1;
	job->data = run;
	run->spec = read_payload(run->import, job, err, sizeof err);
	if (run->spec == NULL) /* checked before its admission */
		import_fail(run, "%s", err);
	else
		run->wait = pg_pool_acquire(run->import->pool, acquired, run);
}

static bool import_can(const void *state, const struct jobq_job *job, char *err, size_t errlen)
{
	struct import_spec *spec = read_payload(state, job, err, errlen);
	bool good = spec != NULL;

	import_spec_free(spec);
	return good;
}

static void import_run_batch(void *state, struct jobq_batch *batch)
{
	payload_admit(state, batch, import_can, import_go);
}

static void import_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	struct import_run *run = job->data;
	char text[128];

	(void)state;
	if (run == NULL)
		return;
	if (run->committing) { /* too late to prevent anything */
		if (why == JOBQ_STOP_TIMEOUT)
			lost(run, "no answer to COMMIT in time");
		return;
	}
	if (run->conn != NULL)
		pg_conn_cancel(run->conn);
	if (why == JOBQ_STOP_CANCEL) {
		import_end(run, OUTCOME_CANCELLED, -1, "cancelled; nothing of it is in the table", NULL);
		return;
	}
	snprintf(text, sizeof text, "stopped after %lld rows, as its time was over; nothing of it is in the table", (long long)run->rows);
	import_end(run, OUTCOME_RETRY, -1, text, NULL);
}

const struct jobq_handler handler_import = {
	.name = "import", .open = import_open, .run = import_run_batch, .stop = import_stop, .close = import_close, .width = import_width,
};

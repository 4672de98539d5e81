/*
 * handlers/sync_db.c: what a sync does in the database (see sync.h).
 *
 * Runs in a worker; borrows a connection of the pool for one look, one read or one step, and gives it back in whatever state it is: in the
 * middle of a transaction that closes it, which rolls back. A step's statements go out together; COMMIT follows when every one of them
 * was good. Invariant: a state is kept only by whoever knew the last one, in the transaction of the rows that it speaks of.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "handlers/sync.h"
#include "pg/pool.h"
#include "pg/sql.h"

static void named(struct pg_stmt *stmt, const char *name)
{
	*stmt = (struct pg_stmt){.name = name, .sql = pg_sql(name)};
}

/* ---- connections ---- */

static void acquired(void *arg, struct pg_conn *conn, const char *error)
{
	struct sync_run *run = arg;

	run->wait = NULL;
	run->conn = conn;
	if (conn == NULL)
		sync_lost(run, error);
	else
		run->then(run);
}

void sync_db_read(struct sync_run *run, sync_then *then)
{
	run->then = then;
	run->wait = pg_pool_acquire(run->sync->pool, acquired, run);
}

void sync_db_release(struct sync_run *run)
{
	if (run->conn != NULL)
		pg_pool_release(run->sync->pool, run->conn);
	run->conn = NULL;
}

bool sync_db_send(struct sync_run *run, const struct pg_stmt *stmt, pg_done *done)
{
	if (pg_conn_send(run->conn, stmt, &run->params, false, done, run)) {
		run->pending++;
		return true;
	}
	sync_lost(run, pg_conn_error(run->conn));
	return false;
}

bool sync_db_good(struct sync_run *run, const struct pg_result *result, const char *doing)
{
	run->pending--;
	if (result->status == PG_OK)
		return true;
	sync_sql_failed(run, doing, result);
	return false;
}

static void source_params(struct sync_run *run)
{
	pg_params_reset(&run->params);
	pg_param_text(&run->params, run->sync->queue->name);
	pg_param_text(&run->params, run->job->tenant);
}

/* ---- the look ---- */

static void on_table(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;
	char err[512] = "";

	if (!sync_db_good(run, result, "looking at the table"))
		return;
	int rows = PQntuples(result->res);
	const char *kind = rows > 0 ? pg_get_text(result->res, 0, 3, NULL) : "";
	if (strcmp(kind, "r") != 0 && strcmp(kind, "p") != 0) {
		sync_fail(run, *kind == '\0' ? "there is no table %.100s" : "%.100s is not a table", run->spec->table_name);
		return;
	}
	run->table.columns = xcalloc((size_t)rows, sizeof *run->table.columns);
	for (int i = 0; i < rows; i++)
		run->table.columns[run->table.n++] = (struct sync_column){.name = xstrdup(pg_get_text(result->res, i, 0, NULL)),
			.type = xstrdup(pg_get_text(result->res, i, 1, NULL)), .fixed = pg_get_bool(result->res, i, 2)};
	if (!sync_table_fit(&run->table, run->spec, run->sync->rules.tenant_column, err, sizeof err)) {
		sync_fail(run, "%s", err);
		return;
	}
	sync_db_release(run);
	run->after(run);
}

static void take_look(struct sync_run *run, const PGresult *res)
{
	const char *id = pg_get_text(res, 0, 0, NULL), *key = jobq_idempotency_key(run->job), *state;
	size_t len = strlen(id), state_len = 0;

	run->home = len > 0 && strncmp(key, id, len) == 0 && key[len] == '-';
	run->seq = pg_get_int8(res, 0, 1);
	state = pg_get_text(res, 0, 2, &state_len);
	run->state = state_len == 0 || run->spec->full ? NULL : json_loadb(state, state_len, 0, NULL);
	if (!json_is_object(run->state)) {
		json_decref(run->state);
		run->state = json_object();
	}
	run->waits = pg_get_int4(res, 0, 4);
	run->horizon = pg_get_int8(res, 0, 6);
}

static void on_look(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;
	struct pg_stmt stmt;
	char text[900];

	if (result->status == PG_SCHEMA) {
		sync_fail(run, "the pool's database has no jobq.sync_look that its user may call: run `jobqctl migrate` there, and see docs/sync.md (%.200s)",
			result->error);
		return;
	}
	if (!sync_db_good(run, result, "looking for the position"))
		return;
	take_look(run, result->res);
	double wait_s = pg_get_float8(result->res, 0, 3);
	if (wait_s > 0) {
		if (snprintf(text, sizeof text, "%.200s is left alone for %.0f s more, after %d failures: %.600s", run->spec->host, wait_s, run->waits,
				pg_get_text(result->res, 0, 5, NULL)) < 0)
			text[0] = '\0';
		sync_end(run, OUTCOME_SNOOZE, (int64_t)(wait_s * (double)NS_PER_S), text);
		return;
	}
	pg_params_reset(&run->params);
	pg_param_text(&run->params, run->spec->table);
	named(&stmt, "sync_table");
	(void)sync_db_send(run, &stmt, on_table); /* false: the run has ended */
}

static void send_look(struct sync_run *run)
{
	struct pg_stmt stmt;

	source_params(run);
	pg_param_text(&run->params, buf_str(&run->source));
	pg_param_text(&run->params, run->spec->host);
	named(&stmt, "sync_look");
	(void)sync_db_send(run, &stmt, on_look);
}

void sync_db_look(struct sync_run *run, sync_then *then)
{
	run->after = then;
	sync_db_read(run, send_look);
}

/* ---- a step ---- */

static void on_commit(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	if (result->status != PG_OK) {
		sync_sql_failed(run, "committing", result);
		return;
	}
	run->committing = false;
	run->seq++;
	sync_db_release(run);
	if (run->cancelled && !run->last)
		sync_end(run, OUTCOME_CANCELLED, -1, "cancelled; what was synced before stays");
	else
		run->after(run);
}

static bool send_ours(struct sync_run *run);

void sync_db_settle(struct sync_run *run)
{
	if (run->pending > 0)
		return;
	if (run->home && !run->telling) {
		run->telling = true;
		(void)send_ours(run); /* false: the run has ended */
		return;
	}
	(void)FAULT(sync_merged);
	run->committing = true;
	if (!pg_conn_exec(run->conn, "COMMIT", on_commit, run))
		sync_lost(run, pg_conn_error(run->conn));
	else
		(void)FAULT(sync_commit_sent);
}

static void on_begin(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	if (sync_db_good(run, result, "beginning"))
		sync_db_settle(run);
}

static void on_keep(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	if (!sync_db_good(run, result, "keeping the position"))
		return;
	if (PQntuples(result->res) != 1 || !pg_get_bool(result->res, 0, 0)) {
		sync_end(run, OUTCOME_SNOOZE, 0, "another sync of the same went on first; what this one had fetched is old");
		return;
	}
	sync_db_settle(run);
}

static void on_ours(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	if (!sync_db_good(run, result, "completing the job"))
		return;
	if (PQntuples(result->res) != 1 || !pg_get_bool(result->res, 0, 0))
		sync_end(run, OUTCOME_SNOOZE, 0, "the job is in other hands");
	else
		sync_db_settle(run);
}

static void on_plain(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	if (sync_db_good(run, result, "noting that the host has answered"))
		sync_db_settle(run);
}

static bool send_keep(struct sync_run *run)
{
	struct pg_stmt stmt;
	char *state = json_dumps(run->state, JSON_COMPACT);

	if (state == NULL)
		mem_exhausted(0);
	source_params(run);
	pg_param_text(&run->params, buf_str(&run->source));
	pg_param_int8(&run->params, run->seq);
	pg_param_text(&run->params, state);
	free(state);
	named(&stmt, "sync_keep");
	return sync_db_send(run, &stmt, on_keep);
}

static bool send_answered(struct sync_run *run)
{
	struct pg_stmt stmt;

	if (run->waits == 0 || (run->spec->push && run->sent == 0))
		return true;
	run->waits = 0;
	source_params(run);
	pg_param_text(&run->params, run->spec->host);
	named(&stmt, "sync_answered");
	return sync_db_send(run, &stmt, on_plain);
}

/* The job's completion or progress; neither counts where the database is not the queue's. */
static bool send_ours(struct sync_run *run)
{
	struct pg_stmt stmt;
	char note[100];
	char *result = run->last ? sync_result(run) : NULL;

	pg_params_reset(&run->params);
	pg_param_int8(&run->params, run->job->id);
	pg_param_int8(&run->params, run->job->token);
	if (snprintf(note, sizeof note, run->spec->push ? "%lld rows sent" : "%lld items pulled",
			(long long)(run->spec->push ? run->sent : run->items)) < 0)
		note[0] = '\0';
	pg_param_text(&run->params, run->last ? result : note);
	free(result);
	named(&stmt, run->last ? "sync_complete" : "sync_progress");
	return sync_db_send(run, &stmt, on_ours);
}

static void send_step(struct sync_run *run)
{
	static const struct pg_stmt begin = {.name = NULL, .sql = "BEGIN"};

	run->telling = false;
	pg_params_reset(&run->params);
	if (sync_db_send(run, &begin, on_begin) && send_keep(run) && send_answered(run))
		run->rows_of(run);
}

void sync_db_step(struct sync_run *run, sync_then *rows, sync_then *then)
{
	run->rows_of = rows;
	run->after = then;
	sync_db_read(run, send_step);
}

/* ---- waits ---- */

static void on_wait(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	run->pending--;
	if (result->status == PG_OK && PQntuples(result->res) == 1 && run->kind == OUTCOME_SNOOZE)
		run->after_ns = (int64_t)(pg_get_float8(result->res, 0, 0) * (double)NS_PER_S);
	sync_end(run, run->kind, run->kind == OUTCOME_SNOOZE ? run->after_ns : -1, run->error);
}

static void send_wait(struct sync_run *run)
{
	struct pg_stmt stmt;
	char seconds[32];

	source_params(run);
	pg_param_text(&run->params, run->spec->host);
	pg_param_text(&run->params, run->error);
	if (run->after_ns < 0)
		pg_param_null(&run->params);
	else if (snprintf(seconds, sizeof seconds, "%.3f", (double)run->after_ns / (double)NS_PER_S) > 0)
		pg_param_text(&run->params, seconds);
	named(&stmt, "sync_wait");
	(void)sync_db_send(run, &stmt, on_wait);
}

void sync_db_put_off(struct sync_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error)
{
	run->kind = kind;
	run->after_ns = after_ns;
	(void)text_copy(run->error, sizeof run->error, error);
	if (run->cancelled)
		sync_end(run, OUTCOME_CANCELLED, -1, run->error);
	else
		sync_db_read(run, send_wait);
}

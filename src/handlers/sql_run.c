/*
 * handlers/sql_run.c: the transactions of a run (see sql_run.h).
 *
 * Runs in a worker. Invariant: a job is reported done only after the COMMIT of the transaction that holds its effect and its completion;
 * jobq.complete_all fences it, so no effect of a job that is somebody else's by now is committed. When the answer to COMMIT is lost,
 * the jobs are put back: the dispatcher finds those that were completed, and runs the others again. A connection on which anything was
 * left half done is not used again. What fails goes to sql_end.c.
 */
#include "config.h"

#include "handlers/sql_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/sql_end.h"
#include "handlers/sql_said.h"
#include "pg/pool.h"

int64_t sql_run_deaths(const struct jobq_job *job)
{
	json_t *left = job->result_len > 0 ? json_loadb(job->result, job->result_len, 0, NULL) : NULL;
	int64_t n = json_integer_value(json_object_get(left, "sessions_lost"));

	json_decref(left);
	return n;
}

struct sql_run *sql_run_new(struct sql *sql, uint64_t batch_id, bool alone)
{
	struct sql_run *run = xcalloc(1, sizeof *run);

	run->sql = sql;
	run->batch_id = batch_id;
	run->alone = alone;
	TAILQ_INSERT_TAIL(&sql->open, run, link);
	return run;
}

void sql_run_add(struct sql_run *run, struct jobq_job *job)
{
	run->jobs = xreallocarray(run->jobs, run->count + 1, sizeof(struct jobq_job *));
	run->jobs[run->count++] = job;
	job->data = run;
}

/* ---- COMMIT ---- */

static void committed(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;

	if (result->status != PG_OK) {
		sql_end_failed(run, result);
		return;
	}
	if (strcmp(PQcmdStatus(result->res), "COMMIT") != 0) {
		sql_end_part(run, SQL_RETRY, "the function left its transaction aborted");
		return;
	}
	(void)FAULT(after_effect);
	for (size_t i = run->from; i < run->to; i++) {
		struct jobq_outcome o = run->said[i].o;
		if (run->jobs[i] == NULL)
			continue;
		if (o.kind == OUTCOME_DONE)
			o = (struct jobq_outcome){.kind = OUTCOME_COMMITTED, .after_ns = -1};
		sql_end_at(run, i, &o);
	}
	sql_run_next(run);
}

static void commit(struct sql_run *run)
{
	run->phase = SQL_COMMITTING;
	if (!pg_conn_exec(run->conn, "COMMIT", committed, run)) {
		sql_end_away(run, pg_conn_error(run->conn));
		return;
	}
	(void)FAULT(sql_commit_sent);
}

/* ---- the completion ---- */

/* Some of them are somebody else's: whatever is said of those is void, and the others go again without them. */
static void drop_lost(struct sql_run *run, const PGresult *res)
{
	static const char why[] = "the job is somebody else's by now; nothing of it was stored";
	const struct jobq_outcome o = {.kind = OUTCOME_RETRY, .after_ns = -1, .error = why, .error_len = sizeof why - 1};

	for (int r = 0; r < PQntuples(res); r++)
		for (size_t i = run->from; i < run->to; i++)
			if (run->jobs[i] != NULL && run->jobs[i]->id == pg_get_int8(res, r, 0))
				sql_end_at(run, i, &o);
	sql_end_undo(run, SQL_AGAIN, "");
}

static void completed(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;

	if (result->status != PG_OK)
		sql_end_failed(run, result);
	else if (PQntuples(result->res) > 0)
		drop_lost(run, result->res);
	else
		commit(run);
}

static bool is_done(const struct sql_run *run, size_t i)
{
	return run->jobs[i] != NULL && run->said[i].o.kind == OUTCOME_DONE;
}

static void param_numbers(struct sql_run *run, size_t n, bool tokens)
{
	struct pg_params *p = &run->sql->params;

	pg_array_begin(p, PG_INT8, n);
	for (size_t i = run->from; i < run->to; i++)
		if (is_done(run, i))
			pg_array_int8(p, tokens ? run->jobs[i]->token : run->jobs[i]->id);
	pg_array_end(p);
}

static void param_installation(struct pg_params *p, const struct jobq_job *job)
{
	const char *key = jobq_idempotency_key(job);

	pg_param_textn(p, key, strcspn(key, "-"));
}

static void complete(struct sql_run *run)
{
	struct pg_params *p = &run->sql->params;
	const struct jobq_job *one = NULL;
	size_t n = 0;

	for (size_t i = run->from; i < run->to; i++)
		if (is_done(run, i)) {
			one = run->jobs[i];
			n++;
		}
	if (one == NULL) {
		commit(run);
		return;
	}
	pg_params_reset(p);
	param_installation(p, one);
	param_numbers(run, n, false);
	param_numbers(run, n, true);
	pg_array_begin(p, PG_JSONB, n);
	for (size_t i = run->from; i < run->to; i++)
		if (is_done(run, i))
			pg_array_jsonb(p, run->said[i].o.result, run->said[i].o.result_len);
	pg_array_end(p);
	run->phase = SQL_COMPLETING;
	if (!pg_conn_send(run->conn, &run->sql->complete, p, false, completed, run))
		sql_end_away(run, pg_conn_error(run->conn));
}

/* ---- the call ---- */

static void called(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;
	const char *wrong;

	if (result->status == PG_LOST) {
		sql_end_died(run, result->error);
		return;
	}
	if (result->status != PG_OK) {
		sql_end_failed(run, result);
		return;
	}
	(void)FAULT(sql_called);
	sql_end_forget_said(run);
	wrong = sql_said_read(result->res, run->jobs + run->from, run->said + run->from, run->to - run->from);
	if (wrong != NULL)
		sql_end_undo(run, SQL_FAIL, wrong);
	else
		complete(run);
}

static void call(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;
	struct buf text = {0};

	if (result->status != PG_OK) {
		sql_end_failed(run, result);
		return;
	}
	buf_putc(&text, '[');
	for (size_t i = run->from; i < run->to; i++) {
		if (run->jobs[i] == NULL)
			continue;
		if (text.len > 1)
			buf_putc(&text, ',');
		dialect_put_job(&text, run->jobs[i], run->sql->queue->name);
	}
	buf_putc(&text, ']');
	pg_params_reset(&run->sql->params);
	pg_param_textn(&run->sql->params, buf_str(&text), text.len);
	buf_free(&text);
	if (!pg_conn_send(run->conn, &run->sql->call, &run->sql->params, false, called, run))
		sql_end_away(run, pg_conn_error(run->conn));
}

/* ---- parts ---- */

static void acquired(void *arg, struct pg_conn *conn, const char *error)
{
	struct sql_run *run = arg;

	run->wait = NULL;
	run->conn = conn;
	if (conn != NULL)
		sql_run_begin(run);
	else
		sql_end_all(run, OUTCOME_SNOOZE, SQL_AWAY_NS, error);
}

/* The transaction of the part from..to, which has jobs or is passed over. */
void sql_run_begin(struct sql_run *run)
{
	if (sql_end_left(run, run->from, run->to) == 0) {
		sql_run_next(run);
		return;
	}
	if (run->conn == NULL) {
		run->phase = SQL_WAITING;
		run->wait = pg_pool_acquire(run->sql->pool, acquired, run);
		return;
	}
	run->phase = SQL_CALLING;
	if (!pg_conn_exec(run->conn, "BEGIN", call, run))
		sql_end_away(run, pg_conn_error(run->conn));
}

void sql_run_next(struct sql_run *run)
{
	run->again = 0;
	run->from = run->to;
	while (run->depth > 0) {
		run->to = run->stack[--run->depth];
		if (sql_end_left(run, run->from, run->to) > 0) {
			sql_run_begin(run);
			return;
		}
		run->from = run->to;
	}
	sql_end_free(run);
}

void sql_run_start(struct sql_run *run)
{
	TAILQ_REMOVE(&run->sql->open, run, link);
	run->said = xcalloc(run->count, sizeof *run->said);
	run->to = run->count;
	sql_run_begin(run);
}

/* ---- stopping ---- */

void sql_run_take_out(struct sql_run *run, struct jobq_job *job, const struct jobq_outcome *o)
{
	size_t i = 0;

	while (run->jobs[i] != job)
		i++;
	sql_end_at(run, i, o);
	if (run->phase == SQL_OPEN || run->phase == SQL_WAITING || i < run->from || i >= run->to)
		return; /* not begun, and a part without jobs is passed over */
	if (run->phase == SQL_COMMITTING || run->phase == SQL_UNDOING)
		return; /* its answer comes soon */
	pg_conn_cancel(run->conn);
	sql_end_let_go(run);
	sql_run_begin(run);
}

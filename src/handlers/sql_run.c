/*
 * handlers/sql_run.c: the transactions of a run (see sql_run.h).
 *
 * Runs in a worker. Invariant: a job is reported done only after the COMMIT of the transaction that holds its effect and its completion;
 * jobq.complete_all fences it, so no effect of a job that is somebody else's by now is committed. When the answer to COMMIT is lost,
 * the jobs are put back: the dispatcher finds those that were completed, and runs the others again. A connection on which anything was
 * left half done is not used again. Losing the database burns no try.
 */
#include "config.h"

#include "handlers/sql_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/sql_law.h"
#include "handlers/sql_said.h"
#include "pg/pool.h"

#define AGAIN_MAX 3                 /* times that a part runs into other transactions before it is halved */
#define AWAY_NS (2 * NS_PER_S)      /* the database is away: look again */
#define REFUSED_NS (60 * NS_PER_S)  /* somebody has to change something */

static void begin(struct sql_run *run);
static void next_part(struct sql_run *run);

struct sql_run *sql_run_new(struct sql *sql, uint64_t batch_id)
{
	struct sql_run *run = xcalloc(1, sizeof *run);

	run->sql = sql;
	run->batch_id = batch_id;
	TAILQ_INSERT_TAIL(&sql->open, run, link);
	return run;
}

void sql_run_add(struct sql_run *run, struct jobq_job *job)
{
	run->jobs = xreallocarray(run->jobs, run->count + 1, sizeof(struct jobq_job *));
	run->jobs[run->count++] = job;
	job->data = run;
}

static void forget_said(struct sql_run *run)
{
	for (size_t i = 0; run->said != NULL && i < run->count; i++)
		sql_said_free(&run->said[i]);
}

static void let_go(struct sql_run *run)
{
	struct pg_conn *conn = run->conn;

	run->conn = NULL;
	if (run->wait != NULL)
		pg_pool_forget(run->sql->pool, run->wait);
	run->wait = NULL;
	if (conn != NULL)
		pg_pool_release(run->sql->pool, conn);
}

static void run_free(struct sql_run *run)
{
	let_go(run);
	forget_said(run);
	free(run->said);
	free(run->jobs);
	free(run->stack);
	free(run);
}

static size_t left(const struct sql_run *run, size_t from, size_t to)
{
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		n += run->jobs[i] != NULL;
	return n;
}

static void end_at(struct sql_run *run, size_t i, const struct jobq_outcome *o)
{
	struct jobq_job *job = run->jobs[i];

	run->jobs[i] = NULL;
	jobq_end(job, o);
}

/* Ends all jobs that have not ended, in the same way, and the run. */
static void end_all(struct sql_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error)
{
	const struct jobq_outcome o = {.kind = kind, .after_ns = after_ns, .error = error, .error_len = strlen(error)};

	for (size_t i = 0; i < run->count; i++)
		if (run->jobs[i] != NULL)
			end_at(run, i, &o);
	run_free(run);
}

static void away(struct sql_run *run, const char *error)
{
	char text[512];

	snprintf(text, sizeof text, "the database is away: %.400s", error);
	end_all(run, OUTCOME_SNOOZE, AWAY_NS, text);
}

static void refused(struct sql_run *run, const char *error)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->jobs[i] != NULL) {
			jobq_gate(run->jobs[i], REFUSED_NS, error);
			break;
		}
	end_all(run, OUTCOME_SNOOZE, 0, error);
}

/* ---- a part has failed ---- */

static void push_half(struct sql_run *run)
{
	run->stack = xreallocarray(run->stack, run->depth + 1, sizeof *run->stack);
	run->stack[run->depth++] = run->to;
	run->to = run->from + (run->to - run->from) / 2;
	run->again = 0;
}

/* The part is rolled back by now, or its connection given up. */
static void part_failed(struct sql_run *run, enum sql_verdict verdict, const char *error)
{
	struct jobq_outcome o = {.kind = verdict == SQL_FAIL ? OUTCOME_FAIL : OUTCOME_RETRY, .after_ns = -1, .error = error, .error_len = strlen(error)};
	size_t n = left(run, run->from, run->to);

	if (verdict == SQL_AGAIN && ++run->again < AGAIN_MAX) {
		begin(run);
		return;
	}
	if (n > 1) {
		push_half(run);
		begin(run);
		return;
	}
	for (size_t i = run->from; i < run->to; i++)
		if (run->jobs[i] != NULL)
			end_at(run, i, &o);
	next_part(run);
}

struct undo { /* a failed part, until its ROLLBACK is answered */
	struct sql_run *run;
	enum sql_verdict verdict;
	char error[];
};

static void undone(void *arg, const struct pg_result *result)
{
	struct undo *undo = arg;

	if (result->status == PG_OK)
		part_failed(undo->run, undo->verdict, undo->error);
	else
		away(undo->run, result->error);
	free(undo);
}

static void undo(struct sql_run *run, enum sql_verdict verdict, const char *error)
{
	size_t size = strlen(error) + 1;
	struct undo *undo = xmalloc(sizeof *undo + size);

	undo->run = run;
	undo->verdict = verdict;
	memcpy(undo->error, error, size);
	run->phase = SQL_UNDOING;
	if (pg_conn_exec(run->conn, "ROLLBACK", undone, undo))
		return;
	free(undo);
	away(run, pg_conn_error(run->conn));
}

static void failed(struct sql_run *run, const struct pg_result *result)
{
	enum sql_verdict verdict = result->status == PG_LOST ? SQL_LOST : sql_verdict(result->sqlstate, result->inside);
	char text[640];

	if (run->phase == SQL_COMPLETING && verdict != SQL_LOST && verdict != SQL_AWAY && verdict != SQL_AGAIN)
		verdict = SQL_REFUSED;
	if (verdict == SQL_LOST || verdict == SQL_AWAY) {
		away(run, result->error);
		return;
	}
	snprintf(text, sizeof text, "%s%.500s (%s)", run->phase == SQL_COMPLETING ? "the jobs cannot be completed: " : "", result->error, result->sqlstate);
	if (verdict == SQL_REFUSED)
		refused(run, text);
	else
		undo(run, verdict, text);
}

/* ---- COMMIT ---- */

static void committed(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;

	if (result->status != PG_OK) {
		failed(run, result);
		return;
	}
	if (strcmp(PQcmdStatus(result->res), "COMMIT") != 0) {
		part_failed(run, SQL_RETRY, "the function left its transaction aborted");
		return;
	}
	(void)FAULT(after_effect);
	for (size_t i = run->from; i < run->to; i++) {
		struct jobq_outcome o = run->said[i].o;
		if (run->jobs[i] == NULL)
			continue;
		if (o.kind == OUTCOME_DONE)
			o = (struct jobq_outcome){.kind = OUTCOME_COMMITTED, .after_ns = -1};
		end_at(run, i, &o);
	}
	next_part(run);
}

static void commit(struct sql_run *run)
{
	run->phase = SQL_COMMITTING;
	if (!pg_conn_exec(run->conn, "COMMIT", committed, run)) {
		away(run, pg_conn_error(run->conn));
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
				end_at(run, i, &o);
	undo(run, SQL_AGAIN, "");
}

static void completed(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;

	if (result->status != PG_OK)
		failed(run, result);
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
		away(run, pg_conn_error(run->conn));
}

/* ---- the call ---- */

static void called(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;
	const char *wrong;

	if (result->status != PG_OK) {
		failed(run, result);
		return;
	}
	(void)FAULT(sql_called);
	forget_said(run);
	wrong = sql_said_read(result->res, run->jobs + run->from, run->said + run->from, run->to - run->from);
	if (wrong != NULL)
		undo(run, SQL_FAIL, wrong);
	else
		complete(run);
}

static void call(void *arg, const struct pg_result *result)
{
	struct sql_run *run = arg;
	struct buf text = {0};

	if (result->status != PG_OK) {
		failed(run, result);
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
		away(run, pg_conn_error(run->conn));
}

/* ---- parts ---- */

static void acquired(void *arg, struct pg_conn *conn, const char *error)
{
	struct sql_run *run = arg;

	run->wait = NULL;
	run->conn = conn;
	if (conn != NULL)
		begin(run);
	else
		end_all(run, OUTCOME_SNOOZE, AWAY_NS, error);
}

/* The transaction of the part from..to, which has jobs or is passed over. */
static void begin(struct sql_run *run)
{
	if (left(run, run->from, run->to) == 0) {
		next_part(run);
		return;
	}
	if (run->conn == NULL) {
		run->phase = SQL_WAITING;
		run->wait = pg_pool_acquire(run->sql->pool, acquired, run);
		return;
	}
	run->phase = SQL_CALLING;
	if (!pg_conn_exec(run->conn, "BEGIN", call, run))
		away(run, pg_conn_error(run->conn));
}

static void next_part(struct sql_run *run)
{
	run->again = 0;
	run->from = run->to;
	while (run->depth > 0) {
		run->to = run->stack[--run->depth];
		if (left(run, run->from, run->to) > 0) {
			begin(run);
			return;
		}
		run->from = run->to;
	}
	run_free(run);
}

void sql_run_start(struct sql_run *run)
{
	TAILQ_REMOVE(&run->sql->open, run, link);
	run->said = xcalloc(run->count, sizeof *run->said);
	run->to = run->count;
	begin(run);
}

/* ---- stopping ---- */

void sql_run_take_out(struct sql_run *run, struct jobq_job *job, const struct jobq_outcome *o)
{
	size_t i = 0;

	while (run->jobs[i] != job)
		i++;
	end_at(run, i, o);
	if (run->phase == SQL_OPEN || run->phase == SQL_WAITING || i < run->from || i >= run->to)
		return; /* not begun, and a part without jobs is passed over */
	if (run->phase == SQL_COMMITTING || run->phase == SQL_UNDOING)
		return; /* its answer comes soon */
	pg_conn_cancel(run->conn);
	let_go(run);
	begin(run);
}

/*
 * handlers/sql_end.c: the ends of a run's jobs: what failed is undone, halved, put back or blamed (see sql_end.h).
 *
 * Runs in a worker. Invariant: a part that failed has been rolled back, or its connection is given up, before any of its jobs goes again
 * or ends. Losing the database burns no try; but a job under which a session has died is called alone, and when that kills its session
 * again and again, its tries are burnt: it may be what kills them.
 */
#include "config.h"

#include "handlers/sql_end.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "handlers/sql_said.h"
#include "pg/pool.h"

#define AGAIN_MAX 3                 /* times that a part runs into other transactions before it is halved */
#define REFUSED_NS (60 * NS_PER_S)  /* somebody has to change something */
#define DEATHS_MAX 3                /* sessions that may die under a job, before it is its fault */

void sql_end_forget_said(struct sql_run *run)
{
	for (size_t i = 0; run->said != NULL && i < run->count; i++)
		sql_said_free(&run->said[i]);
}

void sql_end_let_go(struct sql_run *run)
{
	struct pg_conn *conn = run->conn;

	run->conn = NULL;
	if (run->wait != NULL)
		pg_pool_forget(run->sql->pool, run->wait);
	run->wait = NULL;
	if (conn != NULL)
		pg_pool_release(run->sql->pool, conn);
}

void sql_end_free(struct sql_run *run)
{
	sql_end_let_go(run);
	sql_end_forget_said(run);
	free(run->said);
	free(run->jobs);
	free(run->stack);
	free(run);
}

size_t sql_end_left(const struct sql_run *run, size_t from, size_t to)
{
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		n += run->jobs[i] != NULL;
	return n;
}

void sql_end_at(struct sql_run *run, size_t i, const struct jobq_outcome *o)
{
	struct jobq_job *job = run->jobs[i];

	run->jobs[i] = NULL;
	jobq_end(job, o);
}

/* Ends all jobs that have not ended, in the same way, and the run. */
void sql_end_all(struct sql_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error)
{
	const struct jobq_outcome o = {.kind = kind, .after_ns = after_ns, .error = error, .error_len = strlen(error)};

	for (size_t i = 0; i < run->count; i++)
		if (run->jobs[i] != NULL)
			sql_end_at(run, i, &o);
	sql_end_free(run);
}

void sql_end_away(struct sql_run *run, const char *error)
{
	char text[512];

	snprintf(text, sizeof text, "the database is away: %.400s", error);
	sql_end_all(run, OUTCOME_SNOOZE, SQL_AWAY_NS, text);
}

/* The session died during the call: by chance, or by one of these jobs. */
void sql_end_died(struct sql_run *run, const char *error)
{
	for (size_t i = run->from; i < run->to; i++) {
		if (run->jobs[i] == NULL)
			continue;
		int64_t deaths = sql_run_deaths(run->jobs[i]) + 1;
		char *text = xasprintf("the session ended while the function ran: %.400s", error), *left = xasprintf("{\"sessions_lost\": %lld}", (long long)deaths);
		bool blame = run->alone && deaths > DEATHS_MAX;
		sql_end_at(run, i, &(struct jobq_outcome){.kind = blame ? OUTCOME_RETRY : OUTCOME_SNOOZE, .after_ns = blame ? -1 : SQL_AWAY_NS, .error = text,
			.error_len = strlen(text), .result = left, .result_len = strlen(left)});
		free(text);
		free(left);
	}
	sql_end_away(run, error);
}

static void refused(struct sql_run *run, const char *error)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->jobs[i] != NULL) {
			jobq_gate(run->jobs[i], REFUSED_NS, error);
			break;
		}
	sql_end_all(run, OUTCOME_SNOOZE, 0, error);
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
void sql_end_part(struct sql_run *run, enum sql_verdict verdict, const char *error)
{
	struct jobq_outcome o = {.kind = verdict == SQL_FAIL ? OUTCOME_FAIL : verdict == SQL_AWAY ? OUTCOME_SNOOZE : OUTCOME_RETRY,
		.after_ns = verdict == SQL_AWAY ? SQL_AWAY_NS : -1, .error = error, .error_len = strlen(error)};
	size_t n = sql_end_left(run, run->from, run->to);

	if (verdict == SQL_AGAIN && ++run->again < AGAIN_MAX) {
		sql_run_begin(run);
		return;
	}
	if (n > 1) {
		push_half(run);
		sql_run_begin(run);
		return;
	}
	for (size_t i = run->from; i < run->to; i++)
		if (run->jobs[i] != NULL)
			sql_end_at(run, i, &o);
	sql_run_next(run);
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
		sql_end_part(undo->run, undo->verdict, undo->error);
	else
		sql_end_away(undo->run, result->error);
	free(undo);
}

void sql_end_undo(struct sql_run *run, enum sql_verdict verdict, const char *error)
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
	sql_end_away(run, pg_conn_error(run->conn));
}

void sql_end_failed(struct sql_run *run, const struct pg_result *result)
{
	enum sql_verdict verdict = result->status == PG_LOST ? SQL_LOST : sql_verdict(result->sqlstate, result->inside);
	char text[640];

	if (run->phase == SQL_COMPLETING && verdict != SQL_LOST && verdict != SQL_AWAY && verdict != SQL_AGAIN)
		verdict = SQL_REFUSED;
	bool raised = verdict == SQL_AWAY && run->phase == SQL_CALLING && result->inside; /* by one of these jobs, perhaps */
	if (verdict == SQL_LOST || (verdict == SQL_AWAY && !raised)) {
		sql_end_away(run, result->error);
		return;
	}
	snprintf(text, sizeof text, "%s%.500s (%s)", run->phase == SQL_COMPLETING ? "the jobs cannot be completed: " : "", result->error, result->sqlstate);
	if (verdict == SQL_REFUSED)
		refused(run, text);
	else
		sql_end_undo(run, verdict, text);
}

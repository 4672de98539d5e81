/*
 * handlers/sql.c: the handler `sql`: a function in the database gets the jobs of a batch, in one transaction with their completion.
 *
 * Runs in a worker. Owns the runs that still take jobs; a run that has started owns itself (sql_run.c). Jobs of a batch that are
 * admitted in one turn of the loop go together; what a rate limit lets begin later follows in a call of its own. The function's
 * name comes from the configuration and is quoted; jobs are a parameter.
 *
 * Invariant: a begun job is in exactly one run, and job->data is that. Effects and completions commit together or not at all.
 */
#include "config.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/registry.h"
#include "handlers/sql_law.h"
#include "handlers/sql_run.h"
#include "pg/sql.h"

static void sql_turn(evutil_socket_t fd, short what, void *arg)
{
	struct sql *s = arg;
	struct sql_run *run;

	(void)fd;
	(void)what;
	while ((run = TAILQ_FIRST(&s->open)) != NULL)
		sql_run_start(run);
}

static int sql_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	struct buf text = {0};
	struct sql *s;

	if (!sql_statement(env->queue->k.function, &text)) {
		if (snprintf(err, errlen, "function: it is not a name of the form schema.name") < 0)
			err[0] = '\0';
		return -1;
	}
	s = xcalloc(1, sizeof *s);
	s->queue = env->queue;
	s->pool = env->pool;
	s->text = xstrdup(buf_str(&text));
	buf_free(&text);
	s->call = (struct pg_stmt){.name = "handler_call", .sql = s->text};
	s->complete = (struct pg_stmt){.name = "handler_complete_all", .sql = pg_sql("handler_complete_all")};
	TAILQ_INIT(&s->open);
	s->turn = event_new(env->base, -1, 0, sql_turn, s);
	if (s->turn == NULL)
		mem_exhausted(0);
	*state = s;
	return 0;
}

static void sql_close(void *state)
{
	struct sql *s = state;

	event_free(s->turn);
	pg_params_free(&s->params);
	free(s->text);
	free(s);
}

static void sql_go(void *state, struct jobq_job *job)
{
	struct sql *s = state;
	bool alone = sql_run_deaths(job) > 0;
	struct sql_run *run = NULL;

	if (!alone)
		TAILQ_FOREACH(run, &s->open, link)
			if (run->batch_id == job->batch->id && !run->alone)
				break;
	sql_run_add(run != NULL ? run : sql_run_new(s, job->batch->id, alone), job);
	event_active(s->turn, EV_TIMEOUT, 0);
}

static void sql_handle(void *state, struct jobq_batch *batch)
{
	(void)state;
	for (size_t i = 0; i < batch->count; i++)
		jobq_admit(batch->jobs[i], sql_go);
}

static void sql_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	static const char late[] = "stopped before the function's transaction had ended";
	const struct jobq_outcome timeout = {.kind = OUTCOME_RETRY, .after_ns = -1, .error = late, .error_len = sizeof late - 1};
	const struct jobq_outcome cancelled = {.kind = OUTCOME_CANCELLED, .after_ns = -1};
	struct sql_run *run = job->data;

	(void)state;
	if (why == JOBQ_STOP_TIMEOUT)
		sql_run_take_out(run, job, &timeout);
	else if (run->phase != SQL_COMMITTING)
		sql_run_take_out(run, job, &cancelled);
}

const struct jobq_handler handler_sql = {.name = "sql", .open = sql_open, .run = sql_handle, .stop = sql_stop, .close = sql_close};

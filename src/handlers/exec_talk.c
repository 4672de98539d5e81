/*
 * handlers/exec_talk.c: many jobs over one program's pipes, a line each way (modes persistent and batch).
 *
 * Runs in a worker. Owns one `struct talk` a program: for persistent one that lasts, its program started with the first job and
 * again whenever it is gone and there is work; for batch one a batch, whose input ends when all its jobs have begun.
 *
 * A begun job is in `unwritten` until its line is handed to the pipe, then in `asked` until its outcome comes. When a program
 * is gone, or must go (a line that is none, too much output, a job over its time), those that it was asked cannot all be to blame:
 * a single one is tried again with the reason; of several each is SUSPECT, and shows alone what it does. The unwritten
 * ones go to the next program. What a doomed program still says before its end counts.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "handlers/dialect.h"
#include "handlers/exec_talk.h"

#define FEED_SOFT 65536u /* of lines in front of a pipe */

static const struct program_calls talk_calls;
static void talk_start(struct talk *t);

static struct talk *talk_new(struct exec *x, bool lasting, const struct jobq_batch *batch)
{
	struct talk *t = xcalloc(1, sizeof *t);

	*t = (struct talk){.x = x, .lasting = lasting, .batch = batch};
	TAILQ_INIT(&t->unwritten);
	TAILQ_INIT(&t->asked);
	TAILQ_INSERT_TAIL(&x->talks, t, link);
	return t;
}

void exec_talk_forget(struct asked *a)
{
	TAILQ_REMOVE(a->written ? &a->talk->asked : &a->talk->unwritten, a, link);
	a->talk->nasked -= a->written;
	free(a);
}

static void talk_end(struct asked *a, enum jobq_outcome_kind kind, const char *why)
{
	struct jobq_job *job = a->job;

	exec_talk_forget(a);
	exec_end(job, kind, why);
}

static void talk_free(struct talk *t)
{
	TAILQ_REMOVE(&t->x->talks, t, link);
	buf_free(&t->cancels);
	buf_free(&t->in);
	free(t);
}

/* Its work is done, or there was none. */
void exec_talk_settle(struct talk *t)
{
	if (!t->filled || t->nasked > 0 || !TAILQ_EMPTY(&t->unwritten))
		return;
	if (t->program != NULL)
		program_expect_end(t->program);
	else
		talk_free(t);
}

/* A doomed program has what it has; all else is its successor's, at once: nobody waits for its end. */
static void talk_succeed(struct talk *t)
{
	struct asked *a;

	if (!t->lasting && t->filled && TAILQ_EMPTY(&t->unwritten))
		return;
	struct talk *next = talk_new(t->x, t->lasting, t->batch);
	next->filled = t->filled;
	while ((a = TAILQ_FIRST(&t->unwritten)) != NULL) {
		TAILQ_REMOVE(&t->unwritten, a, link);
		TAILQ_INSERT_TAIL(&next->unwritten, a, link);
		a->talk = next;
	}
	t->lasting = false;
	t->filled = true;
	t->batch = NULL;
	talk_start(next);
}

void exec_talk_doom(struct talk *t, const char *format, ...)
{
	va_list ap;

	if (t->doomed || t->program == NULL)
		return;
	t->doomed = true;
	t->shared = t->nasked > 1;
	va_start(ap, format);
	if (vsnprintf(t->why, sizeof t->why, format, ap) < 0)
		t->why[0] = '\0';
	va_end(ap);
	log_warn("program %ld %s; terminated", (long)t->pid, t->why);
	program_end(t->program);
	talk_succeed(t);
}

static void talk_closed(void *arg)
{
	exec_talk_doom(arg, "closed its output");
}

/* --- what it is told */

static void talk_cancel_line(struct talk *t, int64_t id)
{
	buf_printf(&t->cancels, "{\"v\":1,\"cancel\":\"%" PRId64 "\"}\n", id);
	if (t->program != NULL)
		program_wake(t->program);
}

static void talk_room(void *arg, struct buf *out)
{
	struct talk *t = arg;
	struct asked *a;

	buf_add(out, t->cancels.data, t->cancels.len);
	buf_reset(&t->cancels);
	while (out->len < FEED_SOFT && (a = TAILQ_FIRST(&t->unwritten)) != NULL) {
		dialect_put_job(out, a->job, t->x->queue);
		buf_putc(out, '\n');
		TAILQ_REMOVE(&t->unwritten, a, link);
		TAILQ_INSERT_TAIL(&t->asked, a, link);
		a->written = true;
		t->nasked++;
		t->credit += t->x->conf.max_output;
	}
	if (t->filled && TAILQ_EMPTY(&t->unwritten) && t->cancels.len == 0)
		program_close_input(t->program);
}

/* --- its life */

/* Nothing can be started: all that wait for it are put off. */
static void talk_unstarted(struct talk *t, const char *why)
{
	struct askeds *const lists[] = {&t->asked, &t->unwritten};

	for (size_t i = 0; i < 2; i++)
		while (!TAILQ_EMPTY(lists[i])) {
			struct asked *a = TAILQ_FIRST(lists[i]);
			struct jobq_job *job = a->job;
			exec_talk_forget(a);
			exec_unstarted(t->x, job, why);
		}
}

/* Starts its program if there is need and room for one. */
static void talk_start(struct talk *t)
{
	char err[512];

	if (t->program != NULL || TAILQ_EMPTY(&t->unwritten) || t->x->closing || t->x->nprograms >= t->x->most + EXEC_SPARE)
		return;
	t->doomed = t->spoke = t->shared = false;
	t->strays = 0;
	t->credit = t->x->conf.max_output; /* for what it says beside its jobs */
	buf_reset(&t->in);
	t->program = program_start(t->x, &talk_calls, t, err, sizeof err);
	if (t->program == NULL)
		talk_unstarted(t, err);
	else
		t->pid = program_pid(t->program);
}

/* The program is gone: what it was asked and has not answered. */
static void talk_unanswered(struct talk *t, const struct program_end *end)
{
	char why[1600];
	enum jobq_outcome_kind kind = (t->doomed ? t->shared : t->nasked > 1) ? OUTCOME_SUSPECT : OUTCOME_RETRY;
	bool broken = t->nasked > 0 && !t->spoke && ++t->x->deaths >= EXEC_DEATHS;
	int n = t->doomed ? snprintf(why, sizeof why, "the program %s", t->why)
	                  : snprintf(why, sizeof why, "the program %s before it gave an outcome%s%s", end->text, *end->last ? ": " : "", end->last);

	if (n < 0)
		why[0] = '\0';
	if (broken)
		exec_gate(t->x, TAILQ_FIRST(&t->asked)->job, why);
	while (!TAILQ_EMPTY(&t->asked))
		talk_end(TAILQ_FIRST(&t->asked), kind, why);
}

static void talk_gone(void *arg, const struct program_end *end)
{
	struct talk *t = arg;
	struct exec *x = t->x;

	t->program = NULL;
	if (end->started)
		exec_hear_rest(t);
	buf_reset(&t->cancels); /* they were for jobs that it had */
	if (!end->started)
		talk_unstarted(t, end->text);
	else
		talk_unanswered(t, end);
	talk_start(t);
	if (t->program == NULL && t->filled && TAILQ_EMPTY(&t->unwritten))
		talk_free(t);
	exec_talk_room(x);
}

static const struct program_calls talk_calls = {.room = talk_room, .output = exec_hear, .closed = talk_closed, .gone = talk_gone};

static struct talk *talk_of(struct exec *x, const struct jobq_batch *batch)
{
	struct talk *t;

	TAILQ_FOREACH(t, &x->talks, link)
		if (t->lasting || t->batch == batch)
			return t;
	return NULL;
}

void exec_talk_go(struct exec *x, struct jobq_job *job)
{
	struct talk *t = talk_of(x, job->batch);
	struct asked *a = xcalloc(1, sizeof *a);

	bool lasting = x->conf.mode == CONF_MODE_PERSISTENT;
	if (t == NULL)
		t = talk_new(x, lasting, lasting ? NULL : job->batch);
	*a = (struct asked){.job = job, .talk = t, .begun_ns = clock_mono_ns()};
	job->data = a;
	TAILQ_INSERT_TAIL(&t->unwritten, a, link);
	if (t->program == NULL)
		talk_start(t);
	else
		program_wake(t->program);
}

void exec_talk_filled(struct exec *x, const struct jobq_batch *batch)
{
	struct talk *t = talk_of(x, batch);

	if (t == NULL || t->lasting)
		return;
	t->filled = true;
	t->batch = NULL;
	if (t->program != NULL)
		program_wake(t->program);
	exec_talk_settle(t);
}

void exec_talk_stop(struct exec *x, struct jobq_job *job, enum jobq_stop why)
{
	char text[128];
	struct asked *a = job->data;
	struct talk *t = a->talk;

	(void)x;
	if (why == JOBQ_STOP_CANCEL && a->written) {
		if (!a->cancel)
			talk_cancel_line(t, job->id);
		a->cancel = true;
		return;
	}
	if (!a->written) {
		talk_end(a, why == JOBQ_STOP_CANCEL ? OUTCOME_CANCELLED : OUTCOME_SNOOZE,
			why == JOBQ_STOP_CANCEL ? "cancelled before the program had it" : "stopped before the program could take it");
		exec_talk_settle(t);
		return;
	}
	int n = snprintf(text, sizeof text, "stopped after %.1f s without an outcome", (double)(clock_mono_ns() - a->begun_ns) / (double)NS_PER_S);
	enum jobq_outcome_kind kind = t->doomed ? (t->shared ? OUTCOME_SUSPECT : OUTCOME_RETRY) : t->nasked > 1 ? OUTCOME_SUSPECT : OUTCOME_RETRY;
	exec_talk_doom(t, "had a job that was stopped: it ran over its time, or the daemon has none left");
	talk_end(a, kind, n < 0 ? "" : text);
}

void exec_talk_room(struct exec *x)
{
	struct talk *t, *next;

	for (t = TAILQ_FIRST(&x->talks); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		talk_start(t);
		exec_talk_settle(t);
	}
}

void exec_talk_close(struct exec *x)
{
	struct talk *t;

	TAILQ_FOREACH(t, &x->talks, link)
		if (t->program != NULL)
			program_expect_end(t->program);
}

void exec_talk_free(struct exec *x)
{
	while (!TAILQ_EMPTY(&x->talks))
		talk_free(TAILQ_FIRST(&x->talks));
}

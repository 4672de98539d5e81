/*
 * handlers/exec.c: any program as a handler: one kept for all jobs, one a batch, or one a job (see exec.h for the map).
 *
 * Runs in a worker. Owns what lasts as long as the handler: configuration, SIGCHLD, the list of programs. Each program is
 * noted in the worker's slot, so that however this process ends, none of them outlives it: here by the ladder of
 * exec_program.c, else by the master, which kills their groups before the jobs go to anybody else.
 *
 * Effects are a program's own affair: a job that was begun and has no outcome is tried again, under the same idempotency key.
 * A program that cannot be started, or ends again and again before it has given any outcome, shuts the queue's gate.
 */
#include "config.h"

#include "handlers/exec.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "handlers/registry.h"

#define CLOSE_STEP_MS 10
#define CLOSE_NS (9 * NS_PER_S) /* the ladder of exec_program.c and some; what even SIGKILL does not end is waiting for the kernel */
#define ORPHAN_SHARE 32         /* the master is gone: all this within a third of a second */

void exec_end(struct jobq_job *job, enum jobq_outcome_kind kind, const char *why)
{
	struct jobq_outcome o = {.kind = kind, .after_ns = kind == OUTCOME_SNOOZE ? 0 : -1, .error = why, .error_len = strlen(why)};

	jobq_end(job, &o);
}

void exec_gate(struct exec *x, struct jobq_job *job, const char *why)
{
	int64_t now = clock_mono_ns();

	if (now < x->gate_ns)
		return; /* said already: each time that it is said the wait grows */
	x->gate_ns = now + EXEC_GATE_NS;
	jobq_gate(job, EXEC_GATE_NS, why);
}

void exec_unstarted(struct exec *x, struct jobq_job *job, const char *why)
{
	exec_gate(x, job, why);
	jobq_end_error(job, OUTCOME_SNOOZE, EXEC_GATE_NS, "%s", why);
}

static void exec_on_child(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	program_reap(arg);
}

static void exec_free(struct exec *x)
{
	if (x->child != NULL)
		event_free(x->child);
	exec_talk_free(x);
	exec_conf_close(&x->conf);
	free(x);
}

static int exec_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	struct exec *x = xcalloc(1, sizeof *x);

	x->queue = env->queue->name;
	x->base = env->base;
	x->worker = env->worker;
	x->parent = getppid();
	x->most = (size_t)env->queue->k.concurrency;
	TAILQ_INIT(&x->programs);
	TAILQ_INIT(&x->talks);
	if (exec_conf_open(&x->conf, env->queue, err, errlen) != 0) {
		exec_free(x);
		return -1;
	}
	x->child = evsignal_new(x->base, SIGCHLD, exec_on_child, x);
	if (x->child == NULL || event_add(x->child, NULL) != 0)
		mem_exhausted(sizeof *x);
	*state = x;
	return 0;
}

static size_t exec_width(void *state)
{
	const struct exec *x = state;

	return x->conf.mode == CONF_MODE_ONCE ? x->most : SIZE_MAX;
}

static void exec_go(void *state, struct jobq_job *job)
{
	struct exec *x = state;

	if (x->conf.mode == CONF_MODE_ONCE)
		exec_once_go(x, job);
	else
		exec_talk_go(x, job);
}

static void exec_run(void *state, struct jobq_batch *batch)
{
	(void)state;
	for (size_t i = 0; i < batch->count; i++)
		jobq_admit(batch->jobs[i], exec_go);
}

static void exec_filled(void *state, struct jobq_batch *batch)
{
	exec_talk_filled(state, batch);
}

static void exec_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	struct exec *x = state;

	if (x->conf.mode == CONF_MODE_ONCE)
		exec_once_stop(job, why);
	else
		exec_talk_stop(x, job, why);
}

/* The event loop has ended: what has to happen happens here, step by step, and is bounded. */
static void exec_close(void *state)
{
	struct exec *x = state;
	int64_t begun = clock_mono_ns();

	x->closing = true;
	exec_talk_close(x);
	for (program_reap(x); !TAILQ_EMPTY(&x->programs); program_reap(x)) {
		int64_t share = getppid() == x->parent ? 1 : ORPHAN_SHARE;
		if (clock_mono_ns() - begun >= CLOSE_NS / share)
			break;
		program_hurry(x, share);
		if (poll(NULL, 0, CLOSE_STEP_MS) != 0 && errno != EINTR)
			log_error("poll: %s", strerror(errno));
	}
	if (TAILQ_EMPTY(&x->programs))
		exec_free(x);
	else
		log_error("leaving with a program that SIGKILL does not end");
}

const struct jobq_handler handler_exec = {
	.name = "exec", .open = exec_open, .run = exec_run, .stop = exec_stop, .close = exec_close, .width = exec_width,
	.filled = exec_filled,
};

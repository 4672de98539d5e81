/*
 * worker/service.c: what a worker does for its handler: jobq_end, jobq_progress, jobq_gate, jobq_program, ...
 *
 * Runs in a worker, called by handler code on the event loop. jobq_admit is the door itself: admit.c. Nothing here trusts a
 * handler with more than its own jobs: an outcome that does not exist becomes FAIL, a job that ended twice is said so.
 */
#include "config.h"

#include "worker/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/conf.h"
#include "shm/cell.h"
#include "shm/program.h"
#include "worker/admit.h"
#include "worker/drain.h"
#include "worker/link.h"

#define GATE_HERE_NS NS_PER_S /* how long our own gate stands while the dispatcher closes the queue's */

static struct worker *worker_of(const struct job *job)
{
	return job->batch->worker;
}

void service_open(struct worker *w)
{
	char text[SHM_CELL_TEXT];

	(void)text_copy(w->installation, sizeof w->installation, shm_cell_get(&w->global->installation, text));
}

/* A try that only the shutdown cut short burns nothing. */
static void service_forgive(const struct worker *w, const struct job *job, struct jobq_outcome *o)
{
	if (w->hurried && ((job->stopped && o->kind == OUTCOME_RETRY) || o->kind == OUTCOME_SUSPECT)) {
		o->kind = OUTCOME_SNOOZE;
		o->after_ns = 0;
	}
}

void jobq_end(struct jobq_job *pub, const struct jobq_outcome *outcome)
{
	struct job *job = (struct job *)(void *)pub;
	struct worker *w = worker_of(job);
	struct jobq_outcome o = *outcome;

	(void)FAULT(after_effect);
	if (job->state == JOB_ENDED) {
		log_error("the handler ended job %lld twice; the first outcome stands", (long long)pub->id);
		return;
	}
	if (o.kind >= OUTCOME_COUNT) {
		log_error("the handler gave job %lld an outcome that does not exist", (long long)pub->id);
		o.kind = OUTCOME_FAIL;
	}
	if (o.cause >= JOBQ_CAUSES)
		o.cause = JOBQ_CAUSE_NONE;
	if (job->begun_ns == 0 && o.kind != OUTCOME_UNSTARTED && o.kind != OUTCOME_CANCELLED)
		job->begun_ns = clock_mono_ns(); /* refused before its admission, for its payload */
	service_forgive(w, job, &o);
	admit_leave(job, &o);
	if (w->ended++ == 0)
		atomic_store(&w->slot->worked, 1u);
	int64_t most = w->child->queue->k.max_jobs_per_worker;
	if (most > 0 && w->ended >= (uint64_t)most)
		drain_begin(w, DRAIN_RECYCLE);
}

void jobq_end_error(struct jobq_job *job, enum jobq_outcome_kind kind, int64_t after_ns, const char *format, ...)
{
	char text[TEXT_ERROR_MAX + 1];
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	struct jobq_outcome o = {.kind = kind, .after_ns = after_ns, .error = text, .error_len = n < 0 ? 0 : strlen(text)};
	jobq_end(job, &o);
}

void jobq_progress(struct jobq_job *pub, double percent, const char *note)
{
	struct job *job = (struct job *)(void *)pub;

	if (job->state == JOB_BEGUN)
		link_progress(worker_of(job), job, percent, note);
}

void jobq_gate(struct jobq_job *pub, int64_t retry_ns, const char *reason)
{
	struct worker *w = worker_of((struct job *)(void *)pub);
	int64_t now = clock_mono_ns();

	if (now >= w->gate_until_ns)
		log_warn("queue %s: the receiver refuses us: %s; it should be tried again in %.0f s",
			w->child->queue->name, reason, (double)retry_ns / (double)NS_PER_S);
	w->gate_until_ns = now + (retry_ns < GATE_HERE_NS ? retry_ns : GATE_HERE_NS);
	link_gate(w, retry_ns, reason);
}

bool jobq_program(struct worker *w, pid_t leader, bool runs)
{
	if (runs)
		return shm_program_note(w->slot, leader);
	shm_program_forget(w->slot, leader);
	return true;
}

const char *jobq_idempotency_key(const struct jobq_job *pub)
{
	struct worker *w = worker_of((const struct job *)(const void *)pub);

	if (w->installation[0] == '\0')
		service_open(w); /* the dispatcher had not met the database when we started */
	int len = snprintf(w->key, sizeof w->key, "%s-%lld", w->installation, (long long)pub->id);
	if (len > 0 && (size_t)len < sizeof w->key && pub->run != 0) /* a receiver must not take it for what it has got already */
		len = snprintf(w->key + len, sizeof w->key - (size_t)len, "-%lld", (long long)pub->run);
	if (len < 0)
		return "";
	return w->key;
}

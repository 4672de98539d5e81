/*
 * worker/admit.c: the door before a job's effect: jobq_admit of the handler contract.
 *
 * Runs in a worker. Owns the line of jobs that wait to begin and the list of those that have begun. The line is first come,
 * first served: a job that waits for the queue's rate limit holds back those behind it, but one that waits for its tenant's or its tier's
 * lets the others pass. At the door, in this order: cancelled?
 * is the worker draining, the gate closed, the job's deadline over? is there room (outcomes kept, the handler's width)? does
 * the lease reach far enough? is there a token of the rate limit? Only then the begin mark, and the handler's go. The token
 * comes last, because it cannot be given back.
 *
 * Invariant: a job is in the line exactly while WAITING, in `begun` exactly while BEGUN. The pump never nests: a handler that
 * ends or admits jobs inside go only changes lists, so a thousand jobs that end at once need no thousand stack frames.
 */
#include "config.h"

#include "worker/admit.h"

#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "conf/conf.h"
#include "shm/held.h"
#include "shm/limit.h"
#include "worker/batch.h"
#include "worker/begun.h"
#include "worker/outcome.h"
#include "worker/timeout.h"

#define NO_LEASE_NS (50 * NS_PER_MS) /* the dispatcher has no lease yet: look again */
#define ROOM_NS (500 * NS_PER_MS)    /* room is made by events; this is for safety only */
#define LOOK_NS (500 * NS_PER_MS)    /* a limit may be lifted, and nobody says so */

enum verdict { ADMIT_GO, ADMIT_WAIT, ADMIT_PASS, ADMIT_BACK, ADMIT_CANCELLED, ADMIT_LATE };

static void admit_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	admit_pump(arg);
}

int admit_open(struct worker *w)
{
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->begun);
	w->admit = event_new(w->child->base, -1, 0, admit_timer, w);
	return w->admit == NULL ? -1 : 0;
}

void admit_close(struct worker *w)
{
	if (w->admit != NULL)
		event_free(w->admit);
}

void admit_leave(struct job *job, const struct jobq_outcome *o)
{
	struct worker *w = job->batch->worker;
	int64_t now = clock_mono_ns(), begun = job->begun_ns;

	if (job->state == JOB_WAITING) {
		TAILQ_REMOVE(&w->waiting, job, link);
	} else if (job->state == JOB_BEGUN) {
		TAILQ_REMOVE(&w->begun, job, link);
		w->nbegun--;
	}
	if (job->state != JOB_BEGUN)
		batch_job_begun(job);
	job->state = JOB_ENDED;
	outcome_set(w, job->record, o, begun, now);
	batch_job_ended(job, o->kind, now);
}

void admit_end(struct job *job, enum jobq_outcome_kind kind, const char *reason)
{
	struct jobq_outcome o = {.kind = kind, .after_ns = -1, .error = reason, .error_len = reason == NULL ? 0 : strlen(reason)};

	admit_leave(job, &o);
}

static bool admit_late(const struct worker *w, const struct job *job)
{
	return job->pub.deadline_us != 0
		&& clock_real_us() + atomic_load_explicit(&w->global->database_offset_us, memory_order_relaxed) > job->pub.deadline_us;
}

/* With under a third of the lease left nothing new begins: it could not end before others take the job over. */
static enum verdict admit_lease(const struct worker *w, int64_t *wait_ns)
{
	int64_t deadline = atomic_load(&w->global->lease_deadline_boot_ns);

	*wait_ns = NO_LEASE_NS;
	if (deadline == 0)
		return ADMIT_WAIT;
	return deadline - clock_boot_ns() < atomic_load(&w->global->lease_ns) / 3 ? ADMIT_BACK : ADMIT_GO;
}

/* The tokens of all limits of the job, or none: 0, or the ns to wait. */
static int64_t admit_take(struct worker *w, const struct job *job, int64_t now)
{
	struct shm_limit *limits[SHM_LIMITS] = {&w->queue->limit};
	size_t n = 1;

	for (uint32_t i = 0; i < job->nwords; i++)
		limits[n++] = &w->global->words[job->words[i]].limit;
	return shm_limit_take_all(limits, n, job->cost, now);
}

static enum verdict admit_look(struct worker *w, const struct job *job, int64_t now, int64_t *wait_ns)
{
	if (job->cancelled)
		return ADMIT_CANCELLED;
	if (w->drain != DRAIN_NO || now < w->gate_until_ns || atomic_load(&w->queue->gate_state) == SHM_GATE_SHUT)
		return ADMIT_BACK;
	if (admit_late(w, job))
		return ADMIT_LATE;
	*wait_ns = ROOM_NS;
	if (outcome_full(w) || w->nbegun >= batch_in_flight(w, w->width))
		return ADMIT_WAIT;
	enum verdict v = admit_lease(w, wait_ns);
	if (v != ADMIT_GO)
		return v;
	*wait_ns = shm_limit_wait_for(&w->queue->limit, job->cost, now);
	if (*wait_ns > 0)
		return ADMIT_WAIT;
	*wait_ns = admit_take(w, job, now);
	return *wait_ns == 0 ? ADMIT_GO : job->nwords > 0 ? ADMIT_PASS : ADMIT_WAIT;
}

static void admit_begin(struct worker *w, struct job *job, int64_t now)
{
	TAILQ_REMOVE(&w->waiting, job, link);
	TAILQ_INSERT_TAIL(&w->begun, job, link);
	w->nbegun++;
	if ((w->handler->flags & JOBQ_HANDLER_OUTSIDE) && !TAILQ_EMPTY(&w->unsent))
		outcome_flush(w); /* what we die with unsaid may happen twice: let it be no more than what is under way */
	job->state = JOB_BEGUN;
	job->begun_ns = now;
	shm_held_begin(w->slot, job->record->held, now);
	begun_note(w, job);
	timeout_watch(w);
	(void)FAULT(before_effect);
	job->go(w->state, &job->pub);
	batch_job_begun(job); /* it may have ended inside go; its batch is freed at the end of the turn */
}

static void admit_wake(struct worker *w, int64_t wait_ns)
{
	struct timeval tv = clock_timeval((wait_ns < LOOK_NS ? wait_ns : LOOK_NS) + NS_PER_US);

	if (event_add(w->admit, &tv) != 0)
		mem_exhausted(0);
}

/* One of the line is looked at; a verdict of WAIT or PASS leaves it where it is. */
static enum verdict admit_one(struct worker *w, struct job *job, int64_t *wait_ns)
{
	int64_t now = clock_mono_ns();
	enum verdict v = admit_look(w, job, now, wait_ns);

	if (v == ADMIT_GO)
		admit_begin(w, job, now);
	else if (v == ADMIT_BACK)
		admit_end(job, OUTCOME_UNSTARTED, NULL);
	else if (v == ADMIT_CANCELLED)
		admit_end(job, OUTCOME_CANCELLED, NULL);
	else if (v == ADMIT_LATE)
		admit_end(job, OUTCOME_FAIL, "deadline passed");
	return v;
}

/* The line once through, from the head. true: something has changed, and what was passed over may be elsewhere now: again. */
static bool admit_line(struct worker *w)
{
	int64_t wait_ns = 0, least_ns = INT64_MAX;
	struct job *job;

	TAILQ_FOREACH(job, &w->waiting, link) {
		enum verdict v = admit_one(w, job, &wait_ns);
		if (v != ADMIT_WAIT && v != ADMIT_PASS)
			return true;
		least_ns = wait_ns < least_ns ? wait_ns : least_ns;
		if (v == ADMIT_WAIT)
			break;
	}
	if (least_ns != INT64_MAX)
		admit_wake(w, least_ns);
	return false;
}

void admit_pump(struct worker *w)
{
	if (w->pumping)
		return;
	w->pumping = true;
	while (admit_line(w))
		continue;
	w->pumping = false;
}

void admit_give_back(struct worker *w)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&w->waiting)) != NULL)
		admit_end(job, OUTCOME_UNSTARTED, NULL);
}

void admit_cancel(struct job *job)
{
	if (job->state == JOB_OFFERED)
		job->cancelled = true;
	else if (job->state == JOB_QUEUED || job->state == JOB_WAITING)
		admit_end(job, OUTCOME_CANCELLED, NULL);
}

/* What it takes of its limits, in the queue's unit. */
static int64_t admit_cost(const struct worker *w, const struct job *job)
{
	int64_t cost = 1;

	if (w->child->queue->k.rate_unit != CONF_RATE_UNIT_JOBS && w->handler->cost != NULL)
		cost = w->handler->cost(w->state, &job->pub);
	return cost < 1 ? 1 : cost > UINT32_MAX ? UINT32_MAX : cost;
}

void jobq_admit(struct jobq_job *pub, jobq_go *go)
{
	struct job *job = (struct job *)(void *)pub;
	struct worker *w = job->batch->worker;

	if (job->state != JOB_OFFERED) /* a handler that asks twice is not heard twice */
		return;
	job->go = go;
	job->cost = admit_cost(w, job);
	job->state = JOB_WAITING;
	TAILQ_INSERT_TAIL(&w->waiting, job, link);
	admit_pump(w);
}

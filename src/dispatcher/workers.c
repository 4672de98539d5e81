/*
 * dispatcher/workers.c: connections of workers: hello, outcomes, acknowledgements, deaths and timeouts.
 *
 * Runs in the dispatcher. Owns d->workers. A closed socket has been read to its end, so what the worker did not report it will
 * not report: its slot in shared memory tells which of its jobs had begun. The slot's table is cleared here once the master has
 * marked the slot dead; until then the master does not reuse it. Everything a worker sends is checked: a worker that breaks
 * the protocol loses its connection, never the dispatcher.
 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/limit.h"
#include "shm/cell.h"
#include "shm/held.h"
#include "wire/msg.h"

#define TIMEOUT_GRACE_NS (2 * NS_PER_S) /* the worker's own timer comes first */

/* ---- acknowledgements ---- */

void workers_ack(struct dispatcher *d, struct worker *worker, int64_t id, int64_t token)
{
	const struct msg_ref ref = {.id = id, .token = token};
	(void)d;
	if (worker->nacks == 0)
		buf_reset(&worker->acks);
	msg_put_ref(&worker->acks, &ref);
	worker->nacks++;
}

void workers_send_acks(struct dispatcher *d)
{
	struct worker *worker;
	TAILQ_FOREACH(worker, &d->workers, link) {
		if (worker->nacks == 0)
			continue;
		struct buf *body = stream_begin(worker->stream, FRAME_ACK, d->generation);
		msg_put_count(body, worker->nacks);
		buf_add(body, worker->acks.data, worker->acks.len);
		stream_end(worker->stream);
		worker->nacks = 0;
	}
}

void workers_cancel(struct dispatcher *d, struct job *job)
{
	const struct msg_ref ref = {.id = job->id, .token = job->token};
	if (job->cancel_sent || !job->worker)
		return;
	struct buf *body = stream_begin(job->worker->stream, FRAME_CANCEL, d->generation);
	msg_put_count(body, 1);
	msg_put_ref(body, &ref);
	stream_end(job->worker->stream);
	job->cancel_sent = true;
}

/* ---- frames ---- */

static void broken(struct worker *worker, const char *what);

/* The state in which a slot holds a job; HELD_FREE: it does not. */
static uint32_t held_state(const struct shm_slot *slot, const struct job *job)
{
	struct held held;
	for (uint32_t i = 0; slot && i < SHM_HELD; i++)
		if (shm_held_read(slot, i, &held) && held.id == job->id && held.token == job->token)
			return held.state;
	return HELD_FREE;
}

/* Jobs that this slot held before we were here, or before it connected again. What does not stand in its table the worker has
 * never read, or has dropped: it goes to somebody else. */
static void adopt_jobs(struct worker *worker)
{
	struct dispatcher *d = worker->d;
	struct job *job, *next;
	for (job = TAILQ_FIRST(&d->adopted); job; job = next) {
		next = TAILQ_NEXT(job, link);
		if (job->slot != worker->slot || job->slot_generation != worker->slot_generation)
			continue;
		TAILQ_REMOVE(&d->adopted, job, link);
		if (held_state(shm_slot_at(d->child->shm, worker->slot), job) == HELD_FREE) {
			if (job->queue && job->queue->assigned > 0)
				job->queue->assigned--;
			outcome_unstarted(d, job);
			continue;
		}
		TAILQ_INSERT_TAIL(&worker->jobs, job, link);
		job->worker = worker;
		worker->assigned++;
		worker->held++;
	}
}

static void on_hello(struct worker *worker, struct rd *body)
{
	struct msg_hello m;
	struct dispatcher *d = worker->d;
	const struct shm_slot *slot;
	if (worker->queue || !msg_get_hello(body, &m) || m.version != WIRE_VERSION || !(slot = shm_slot_at(d->child->shm, m.slot)) ||
	    atomic_load(&slot->role) != ROLE_WORKER || atomic_load(&slot->generation) != m.slot_generation) {
		broken(worker, "a hello that fits no slot");
		return;
	}
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].index == m.queue && d->queues[i].shm)
			worker->queue = &d->queues[i];
	if (!worker->queue) {
		broken(worker, "a queue that this dispatcher does not know");
		return;
	}
	worker->slot = m.slot;
	worker->slot_generation = m.slot_generation;
	worker->sample_cursor = atomic_load(&slot->sample_head);
	worker->queue->nworkers++;
	adopt_jobs(worker);
	(void)stream_begin(worker->stream, FRAME_WELCOME, d->generation);
	stream_end(worker->stream);
}

static void on_outcomes(struct worker *worker, struct rd *body)
{
	struct dispatcher *d = worker->d;
	int64_t now = clock_mono_ns();
	uint32_t n;
	if (!msg_get_count(body, &n)) {
		broken(worker, "a frame of outcomes without a count");
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct msg_outcome m;
		if (!msg_get_outcome(body, &m)) {
			broken(worker, "an outcome that cannot be read");
			return;
		}
		struct job *job = job_find(d, m.id, m.token);
		if (!job) /* committed before, or no longer ours: either way it may be forgotten */
			workers_ack(d, worker, m.id, m.token);
		else if (job->state == JOB_ASSIGNED && job->worker == worker)
			outcome_of(d, job, &m, now);
	}
}

static void on_begun(struct worker *worker, struct rd *body)
{
	int64_t now = clock_mono_ns();
	uint32_t n;
	struct msg_begun m;
	if (!msg_get_count(body, &n)) {
		broken(worker, "a frame of beginnings without a count");
		return;
	}
	for (uint32_t i = 0; i < n && msg_get_begun(body, &m); i++) {
		struct job *job = job_find(worker->d, m.id, m.token);
		if (job && job->state == JOB_ASSIGNED && job->worker == worker)
			limit_begun(job, m.units, now);
	}
}

static void on_progress(struct worker *worker, struct rd *body)
{
	struct msg_progress m;
	if (!msg_get_progress(body, &m))
		return;
	struct job *job = job_find(worker->d, m.id, m.token);
	if (!job || job->state != JOB_ASSIGNED)
		return;
	free(job->progress_note);
	job->progress_note = m.note.len ? text_clean_dup(m.note.text, m.note.len, 512) : NULL;
	job->progress = (float)m.percent_milli / 1000.0F;
	job->progress_new = true;
}

static void on_gate(struct worker *worker, struct rd *body)
{
	struct msg_gate m;
	char reason[SHM_CELL_TEXT];
	if (!msg_get_gate(body, &m) || !worker->queue->conf)
		return;
	text_clean(reason, sizeof reason, m.reason.text, m.reason.len);
	receiver_gate(worker->queue, m.retry_ns, reason);
}

static void on_frame(void *arg, const struct wire_head *head, struct rd body)
{
	struct worker *worker = arg;
	struct dispatcher *d = worker->d; /* the worker may be gone after its frame */
	if (head->type == FRAME_HELLO) {
		on_hello(worker, &body);
	} else if (!worker->queue) {
		broken(worker, "a frame before hello");
		return;
	} else if (head->type == FRAME_OUTCOMES) {
		on_outcomes(worker, &body);
	} else if (head->type == FRAME_BEGUN) {
		on_begun(worker, &body);
	} else if (head->type == FRAME_PROGRESS) {
		on_progress(worker, &body);
	} else if (head->type == FRAME_GATE) {
		on_gate(worker, &body);
	} else if (head->type == FRAME_DRAIN) {
		worker->draining = true;
	} else {
		broken(worker, "a frame of unknown type");
		return;
	}
	dispatcher_pump(d);
}

/* ---- deaths ---- */

static bool only_job(const struct shm_slot *slot)
{
	unsigned held = 0;
	for (uint32_t i = 0; i < SHM_HELD; i++)
		held += atomic_load(&slot->held[i].state) != HELD_FREE;
	return held <= 1;
}

/* What becomes of one job that a dead worker had not reported. The job is in no list any more. */
static void bury_job(struct dispatcher *d, const struct shm_slot *slot, struct job *job)
{
	bool same = slot && atomic_load(&slot->generation) == job->slot_generation;
	uint32_t state = same ? held_state(slot, job) : HELD_FREE; /* a slot is reused only when its table is empty */
	bool killed = same && atomic_load(&slot->kill_generation) == job->slot_generation;
	if (job->queue)
		counter_add(job->queue, COUNTER_rescued, 1);
	if (state == HELD_BEGUN && job->timed_out)
		outcome_timed_out(d, job);
	else if (state == HELD_BEGUN && !killed)
		outcome_crashed(d, job, job->alone || only_job(slot), atomic_load(&slot->exit_signal) == SIGKILL);
	else if (state == HELD_BEGUN || state == HELD_ENDED)
		outcome_ended_unseen(d, job);
	else
		outcome_unstarted(d, job);
}

static bool slot_died(const struct shm_slot *slot, uint32_t generation)
{
	uint32_t state = slot ? atomic_load(&slot->state) : PROC_FREE;
	return !slot || atomic_load(&slot->generation) != generation || state == PROC_DEAD || state == PROC_FREE || state == PROC_CRASH_LOOP;
}

static bool slot_connected(const struct dispatcher *d, uint32_t index)
{
	const struct worker *worker;
	TAILQ_FOREACH(worker, &d->workers, link)
		if (worker->queue && worker->slot == index)
			return true;
	return false;
}

static void clear_dead_slots(struct dispatcher *d)
{
	for (uint32_t i = 0; i < d->child->shm->nslots; i++) {
		struct shm_slot *slot = shm_slot_at(d->child->shm, i);
		if (atomic_load(&slot->role) == ROLE_WORKER && atomic_load(&slot->state) == PROC_DEAD && !slot_connected(d, i))
			shm_held_clear(slot);
	}
}

/* Jobs of workers that the master has reaped, or whose slot has gone on to another process. */
void workers_bury(struct dispatcher *d)
{
	struct job *job, *next;
	for (job = TAILQ_FIRST(&d->adopted); job; job = next) {
		next = TAILQ_NEXT(job, link);
		const struct shm_slot *slot = shm_slot_at(d->child->shm, job->slot);
		if (!slot_died(slot, job->slot_generation))
			continue;
		job_unassign(d, job);
		bury_job(d, slot, job);
	}
	clear_dead_slots(d);
}

static void forget_worker(struct dispatcher *d, struct worker *worker)
{
	struct job *job;
	TAILQ_FOREACH(job, &d->fates, link) /* nobody is left to be acknowledged to */
		if (job->worker == worker)
			job->worker = NULL;
	TAILQ_FOREACH(job, &d->round.jobs, link)
		if (job->worker == worker)
			job->worker = NULL;
	TAILQ_REMOVE(&d->workers, worker, link);
	if (worker->queue)
		worker->queue->nworkers--;
	stream_free(worker->stream);
	buf_free(&worker->acks);
	free(worker);
}

/* The socket closed and has been read to its end. Its jobs wait among the adopted ones: for the master's word that the
 * process is dead (a moment), or for its next hello. */
static void on_closed(void *arg, const char *why)
{
	struct worker *worker = arg;
	struct dispatcher *d = worker->d;
	struct job *job;
	while ((job = TAILQ_FIRST(&worker->jobs)) != NULL) {
		TAILQ_REMOVE(&worker->jobs, job, link);
		TAILQ_INSERT_TAIL(&d->adopted, job, link);
		job->worker = NULL;
	}
	if (worker->queue)
		log_debug("worker of slot %u closed its connection: %s", worker->slot, why);
	forget_worker(d, worker);
	dispatcher_pump(d);
}

static void broken(struct worker *worker, const char *what)
{
	log_error("a worker's connection is dropped: it sent %s", what);
	on_closed(worker, what);
}

/* ---- timeouts of hung workers ---- */

static void post_kill(struct worker *worker, struct shm_slot *slot, struct job *job, int64_t timeout_ns)
{
	char text[SHM_CELL_TEXT], limit[64];
	units_print_duration(limit, sizeof limit, timeout_ns);
	snprintf(text, sizeof text, "job %lld has run longer than job_timeout (%s) and does not stop", (long long)job->id, limit);
	worker->timed_out = true;
	job->timed_out = true;
	shm_cell_set(&slot->kill_reason, text);
	atomic_store(&slot->kill_generation, worker->slot_generation);
	log_warn("worker of slot %u is to be killed: %s", worker->slot, text);
}

static void watch_timeouts(struct worker *worker, int64_t now_ns)
{
	struct shm_slot *slot = shm_slot_at(worker->d->child->shm, worker->slot);
	if (!worker->queue || !worker->queue->conf || worker->assigned == 0 || worker->timed_out || !slot)
		return;
	int64_t timeout = worker->queue->conf->k.job_timeout;
	struct held held;
	for (uint32_t i = 0; i < SHM_HELD && timeout > 0; i++) {
		if (!shm_held_read(slot, i, &held) || held.state != HELD_BEGUN || held.begun_mono_ns + timeout + TIMEOUT_GRACE_NS > now_ns)
			continue;
		struct job *job = job_find(worker->d, held.id, held.token);
		if (job && job->state == JOB_ASSIGNED) {
			post_kill(worker, slot, job, timeout);
			return;
		}
	}
}

void workers_second(struct dispatcher *d)
{
	struct worker *worker;
	int64_t now_ns = clock_mono_ns();
	TAILQ_FOREACH(worker, &d->workers, link)
		watch_timeouts(worker, now_ns);
	workers_bury(d);
}

/* ---- accepting ---- */

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	static const struct stream_calls calls = {.frame = on_frame, .closed = on_closed};
	struct dispatcher *d = arg;
	(void)what;
	for (;;) {
		int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (peer < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				log_warn("a worker's connection cannot be accepted: %s", strerror(errno));
			return;
		}
		struct worker *worker = xcalloc(1, sizeof *worker);
		worker->d = d;
		TAILQ_INIT(&worker->jobs);
		TAILQ_INSERT_TAIL(&d->workers, worker, link);
		worker->stream = stream_new(d->base, peer, &calls, worker);
	}
}

void workers_accept(struct dispatcher *d)
{
	if (d->listen)
		return;
	d->listen = event_new(d->base, d->child->dispatch_listen, EV_READ | EV_PERSIST, on_accept, d);
	if (!d->listen || event_add(d->listen, NULL) != 0)
		log_error("the dispatcher's socket cannot be watched");
}

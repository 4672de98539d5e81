/*
 * dispatcher/dispatcher.c: the dispatcher process: its start and its loop.
 *
 * Runs in the dispatcher; see dispatcher.h for the map of this folder. Two drivers: the pump, which runs once at the end of each
 * loop turn in which something changed (complete, acknowledge, hand out, claim, in this order: what ends makes room), and the second's
 * timer for everything periodic. SIGTERM and the master's death end it by leave.c, SIGQUIT at once.
 */
#include "config.h"

#include "dispatcher/dispatcher.h"
#include "dispatcher/limit.h"
#include "dispatcher/roster.h"
#include "dispatcher/slices.h"
#include "dispatcher/words.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/exceeded.h"
#include "jobq/exit.h"
#include "shm/cell.h"

#define BURY_NS (10 * NS_PER_MS)
#define LIMITED_NS (50 * NS_PER_MS)
#define LEARN_NS (100 * NS_PER_MS)
#define LEASE_MARGIN 3 /* nothing begins with less than a third of the lease left */

/* ---- what others ask ---- */

int64_t dispatcher_db_now_us(const struct dispatcher *d)
{
	return clock_real_us() + d->db_offset_us;
}

/* splitmix64 (Steele, Lea, Flood 2014), seeded from the kernel: for jitter only */
uint64_t dispatcher_random(struct dispatcher *d)
{
	uint64_t z = d->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

struct queue *dispatcher_queue(struct dispatcher *d, const char *name)
{
	for (size_t i = 0; i < d->nqueues; i++)
		if (strcmp(d->queues[i].name, name) == 0)
			return &d->queues[i];
	return NULL;
}

static bool lease_is_long(const struct dispatcher *d)
{
	int64_t left = atomic_load(&d->global->lease_deadline_boot_ns) - clock_boot_ns();
	return left > d->conf->jobqd.lease / LEASE_MARGIN;
}

bool dispatcher_may_hand_out(const struct dispatcher *d)
{
	return d->phase == PHASE_RUN && !d->leaving && !d->draining && lease_is_long(d) &&
	       (int64_t)d->fates_bytes < d->conf->jobqd.outcome_memory;
}

bool dispatcher_may_claim(const struct dispatcher *d)
{
	return dispatcher_may_hand_out(d) && d->lease_ok && d->scanned && d->pauses_read && d->roster && pg_conn_ready(d->link[DB_CLAIM]);
}

/* ---- when to look again ---- */

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ns until a lane becomes due, or a limited queue may have room again (jobs that begin make it, and nobody says so). */
static int64_t queue_wait(const struct dispatcher *d, struct queue *queue, int64_t wait)
{
	int64_t now_us = dispatcher_db_now_us(d);
	(void)backlog_runnable(&queue->backlog, now_us); /* what is due by now is no longer ahead */
	int64_t due_us = backlog_next_due(&queue->backlog);
	if (due_us - now_us < US_PER_S) /* never far in the past; NEVER minus now cannot overflow */
		wait = sooner(wait, (due_us - now_us) * NS_PER_US);
	if (queue->buffer.entries > 0 && buffer_due_ns(&queue->buffer) != BUFFER_NEVER)
		wait = sooner(wait, buffer_due_ns(&queue->buffer) - clock_mono_ns());
	if (queue->buffer.entries > 0 && queue->slow_until_ns > 0)
		wait = sooner(wait, LIMITED_NS);
	if (queue->pace.in_force_ns > 0 && queue->buffer.entries > 0)
		wait = sooner(wait, LIMITED_NS);
	if (queue->receiver.breaker.state == BREAKER_SHUT)
		wait = sooner(wait, breaker_next_ns(&queue->receiver.breaker) - clock_mono_ns());
	return wait;
}

static void set_timer(struct dispatcher *d, int64_t now)
{
	int64_t wait = sooner(d->next_second_ns - now, d->jobs ? LEARN_NS : NS_PER_S);
	if (!TAILQ_EMPTY(&d->adopted))
		wait = sooner(wait, BURY_NS);
	if (d->phase == PHASE_RUN && d->lease_ok && !d->wake.polling)
		wait = sooner(wait, d->wake.next_poll_ns - now);
	if (complete_when_ns(d) > now) /* not now: something else holds it up, and says when it does no more */
		wait = sooner(wait, complete_when_ns(d) - now);
	for (size_t i = 0; i < d->nqueues; i++)
		wait = queue_wait(d, &d->queues[i], wait);
	if (slices_next_ns(d) != INT64_MAX)
		wait = sooner(wait, slices_next_ns(d) - now);
	struct timeval tv = clock_timeval(wait < NS_PER_MS ? NS_PER_MS : wait);
	if (event_add(d->tick, &tv) != 0)
		log_error("the dispatcher's timer cannot be set");
}

/* ---- the pump ---- */

void dispatcher_leave(struct dispatcher *d, int exit_code)
{
	d->exit_now = true;
	d->exit_code = exit_code;
	event_base_loopbreak(d->base);
}

void dispatcher_pump(struct dispatcher *d)
{
	event_active(d->pump, EV_TIMEOUT, 0);
}

/* Nothing is claimed before the tenants and the pauses are known: they are asked for at once, not when the next second begins. */
static void ask_first(struct dispatcher *d)
{
	if (d->phase != PHASE_RUN || !d->lease_ok)
		return;
	if (!d->roster)
		roster_step(d);
	if (!d->pauses_read && pg_conn_ready(d->link[DB_CLAIM]))
		tick_second(d);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct dispatcher *d = arg;
	(void)fd;
	(void)what;
	if (d->exit_now)
		return;
	if (d->leaving) {
		leave_step(d);
		workers_send_acks(d);
		set_timer(d, clock_mono_ns()); /* what could not be written is tried again */
		return;
	}
	if (d->draining)
		outcome_release_buffered(d, NULL, NULL);
	ask_first(d);
	complete_pump(d);
	limit_queues(d);
	slices_step(d);
	workers_send_acks(d); /* before new batches: a worker must have forgotten a job before it can come again */
	handout_pump(d);
	claim_pump(d);
	wake_step(d);
	set_timer(d, clock_mono_ns());
}

/* ---- the timer ---- */

static void watch_receivers(struct dispatcher *d, void step(struct queue *queue))
{
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].conf && d->queues[i].shm)
			step(&d->queues[i]);
}

static void every_second(struct dispatcher *d, int64_t now)
{
	d->next_second_ns = now + NS_PER_S;
	d->real_minus_mono_us = clock_real_us() - now / NS_PER_US;
	db_second(d);
	if (d->lease_ok && now >= d->lease_next_ns)
		node_renew(d);
	workers_second(d);
	watch_receivers(d, receiver_second);
	counts_publish(d);
	trend_second(d);
	exceeded_second(d);
	counts_second(d);
	tick_second(d);
	sweep_second(d);
	upkeep_second(d);
	wake_second(d);
	limit_second(d);
	if (d->phase == PHASE_RUN && d->lease_ok && now >= d->next_scan_ns)
		lanes_scan(d);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct dispatcher *d = arg;
	int64_t now = clock_mono_ns();
	(void)fd;
	(void)what;
	atomic_store(&d->child->slot->beat_mono_ns, now);
	if (!TAILQ_EMPTY(&d->adopted))
		workers_bury(d);
	watch_receivers(d, receiver_step);
	learn_step(d);
	exceeded_look(d);
	roster_step(d);
	if (now >= d->next_second_ns)
		every_second(d, now);
	lanes_check(d);
	dispatcher_pump(d);
}

/* ---- signals ---- */

static void on_term(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	leave_begin(arg);
}

static void on_quit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	dispatcher_leave(arg, JOBQ_EXIT_OK);
}

static void on_usr1(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (log_reopen() != 0)
		log_warn("the log cannot be opened again");
}

static void on_lifeline(evutil_socket_t fd, short what, void *arg)
{
	struct dispatcher *d = arg;
	(void)fd;
	(void)what;
	log_warn("the master is gone: leaving");
	if (event_del(d->lifeline) != 0)
		log_debug("the lifeline is still watched");
	leave_begin(d);
}

/* ---- start ---- */

static void start_queue(struct dispatcher *d, struct queue *queue, const char *name)
{
	queue->d = d;
	queue->name = name;
	queue->conf = conf_queue_find(d->conf, name);
	queue->index = shm_queue_find(d->child->shm, name);
	queue->shm = shm_queue_at(d->child->shm, queue->index);
	queue->workers = &d->workers;
	backlog_init(&queue->backlog);
	buffer_init(&queue->buffer);
	if (queue->conf)
		learn_start(queue);
	limit_start(queue);
	if (queue->conf && queue->shm) {
		receiver_start(queue);
		pace_start(queue);
	}
}

/* The queues of the configuration, and those that shared memory still has (draining after a reload). */
static void start_queues(struct dispatcher *d)
{
	char name[SHM_CELL_TEXT];
	const struct shm *shm = d->child->shm;
	d->queues = xcalloc(d->conf->nqueues + shm->nqueues, sizeof *d->queues);
	for (size_t i = 0; i < d->conf->nqueues; i++)
		start_queue(d, &d->queues[d->nqueues++], d->conf->queues[i]->name);
	for (uint32_t i = 0; i < shm->nqueues; i++) {
		const struct shm_queue *queue = shm_queue_at(shm, i);
		if (!atomic_load(&queue->used) || conf_queue_find(d->conf, shm_cell_get(&queue->name, name)))
			continue;
		start_queue(d, &d->queues[d->nqueues++], xstrdup(name));
	}
}

static struct event *must_event(struct dispatcher *d, evutil_socket_t fd, short what, event_callback_fn call, bool add)
{
	struct event *event = event_new(d->base, fd, what, call, d);
	if (!event || (add && event_add(event, NULL) != 0)) {
		log_error("an event cannot be made");
		exit(JOBQ_EXIT_INTERNAL);
	}
	return event;
}

static void start_events(struct dispatcher *d)
{
	d->pump = must_event(d, -1, 0, on_pump, false);
	d->tick = must_event(d, -1, EV_TIMEOUT, on_tick, false);
	d->sigterm = must_event(d, SIGTERM, EV_SIGNAL | EV_PERSIST, on_term, true);
	d->sigquit = must_event(d, SIGQUIT, EV_SIGNAL | EV_PERSIST, on_quit, true);
	d->sigusr1 = must_event(d, SIGUSR1, EV_SIGNAL | EV_PERSIST, on_usr1, true);
	d->lifeline = must_event(d, d->child->lifeline, EV_READ | EV_PERSIST, on_lifeline, true);
}

static void start(struct dispatcher *d, struct child *child)
{
	d->child = child;
	d->conf = child->conf;
	d->global = child->shm->global;
	d->base = child->base;
	d->generation = atomic_load(&d->global->dispatcher_generation);
	d->batch_serial = (uint64_t)d->generation << 40;
	TAILQ_INIT(&d->workers);
	TAILQ_INIT(&d->adopted);
	TAILQ_INIT(&d->fates);
	TAILQ_INIT(&d->round.jobs);
	d->wake.poll_from = INT64_MAX;
	d->real_minus_mono_us = clock_real_us() - clock_mono_ns() / NS_PER_US;
	if (getrandom(&d->random, sizeof d->random, 0) != (ssize_t)sizeof d->random)
		d->random = (uint64_t)clock_mono_ns();
	atomic_store(&d->global->lease_deadline_boot_ns, 0);
	words_start(d);
	start_queues(d);
	exceeded_start(d);
	start_events(d);
	control_start(d);
	db_start(d);
}

static void stop(struct dispatcher *d)
{
	db_stop(d);
	exceeded_stop(d);
	for (size_t i = 0; i < d->nqueues; i++) {
		backlog_free(&d->queues[i].backlog);
		buffer_free(&d->queues[i].buffer);
		limit_stop(&d->queues[i]);
	}
	slices_free(d);
	roster_free(d);
	words_free(d);
}

int dispatcher_main(struct child *child)
{
	static struct dispatcher dispatcher; /* one a process */
	struct dispatcher *d = &dispatcher;
	start(d, child);
	atomic_store(&child->slot->state, PROC_READY);
	atomic_store(&child->slot->worked, 1);
	shm_cell_set(&child->slot->doing, "dispatching");
	on_tick(-1, 0, d);
	while (!d->exit_now) {
		rest_take(d);
		if (event_base_loop(d->base, EVLOOP_ONCE) < 0)
			dispatcher_leave(d, JOBQ_EXIT_INTERNAL);
	}
	stop(d);
	return d->exit_code;
}

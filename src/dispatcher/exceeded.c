/*
 * dispatcher/exceeded.c: exceedances of rate limits, counted.
 *
 * Runs in the dispatcher. Owns queue->exceeded. A queue's bucket is looked at a few times a second; when it is full and due jobs wait,
 * that second is charged to the tenants above their fair share (queue/level.h) of what was sent: by what they took in this
 * second and the one before, and what of theirs is held back: queued in a worker, ready in the buffer, due in the backlog. What waits
 * for company, a pause or its own limit does not wait for this token and is not counted here.
 *
 * Costs nothing while nothing waits. A look costs some 100 ns a waiting tenant, and takes at most a hundredth of the time.
 * Fails in no way (memory apart); the backlog's numbers are estimates, and so is `batchSize`.
 */
#include "config.h"

#include "dispatcher/exceeded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "queue/level.h"
#include "shm/limit.h"

#define LOOK_SHARE 100 /* a look takes at most this part of the time */

struct use { /* one tenant of a limited queue */
	int64_t sent, sent_before; /* units, in this second and the one before */
	int64_t begun;             /* during a look: what a worker is about, not yet among the sent */
	int64_t held;              /* during a look: its due jobs that wait for a token */
	uint32_t weight;
	UT_hash_handle hh;
	char tenant[];
};

/* ---- what tenants take ---- */

static struct use *use_of(struct exceeded *x, const char *tenant)
{
	struct use *use;
	HASH_FIND_STR(x->uses, tenant, use);
	if (use)
		return use;
	size_t len = strlen(tenant);
	use = xcalloc(1, sizeof *use + len + 1);
	memcpy(use->tenant, tenant, len + 1);
	use->weight = (uint32_t)SHARE_ONE;
	HASH_ADD_KEYPTR(hh, x->uses, use->tenant, len, use);
	return use;
}

static void use_forget(struct exceeded *x, struct use *use)
{
	HASH_DEL(x->uses, use);
	free(use);
}

static void turn_second(struct exceeded *x, int64_t second)
{
	struct use *use, *next;
	if (second == x->second)
		return;
	HASH_ITER(hh, x->uses, use, next) {
		use->sent_before = second == x->second + 1 ? use->sent : 0;
		use->sent = 0;
		if (use->sent_before == 0)
			use_forget(x, use);
	}
	x->second = second;
}

static bool is_limited(const struct queue *queue)
{
	return queue->conf && queue->shm && atomic_load_explicit(&queue->shm->limit.interval_ns, memory_order_relaxed) > 0;
}

void exceeded_sent(struct queue *queue, const char *tenant, int64_t units, int64_t now_ns)
{
	counter_add(queue, COUNTER_sent, (uint64_t)units);
	if (!queue->exceeded || !is_limited(queue))
		return;
	turn_second(queue->exceeded, now_ns / NS_PER_S);
	use_of(queue->exceeded, tenant)->sent += units;
}

/* ---- what is held back ---- */

/* In the workers: what waits at the door, and what is about to be sent. */
static void look_at_worker(struct queue *queue, const struct worker *worker)
{
	const struct shm_slot *slot = shm_slot_at(queue->d->child->shm, worker->slot);
	for (uint32_t i = 0; slot && i < SHM_HELD && worker->assigned > 0; i++) {
		uint32_t state = atomic_load_explicit(&slot->held[i].state, memory_order_relaxed);
		int64_t id = atomic_load_explicit(&slot->held[i].id, memory_order_relaxed);
		struct job *job = NULL;
		if (state == HELD_FREE)
			continue;
		HASH_FIND(hh, queue->d->jobs, &id, sizeof id, job);
		if (!job || job->state != JOB_ASSIGNED || job->queue != queue)
			continue;
		struct use *use = use_of(queue->exceeded, job->tenant);
		if (state == HELD_QUEUED)
			use->held++;
		else
			use->begun++;
	}
}

static void look_at_buffer(struct queue *queue)
{
	const struct buffer *b = &queue->buffer;
	const struct buffer_tenant *tenant;
	if (b->released == 0)
		return;
	for (tenant = b->tenants; tenant; tenant = tenant->hh.next) {
		size_t ready = b->law.mixed ? tenant->group.count : tenant->group.released;
		if (ready > 0)
			use_of(queue->exceeded, tenant->name)->held += (int64_t)ready;
	}
}

int64_t exceeded_due(const struct queue *queue, const struct lane_tenant *tenant, bool claiming)
{
	int64_t due = 0, now_us = dispatcher_db_now_us(queue->d);
	for (size_t i = 0; i < tenant->nlanes; i++)
		if (tenant->lanes[i]->due_us <= now_us && (claiming || !tenant->lanes[i]->claiming))
			due += tenant->lanes[i]->known; /* 0: a lane that is only thought due */
	return due;
}

static void look_at_backlog(struct queue *queue)
{
	const struct lane_tenant *tenant;
	TAILQ_FOREACH(tenant, &queue->backlog.ring, ring) {
		int64_t due = exceeded_due(queue, tenant, true);
		if (due == 0)
			continue;
		struct use *use = use_of(queue->exceeded, tenant->name);
		use->held += due;
		use->weight = share_clamped(tenant->share).weight;
	}
}

static int64_t look(struct queue *queue)
{
	const struct worker *worker;
	int64_t held = 0;
	TAILQ_FOREACH(worker, queue->workers, link)
		if (worker->queue == queue)
			look_at_worker(queue, worker);
	look_at_buffer(queue);
	look_at_backlog(queue);
	for (const struct use *use = queue->exceeded->uses; use; use = use->hh.next)
		held += use->held;
	return held;
}

/* ---- whom a full bucket is charged to ---- */

static void charge(struct queue *queue)
{
	struct exceeded *x = queue->exceeded;
	size_t n = 0;
	int64_t capacity = 0;
	char message[EXCEEDED_MESSAGE];
	struct level_want *wants = xcalloc(HASH_COUNT(x->uses) + 1, sizeof *wants);
	for (struct use *use = x->uses; use; use = use->hh.next) {
		int64_t took = use->sent + use->sent_before + use->begun;
		capacity += took;
		wants[n++] = (struct level_want){.want = took + use->held, .weight = use->weight, .who = use};
	}
	if (queue->conf->k.rate_limit.count > 0)
		(void)exceeded_message(message, queue->conf->k.rate_limit);
	else /* there is none, but the receiver bears no more */
		(void)exceeded_message_of(message, atomic_load(&queue->shm->limit.interval_ns));
	for (size_t above = level_above(wants, n, capacity); above > 0; above--) {
		const struct use *use = wants[n - above].who;
		exceeded_note(queue, use->tenant, use->held, message);
	}
	free(wants);
}

static void look_done(struct exceeded *x)
{
	struct use *use, *next;
	HASH_ITER(hh, x->uses, use, next) {
		use->held = use->begun = 0;
		if (use->sent + use->sent_before == 0)
			use_forget(x, use);
	}
}

static void look_at_queue(struct queue *queue, int64_t now)
{
	struct exceeded *x = queue->exceeded;
	int64_t second = clock_real_us() / US_PER_S;
	if (second == x->looked_s || now < x->not_before_ns || shm_limit_wait(&queue->shm->limit, now) <= 0)
		return;
	if (queue->paused || receiver_shut(queue)) /* that is what its jobs wait for */
		return;
	turn_second(x, now / NS_PER_S);
	if (look(queue) > 0) {
		charge(queue);
		x->looked_s = second;
	}
	look_done(x);
	x->not_before_ns = now + (clock_mono_ns() - now) * LOOK_SHARE;
}

void exceeded_look(struct dispatcher *d)
{
	if (d->phase != PHASE_RUN || !d->lease_ok)
		return;
	for (size_t i = 0; i < d->nqueues; i++) {
		struct queue *queue = &d->queues[i];
		if (queue->limited && queue->conf)
			exceeded_own_look(queue, clock_mono_ns());
		if (is_limited(queue))
			look_at_queue(queue, clock_mono_ns());
	}
}

/* ---- noting ---- */

char *exceeded_message(char dst[EXCEEDED_MESSAGE], struct rate rate)
{
	static const struct { int64_t ns; const char *name; } periods[] = {
		{NS_PER_S, "second"}, {60 * NS_PER_S, "minute"}, {3600 * NS_PER_S, "hour"}, {86400 * NS_PER_S, "day"}};
	char other[64];
	const char *period = units_print_duration(other, sizeof other, rate.period_ns);
	for (size_t i = 0; i < sizeof periods / sizeof *periods; i++)
		if (periods[i].ns == rate.period_ns)
			period = periods[i].name;
	(void)snprintf(dst, EXCEEDED_MESSAGE, "Rate limit exceeded: %lld per %s", (long long)rate.count, period);
	return dst;
}

char *exceeded_message_of(char dst[EXCEEDED_MESSAGE], int64_t interval_ns)
{
	static const struct { double s; const char *name; } periods[] = {{1, "second"}, {60, "minute"}, {3600, "hour"}, {86400, "day"}};
	double per_s = (double)NS_PER_S / (double)interval_ns;
	size_t i = 0;
	while (i < 3 && per_s * periods[i].s < 0.999)
		i++;
	(void)snprintf(dst, EXCEEDED_MESSAGE, "Rate limit exceeded: %.6g per %s", per_s * periods[i].s, periods[i].name);
	return dst;
}

void exceeded_note(struct queue *queue, const char *tenant, int64_t n, const char *message)
{
	if (queue->exceeded && exceed_note(&queue->exceeded->record, tenant, clock_real_us(), n, message))
		counter_add(queue, COUNTER_rate_exceeded, 1);
}

/* Of one tenant: what is ready here and known to be due. */
static int64_t held_of(struct queue *queue, const char *tenant)
{
	const struct buffer_tenant *buffered;
	const struct lane_tenant *lanes;
	int64_t held = 0;
	HASH_FIND_STR(queue->buffer.tenants, tenant, buffered);
	HASH_FIND_STR(queue->backlog.tenants, tenant, lanes);
	if (buffered)
		held += (int64_t)buffered->group.count;
	if (lanes)
		held += exceeded_due(queue, lanes, true);
	return held;
}

void exceeded_refused(struct queue *queue, const char *tenant, const char *message)
{
	if (!queue->exceeded)
		return;
	exceed_refused(&queue->exceeded->record, tenant, clock_real_us(), held_of(queue, tenant) + 1, message);
	counter_add(queue, COUNTER_rate_exceeded, 1);
}

/* ---- life ---- */

void exceeded_start(struct dispatcher *d)
{
	for (size_t i = 0; i < d->nqueues; i++) {
		d->queues[i].exceeded = xcalloc(1, sizeof *d->queues[i].exceeded);
		exceed_init(&d->queues[i].exceeded->record);
	}
	exceeded_load(d);
}

void exceeded_stop(struct dispatcher *d)
{
	struct use *use, *next;
	if (atomic_load(&d->global->stopping) != 0)
		exceeded_remove(d);
	else
		exceeded_save(d);
	for (size_t i = 0; i < d->nqueues; i++) {
		struct exceeded *x = d->queues[i].exceeded;
		HASH_ITER(hh, x->uses, use, next)
			use_forget(x, use);
		exceed_free(&x->record);
		free(x);
		d->queues[i].exceeded = NULL;
	}
}

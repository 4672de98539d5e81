/*
 * master/seat.c: the seats (dispatcher, worker n of a queue) and the queue entries of shared memory that they belong to.
 *
 * Runs in the master, which alone writes name, handler, used, state, want_workers and generation of a queue entry. A seat
 * exists exactly as long as the configuration wants it; what still runs when its seat goes is told to leave and belongs to
 * nobody. An entry is cleared when it is given to a queue, and free again only when its last worker is gone and the
 * dispatcher that knew it is gone too, so nobody ever writes into another queue's counters.
 */
#include "config.h"

#include "master/seat.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "master/master.h"
#include "shm/cell.h"
#include "shm/seg.h"

#define QUEUES_SPARE 16u /* queues that a reload may add */
#define SLOTS_SPARE 32u  /* processes beyond twice the workers: rolling, and the dead whose jobs are not yet released */
#define SLOTS_ROLLING 8u /* kept out of what a reload may want */

static uint32_t workers_wanted(const struct conf *conf)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < conf->nqueues; i++)
		sum += (uint32_t)conf->queues[i]->k.workers; /* 1..64 each, checked by conf */
	return sum;
}

uint32_t master_seat_queues_needed(const struct conf *conf)
{
	return (uint32_t)conf->nqueues + QUEUES_SPARE;
}

uint32_t master_seat_slots_needed(const struct conf *conf)
{
	return SLOT_WORKERS + 2 * workers_wanted(conf) + SLOTS_SPARE;
}

bool master_seat_fits(const struct master *m, const struct conf *conf, char *err, size_t errlen)
{
	uint32_t entries = 0, want = workers_wanted(conf);

	for (uint32_t i = 0; i < m->shm->nqueues; i++)
		if (m->queues[i].used && conf_queue_find(conf, m->queues[i].name) == NULL)
			entries++; /* one that drains keeps its entry until it is gone */
	if (entries + conf->nqueues > m->shm->nqueues) {
		(void)snprintf(err, errlen, "%zu queues (and %u that drain) do not fit into shared memory, made for %u; restart jobqd",
		               conf->nqueues, entries, m->shm->nqueues);
		return false;
	}
	if (SLOT_WORKERS + want + SLOTS_ROLLING > m->shm->nslots) {
		(void)snprintf(err, errlen, "%u workers do not fit into shared memory, made for %u; restart jobqd", want,
		               m->shm->nslots - SLOT_WORKERS - SLOTS_ROLLING);
		return false;
	}
	return true;
}

static struct seat *seat_add(struct master *m, enum shm_role role, uint32_t queue, uint32_t number, uint32_t generation)
{
	struct seat *seat = xcalloc(1, sizeof *seat);

	seat->role = role;
	seat->queue = queue;
	seat->number = number;
	seat->config_generation = generation;
	seat->grave = SLOT_NONE;
	TAILQ_INSERT_TAIL(&m->seats, seat, link);
	return seat;
}

void master_seat_dispatcher(struct master *m)
{
	m->dispatcher = seat_add(m, ROLE_DISPATCHER, SHM_NO_QUEUE, 0, m->config_generation);
}

void master_seat_orphan(struct master *m, struct proc *proc)
{
	(void)m;
	if (proc == NULL || proc->pid == 0)
		return;
	proc->seat = NULL;
	proc->asked = true;
	(void)kill(proc->pid, SIGTERM); /* gone already: it is reaped soon */
}

static void seat_remove(struct master *m, struct seat *seat)
{
	master_seat_orphan(m, seat->proc);
	master_seat_orphan(m, seat->next);
	TAILQ_REMOVE(&m->seats, seat, link);
	free(seat);
}

static void seats_of_queue(struct master *m, uint32_t index, bool changed)
{
	struct master_queue *q = &m->queues[index];
	struct seat *seat, *after;
	bool there[64] = {false};

	for (seat = TAILQ_FIRST(&m->seats); seat != NULL; seat = after) {
		after = TAILQ_NEXT(seat, link);
		if (seat->queue != index)
			continue;
		if (!q->wanted || seat->number >= q->want) {
			seat_remove(m, seat);
			continue;
		}
		there[seat->number] = true;
		seat->config_generation = q->generation;
		if (changed) { /* new configuration, new luck */
			memset(&seat->backoff, 0, sizeof seat->backoff);
			seat->due_ns = 0;
		}
	}
	for (uint32_t n = 0; q->wanted && n < q->want && n < sizeof there / sizeof there[0]; n++)
		if (!there[n])
			(void)seat_add(m, ROLE_WORKER, index, n, q->generation);
}

static uint32_t queue_index(const struct master *m, const char *name)
{
	for (uint32_t i = 0; i < m->shm->nqueues; i++)
		if (m->queues[i].used && strcmp(m->queues[i].name, name) == 0)
			return i;
	return SHM_NO_QUEUE;
}

/* a cleared entry for a new queue; there is one, master_seat_fits said so */
static uint32_t queue_add(struct master *m, const char *name)
{
	for (uint32_t i = 0; i < m->shm->nqueues; i++) {
		struct shm_queue *entry = shm_queue_at(m->shm, i);

		if (m->queues[i].used)
			continue;
		memset(&m->queues[i], 0, sizeof m->queues[i]);
		m->queues[i].used = true;
		(void)text_copy(m->queues[i].name, sizeof m->queues[i].name, name);
		memset(entry, 0, sizeof *entry); /* nobody else knows of it: used is 0 */
		shm_cell_set(&entry->name, name);
		return i;
	}
	log_error("no entry in shared memory is left for queue %s; restart jobqd", name);
	return SHM_NO_QUEUE;
}

static void queue_sync(struct master *m, const struct conf_queue *conf, bool changed)
{
	uint32_t index = queue_index(m, conf->name);
	bool added = index == SHM_NO_QUEUE;

	if (added && (index = queue_add(m, conf->name)) == SHM_NO_QUEUE)
		return;
	struct master_queue *q = &m->queues[index];
	struct shm_queue *entry = shm_queue_at(m->shm, index);
	added = added || !q->wanted; /* or taken back while it drained */
	if (added || changed)
		q->generation = m->config_generation;
	if (added)
		q->since = m->config_generation;
	q->wanted = true;
	q->want = (uint32_t)conf->k.workers;
	shm_cell_set(&entry->handler, conf->k.handler);
	atomic_store(&entry->want_workers, q->want);
	atomic_store(&entry->generation, q->generation);
	if (added)
		atomic_store(&entry->state, QUEUE_RUNNING);
	atomic_store(&entry->used, 1);
	seats_of_queue(m, index, changed);
}

void master_seat_sync(struct master *m, const bool *changed)
{
	for (uint32_t i = 0; i < m->shm->nqueues; i++) {
		struct master_queue *q = &m->queues[i];

		if (!q->used || !q->wanted || conf_queue_find(m->conf, q->name) != NULL)
			continue;
		log_info("queue %s is no longer configured: its workers finish what they have", q->name);
		q->wanted = false;
		q->since = m->config_generation;
		atomic_store(&shm_queue_at(m->shm, i)->want_workers, 0);
		atomic_store(&shm_queue_at(m->shm, i)->state, QUEUE_DRAINING);
		seats_of_queue(m, i, false);
	}
	for (size_t i = 0; i < m->conf->nqueues; i++)
		queue_sync(m, m->conf->queues[i], changed != NULL && changed[i]);
}

void master_seat_retry_held(struct master *m)
{
	struct seat *seat;

	TAILQ_FOREACH(seat, &m->seats, link)
		if (seat->backoff.hold != MASTER_HOLD_NONE)
			seat->due_ns = 0;
}

/* Does a worker of this entry run, or lie dead with jobs that the dispatcher has not released? */
static bool queue_has_procs(const struct master *m, uint32_t index)
{
	for (uint32_t i = SLOT_WORKERS; i < m->shm->nslots; i++) {
		const struct shm_slot *slot = shm_slot_at(m->shm, i);

		if (atomic_load(&slot->state) != PROC_FREE && atomic_load(&slot->queue) == index)
			return true;
	}
	return false;
}

static uint32_t queue_state(const struct master *m, uint32_t index)
{
	const struct seat *seat;
	bool held = false;

	if (!m->queues[index].wanted)
		return QUEUE_DRAINING;
	TAILQ_FOREACH(seat, &m->seats, link) {
		if (seat->queue != index)
			continue;
		if ((seat->proc != NULL && seat->proc->ready) || seat->backoff.hold == MASTER_HOLD_NONE)
			return QUEUE_RUNNING;
		held = true;
	}
	return held ? QUEUE_CRASH_LOOP : QUEUE_RUNNING;
}

void master_seat_queue_states(struct master *m)
{
	for (uint32_t i = 0; i < m->shm->nqueues; i++) {
		struct master_queue *q = &m->queues[i];
		struct shm_queue *entry = shm_queue_at(m->shm, i);

		if (!q->used)
			continue;
		if (!q->wanted && m->dispatcher_config >= q->since && !queue_has_procs(m, i)) {
			log_info("queue %s has gone", q->name);
			q->used = false;
			atomic_store(&entry->used, 0);
			continue;
		}
		uint32_t state = queue_state(m, i);
		if (atomic_load(&entry->state) != state)
			atomic_store(&entry->state, state);
	}
}

void master_seat_free_all(struct master *m)
{
	struct seat *seat;

	while ((seat = TAILQ_FIRST(&m->seats)) != NULL) {
		TAILQ_REMOVE(&m->seats, seat, link);
		free(seat);
	}
	m->dispatcher = NULL;
}

/*
 * master/roll.c: makes every process run under the configuration that its seat wants.
 *
 * Runs in the master's step. Workers: one seat a queue at a time, the new one ready before the old one is told to drain,
 * so a queue never has fewer ready workers than before. Dispatcher: there is one socket and one generation, so the old one
 * leaves first. Level-triggered: it compares generations, so a reload in the midst of a roll just moves the goal.
 */
#include "config.h"

#include "master/roll.h"

#include <signal.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/seat.h"
#include "master/spawn.h"
#include "shm/seg.h"

#define DISPATCHER_LEAVES_NS (15 * NS_PER_S) /* to flush and release; longer means that it hangs */

static bool outdated(const struct seat *seat, const struct proc *proc)
{
	return proc->config_generation != seat->config_generation;
}

static void roll_dispatcher(struct seat *seat)
{
	struct proc *proc = seat->proc;

	if (proc == NULL || proc->asked || !outdated(seat, proc))
		return;
	log_info("rolling the dispatcher to configuration %u", seat->config_generation);
	proc->asked = true;
	proc->kill_at_ns = clock_mono_ns() + DISPATCHER_LEAVES_NS;
	(void)kill(proc->pid, SIGTERM);
}

/* the replacement is ready: it takes the seat */
static void replace(struct master *m, struct seat *seat)
{
	struct proc *old = seat->proc;

	seat->proc = seat->next;
	seat->next = NULL;
	seat->recycle = false;
	if (old == NULL)
		return; /* it died meanwhile */
	log_info("rolled worker %u of queue %s: pid=%ld takes over from pid=%ld", seat->number, m->queues[seat->queue].name,
	         (long)seat->proc->pid, (long)old->pid);
	master_seat_orphan(m, old);
}

static void roll_worker(struct master *m, struct seat *seat)
{
	if (seat->next != NULL && outdated(seat, seat->next)) { /* reloaded meanwhile */
		master_seat_orphan(m, seat->next);
		seat->next = NULL;
	}
	if (seat->next != NULL && (seat->next->ready || seat->proc == NULL))
		replace(m, seat);
}

/* Is another seat of this queue being rolled? */
static bool busy(const struct master *m, const struct seat *seat)
{
	const struct seat *other;

	TAILQ_FOREACH(other, &m->seats, link)
		if (other != seat && other->queue == seat->queue && other->next != NULL)
			return true;
	return false;
}

static bool wants_roll(const struct seat *seat)
{
	return seat->proc != NULL && seat->next == NULL && (outdated(seat, seat->proc) || seat->recycle);
}

void master_roll(struct master *m)
{
	struct seat *seat;
	int64_t now = clock_mono_ns();

	roll_dispatcher(m->dispatcher);
	TAILQ_FOREACH(seat, &m->seats, link)
		if (seat->role == ROLE_WORKER)
			roll_worker(m, seat);
	TAILQ_FOREACH(seat, &m->seats, link)
		if (seat->role == ROLE_WORKER && wants_roll(seat) && seat->due_ns <= now && !busy(m, seat))
			(void)master_spawn_seat(m, seat, true);
}

bool master_roll_under_way(const struct master *m)
{
	const struct seat *seat;

	TAILQ_FOREACH(seat, &m->seats, link)
		if (seat->next != NULL || wants_roll(seat))
			return true;
	return false;
}

/*
 * dispatcher/leave.c: how the dispatcher goes: asked to (SIGTERM), or because its master is gone.
 *
 * Runs in the dispatcher. Owns d->leaving. Nothing more is claimed, buffered rows are released, outcomes that are known are committed,
 * then the node's row goes, unless workers still hold jobs: then it stays, and the next incarnation adopts them by it. Invariant:
 * a row is released or left in jobq.claims, never both. Bounded by LEAVE_NS, and at once without a lease: whatever was not
 * done by then, the next dispatcher finds (recover.c).
 */
#include "config.h"

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatcher/dispatcher.h"
#include "jobq/exit.h"

#define LEAVE_NS (5 * NS_PER_S)

static void unregistered(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	(void)result; /* else its lease runs out */
	dispatcher_leave(d, JOBQ_EXIT_OK);
}

static bool claims_under_way(const struct dispatcher *d)
{
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].claiming)
			return true;
	return false;
}

void leave_step(struct dispatcher *d)
{
	if (d->phase == PHASE_LEAVE)
		return;
	outcome_release_buffered(d, NULL, NULL);
	for (size_t i = 0; i < d->nqueues; i++)
		receiver_settle(&d->queues[i], true); /* nothing more will tell */
	complete_pump(d);
	if (!d->lease_ok || (complete_idle(d) && !claims_under_way(d) && d->phase == PHASE_RUN)) {
		bool hand_over = d->jobs != NULL; /* jobs in workers: the next incarnation adopts them by our row */
		d->phase = PHASE_LEAVE;
		if (hand_over || !d->lease_ok)
			dispatcher_leave(d, JOBQ_EXIT_OK);
		else
			node_unregister(d, unregistered);
	}
}

static void too_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	log_warn("leaving before everything was released: the next dispatcher finds it");
	dispatcher_leave(arg, JOBQ_EXIT_OK);
}

void leave_begin(struct dispatcher *d)
{
	const struct timeval limit = clock_timeval(LEAVE_NS);
	if (d->leaving)
		return;
	d->leaving = true;
	atomic_store(&d->child->slot->state, PROC_DRAINING);
	if (event_base_once(d->base, -1, EV_TIMEOUT, too_late, d, &limit) != 0 || d->phase < PHASE_RUN)
		dispatcher_leave(d, JOBQ_EXIT_OK);
	dispatcher_pump(d);
}

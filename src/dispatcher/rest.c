/*
 * dispatcher/rest.c: a moment in which the dispatcher leaves its sockets alone, so that one turn serves many outcomes.
 *
 * Runs in the dispatcher, between two turns of its loop. While thousands of jobs end a second, each outcome would wake it, and waking up costs
 * more than the outcome does: what network drivers do with interrupts. It rests only while each worker of a busy queue has jobs for twice
 * that long, so none runs dry, and too shortly for anybody to notice: whatever else comes (a job, a cancel) waits as long at most.
 * Owns nothing. Signals end a rest. Cannot fail.
 */
#include "config.h"

#include <time.h>

#include "base/clock.h"
#include "dispatcher/dispatcher.h"

#define REST_NS (NS_PER_MS / 2)
#define REST_FLOW 2000.0 /* ends a second; with fewer, a rest would save no turn */

/* Jobs for twice the rest, at the pace of its queue's workers. */
static bool has_enough(const struct worker *worker, int64_t now_ns)
{
	const struct queue *queue = worker->queue;
	double each = flow_per_s(&queue->flow, now_ns) / queue->nworkers;
	return worker->assigned > 2 * each * (double)REST_NS / (double)NS_PER_S;
}

static bool all_have_enough(const struct dispatcher *d, int64_t now_ns)
{
	const struct worker *worker;
	TAILQ_FOREACH(worker, &d->workers, link)
		if (worker->queue && worker->queue->assigned > 0 && !has_enough(worker, now_ns))
			return false;
	return true;
}

void rest_take(const struct dispatcher *d)
{
	static const struct timespec moment = {.tv_nsec = REST_NS};
	int64_t now = clock_mono_ns();
	if (d->leaving || d->phase != PHASE_RUN || counts_flow(d, now) < REST_FLOW || !all_have_enough(d, now))
		return;
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL); /* a signal's business begins a turn */
}

/*
 * dispatcher/pace.c: the word of a queue's rate limit in shared memory.
 *
 * Runs in the dispatcher. The only writer of queue->shm->limit (its tat apart, which all workers move). In force is the slowest of
 * three: the configured rate, what the receiver bears (receiver.c), and this node's slice of a limit that several nodes share. What is
 * owed stays the same number of units when the rate changes, and the same rate set again gives no fresh burst: so neither a reload
 * nor a new dispatcher lets more through. Cannot fail.
 */
#include "config.h"

#include "base/clock.h"
#include "dispatcher/dispatcher.h"
#include "queue/gcra.h"
#include "shm/limit.h"

static int64_t slower(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A tenth of a second at least 1, never more than is configured. */
static int64_t burst_of(const struct pace *pace, int64_t interval_ns)
{
	int64_t tenth = NS_PER_S / 10 / interval_ns, burst = tenth < 1 ? 1 : tenth;
	if (pace->interval_ns > 0 && (interval_ns == pace->interval_ns || pace->burst < burst))
		burst = pace->burst;
	return burst < 1 ? 1 : burst;
}

void pace_apply(struct queue *queue)
{
	struct pace *pace = &queue->pace;
	int64_t bears = queue->conf->k.rate_adaptive ? rate_interval_ns(&queue->receiver.rate) : 0;
	int64_t interval = slower(pace->interval_ns, bears), burst, until = 0;
	if (interval > 0)
		burst = gcra_span(burst_of(pace, interval), interval);
	else
		burst = 0;
	if (pace->sliced) {
		until = pace->slice_interval_ns > 0 ? pace->slice_until_ns : 1;
		interval = slower(interval, pace->slice_interval_ns);
		burst = pace->slice_burst_ns < burst || burst == 0 ? pace->slice_burst_ns : burst;
	}
	pace->in_force_ns = interval;
	shm_limit_set_until(&queue->shm->limit, interval, burst, until);
	atomic_store(&queue->shm->effective_interval_ns, interval);
}

void pace_slice(struct queue *queue, int64_t interval_ns, int64_t burst_ns, int64_t until_ns)
{
	struct pace *pace = &queue->pace;
	pace->sliced = true;
	pace->slice_interval_ns = interval_ns;
	pace->slice_burst_ns = burst_ns;
	pace->slice_until_ns = until_ns;
	pace_apply(queue);
}

void pace_whole(struct queue *queue)
{
	if (!queue->pace.sliced)
		return;
	queue->pace.sliced = false;
	pace_apply(queue);
}

void pace_start(struct queue *queue)
{
	const struct conf_queue_keys *k = &queue->conf->k;
	queue->pace = (struct pace){.interval_ns = gcra_interval(k->rate_limit.count, k->rate_limit.period_ns),
		.burst = k->rate_burst > 0 ? k->rate_burst : 1};
	atomic_store(&queue->shm->limit_interval_ns, queue->pace.interval_ns);
	pace_apply(queue);
}

double pace_per_s(const struct queue *queue)
{
	return queue->pace.in_force_ns > 0 ? (double)NS_PER_S / (double)queue->pace.in_force_ns : 0;
}

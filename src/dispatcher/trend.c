/*
 * dispatcher/trend.c: what reports are made of: targets, the buffer's record, active seconds, and a ring of minutes.
 *
 * Runs in the dispatcher, once a second, from memory. Owns those fields of struct shm_queue. They outlive this process: a successor
 * goes on where it stopped, for everything is a sum that only grows. An entry of the ring holds the sums as they stood at the end of a
 * minute, so what happened between two is their difference, whoever was restarted in between.
 */
#include "config.h"

#include "base/clock.h"
#include "dispatcher/dispatcher.h"
#include "shm/metrics.h"
#include "shm/trend.h"

#define MINUTE_NS (60 * NS_PER_S)

static void publish_targets(struct queue *queue)
{
	const struct conf_queue_keys *k = &queue->conf->k;
	atomic_store(&queue->shm->batch_target_ns, k->batch_target);
	atomic_store(&queue->shm->concurrency, (uint32_t)k->concurrency);
	atomic_store(&queue->shm->throughput_target_milli, (uint64_t)(units_per_second(k->throughput_target) * 1000.0 + 0.5));
}

static void note_buffer(struct queue *queue)
{
	unsigned used = buffer_use_percent(&queue->buffer);
	if (used > queue->seen.peak)
		queue->seen.peak = used;
}

static void note_flushes(struct queue *queue)
{
	for (uint32_t i = 0; i < SHM_FLUSHES; i++)
		if (queue->buffer.flushes[i] != queue->seen.flushes[i]) {
			queue->seen.flushes[i] = queue->buffer.flushes[i];
			atomic_store(&queue->shm->flushed_real_us[i], clock_real_us());
		}
}

/* Was it at work, and were there more jobs than it took? Only then does its throughput say what it can do. */
static void note_work(struct queue *queue)
{
	bool waits = queue->counted_pending > 0 || queue->buffer.entries > 0;
	uint64_t completed = atomic_load(&queue->shm->counters[COUNTER_completed]);
	if (waits || queue->in_flight > 0)
		atomic_fetch_add(&queue->shm->active_s, 1);
	if (waits && queue->seen.waited) {
		atomic_fetch_add(&queue->shm->backlog_s, 1);
		atomic_fetch_add(&queue->shm->backlog_jobs, completed - queue->seen.completed);
	}
	queue->seen.waited = waits;
	queue->seen.completed = completed;
}

static void note_minute(struct queue *queue, int64_t now)
{
	if (now - shm_trend_last_ns(queue->shm) < MINUTE_NS)
		return;
	shm_trend_push(queue->shm, now, queue->seen.peak);
	queue->seen.peak = 0;
}

void trend_second(struct dispatcher *d)
{
	int64_t now = clock_mono_ns();
	for (size_t i = 0; i < d->nqueues; i++) {
		struct queue *queue = &d->queues[i];
		if (!queue->conf || !queue->shm)
			continue;
		publish_targets(queue);
		note_buffer(queue);
		note_flushes(queue);
		note_work(queue);
		note_minute(queue, now);
	}
}

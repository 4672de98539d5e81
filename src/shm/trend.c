/*
 * shm/trend.c: the ring of minutes in a queue's part of the segment.
 *
 * The dispatcher writes, everyone else reads. `trend_head` counts all entries ever written; entry i stands at i % SHM_TRENDS. The
 * writer fills the entry at head, then raises head; so a reader, after its copy, looks at head again and believes entry c only
 * while head < c + SHM_TRENDS, as with the ring of samples (ring.c). Entries are sums: what happened in between is a difference.
 *
 * Invariant: what shm_trend_read gives was written by one push, in the order of time. Fails by giving fewer.
 */
#include "config.h"

#include "shm/trend.h"

#define TREND_NONE (INT64_MIN / 2)

_Static_assert((SHM_TRENDS & (SHM_TRENDS - 1u)) == 0, "a power of two");

void shm_trend_now(const struct shm_queue *queue, int64_t now, struct trend *out)
{
	*out = (struct trend){
		.at_mono_ns = now, .completed = atomic_load(&queue->counters[COUNTER_completed]), .errors = atomic_load(&queue->counters[COUNTER_errors]),
		.sent = atomic_load(&queue->counters[COUNTER_sent]), .exceeded = atomic_load(&queue->counters[COUNTER_rate_exceeded]),
		.batches = atomic_load(&queue->batch_us.count), .busy_us = atomic_load(&queue->batch_us.sum_us),
		.active_s = atomic_load(&queue->active_s), .backlog_s = atomic_load(&queue->backlog_s),
		.backlog_jobs = atomic_load(&queue->backlog_jobs), .pending = atomic_load(&queue->pending)};
}

void shm_trend_push(struct shm_queue *queue, int64_t now, uint32_t buffer_peak)
{
	uint64_t head = atomic_load_explicit(&queue->trend_head, memory_order_relaxed);
	struct shm_trend *entry = &queue->trend[head % SHM_TRENDS];
	struct trend t;

	shm_trend_now(queue, now, &t);
	atomic_thread_fence(memory_order_release); /* head stands before the first word below changes */
	atomic_store_explicit(&entry->at_mono_ns, t.at_mono_ns, memory_order_relaxed);
	atomic_store_explicit(&entry->completed, t.completed, memory_order_relaxed);
	atomic_store_explicit(&entry->errors, t.errors, memory_order_relaxed);
	atomic_store_explicit(&entry->sent, t.sent, memory_order_relaxed);
	atomic_store_explicit(&entry->exceeded, t.exceeded, memory_order_relaxed);
	atomic_store_explicit(&entry->batches, t.batches, memory_order_relaxed);
	atomic_store_explicit(&entry->busy_us, t.busy_us, memory_order_relaxed);
	atomic_store_explicit(&entry->active_s, t.active_s, memory_order_relaxed);
	atomic_store_explicit(&entry->backlog_s, t.backlog_s, memory_order_relaxed);
	atomic_store_explicit(&entry->backlog_jobs, t.backlog_jobs, memory_order_relaxed);
	atomic_store_explicit(&entry->pending, t.pending, memory_order_relaxed);
	atomic_store_explicit(&entry->buffer_peak, buffer_peak, memory_order_relaxed);
	atomic_store_explicit(&queue->trend_head, head + 1, memory_order_release);
}

int64_t shm_trend_last_ns(const struct shm_queue *queue)
{
	uint64_t head = atomic_load(&queue->trend_head);

	return head == 0 ? TREND_NONE : atomic_load(&queue->trend[(head - 1) % SHM_TRENDS].at_mono_ns);
}

static void trend_copy(const struct shm_trend *entry, struct trend *out)
{
	out->at_mono_ns = atomic_load_explicit(&entry->at_mono_ns, memory_order_relaxed);
	out->completed = atomic_load_explicit(&entry->completed, memory_order_relaxed);
	out->errors = atomic_load_explicit(&entry->errors, memory_order_relaxed);
	out->sent = atomic_load_explicit(&entry->sent, memory_order_relaxed);
	out->exceeded = atomic_load_explicit(&entry->exceeded, memory_order_relaxed);
	out->batches = atomic_load_explicit(&entry->batches, memory_order_relaxed);
	out->busy_us = atomic_load_explicit(&entry->busy_us, memory_order_relaxed);
	out->active_s = atomic_load_explicit(&entry->active_s, memory_order_relaxed);
	out->backlog_s = atomic_load_explicit(&entry->backlog_s, memory_order_relaxed);
	out->backlog_jobs = atomic_load_explicit(&entry->backlog_jobs, memory_order_relaxed);
	out->pending = atomic_load_explicit(&entry->pending, memory_order_relaxed);
	out->buffer_peak = atomic_load_explicit(&entry->buffer_peak, memory_order_relaxed);
}

size_t shm_trend_read(const struct shm_queue *queue, struct trend *out, size_t max)
{
	uint64_t head = atomic_load_explicit(&queue->trend_head, memory_order_acquire);
	uint64_t from = head > SHM_TRENDS - 1 ? head - (SHM_TRENDS - 1) : 0; /* the one before may be under the pen */
	size_t n = 0;

	if (head - from > max)
		from = head - max;
	for (uint64_t i = from; i < head; i++) {
		trend_copy(&queue->trend[i % SHM_TRENDS], &out[n]);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&queue->trend_head, memory_order_relaxed) - i < SHM_TRENDS)
			n++;
	}
	return n;
}

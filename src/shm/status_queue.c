/*
 * shm/status_queue.c: the `queues` of the status document.
 *
 * Runs in the master, and in jobqctl on a read-only mapping. Reads only; takes every number once, so that what is derived
 * from it (a utilization, an age) agrees with it. Sorted worst first: held by a crash loop, stopped by a closed gate or a
 * pause, then by the age of the oldest due job, then by name.
 *
 * Fails only for want of memory: NULL, which the caller's json_pack passes on.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "shm/cell.h"
#include "shm/hist.h"
#include "shm/status_part.h"

#define BUFFER_HEALTHY 0.95 /* above it the buffer flushes in an emergency */

struct place { /* where a queue goes in the list */
	uint32_t index;
	int rank; /* 0 is worst */
	double oldest_s;
	char name[SHM_CELL_TEXT];
};

static double queue_quantile_ms(const struct shm_hist *hist, double q)
{
	return (double)shm_hist_quantile(hist, q) / 1000.0;
}

/* jobs/s of an interval in whole ns, in seven digits: 1 / 333333334 ns was 3/s. null = no limit */
json_t *shm_status_rate(int64_t interval_ns)
{
	char digits[32];

	if (interval_ns <= 0)
		return json_null();
	(void)snprintf(digits, sizeof digits, "%.7g", (double)NS_PER_S / (double)interval_ns);
	return json_real(strtod(digits, NULL));
}

static json_t *queue_rates(const struct shm_queue *queue)
{
	int64_t limit = atomic_load(&queue->limit_interval_ns), effective = atomic_load(&queue->effective_interval_ns);

	return json_pack("{s:o,s:o,s:o}", "limit_per_s", shm_status_rate(limit), "effective_per_s",
		shm_status_rate(effective > 0 ? effective : limit), "exceeded", shm_status_count(&queue->counters[COUNTER_rate_exceeded]));
}

static json_t *queue_batch(const struct shm_queue *queue)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f}",
		"size", (json_int_t)atomic_load(&queue->batch_size), "min", (json_int_t)atomic_load(&queue->batch_min),
		"max", (json_int_t)atomic_load(&queue->batch_max), "last", (json_int_t)atomic_load(&queue->batch_last),
		"avg_ms", shm_hist_mean(&queue->batch_us) / 1000.0, "p50_ms", queue_quantile_ms(&queue->batch_us, 0.5),
		"p95_ms", queue_quantile_ms(&queue->batch_us, 0.95), "p99_ms", queue_quantile_ms(&queue->batch_us, 0.99));
}

static json_t *queue_buffer(const struct shm_queue *queue)
{
	uint64_t entries = atomic_load(&queue->buffer_entries), max = atomic_load(&queue->buffer_max);
	double used = max > 0 ? (double)entries / (double)max : 0.0;

	return json_pack("{s:I,s:I,s:o,s:f,s:b}", "entries", (json_int_t)entries, "max", (json_int_t)max,
		"bytes", shm_status_count(&queue->buffer_bytes), "utilization", used, "healthy", used <= BUFFER_HEALTHY ? 1 : 0);
}

static json_t *queue_pause(const struct shm_queue *queue)
{
	bool whole = atomic_load(&queue->paused) != 0;

	if (!whole && atomic_load(&queue->paused_tenants) == 0)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "tenant", whole ? json_null() : shm_status_name(&queue->pause_tenant), "by", shm_status_text(&queue->pause_by), "reason", shm_status_text(&queue->pause_reason),
		"since", shm_status_time(atomic_load(&queue->pause_since_real_us)), "until", shm_status_time(atomic_load(&queue->pause_until_real_us)));
}

static json_t *queue_gate(const struct shm_queue *queue, const struct shm_status_now *now)
{
	uint32_t gate = atomic_load(&queue->gate_state);
	if (gate == 0)
		return json_null();
	int64_t until = atomic_load(&queue->gate_until_mono_ns);
	return json_pack("{s:o,s:f,s:b}", "reason", shm_status_text(&queue->gate_reason), "retry_in_s",
		until > now->mono_ns ? (double)(until - now->mono_ns) / (double)NS_PER_S : 0.0, "probing", gate == SHM_GATE_PROBE);
}

static json_t *queue_counters(const struct shm_queue *queue)
{
	json_t *all = json_object();

	for (uint32_t i = 0; i < COUNTER_COUNT; i++)
		if (json_object_set_new(all, shm_counter_name(i), shm_status_count(&queue->counters[i])) != 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

json_t *shm_status_workers(const struct shm *shm, uint32_t index)
{
	json_int_t ready = 0;

	for (uint32_t i = 0; i < shm->nslots; i++) {
		const struct shm_slot *slot = shm_slot_at(shm, i);
		if (atomic_load(&slot->role) == ROLE_WORKER && atomic_load(&slot->queue) == index && atomic_load(&slot->state) == PROC_READY)
			ready++;
	}
	return json_pack("{s:I,s:I}", "want", (json_int_t)atomic_load(&shm_queue_at(shm, index)->want_workers), "ready", ready);
}

static uint32_t queue_state(const struct shm_queue *queue)
{
	return atomic_load(&queue->paused) != 0 ? QUEUE_PAUSED : atomic_load(&queue->state);
}

static json_t *queue_json(const struct shm *shm, const struct place *place, const struct shm_status_now *now)
{
	const struct shm_queue *queue = shm_queue_at(shm, place->index);
	const shm_u64 *counters = queue->counters;

	return json_pack("{s:o,s:o,s:s,s:o, s:o,s:o,s:o,s:o,s:f, s:o,s:o,s:o,s:o, s:f,s:o,s:o,s:{s:f,s:f,s:f}, s:o,s:o,s:o,s:o,s:o}",
		"name", shm_status_name(&queue->name), "handler", shm_status_name(&queue->handler),
		"state", shm_queue_state_name(queue_state(queue)), "workers", shm_status_workers(shm, place->index),
		"pending", shm_status_count(&queue->pending), "scheduled", shm_status_count(&queue->scheduled),
		"in_flight", shm_status_count(&queue->in_flight), "held", shm_status_count(&queue->held), "oldest_pending_s", place->oldest_s,
		"completed", shm_status_count(&counters[COUNTER_completed]), "failed", shm_status_count(&counters[COUNTER_failed]),
		"retried", shm_status_count(&counters[COUNTER_retried]), "rescued", shm_status_count(&counters[COUNTER_rescued]),
		"throughput_per_s", (double)atomic_load(&queue->throughput_milli) / 1000.0,
		"batch", queue_batch(queue), "buffer", queue_buffer(queue), "pickup_ms",
		"p50", queue_quantile_ms(&queue->pickup_us, 0.5), "p95", queue_quantile_ms(&queue->pickup_us, 0.95),
		"p99", queue_quantile_ms(&queue->pickup_us, 0.99),
		"rate", queue_rates(queue), "pause", queue_pause(queue), "gate", queue_gate(queue, now),
		"last_error", shm_status_text(&queue->last_error), "counters", queue_counters(queue));
}

static void queue_place(const struct shm *shm, uint32_t index, const struct shm_status_now *now, struct place *place)
{
	const struct shm_queue *queue = shm_queue_at(shm, index);

	place->index = index;
	place->oldest_s = shm_status_age_s(now->real_us, atomic_load(&queue->oldest_pending_real_us), US_PER_S);
	place->rank = atomic_load(&queue->state) == QUEUE_CRASH_LOOP ? 0
		: atomic_load(&queue->gate_state) != 0 ? 1 : atomic_load(&queue->paused) != 0 ? 2 : 3;
	(void)shm_cell_get(&queue->name, place->name);
}

static int queue_compare(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->oldest_s < b->oldest_s || a->oldest_s > b->oldest_s)
		return a->oldest_s > b->oldest_s ? -1 : 1;
	return strcmp(a->name, b->name);
}

json_t *shm_status_queues(const struct shm *shm, const struct shm_status_now *now)
{
	struct place *places = xcalloc(shm->nqueues > 0 ? shm->nqueues : 1, sizeof *places);
	json_t *list = json_array();
	size_t n = 0;

	for (uint32_t i = 0; i < shm->nqueues; i++)
		if (atomic_load(&shm_queue_at(shm, i)->used) != 0)
			queue_place(shm, i, now, &places[n++]);
	qsort(places, n, sizeof *places, queue_compare);
	for (size_t i = 0; i < n && list != NULL; i++)
		if (json_array_append_new(list, queue_json(shm, &places[i], now)) != 0) {
			json_decref(list);
			list = NULL;
		}
	free(places);
	return list;
}

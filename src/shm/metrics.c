/*
 * shm/metrics.c: the metrics document.
 *
 * Runs in the dispatcher, and in jobqctl on a read-only mapping. Reads only, but for the reset, which the dispatcher does: it
 * copies what stands in the counters into `base`, field by field; a reader in the midst of that sees some counts from before.
 *
 * A job counts once for each try that had an outcome: `success` those completed, `errors` the others (to be retried, whoever is to
 * blame; failed, uncertain), `jobs` their sum. Refusals (429) are no tries: they are in rateExceededCount. Fails only for want of memory: NULL.
 */
#include "config.h"

#include "shm/metrics.h"

#include "base/clock.h"
#include "shm/cell.h"
#include "shm/status_part.h"

#define FLUSH_X(name, help) #name,
static const char *const flush_names[] = {
#include "tbl/flushes.def"
};
#undef FLUSH_X

double shm_metrics_round(double value)
{
	return value > 0 && value < 1e12 ? (double)(int64_t)(value * 1000.0 + 0.5) / 1000.0 : value;
}

/* never negative: a reader may come between the copies of a reset */
static json_int_t since(uint64_t now, uint64_t base)
{
	return now > base ? (json_int_t)(now - base) : 0;
}

static json_int_t counted(const struct shm_queue *queue, enum shm_counter counter)
{
	return since(atomic_load(&queue->counters[counter]), atomic_load(&queue->base.counters[counter]));
}

static double average_ms(const struct shm_queue *queue)
{
	json_int_t n = since(atomic_load(&queue->batch_us.count), atomic_load(&queue->base.batch_count));
	json_int_t us = since(atomic_load(&queue->batch_us.sum_us), atomic_load(&queue->base.batch_us));

	return n > 0 ? shm_metrics_round((double)us / (double)n / 1000.0) : 0.0;
}

static json_t *flushes_json(const struct shm_queue *queue)
{
	json_t *all = json_object();

	for (uint32_t i = 0; i < SHM_FLUSHES; i++)
		if (json_object_set_new(all, flush_names[i],
				json_integer(since(atomic_load(&queue->flushes[i]), atomic_load(&queue->base.flushes[i])))) != 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

static json_t *queue_json(const struct shm_queue *queue)
{
	uint64_t entries = atomic_load(&queue->buffer_entries), max = atomic_load(&queue->buffer_max);
	json_int_t success = counted(queue, COUNTER_completed);
	json_int_t errors = counted(queue, COUNTER_errors);

	return json_pack("{s:I,s:I,s:I,s:I,s:f,s:f,s:I, s:{s:I,s:I,s:I}, s:{s:I,s:I,s:f,s:o}}",
		"batches", counted(queue, COUNTER_batches), "jobs", success + errors, "success", success, "errors", errors,
		"avgProcessingTime", average_ms(queue), "throughput", shm_metrics_round((double)atomic_load(&queue->minute_milli) / 1000.0),
		"rateExceededCount", counted(queue, COUNTER_rate_exceeded),
		"batch", "size", (json_int_t)atomic_load(&queue->batch_size), "min", (json_int_t)atomic_load(&queue->batch_min),
		"max", (json_int_t)atomic_load(&queue->batch_max),
		"buffer", "entries", (json_int_t)entries, "max", (json_int_t)max,
		"utilization", max > 0 ? shm_metrics_round((double)entries / (double)max) : 0.0, "flushes", flushes_json(queue));
}

/* since when all queues count: a reset of some moves nothing */
static int64_t counted_since(const struct shm *shm)
{
	int64_t start = atomic_load(&shm->global->start_real_us), oldest = INT64_MAX;

	for (uint32_t i = 0; i < shm->nqueues; i++) {
		const struct shm_queue *queue = shm_queue_at(shm, i);
		int64_t from = atomic_load(&queue->base.since_real_us);
		if (atomic_load(&queue->used) != 0 && (from != 0 ? from : start) < oldest)
			oldest = from != 0 ? from : start;
	}
	return oldest != INT64_MAX ? oldest : start;
}

/* The document's own keys come last: a queue that bears the name of one is not shown, which is better than a lie. */
json_t *shm_metrics_json(const struct shm *shm, json_t *workspaces)
{
	json_t *doc = json_object();
	char name[SHM_CELL_TEXT];
	int bad = 0;

	for (uint32_t i = 0; i < shm->nqueues; i++) {
		const struct shm_queue *queue = shm_queue_at(shm, i);
		if (atomic_load(&queue->used) != 0)
			bad |= json_object_set_new(doc, shm_cell_get(&queue->name, name), queue_json(queue));
	}
	bad |= json_object_set_new(doc, "workspaceRateLimits", workspaces != NULL ? workspaces : json_null());
	bad |= json_object_set_new(doc, "since", shm_status_time(counted_since(shm)));
	bad |= json_object_set_new(doc, "timestamp", shm_status_time(clock_real_us()));
	if (bad == 0)
		return doc;
	json_decref(doc);
	return NULL;
}

void shm_metrics_reset(struct shm_queue *queue, int64_t now_real_us)
{
	struct shm_base *base = &queue->base;

	for (uint32_t i = 0; i < COUNTER_COUNT; i++)
		atomic_store(&base->counters[i], atomic_load(&queue->counters[i]));
	for (uint32_t i = 0; i < SHM_FLUSHES; i++)
		atomic_store(&base->flushes[i], atomic_load(&queue->flushes[i]));
	atomic_store(&base->batch_count, atomic_load(&queue->batch_us.count));
	atomic_store(&base->batch_us, atomic_load(&queue->batch_us.sum_us));
	atomic_store(&base->since_real_us, now_real_us);
}

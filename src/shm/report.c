/*
 * shm/report.c: the report document, queue by queue.
 *
 * Runs in the master, and in jobqctl on a read-only mapping. Reads only. What is measured is measured over the ring of minutes, so over
 * the last hour or since the start (`span_s`). The throughput is held against its target only for the seconds in which jobs waited:
 * a queue without a backlog has done all there was. What cannot be said yet is null. Fails only for want of memory: NULL.
 */
#include "config.h"

#include "shm/report.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "shm/cell.h"
#include "shm/hist.h"
#include "shm/metrics.h"
#include "shm/report_part.h"
#include "shm/status_part.h"

#define BATCH_SLACK 1.1   /* the tuner steers to within a few percent of the target */
#define BOUND 0.9         /* used that much, it is what holds the queue */
#define HEALTHY_FROM 0.75 /* of the buffer */
#define HEALTHY_TO 0.95

#define FLUSH_X(name, help) #name,
static const char *const flush_names[] = {
#include "tbl/flushes.def"
};
#undef FLUSH_X

struct page { /* one queue, looked at once */
	const struct shm *shm;
	const struct shm_queue *queue;
	uint32_t index;
	struct report_minutes m;
	struct report_span span; /* all of it */
	double busy;
	double limit, effective; /* units a second; 0 = none */
	double peak;             /* of the buffer, 0..1 */
};

static json_t *real_or_null(bool known, double value)
{
	return known ? json_real(shm_metrics_round(value)) : json_null();
}

static json_t *bool_or_null(bool known, bool value)
{
	return known ? json_boolean(value) : json_null();
}

static double per_second(int64_t interval_ns)
{
	return interval_ns > 0 ? (double)NS_PER_S / (double)interval_ns : 0.0;
}

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0.0;
}

/* ---- targets ---- */

static json_t *targets_json(const struct page *p)
{
	const struct shm_queue *q = p->queue;
	double target_ms = (double)atomic_load(&q->batch_target_ns) / 1e6, target = (double)atomic_load(&q->throughput_target_milli) / 1000.0;
	double batch_ms = ratio(p->span.busy_s * 1000.0, p->span.batches), under = ratio(p->span.backlog_jobs, p->span.backlog_s);
	bool batches = p->span.batches > 0, backlog = p->span.backlog_s >= 1;

	return json_pack("{s:{s:o,s:o,s:o,s:o},s:{s:o,s:f,s:o,s:o}}",
		"batch_ms", "target", real_or_null(target_ms > 0, target_ms), "measured", real_or_null(batches, batch_ms),
		"p95", real_or_null(batches, (double)shm_hist_quantile(&q->batch_us, 0.95) / 1000.0),
		"met", bool_or_null(batches && target_ms > 0, batch_ms <= target_ms * BATCH_SLACK),
		"throughput_per_s", "target", real_or_null(target > 0, target), "measured", shm_metrics_round(ratio(p->span.jobs, p->span.s)),
		"under_backlog", real_or_null(backlog, under), "met", bool_or_null(backlog && target > 0, under >= target));
}

/* ---- use ---- */

static json_t *limit_json(const struct page *p)
{
	double sent = ratio(p->span.sent, p->span.s);

	return json_pack("{s:o,s:o,s:f,s:o,s:I}", "limit_per_s", real_or_null(p->limit > 0, p->limit),
		"effective_per_s", real_or_null(p->effective > 0, p->effective), "used_per_s", shm_metrics_round(sent),
		"used", real_or_null(p->limit > 0, ratio(sent, p->limit)), "exceeded", (json_int_t)p->span.exceeded);
}

static json_t *workers_json(const struct page *p)
{
	json_t *workers = shm_status_workers(p->shm, p->index);

	if (workers != NULL && json_object_set_new(workers, "busy", json_real(shm_metrics_round(p->busy))) != 0) {
		json_decref(workers);
		return NULL;
	}
	return workers;
}

/* What the queue could do: its workers as quick as they are, all the time, or as much as the limit lets pass. */
static json_t *capacity_json(const struct page *p)
{
	double rate = ratio(p->span.tries, p->span.s), workers = ratio(rate, p->busy), sent = ratio(p->span.sent, p->span.s);
	double units = p->span.tries > 0 && p->span.sent > p->span.tries ? p->span.sent / p->span.tries : 1.0; /* that a job takes */
	double limit = p->effective / units;
	bool known = p->busy > 0 && rate > 0, limited = p->effective > 0 && (!known || limit < workers);
	double least = limited ? limit : workers;
	const char *bound = p->effective > 0 && sent >= BOUND * p->effective ? "limit" : p->busy >= BOUND ? "workers" : NULL;

	return json_pack("{s:o,s:o,s:s?}", "jobs_per_s", real_or_null(known || limited, least), "used", real_or_null(known || limited, ratio(rate, least)),
		"bound_by", bound);
}

/* ---- buffer ---- */

static json_t *flushes_json(const struct shm_queue *queue)
{
	json_t *all = json_object();
	int bad = 0;

	for (uint32_t i = 0; i < SHM_FLUSHES; i++)
		bad |= json_object_set_new(all, flush_names[i], json_pack("{s:o,s:o}", "count", shm_status_count(&queue->flushes[i]),
			"last", shm_status_time(atomic_load(&queue->flushed_real_us[i]))));
	if (bad == 0)
		return all;
	json_decref(all);
	return NULL;
}

static const char *buffer_state(double peak)
{
	return peak > HEALTHY_TO ? "full" : peak >= HEALTHY_FROM ? "healthy" : "room";
}

static json_t *buffer_json(const struct page *p)
{
	const struct shm_queue *q = p->queue;
	double added = (double)atomic_load(&q->buffer_added), overflows = (double)atomic_load(&q->buffer_overflows);
	double entries = (double)atomic_load(&q->buffer_entries), max = (double)atomic_load(&q->buffer_max);
	double timed = (double)atomic_load(&q->buffer_add_timed);

	return json_pack("{s:I,s:I,s:f,s:f,s:s,s:I,s:I,s:o,s:o,s:o}", "entries", (json_int_t)entries, "max", (json_int_t)max,
		"utilization", shm_metrics_round(ratio(entries, max)), "peak", shm_metrics_round(p->peak), "state", buffer_state(p->peak),
		"added", (json_int_t)added, "overflows", (json_int_t)overflows, "efficiency", real_or_null(added > 0, 1.0 - ratio(overflows, added)),
		"queueing_us", real_or_null(timed > 0, ratio((double)atomic_load(&q->buffer_add_ns), timed) / 1000.0), "flushes", flushes_json(q));
}

/* ---- a queue ---- */

static void page_minutes(struct page *p)
{
	int64_t now = clock_mono_ns();

	p->m.n = shm_trend_read(p->queue, p->m.t, SHM_TRENDS);
	p->m.real_minus_mono_us = clock_real_us() - now / NS_PER_US;
	p->m.worker_slots = (double)atomic_load(&p->queue->want_workers) * (double)atomic_load(&p->queue->concurrency);
	shm_trend_now(p->queue, now, &p->m.t[p->m.n++]);
	p->span = report_span(&p->m.t[0], &p->m.t[p->m.n - 1]);
	p->busy = report_busy(&p->span, p->m.worker_slots);
	p->peak = ratio((double)atomic_load(&p->queue->buffer_entries), (double)atomic_load(&p->queue->buffer_max));
	for (size_t i = 0; i < p->m.n; i++)
		if ((double)p->m.t[i].buffer_peak / 100.0 > p->peak)
			p->peak = (double)p->m.t[i].buffer_peak / 100.0;
}

static json_t *page_json(const struct page *p)
{
	const struct shm_queue *q = p->queue;
	uint32_t state = atomic_load(&q->paused) != 0 ? QUEUE_PAUSED : atomic_load(&q->state);

	return json_pack("{s:s,s:f,s:I,s:I,s:I,s:o, s:o,s:o,s:o,s:{s:f},s:o,s:o, s:{s:I,s:I,s:I},s:o,s:o,s:o}",
		"state", shm_queue_state_name(state), "span_s", shm_metrics_round(p->span.s), "jobs", (json_int_t)p->span.tries,
		"errors", (json_int_t)p->span.errors, "batches", (json_int_t)p->span.batches, "targets", targets_json(p),
		"limit", limit_json(p), "workers", workers_json(p), "capacity", capacity_json(p),
		"time", "active", shm_metrics_round(ratio(p->span.active_s, p->span.s)), "pending", shm_status_count(&q->pending), "buffer", buffer_json(p),
		"batch", "size", (json_int_t)atomic_load(&q->batch_size), "min", (json_int_t)atomic_load(&q->batch_min),
		"max", (json_int_t)atomic_load(&q->batch_max), "decisions", report_decisions_json(q), "trends", report_trends_json(&p->m),
		"minutes", report_minutes_json(&p->m));
}

static json_t *queue_json(const struct shm *shm, uint32_t index)
{
	struct page *p = xcalloc(1, sizeof *p); /* an hour of minutes: not for the stack */

	p->shm = shm;
	p->index = index;
	p->queue = shm_queue_at(shm, index);
	int64_t limit = atomic_load(&p->queue->limit_interval_ns), effective = atomic_load(&p->queue->effective_interval_ns);
	p->limit = per_second(limit);
	p->effective = per_second(effective > 0 ? effective : limit);
	page_minutes(p);
	json_t *doc = page_json(p);
	free(p);
	return doc;
}

json_t *shm_report_json(const struct shm *shm)
{
	json_t *queues = json_object(), *doc = NULL;
	char name[SHM_CELL_TEXT];
	int bad = 0;

	for (uint32_t i = 0; i < shm->nqueues; i++) {
		const struct shm_queue *queue = shm_queue_at(shm, i);
		if (atomic_load(&queue->used) != 0)
			bad |= json_object_set_new(queues, shm_cell_get(&queue->name, name), queue_json(shm, i));
	}
	if (bad == 0)
		doc = json_pack("{s:o,s:s,s:o,s:f,s:O}", "node", shm_status_name(&shm->global->node), "version", PACKAGE_VERSION,
			"timestamp", shm_status_time(clock_real_us()), "uptime_s",
			shm_status_age_s(clock_mono_ns(), atomic_load(&shm->global->start_mono_ns), NS_PER_S), "queues", queues);
	json_decref(queues);
	return doc;
}

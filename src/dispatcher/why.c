/*
 * dispatcher/why.c: every reason why a job, or a queue, is not running now, with what ends it and when.
 *
 * Runs in the dispatcher; reads its memory only (control.c has fetched the job's row). The codes are those of the interface.
 * The first reason is the one that has to end first.
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/limit.h"
#include "dispatcher/roster.h"
#include "shm/cell.h"
#include "shm/limit.h"

static void add(json_t *reasons, const char *code, const char *until, const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add(json_t *reasons, const char *code, const char *until, const char *format, ...)
{
	struct buf text = {0};
	va_list ap;
	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	json_array_append_new(reasons, json_pack("{s:s, s:s, s:s?}", "code", code, "detail", buf_str(&text), "until", until));
	buf_free(&text);
}

static const char *at_real(char dst[32], int64_t real_us)
{
	return real_us > 0 ? clock_rfc3339(dst, 32, real_us) : NULL;
}

static void add_node(struct dispatcher *d, json_t *reasons)
{
	char error[SHM_CELL_TEXT];
	if (d->phase != PHASE_RUN || !d->lease_ok)
		add(reasons, "database_down", NULL, "the database is away: %s", shm_cell_get(&d->global->db_error, error));
}

static void add_pause(struct queue *queue, json_t *reasons)
{
	char by[SHM_CELL_TEXT], reason[SHM_CELL_TEXT], until[32];
	if (!queue->paused)
		return;
	add(reasons, "paused_queue", at_real(until, atomic_load(&queue->shm->pause_until_real_us)), "paused by %s: %s",
	    shm_cell_get(&queue->shm->pause_by, by), shm_cell_get(&queue->shm->pause_reason, reason));
}

static void add_gate(struct dispatcher *d, struct queue *queue, json_t *reasons)
{
	char reason[SHM_CELL_TEXT], until[32];
	if (queue->receiver.breaker.state == BREAKER_OPEN)
		return;
	add(reasons, "gate", at_real(until, queue->receiver.breaker.until_ns / NS_PER_US + d->real_minus_mono_us), "the gate of the queue's receiver is shut: %s",
	    shm_cell_get(&queue->shm->gate_reason, reason));
}

static void add_workers(struct queue *queue, json_t *reasons)
{
	if (atomic_load(&queue->shm->state) == QUEUE_CRASH_LOOP)
		add(reasons, "crash_loop", NULL, "the queue's workers keep failing; the log says why");
	else if (queue->nworkers == 0)
		add(reasons, "workers_busy", NULL, "no worker of the queue is ready yet");
}

static void add_rate(struct dispatcher *d, struct queue *queue, json_t *reasons)
{
	char until[32], limit[64];
	int64_t wait = shm_limit_wait(&queue->shm->limit, clock_mono_ns());
	if (wait <= 0)
		return;
	units_print_rate(limit, sizeof limit, queue->conf->k.rate_limit);
	add(reasons, "rate_queue", at_real(until, (clock_mono_ns() + wait) / NS_PER_US + d->real_minus_mono_us),
	    "the queue's rate limit of %s", limit);
}

/* What keeps a due job of this queue from starting. */
static void add_queue_reasons(struct dispatcher *d, struct queue *queue, json_t *reasons)
{
	add_node(d, reasons);
	add_pause(queue, reasons);
	add_gate(d, queue, reasons);
	add_workers(queue, reasons);
	add_rate(d, queue, reasons);
}

/* "5/s", "2/min": an interval as a rate. */
static const char *rate_text(char *dst, size_t size, int64_t interval_ns)
{
	double per_s = interval_ns > 0 ? (double)NS_PER_S / (double)interval_ns : 0;
	if (per_s >= 1)
		snprintf(dst, size, "%.4g/s", per_s);
	else if (per_s * 60 >= 1)
		snprintf(dst, size, "%.4g/min", per_s * 60);
	else
		snprintf(dst, size, "%.4g/h", per_s * 3600);
	return dst;
}

/* What holds back this tenant alone. */
static void add_tenant(struct dispatcher *d, struct queue *queue, const char *tenant, json_t *reasons)
{
	char until[32], rate[64];
	int64_t until_ns;
	const struct lane_tenant *entry;
	HASH_FIND_STR(queue->backlog.tenants, tenant, entry);
	if (entry && (entry->barred & BAR_PAUSED))
		add(reasons, "paused_tenant", NULL, "its tenant is paused in this queue; `jobqctl resume` ends it");
	if (!roster_active(d, tenant))
		add(reasons, "tenant_inactive", NULL, "its tenant is not active in %s", d->conf->tenants.source);
	struct limits_of of = {0};
	enum limit_kind kind = limit_why(queue, tenant, &until_ns);
	if (kind != LIMIT_NONE)
		roster_limits(queue, tenant, &of);
	const char *when = until_ns == LIMITS_NEVER ? NULL : at_real(until, until_ns / NS_PER_US + d->real_minus_mono_us);
	if (kind == LIMIT_TENANT)
		add(reasons, "rate_tenant", when, "its tenant's rate limit of %s", rate_text(rate, sizeof rate, of.interval_ns));
	else if (kind == LIMIT_TIER)
		add(reasons, "rate_tier", when, "the rate limit of %s of all tenants of the tier \"%s\"", rate_text(rate, sizeof rate, of.tier_interval_ns), of.tier);
	else if (kind == LIMIT_CONCURRENCY)
		add(reasons, "tenant_concurrency", NULL, "its tenant has as many jobs in flight as it may: %lld", (long long)of.concurrency);
}

static bool tenant_waits(const struct queue *queue, const char *tenant)
{
	const struct lane_tenant *entry;
	HASH_FIND_STR(queue->backlog.tenants, tenant, entry);
	return entry && entry->active;
}

static void add_due(struct dispatcher *d, struct queue *queue, const char *tenant, const struct job *job, json_t *reasons)
{
	char until[32];
	int64_t until_ns;
	add_queue_reasons(d, queue, reasons);
	add_tenant(d, queue, tenant, reasons);
	if (json_array_size(reasons) > 0)
		return;
	if (job && buffer_waits(&queue->buffer, &job->item, &until_ns)) {
		add(reasons, "batch_waiting", at_real(until, until_ns / NS_PER_US + d->real_minus_mono_us), "it waits for company in its batch");
		return;
	}
	if (queue->backlog.in_ring > 1 && tenant_waits(queue, tenant)) {
		add(reasons, "fair_share", NULL, "%zu tenants have jobs that are due, and take turns by weight", queue->backlog.in_ring);
		return;
	}
	if (queue->buffer.entries > 0 || queue->counted_pending > 1)
		add(reasons, "ahead", NULL, "%lld jobs of the queue are due and %zu are claimed; tenants take turns",
		    (long long)queue->counted_pending, queue->buffer.entries);
	else
		add(reasons, "workers_busy", NULL, "it is due and will start in a moment");
}

static bool in_future(const json_t *row)
{
	return json_is_true(json_object_get(row, "later"));
}

static void add_pending(struct dispatcher *d, const json_t *row, json_t *reasons)
{
	const char *run_at = json_string_value(json_object_get(row, "run_at"));
	const char *name = json_string_value(json_object_get(row, "queue"));
	struct queue *queue = dispatcher_queue(d, name ? name : "");
	if (in_future(row) && json_integer_value(json_object_get(row, "retry_count")) > 0)
		add(reasons, "backoff", run_at, "it failed %lld times and is tried again then",
		    (long long)json_integer_value(json_object_get(row, "retry_count")));
	else if (in_future(row))
		add(reasons, "scheduled", run_at, "it is to run later");
	if (!queue || !queue->conf || !queue->shm) {
		if (!json_is_true(json_object_get(row, "served")))
			add(reasons, "no_node", NULL, "no node serves the queue \"%s\"", name ? name : "");
		else if (json_array_size(reasons) == 0)
			add(reasons, "ahead", NULL, "another node serves this queue; ask there");
		return;
	}
	if (!in_future(row)) {
		const char *tenant = json_string_value(json_object_get(row, "tenant_id"));
		add_due(d, queue, tenant ? tenant : "", NULL, reasons);
	}
}

static void add_claimed(struct dispatcher *d, const json_t *row, json_t *reasons)
{
	const char *id_text = json_string_value(json_object_get(row, "id"));
	int64_t id = strtoll(id_text ? id_text : "0", NULL, 10);
	struct job *job;
	HASH_FIND(hh, d->jobs, &id, sizeof id, job);
	if (json_is_true(json_object_get(row, "cancel_requested")))
		add(reasons, "cancel_requested", NULL, "it runs and was asked to stop");
	if (job && job->state == JOB_BUFFERED && job->queue) {
		add_due(d, job->queue, job->tenant, job, reasons);
		return;
	}
	add(reasons, "running", NULL, "it is %s on node %s", json_string_value(json_object_get(row, "status")),
	    json_is_string(json_object_get(row, "claimed_by")) ? json_string_value(json_object_get(row, "claimed_by")) : "?");
}

json_t *why_job(struct dispatcher *d, const json_t *row)
{
	json_t *reasons = json_array();
	const char *status = json_string_value(json_object_get(row, "status"));
	const char *error = json_string_value(json_object_get(row, "error_message"));
	if (!status)
		status = "unknown";
	if (strcmp(status, "pending") == 0)
		add_pending(d, row, reasons);
	else if (strcmp(status, "held") == 0)
		add(reasons, "held", NULL, "its outcome is uncertain: %s; decide with `jobqctl resolve`", error ? error : "");
	else if (strcmp(status, "claimed") == 0 || strcmp(status, "running") == 0)
		add_claimed(d, row, reasons);
	else
		add(reasons, "finished", NULL, "it is %s%s%s", status, error ? ": " : "", error ? error : "");
	return json_pack("{s:O, s:s, s:o}", "id", json_object_get(row, "id"), "status", status, "reasons", reasons);
}

json_t *why_unknown(const json_t *id)
{
	json_t *reasons = json_array();
	add(reasons, "unknown", NULL, "no job has this id; it may have expired, or its queue keeps nothing");
	return json_pack("{s:s?, s:s, s:o}", "id", json_string_value(id), "status", "unknown", "reasons", reasons);
}

json_t *why_queue(struct dispatcher *d, struct queue *queue)
{
	json_t *reasons = json_array();
	if (queue->conf && queue->shm)
		add_queue_reasons(d, queue, reasons);
	if (json_array_size(reasons) == 0 && (queue->counted_pending > 0 || queue->buffer.entries > 0))
		add(reasons, "ahead", NULL, "%lld jobs are due, %u are in flight", (long long)queue->counted_pending, queue->in_flight);
	return json_pack("{s:s, s:s, s:o}", "queue", queue->name, "status", queue->paused ? "paused" : "running", "reasons", reasons);
}

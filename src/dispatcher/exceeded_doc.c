/*
 * dispatcher/exceeded_doc.c: the metrics documents, with who exceeded limits, and their reset.
 *
 * Runs in the dispatcher; reads shared memory and the records, needs no database. The forms are those of the HTTP interface: every
 * queue is a key, a workspace (tenant) nobody has seen has zeros, times are RFC 3339 in UTC with milliseconds. Fails only for
 * want of memory: NULL, which the caller answers as an error.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/exceeded.h"
#include "shm/metrics.h"

#define WORST 100

static json_t *time_json(int64_t real_us)
{
	char text[32];
	return real_us == 0 ? json_null() : json_string(clock_rfc3339(text, sizeof text, real_us));
}

static bool is_shown(const struct queue *queue)
{
	return queue->shm && atomic_load(&queue->shm->used) != 0;
}

/* ---- the worst ---- */

struct worst {
	const char *tenant;
	uint64_t count; /* over all queues */
};

static int worst_first(const void *left, const void *right)
{
	const struct worst *a = left, *b = right;
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(a->tenant, b->tenant);
}

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct worst *)left)->tenant, ((const struct worst *)right)->tenant);
}

static uint64_t count_everywhere(const struct dispatcher *d, const char *name)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < d->nqueues; i++) {
		const struct exceed_tenant *tenant = is_shown(&d->queues[i]) ? exceed_find(&d->queues[i].exceeded->record, name) : NULL;
		sum += tenant ? tenant->count : 0;
	}
	return sum;
}

/* The worst of each queue, each once, by what they have over all queues; out has room for nqueues * WORST. */
static size_t find_worst(const struct dispatcher *d, struct worst *out)
{
	const struct exceed_tenant *of_queue[WORST];
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < d->nqueues; i++) {
		size_t found = is_shown(&d->queues[i]) ? exceed_worst(&d->queues[i].exceeded->record, of_queue, WORST) : 0;
		for (size_t j = 0; j < found; j++)
			out[n++].tenant = of_queue[j]->name;
	}
	qsort(out, n, sizeof *out, by_name);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(out[kept - 1].tenant, out[i].tenant) != 0)
			out[kept++] = out[i];
	for (size_t i = 0; i < kept; i++)
		out[i].count = count_everywhere(d, out[i].tenant);
	qsort(out, kept, sizeof *out, worst_first);
	return kept < WORST ? kept : WORST;
}

static json_t *worst_json(const struct dispatcher *d, const char *name)
{
	json_t *queues = json_object();
	for (size_t i = 0; i < d->nqueues; i++) {
		const struct exceed_tenant *tenant = is_shown(&d->queues[i]) ? exceed_find(&d->queues[i].exceeded->record, name) : NULL;
		if (tenant)
			(void)json_object_set_new(queues, d->queues[i].name, json_pack("{s:I,s:o}", "count", (json_int_t)tenant->count,
				"lastExceeded", time_json(tenant->last_us)));
	}
	return queues;
}

json_t *exceeded_metrics(struct dispatcher *d)
{
	struct worst *worst = xcalloc(d->nqueues * WORST + 1, sizeof *worst);
	json_t *all = json_object();
	size_t n = find_worst(d, worst);
	for (size_t i = 0; i < n; i++)
		(void)json_object_set_new(all, worst[i].tenant, worst_json(d, worst[i].tenant));
	free(worst);
	return shm_metrics_json(d->child->shm, all);
}

/* ---- one ---- */

static json_t *tenant_json(const struct exceed_tenant *tenant)
{
	const struct exceed_detail *detail;
	json_t *details = json_array();
	for (uint32_t i = 0; tenant && (detail = exceed_detail(tenant, i)) != NULL; i++)
		(void)json_array_append_new(details, json_pack("{s:o,s:I,s:s}", "timestamp", time_json(detail->at_us),
			"batchSize", (json_int_t)detail->batch, "errorMessage", detail->message->text));
	return json_pack("{s:I,s:o,s:o}", "count", tenant ? (json_int_t)tenant->count : 0, "lastExceeded", time_json(tenant ? tenant->last_us : 0),
		"details", details);
}

json_t *exceeded_workspace(struct dispatcher *d, const char *tenant)
{
	json_t *doc = json_object();
	for (size_t i = 0; i < d->nqueues; i++)
		if (is_shown(&d->queues[i]))
			(void)json_object_set_new(doc, d->queues[i].name, tenant_json(exceed_find(&d->queues[i].exceeded->record, tenant)));
	(void)json_object_set_new(doc, "workspaceId", json_string(tenant));
	(void)json_object_set_new(doc, "timestamp", time_json(clock_real_us()));
	return doc;
}

/* ---- reset ---- */

static const char *near_queue(const struct dispatcher *d, const char *name)
{
	const char **names = xcalloc(d->nqueues + 1, sizeof *names);
	size_t n = 0;
	for (size_t i = 0; i < d->nqueues; i++)
		if (is_shown(&d->queues[i]))
			names[n++] = d->queues[i].name;
	int near = text_nearest(name, names, n);
	const char *found = near >= 0 ? names[near] : NULL;
	free(names);
	return found;
}

static void reset_queue(struct queue *queue, const char *tenant, int64_t now_us)
{
	exceed_reset(&queue->exceeded->record, tenant);
	if (!tenant && is_shown(queue))
		shm_metrics_reset(queue->shm, now_us);
}

json_t *exceeded_reset(struct dispatcher *d, const char *name, const char *tenant, const char **near)
{
	struct queue *queue = name ? dispatcher_queue(d, name) : NULL;
	int64_t now_us = clock_real_us();
	if (name && (!queue || !is_shown(queue))) {
		*near = near_queue(d, name);
		return NULL;
	}
	for (size_t i = 0; i < d->nqueues; i++)
		if (!name || queue == &d->queues[i])
			reset_queue(&d->queues[i], tenant, now_us);
	return json_pack("{s:{s:s?,s:s?},s:o}", "reset", "type", name, "workspaceId", tenant, "timestamp", time_json(now_us));
}

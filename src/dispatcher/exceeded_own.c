/*
 * dispatcher/exceeded_own.c: exceedances of the rate limits of tenants and tiers.
 *
 * Runs in the dispatcher. Whoever refuses a tenant its turn in a claim says so here (limit.c), and once a second those that are still
 * barred until a time are looked at: a limit of 6/min keeps a job waiting for ten seconds, and each of them counts. Only rates do; who
 * waits for one of his own jobs to end (concurrency) or for a batch exceeds nothing. Fails in no way.
 */
#include "config.h"

#include "base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/exceeded.h"
#include "dispatcher/limit.h"

#define LOOK_SHARE 100 /* a look takes at most this part of the time */

/* Which of its limits the tenant waits for; NULL: for no rate. */
static const struct limit_bucket *bucket_of(struct queue *queue, const char *name)
{
	int64_t until_ns;
	enum limit_kind kind = limit_why(queue, name, &until_ns);
	const struct limit_tenant *tenant = limits_tenant(&queue->limits, name, clock_mono_ns());
	if (kind == LIMIT_CONCURRENCY)
		return NULL;
	if (kind != LIMIT_NONE && limits_why(&queue->limits, name, clock_mono_ns(), &until_ns) == LIMIT_NONE)
		return NULL; /* nothing of the limit is used up: this node has yet to be told its part */
	if (tenant->tier && tenant->tier->bucket.interval_ns > 0 && (kind == LIMIT_TIER || tenant->bucket.interval_ns <= 0))
		return &tenant->tier->bucket;
	return tenant->bucket.interval_ns > 0 ? &tenant->bucket : NULL; /* a unit may be free, and the claim worth while with a few */
}

void exceeded_own(struct queue *queue, const char *name)
{
	char message[EXCEEDED_MESSAGE];
	const struct lane_tenant *tenant;
	if (!queue->exceeded || exceed_noted(&queue->exceeded->record, name, clock_real_us()))
		return;
	HASH_FIND_STR(queue->backlog.tenants, name, tenant);
	int64_t due = tenant ? exceeded_due(queue, tenant, false) : 0;
	const struct limit_bucket *bucket = due > 0 ? bucket_of(queue, name) : NULL;
	if (bucket)
		exceeded_note(queue, name, due, exceeded_message_of(message, bucket->interval_ns));
}

void exceeded_own_look(struct queue *queue, int64_t now_ns)
{
	const struct heap *bars = &queue->backlog.bars;
	struct exceeded *x = queue->exceeded;
	if (now_ns < x->bars_ns || queue->paused || receiver_shut(queue))
		return;
	for (size_t i = 0; i < bars->len; i++)
		exceeded_own(queue, HEAP_OWNER(bars->nodes[i], struct lane_tenant, bar)->name);
	int64_t pause = (clock_mono_ns() - now_ns) * LOOK_SHARE;
	x->bars_ns = now_ns + (pause > NS_PER_S / 2 ? pause : NS_PER_S / 2); /* each second is met, whenever it begins */
}

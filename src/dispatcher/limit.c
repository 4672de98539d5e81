/*
 * dispatcher/limit.c: limits of tenants and tiers, from the claim to the end of a job; see limit.h.
 *
 * Runs in the dispatcher. Owns queue->limits and the laws of the words. A claim asks here, for each tenant in its turn, how many of its
 * rows may be claimed: as many as could be sent within the time of a few claims, so that nothing of a limited tenant lies about in buffers or
 * workers, and its backlog is neither claimed nor looked at while its limit is used up. The tat is read from the word before each
 * answer: workers move it. Invariant: job->limited is set exactly while queue->limits counts the job; the words of such a job are
 * in use. Losing the process loses the counts: the next one counts what it adopts as running.
 */
#include "config.h"

#include "dispatcher/limit.h"

#include "base/clock.h"
#include "base/log.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/exceeded.h"
#include "dispatcher/roster.h"
#include "dispatcher/slices.h"
#include "dispatcher/words.h"
#include "queue/gcra.h"
#include "shm/limit.h"

#define HORIZON_NS (10 * NS_PER_MS)      /* what is claimed earlier than a claim and a hand-out take only waits in a worker */
#define HORIZON_MOST_NS (100 * NS_PER_MS)
#define HORIZON_CLAIMS 3                 /* one under way, this one, and as long again */
#define NO_WORD_NS NS_PER_S              /* all words are in use: ask again */

/* ---- words ---- */

/* The bucket has this node's part of its limit, its word the law, and the bucket the word's tat. 0, or when to ask again: there
 * is no word to be had, or no part now. */
static int64_t synced(struct queue *queue, struct limit_bucket *bucket, char kind, const char *name)
{
	struct dispatcher *d = queue->d;
	if (bucket->whole_interval_ns <= 0)
		return 0;
	if (bucket->word == 0) {
		uint32_t word = words_get(d, queue->name, kind, name);
		if (word == SHM_NO_WORD)
			return clock_mono_ns() + NO_WORD_NS;
		bucket->word = word + 1;
	}
	struct slice_law law = slices_use(&bucket->slice, queue, kind, name, bucket->word - 1, bucket->whole_interval_ns, bucket->whole_burst_ns);
	if (law.interval_ns == 0)
		return law.until_ns;
	bucket->interval_ns = law.interval_ns;
	bucket->burst_ns = law.burst_ns;
	bucket->tat_ns = atomic_load(&words_limit(d, bucket->word - 1)->tat_ns);
	return 0;
}

static int64_t tenant_synced(struct queue *queue, struct limit_tenant *tenant)
{
	int64_t own = synced(queue, &tenant->bucket, 't', tenant->name);
	int64_t tier = tenant->tier ? synced(queue, &tenant->tier->bucket, 'r', tenant->tier->name) : 0;
	return own > tier ? own : tier;
}

static void drop_word(void *arg, const struct limit_tenant *tenant)
{
	struct dispatcher *d = arg;
	slices_drop(tenant->bucket.slice);
	if (tenant->bucket.word != 0)
		words_drop(d, tenant->bucket.word - 1);
}

static uint32_t word_of(const struct limit_bucket *bucket)
{
	return bucket->word == 0 || bucket->whole_interval_ns <= 0 ? SHM_NO_WORD : bucket->word - 1;
}

void limit_words(const struct job *job, uint32_t *tenant_word, uint32_t *tier_word)
{
	const struct limit_tenant *tenant = job->limited;
	*tenant_word = tenant ? word_of(&tenant->bucket) : SHM_NO_WORD;
	*tier_word = tenant && tenant->tier ? word_of(&tenant->tier->bucket) : SHM_NO_WORD;
}

/* ---- the claim asks ---- */

/* How far ahead may be claimed: a job that comes when its unit is long free has lost what the burst does not hold. */
static int64_t horizon(const struct queue *queue)
{
	int64_t span = HORIZON_CLAIMS * queue->claim_took_ns;
	return span < HORIZON_NS ? HORIZON_NS : span > HORIZON_MOST_NS ? HORIZON_MOST_NS : span;
}

static int64_t db_of(const struct queue *queue, int64_t until_ns, int64_t now_ns)
{
	return until_ns == LIMITS_NEVER ? BACKLOG_NEVER : dispatcher_db_now_us(queue->d) + (until_ns - now_ns) / NS_PER_US + 1;
}

static void wants_more(const struct limit_tenant *tenant)
{
	slices_waits(tenant->bucket.slice);
	if (tenant->tier)
		slices_waits(tenant->tier->bucket.slice);
}

static int64_t grant(void *arg, const char *name, int64_t want, int64_t *until_us)
{
	struct queue *queue = arg;
	int64_t now_ns = clock_mono_ns(), until_ns;
	if (want <= 0) {
		limits_unreserve(&queue->limits, name, -want);
		return 0;
	}
	queue->limits.horizon_ns = horizon(queue);
	struct limit_tenant *tenant = limits_tenant(&queue->limits, name, now_ns);
	int64_t closed_ns = tenant_synced(queue, tenant);
	if (closed_ns > 0) {
		wants_more(tenant);
		*until_us = db_of(queue, closed_ns, now_ns);
		return 0;
	}
	int64_t n = limits_reserve(&queue->limits, name, want, now_ns, &until_ns);
	if (n == 0) {
		if (until_ns != LIMITS_NEVER)
			wants_more(tenant);
		*until_us = db_of(queue, until_ns, now_ns);
		exceeded_own(queue, name);
	}
	return n;
}

/* ---- a job's way ---- */

void limit_claimed(struct job *job, bool reserved, int64_t now_ns)
{
	if (!job->queue->limited)
		return;
	job->limited = limits_tenant(&job->queue->limits, job->tenant, now_ns);
	job->reserved = reserved;
	if (!reserved)
		limits_running(job->limited);
}

void limit_begun(struct job *job, int64_t units, int64_t now_ns)
{
	if (!job->limited || !job->reserved)
		return;
	job->reserved = false;
	limits_sent(&job->queue->limits, job->limited, units, now_ns);
	slices_taken(job->limited->bucket.slice, units);
	if (job->limited->tier)
		slices_taken(job->limited->tier->bucket.slice, units);
}

void limit_ended(struct job *job)
{
	if (!job->limited)
		return;
	struct queue *queue = job->queue;
	if (job->reserved)
		limits_unreserve(&queue->limits, job->tenant, 1);
	else if (limits_ended(job->limited))
		backlog_bar_until(&queue->backlog, job->tenant, 0, dispatcher_db_now_us(queue->d));
	job->limited = NULL;
	job->reserved = false;
}

/* What was claimed before the queue had limits, or by the dispatcher before this one. */
static void adopt(struct queue *queue)
{
	int64_t now_ns = clock_mono_ns();
	struct job *job, *next;
	HASH_ITER(hh, queue->d->jobs, job, next) {
		if (job->queue != queue || job->limited || job->state == JOB_ENDED)
			continue;
		job->limited = limits_tenant(&queue->limits, job->tenant, now_ns);
		limits_running(job->limited);
		(void)tenant_synced(queue, job->limited);
	}
}

enum limit_kind limit_why(struct queue *queue, const char *tenant, int64_t *until_ns)
{
	int64_t now_ns = clock_mono_ns();
	*until_ns = now_ns;
	if (!queue->limited)
		return LIMIT_NONE;
	int64_t closed_ns = tenant_synced(queue, limits_tenant(&queue->limits, tenant, now_ns));
	if (closed_ns > 0) {
		*until_ns = closed_ns;
		return LIMIT_TENANT;
	}
	return limits_why(&queue->limits, tenant, now_ns, until_ns);
}

/* ---- all of them ---- */

static void of_roster(void *arg, const char *tenant, struct limits_of *out)
{
	roster_limits(arg, tenant, out);
}

void limit_start(struct queue *queue)
{
	limits_init(&queue->limits, of_roster, queue);
	queue->limits.horizon_ns = HORIZON_NS;
}

void limit_stop(struct queue *queue)
{
	limits_free(&queue->limits);
}

/* Bars that an old limit had set end: the next claim asks again. */
static void lift_bars(struct queue *queue)
{
	struct lane_tenant *tenant, *next;
	HASH_ITER(hh, queue->backlog.tenants, tenant, next)
		backlog_bar_until(&queue->backlog, tenant->name, 0, dispatcher_db_now_us(queue->d));
}

void limit_reload(struct queue *queue)
{
	bool limited = roster_limited(queue);
	if (!limited && !queue->limited)
		return;
	queue->limited = queue->limited || limited; /* what is counted must be counted to its end */
	limits_reload(&queue->limits, clock_mono_ns());
	adopt(queue);
	backlog_set_grant(&queue->backlog, grant, queue);
	lift_bars(queue);
}

void limit_queues(struct dispatcher *d)
{
	for (size_t i = 0; i < d->nqueues; i++) {
		struct queue *queue = &d->queues[i];
		int64_t interval = queue->pace.interval_ns;
		if (!queue->conf || !queue->shm || interval <= 0 || (queue->in_flight == 0 && queue->backlog.active == 0))
			continue;
		(void)slices_use(&queue->slice, queue, 'q', "", SHM_NO_WORD, interval, gcra_span(queue->pace.burst, interval));
		if (queue->buffer.entries > 0 && shm_limit_wait(&queue->shm->limit, clock_mono_ns()) > 0)
			slices_waits(queue->slice);
	}
}

void limit_second(struct dispatcher *d)
{
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].limited)
			limits_sweep(&d->queues[i].limits, clock_mono_ns(), drop_word, d);
}

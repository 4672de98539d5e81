/*
 * queue/limits.c: reserving and taking over three buckets and a count; see limits.h for the law.
 *
 * Runs in the dispatcher. Owns the tenants, the tiers and their buckets. Invariant: the reserve of a tier is the sum over its tenants
 * of reserved jobs times average cost, that of the queue the sum over all. A job that is sent, ended or given back without having
 * been reserved is ignored below zero, so a lost event makes a limit too careful for a while, never too bold. Cannot
 * fail (memory apart).
 */
#include "config.h"

#include "queue/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/gcra.h"

#define MILLI INT64_C(1000)
#define COST_SMOOTH 16

/* ---- buckets ---- */

void limits_set_bucket(struct limit_bucket *bucket, int64_t interval_ns, int64_t burst_ns, int64_t now_ns)
{
	bucket->tat_ns = gcra_rescale(bucket->tat_ns, now_ns, bucket->interval_ns, interval_ns);
	bucket->interval_ns = interval_ns;
	bucket->burst_ns = burst_ns;
	bucket->whole_interval_ns = interval_ns;
	bucket->whole_burst_ns = burst_ns;
}

/* ns that lie between now and the end of what may be reserved */
static int64_t span_of(const struct limit_bucket *bucket, int64_t now_ns, int64_t horizon_ns)
{
	return gcra_add(gcra_add(horizon_ns, bucket->burst_ns), -gcra_ahead(bucket->tat_ns, now_ns));
}

/* thousandths of units that may be reserved now; may be negative */
static int64_t free_milli(const struct limit_bucket *bucket, int64_t now_ns, int64_t horizon_ns)
{
	if (bucket->interval_ns <= 0)
		return INT64_MAX;
	int64_t span = span_of(bucket, now_ns, horizon_ns), units = span / bucket->interval_ns;
	return (units > GCRA_MAX / MILLI ? GCRA_MAX : units * MILLI) - bucket->reserved_milli;
}

/* when `milli` will be free, if everything reserved is sent on schedule */
static int64_t free_at(const struct limit_bucket *bucket, int64_t milli, int64_t now_ns, int64_t horizon_ns)
{
	if (bucket->interval_ns <= 0 || free_milli(bucket, now_ns, horizon_ns) >= milli)
		return now_ns;
	int64_t units = (bucket->reserved_milli + milli + MILLI - 1) / MILLI;
	int64_t need = gcra_span(units, bucket->interval_ns), have = span_of(bucket, now_ns, horizon_ns);
	return need > have ? gcra_add(now_ns, need - have) : now_ns;
}

/* ---- tenants ---- */

static struct limit_tier *tier_get(struct limits *l, const struct limits_of *of, int64_t now_ns)
{
	struct limit_tier *tier;
	if (of->tier[0] == '\0')
		return NULL;
	HASH_FIND_STR(l->tiers, of->tier, tier);
	if (!tier) {
		tier = xcalloc(1, sizeof *tier);
		memcpy(tier->name, of->tier, sizeof tier->name);
		tier->name[sizeof tier->name - 1] = '\0';
		HASH_ADD_STR(l->tiers, name, tier);
	}
	limits_set_bucket(&tier->bucket, of->tier_interval_ns, of->tier_burst_ns, now_ns);
	return tier;
}

static void reserve_milli(struct limits *l, struct limit_tenant *tenant, int64_t milli)
{
	tenant->bucket.reserved_milli += milli;
	l->queue.reserved_milli += milli;
	if (tenant->tier)
		tenant->tier->bucket.reserved_milli += milli;
}

static void tenant_ask(struct limits *l, struct limit_tenant *tenant, int64_t now_ns)
{
	struct limits_of of = {0};
	int64_t held = tenant->bucket.reserved_milli;
	if (l->of)
		l->of(l->of_arg, tenant->name, &of);
	of.tier[sizeof of.tier - 1] = '\0';
	reserve_milli(l, tenant, -held);
	tenant->tier = tier_get(l, &of, now_ns);
	reserve_milli(l, tenant, held);
	tenant->concurrency = of.concurrency;
	limits_set_bucket(&tenant->bucket, of.interval_ns, of.burst_ns, now_ns);
}

static struct limit_tenant *tenant_find(struct limits *l, const char *name)
{
	struct limit_tenant *tenant;
	HASH_FIND_STR(l->tenants, name, tenant);
	return tenant;
}

struct limit_tenant *limits_tenant(struct limits *l, const char *name, int64_t now_ns)
{
	struct limit_tenant *tenant = tenant_find(l, name);
	if (tenant)
		return tenant;
	tenant = xcalloc(1, sizeof *tenant);
	tenant->name = xstrdup(name);
	tenant->cost_milli = MILLI;
	HASH_ADD_KEYPTR(hh, l->tenants, tenant->name, strlen(tenant->name), tenant);
	tenant_ask(l, tenant, now_ns);
	return tenant;
}

static void set_reserved(struct limits *l, struct limit_tenant *tenant, int64_t jobs, int64_t cost_milli)
{
	tenant->reserved = jobs > 0 ? jobs : 0;
	tenant->cost_milli = cost_milli;
	reserve_milli(l, tenant, tenant->reserved * cost_milli - tenant->bucket.reserved_milli);
}

/* ---- reserving ---- */

struct view { /* the buckets of one tenant */
	struct limit_bucket *bucket[2];
	enum limit_kind kind[2];
	size_t n;
};

static struct view view_of(struct limit_tenant *tenant)
{
	struct view view = {.bucket = {&tenant->bucket}, .kind = {LIMIT_TENANT}, .n = 1};
	if (tenant->tier) {
		view.bucket[1] = &tenant->tier->bucket;
		view.kind[1] = LIMIT_TIER;
		view.n = 2;
	}
	return view;
}

static struct view view_of_queue(struct limits *l)
{
	return (struct view){.bucket = {&l->queue}, .kind = {LIMIT_QUEUE}, .n = 1};
}

/* when `jobs` of them could be reserved in every bucket, but in none more than half a horizon's or half a burst's worth, nor less than a unit */
static int64_t chunk_at(const struct limits *l, const struct view *view, int64_t cost_milli, int64_t jobs, int64_t now_ns)
{
	int64_t when = now_ns;
	for (size_t i = 0; i < view->n; i++) {
		const struct limit_bucket *bucket = view->bucket[i];
		if (bucket->interval_ns <= 0)
			continue;
		int64_t span = l->horizon_ns > bucket->burst_ns ? l->horizon_ns : bucket->burst_ns;
		int64_t half = span / 2 / bucket->interval_ns * MILLI, chunk = jobs < half / cost_milli ? jobs * cost_milli : half;
		int64_t at = free_at(bucket, chunk > cost_milli ? chunk : cost_milli, now_ns, l->horizon_ns);
		when = at > when ? at : when;
	}
	return when;
}

/* A job dearer than a bucket's horizon and burst goes when nothing else is reserved, and leaves its debt. */
static int64_t jobs_free(const struct limit_bucket *bucket, int64_t cost_milli, int64_t now_ns, int64_t horizon_ns)
{
	int64_t milli = free_milli(bucket, now_ns, horizon_ns);
	if (milli >= cost_milli)
		return milli / cost_milli;
	return bucket->reserved_milli == 0 && bucket->tat_ns <= now_ns ? 1 : 0;
}

int64_t limits_room(struct limits *l, int64_t want, int64_t now_ns, int64_t *until_ns)
{
	struct view view = view_of_queue(l);
	int64_t most = jobs_free(&l->queue, l->cost_milli, now_ns, l->horizon_ns);
	*until_ns = now_ns;
	if (want <= 0 || most >= want)
		return want > 0 ? want : 0;
	*until_ns = chunk_at(l, &view, l->cost_milli, want, now_ns);
	return *until_ns > now_ns ? 0 : most;
}

int64_t limits_reserve(struct limits *l, const char *name, int64_t want, int64_t now_ns, int64_t *until_ns)
{
	struct limit_tenant *tenant = limits_tenant(l, name, now_ns);
	struct view view = view_of(tenant);
	int64_t n = want;
	*until_ns = now_ns;
	if (want <= 0)
		return 0;
	if (tenant->concurrency > 0 && tenant->concurrency - tenant->running < n)
		n = tenant->concurrency - tenant->running;
	if (n <= 0) {
		tenant->blocked = true;
		*until_ns = LIMITS_NEVER;
		return 0;
	}
	for (size_t i = 0; i < view.n; i++) {
		int64_t most = jobs_free(view.bucket[i], tenant->cost_milli, now_ns, l->horizon_ns);
		n = most < n ? most : n;
	}
	if (n == 0) {
		*until_ns = chunk_at(l, &view, tenant->cost_milli, want, now_ns);
		return 0;
	}
	tenant->running += n;
	set_reserved(l, tenant, tenant->reserved + n, tenant->cost_milli);
	return n;
}

void limits_unreserve(struct limits *l, const char *name, int64_t jobs)
{
	struct limit_tenant *tenant = tenant_find(l, name);
	if (!tenant || jobs <= 0)
		return;
	tenant->running = tenant->running > jobs ? tenant->running - jobs : 0;
	set_reserved(l, tenant, tenant->reserved - jobs, tenant->cost_milli);
}

static void take(struct limit_bucket *bucket, int64_t units, int64_t at_ns)
{
	if (bucket->interval_ns > 0)
		bucket->tat_ns = gcra_add(bucket->tat_ns > at_ns ? bucket->tat_ns : at_ns, gcra_span(units, bucket->interval_ns));
}

void limits_sent(struct limits *l, struct limit_tenant *tenant, int64_t units, int64_t at_ns)
{
	struct view view = view_of(tenant);
	for (size_t i = 0; i < view.n; i++)
		take(view.bucket[i], units, at_ns);
	take(&l->queue, units, at_ns);
	l->cost_milli += (units * MILLI - l->cost_milli) / COST_SMOOTH;
	l->cost_milli = l->cost_milli > 0 ? l->cost_milli : 1;
	int64_t cost = tenant->cost_milli + (units * MILLI - tenant->cost_milli) / COST_SMOOTH;
	set_reserved(l, tenant, tenant->reserved - 1, cost > 0 ? cost : 1);
}

void limits_running(struct limit_tenant *tenant)
{
	tenant->running++;
}

bool limits_ended(struct limit_tenant *tenant)
{
	bool blocked = tenant->blocked;
	tenant->running -= tenant->running > 0;
	tenant->blocked = false;
	return blocked;
}

enum limit_kind limits_why(struct limits *l, const char *name, int64_t now_ns, int64_t *until_ns)
{
	struct limit_tenant *tenant = limits_tenant(l, name, now_ns);
	struct view view = view_of(tenant);
	enum limit_kind kind = LIMIT_NONE;
	*until_ns = now_ns;
	if (tenant->concurrency > 0 && tenant->running >= tenant->concurrency) {
		*until_ns = LIMITS_NEVER;
		return LIMIT_CONCURRENCY;
	}
	int64_t queue_at = free_at(&l->queue, tenant->cost_milli, now_ns, l->horizon_ns);
	if (queue_at > now_ns) {
		*until_ns = queue_at;
		kind = LIMIT_QUEUE;
	}
	for (size_t i = 0; i < view.n; i++) {
		int64_t at = free_at(view.bucket[i], tenant->cost_milli, now_ns, l->horizon_ns);
		if (at > *until_ns) {
			*until_ns = at;
			kind = view.kind[i];
		}
	}
	return kind;
}

/* ---- all of them ---- */

void limits_init(struct limits *l, limits_fn *of, void *arg)
{
	*l = (struct limits){.horizon_ns = LIMITS_HORIZON_NS, .cost_milli = MILLI, .of = of, .of_arg = arg};
}

void limits_reload(struct limits *l, int64_t now_ns)
{
	struct limit_tenant *tenant, *next;
	HASH_ITER(hh, l->tenants, tenant, next)
		tenant_ask(l, tenant, now_ns);
}

static void tenant_free(struct limits *l, struct limit_tenant *tenant)
{
	HASH_DEL(l->tenants, tenant);
	free(tenant->name);
	free(tenant);
}

void limits_sweep(struct limits *l, int64_t now_ns, limits_gone_fn *gone, void *arg)
{
	struct limit_tenant *tenant, *next;
	HASH_ITER(hh, l->tenants, tenant, next) {
		if (tenant->running > 0 || tenant->reserved > 0 || tenant->bucket.tat_ns > now_ns || tenant->blocked)
			continue;
		if (gone)
			gone(arg, tenant);
		tenant_free(l, tenant);
	}
}

void limits_free(struct limits *l)
{
	struct limit_tenant *tenant, *next;
	struct limit_tier *tier, *after;
	HASH_ITER(hh, l->tenants, tenant, next)
		tenant_free(l, tenant);
	HASH_ITER(hh, l->tiers, tier, after) {
		HASH_DEL(l->tiers, tier);
		free(tier);
	}
}

/*
 * dispatcher/roster.c: reads what the database says of tenants and tiers, and tells the queues.
 *
 * Runs in the dispatcher. Owns d->roster. It is read at the start (nothing is claimed before, for an inactive tenant's jobs must
 * wait), on the notification "!tenants", and every tenant_cache_ttl. An answer replaces everything; a failed question leaves the
 * last answer in force and is asked again. Rows of a queue that this node does not serve are not asked for.
 */
#include "config.h"

#include "dispatcher/roster.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ident.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/limit.h"
#include "queue/gcra.h"

#define AGAIN_NS (2 * NS_PER_S) /* after a failure */

enum { COL_ID, COL_ACTIVE, COL_TIER, COL_QUEUES, COL_WEIGHT, COL_RATE, COL_BURST, COL_CONCURRENCY, COL_SHARE };

struct terms { /* of a tenant, or a tier, in the queues of one row */
	struct share share;
	bool rated;          /* the row has a rate of its own, be it `off` */
	struct rate rate;
	int64_t burst;       /* 0 = a tenth of a second of the rate */
	int64_t concurrency; /* -1 = as configured; 0 = no limit */
	struct terms *next;  /* of the roster's, to be freed */
};

struct entry { /* a tenant or a tier */
	char *name, *tier;
	bool active;
	UT_hash_handle hh;
	const struct terms *of[]; /* by the queue's place in d->queues; NULL = nothing is said */
};

struct roster {
	struct entry *tenants, *tiers;
	struct terms *terms;
};

/* ---- reading rows ---- */

static void free_entries(struct entry *all)
{
	struct entry *entry, *next;
	HASH_ITER(hh, all, entry, next) {
		HASH_DEL(all, entry);
		free(entry->name);
		free(entry->tier);
		free(entry);
	}
}

static void roster_drop(struct roster *roster)
{
	if (!roster)
		return;
	free_entries(roster->tenants);
	free_entries(roster->tiers);
	while (roster->terms) {
		struct terms *terms = roster->terms;
		roster->terms = terms->next;
		free(terms);
	}
	free(roster);
}

static struct entry *entry_get(struct entry **all, const char *name, size_t nqueues)
{
	struct entry *entry;
	HASH_FIND_STR(*all, name, entry);
	if (entry)
		return entry;
	entry = xcalloc(1, sizeof *entry + nqueues * sizeof entry->of[0]);
	entry->name = xstrdup(name);
	HASH_ADD_KEYPTR(hh, *all, entry->name, strlen(entry->name), entry);
	return entry;
}

static uint32_t milli(double v)
{
	return v <= 0 ? 0 : v >= SHARE_WEIGHT_MAX / 1000.0 ? SHARE_WEIGHT_MAX : (uint32_t)(v * 1000 + 0.5);
}

static struct terms *read_terms(struct roster *roster, const PGresult *res, int row)
{
	struct terms *terms = xcalloc(1, sizeof *terms);
	terms->share = (struct share){.weight = milli(pg_get_float8(res, row, COL_WEIGHT)), .minimum = milli(pg_get_float8(res, row, COL_SHARE))};
	terms->rated = !pg_get_isnull(res, row, COL_RATE) && units_rate(pg_get_text(res, row, COL_RATE, NULL), &terms->rate);
	terms->burst = pg_get_isnull(res, row, COL_BURST) ? 0 : pg_get_int4(res, row, COL_BURST);
	terms->concurrency = pg_get_isnull(res, row, COL_CONCURRENCY) ? -1 : pg_get_int4(res, row, COL_CONCURRENCY);
	terms->next = roster->terms;
	return roster->terms = terms;
}

static void read_row(const struct dispatcher *d, struct roster *roster, const PGresult *res, int row)
{
	bool is_tier = pg_get_isnull(res, row, COL_ID);
	const char *tier = pg_get_text(res, row, COL_TIER, NULL);
	struct entry *entry = entry_get(is_tier ? &roster->tiers : &roster->tenants, is_tier ? tier : pg_get_text(res, row, COL_ID, NULL), d->nqueues);
	entry->active = pg_get_bool(res, row, COL_ACTIVE);
	if (!entry->tier)
		entry->tier = xstrdup(tier);
	const struct terms *terms = read_terms(roster, res, row);
	char *names = xstrdup(pg_get_text(res, row, COL_QUEUES, NULL)), *left = names, *name;
	while ((name = strsep(&left, ",")) != NULL)
		for (size_t i = 0; i < d->nqueues; i++)
			if (strcmp(d->queues[i].name, name) == 0)
				entry->of[i] = terms;
	free(names);
}

/* ---- what it says ---- */

static const struct entry *find(const struct entry *all, const char *name)
{
	const struct entry *entry;
	HASH_FIND_STR(all, name, entry);
	return entry;
}

static const struct terms *terms_of(const struct queue *queue, const struct entry *entry)
{
	return entry ? entry->of[queue - queue->d->queues] : NULL;
}

static const struct entry *tenant_of(const struct dispatcher *d, const char *tenant)
{
	atomic_fetch_add_explicit(&d->global->tenant_lookups, 1, memory_order_relaxed);
	return d->roster ? find(d->roster->tenants, tenant) : NULL;
}

bool roster_active(const struct dispatcher *d, const char *tenant)
{
	const struct entry *entry = tenant_of(d, tenant);
	return !entry || entry->active;
}

const char *roster_tier(const struct dispatcher *d, const char *tenant)
{
	const struct entry *entry = tenant_of(d, tenant);
	return entry ? entry->tier : "default";
}

size_t roster_size(const struct dispatcher *d)
{
	return d->roster ? HASH_COUNT(d->roster->tenants) : 0;
}

/* What holds for a tenant in a queue: its own row, else its tier's. */
static const struct terms *tenant_terms(const struct queue *queue, const char *tenant)
{
	const struct dispatcher *d = queue->d;
	const struct terms *own = terms_of(queue, tenant_of(d, tenant));
	return own || !d->roster ? own : terms_of(queue, find(d->roster->tiers, "default"));
}

struct share roster_share(const struct queue *queue, const char *tenant)
{
	const struct terms *terms = tenant_terms(queue, tenant);
	return terms ? terms->share : (struct share){0};
}

static void set_rate(struct rate rate, int64_t burst, int64_t *interval_ns, int64_t *burst_ns)
{
	*interval_ns = gcra_interval(rate.count, rate.period_ns);
	int64_t units = burst > 0 ? burst : (int64_t)(units_per_second(rate) / 10);
	*burst_ns = gcra_span(units > 1 ? units : 1, *interval_ns);
}

static void tier_limit(const struct queue *queue, const char *tier, struct limits_of *out)
{
	const struct terms *terms = queue->d->roster ? terms_of(queue, find(queue->d->roster->tiers, tier)) : NULL;
	if (!terms || !terms->rated || terms->rate.count <= 0 || strlen(tier) >= sizeof out->tier)
		return;
	memcpy(out->tier, tier, strlen(tier) + 1);
	set_rate(terms->rate, terms->burst, &out->tier_interval_ns, &out->tier_burst_ns);
}

void roster_limits(const struct queue *queue, const char *tenant, struct limits_of *out)
{
	const struct conf_queue_keys *k = &queue->conf->k;
	const struct terms *own = terms_of(queue, tenant_of(queue->d, tenant)), *terms = tenant_terms(queue, tenant);
	bool rated = own && own->rated;
	set_rate(rated ? own->rate : k->tenant_rate_limit, rated ? own->burst : 0, &out->interval_ns, &out->burst_ns);
	out->concurrency = terms && terms->concurrency >= 0 ? terms->concurrency : k->tenant_concurrency;
	tier_limit(queue, roster_tier(queue->d, tenant), out);
}

static bool any_limit(const struct queue *queue, const struct entry *all)
{
	for (const struct entry *entry = all; entry; entry = entry->hh.next) {
		const struct terms *terms = terms_of(queue, entry);
		if (terms && ((terms->rated && terms->rate.count > 0) || terms->concurrency > 0))
			return true;
	}
	return false;
}

bool roster_limited(const struct queue *queue)
{
	const struct conf_queue_keys *k = &queue->conf->k;
	const struct roster *roster = queue->d->roster;
	return k->tenant_rate_limit.count > 0 || k->tenant_concurrency > 0 ||
	       (roster && (any_limit(queue, roster->tiers) || any_limit(queue, roster->tenants)));
}

/* ---- telling the queues ---- */

static struct share share_of(void *arg, const char *tenant)
{
	return roster_share(arg, tenant);
}

static void bar_inactive(struct dispatcher *d, struct queue *queue, const struct roster *old)
{
	int64_t now_us = dispatcher_db_now_us(d);
	for (const struct entry *entry = old ? old->tenants : NULL; entry; entry = entry->hh.next)
		if (!entry->active && roster_active(d, entry->name))
			backlog_bar(&queue->backlog, entry->name, BAR_INACTIVE, false, now_us);
	for (const struct entry *entry = d->roster->tenants; entry; entry = entry->hh.next)
		if (!entry->active) {
			backlog_bar(&queue->backlog, entry->name, BAR_INACTIVE, true, now_us);
			outcome_release_buffered(d, queue, entry->name);
		}
}

static void tell_queues(struct dispatcher *d, const struct roster *old)
{
	for (size_t i = 0; i < d->nqueues; i++) {
		struct queue *queue = &d->queues[i];
		if (!queue->conf || !queue->shm)
			continue;
		backlog_set_shares(&queue->backlog, share_of, queue);
		buffer_set_shares(&queue->buffer, share_of, queue);
		bar_inactive(d, queue, old);
		limit_reload(queue);
	}
}

/* ---- asking ---- */

static void answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	d->roster_reading = false;
	if (result->status != PG_OK) {
		d->next_roster_ns = clock_mono_ns() + AGAIN_NS;
		if (result->status != PG_LOST)
			log_error("tenants cannot be read from %s: %s%s", d->conf->tenants.source, result->error,
			          d->roster ? "" : " (nothing is claimed before; correct [tenants] source, or grant jobq_worker SELECT on it)");
		return;
	}
	struct roster *old = d->roster;
	d->roster = xcalloc(1, sizeof *d->roster);
	for (int row = 0; row < PQntuples(result->res); row++)
		read_row(d, d->roster, result->res, row);
	atomic_store(&d->global->tenants, roster_size(d));
	atomic_fetch_add(&d->global->tenant_reads, 1);
	tell_queues(d, old);
	roster_drop(old);
	if (!old)
		log_debug("tenants read: %zu of whom something is said", roster_size(d));
	dispatcher_pump(d);
}

void roster_step(struct dispatcher *d)
{
	char source[IDENT_RELATION_MAX];
	int64_t now = clock_mono_ns();
	if (d->phase != PHASE_RUN || d->roster_reading || now < d->next_roster_ns || !ident_relation(d->conf->tenants.source, source, sizeof source))
		return;
	struct pg_params *p = db_params(d);
	pg_array_begin(p, PG_TEXT, d->nqueues);
	for (size_t i = 0; i < d->nqueues; i++)
		pg_array_text(p, d->queues[i].name, strlen(d->queues[i].name));
	pg_array_end(p);
	d->roster_reading = d->link[DB_ADMIN] &&
		pg_conn_send(d->link[DB_ADMIN], db_stmt_with("tenants", "source", "%SOURCE%", source), p, false, answer, d);
	if (d->roster_reading)
		d->next_roster_ns = now + d->conf->jobqd.tenant_cache_ttl;
}

void roster_stale(struct dispatcher *d)
{
	d->next_roster_ns = 0;
	roster_step(d);
}

void roster_free(struct dispatcher *d)
{
	roster_drop(d->roster);
	d->roster = NULL;
}

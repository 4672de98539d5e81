/*
 * queue/backlog.c: lanes, their cursors, and what is heard of them; see backlog.h for the law.
 *
 * Runs in the dispatcher. Owns every lane of one queue's backlog; the tenants and their ring are in tenants.c, the next claim in plan.c. Invariants: a
 * lane is in the heap exactly when its due time is known and ahead (it was when last looked at); a lane is in the list of
 * checks exactly when it wants one and its tenant is not barred. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/tenants.h"

#define CHECK_INTERVAL_NS NS_PER_S

/* The one place where a lane's due time changes. */
static void lane_set_due(struct backlog *b, struct lane *lane, int64_t due_us, int64_t now_us)
{
	lane->due_us = due_us;
	lane->touched = ++b->serial;
	if (due_us != BACKLOG_NEVER && due_us > now_us)
		heap_set(&b->ahead, &lane->ahead, due_us);
	else
		heap_remove(&b->ahead, &lane->ahead);
	tenants_fit(b, lane->tenant, now_us);
}

void backlog_wake(struct backlog *b, int64_t now_us)
{
	struct heap_node *node;
	while ((node = heap_top(&b->ahead)) != NULL && node->key <= now_us) {
		heap_remove(&b->ahead, node);
		tenants_fit(b, HEAP_OWNER(node, struct lane, ahead)->tenant, now_us);
	}
	tenants_end_bars(b, now_us);
}

/* ---- lanes and tenants ---- */

void backlog_init(struct backlog *b)
{
	memset(b, 0, sizeof *b);
	TAILQ_INIT(&b->ring);
	TAILQ_INIT(&b->checks);
	b->round = 2; /* a newcomer has served in none: it joins at the head */
}

void backlog_free(struct backlog *b)
{
	struct lane_tenant *tenant, *next;
	HASH_ITER(hh, b->tenants, tenant, next) {
		for (size_t i = 0; i < tenant->nlanes; i++)
			free(tenant->lanes[i]);
		tenants_forget(b, tenant);
	}
	heap_free(&b->ahead);
	heap_free(&b->bars);
	memset(b, 0, sizeof *b);
}

static struct lane *tenant_lane(const struct lane_tenant *tenant, int priority)
{
	for (size_t i = 0; i < tenant->nlanes; i++)
		if (tenant->lanes[i]->priority == priority)
			return tenant->lanes[i];
	return NULL;
}

struct lane *backlog_find(struct backlog *b, const char *tenant_name, int priority)
{
	struct lane_tenant *tenant;
	HASH_FIND_STR(b->tenants, tenant_name, tenant);
	return tenant ? tenant_lane(tenant, priority) : NULL;
}

struct lane *backlog_lane(struct backlog *b, const char *tenant_name, int priority)
{
	struct lane_tenant *tenant = tenants_get(b, tenant_name);
	struct lane *lane = tenant_lane(tenant, priority);
	if (lane)
		return lane;
	lane = xcalloc(1, sizeof *lane);
	lane->tenant = tenant;
	lane->priority = priority;
	lane->due_us = BACKLOG_NEVER;
	lane->after_us = lane->after_id = BACKLOG_START;
	lane->touched = ++b->serial;
	tenant->lanes = xreallocarray(tenant->lanes, tenant->nlanes + 1, sizeof *tenant->lanes);
	size_t at = tenant->nlanes++;
	for (; at > 0 && tenant->lanes[at - 1]->priority > priority; at--)
		tenant->lanes[at] = tenant->lanes[at - 1];
	tenant->lanes[at] = lane;
	b->lanes++;
	return lane;
}

uint64_t backlog_serial(const struct backlog *b)
{
	return b->serial;
}

static void cursor_back(struct lane *lane, int64_t run_at_us)
{
	if (lane->after_us >= run_at_us) {
		lane->after_us = run_at_us;
		lane->after_id = BACKLOG_START;
	}
}

void backlog_arrived(struct backlog *b, struct lane *lane, int64_t count, int64_t due_us, int64_t now_us)
{
	lane->known += count;
	lane->news = lane->claiming;
	cursor_back(lane, due_us);
	lane_set_due(b, lane, due_us < lane->due_us ? due_us : lane->due_us, now_us);
}

void backlog_returned(struct backlog *b, struct lane *lane, int64_t run_at_us, int64_t now_us)
{
	backlog_arrived(b, lane, 1, run_at_us, now_us);
}

static void want_check(struct backlog *b, struct lane *lane)
{
	if (lane->check)
		return;
	lane->check = true;
	if (!tenants_barred(lane->tenant))
		TAILQ_INSERT_TAIL(&b->checks, lane, checks);
}

static void checked(struct backlog *b, struct lane *lane)
{
	if (!lane->check)
		return;
	lane->check = false;
	if (!tenants_barred(lane->tenant))
		TAILQ_REMOVE(&b->checks, lane, checks);
}

void backlog_checked(struct backlog *b, struct lane *lane, int64_t due_us, uint64_t serial, int64_t now_us, int64_t mono_ns)
{
	lane->checking = false;
	lane->checked_mono_ns = mono_ns;
	if (lane->touched > serial || lane->claiming)
		return;
	checked(b, lane);
	if (due_us != BACKLOG_NEVER) { /* nothing waits before it: the claim need not walk over the dead front again */
		lane->after_us = due_us;
		lane->after_id = BACKLOG_START;
	}
	if (due_us == BACKLOG_NEVER)
		lane->known = 0;
	lane_set_due(b, lane, due_us, now_us);
}

/* ---- what a claim brought ---- */

void backlog_give_back(struct backlog *b, const struct lane_tenant *tenant, int64_t rows)
{
	int64_t until_us;
	if (b->grant && rows > 0)
		(void)b->grant(b->grant_arg, tenant->name, -rows, &until_us);
}

static bool is_behind(int64_t run_at_us, int64_t id, const struct lane *lane)
{
	return run_at_us > lane->after_us || (run_at_us == lane->after_us && id > lane->after_id);
}

void backlog_claimed(struct backlog *b, const struct ask *ask, int64_t got, int64_t last_us, int64_t last_id, int64_t now_us)
{
	struct lane *lane = ask->lane;
	lane->claiming = false;
	tenants_refund(lane->tenant, ask->n - got);
	backlog_give_back(b, lane->tenant, ask->n - got);
	lane->known = lane->known > got ? lane->known - got : 0;
	if (lane->news) { /* the cursor may have moved back: leave it, and look again */
		lane->news = false;
		lane_set_due(b, lane, lane->due_us, now_us);
		return;
	}
	if (got > 0 && is_behind(last_us, last_id, lane)) {
		lane->after_us = last_us;
		lane->after_id = last_id;
	}
	if (got >= ask->n) {
		lane_set_due(b, lane, last_us, now_us);
		return;
	}
	lane->known = 0;
	want_check(b, lane);
	lane_set_due(b, lane, BACKLOG_NEVER, now_us);
}

void backlog_unclaimed(struct backlog *b, const struct ask *ask, int64_t now_us)
{
	ask->lane->claiming = ask->lane->news = false;
	tenants_refund(ask->lane->tenant, ask->n);
	backlog_give_back(b, ask->lane->tenant, ask->n);
	lane_set_due(b, ask->lane, ask->lane->due_us, now_us);
}

size_t backlog_checks(struct backlog *b, int64_t mono_ns, struct lane *out[], size_t max)
{
	size_t n = 0;
	struct lane *lane;
	TAILQ_FOREACH(lane, &b->checks, checks) {
		if (n == max)
			break;
		if (lane->checking || lane->claiming || mono_ns - lane->checked_mono_ns < CHECK_INTERVAL_NS)
			continue;
		lane->checking = true;
		out[n++] = lane;
	}
	return n;
}

bool backlog_wants_checks(const struct backlog *b)
{
	return !TAILQ_EMPTY(&b->checks);
}

static void list_checks(struct backlog *b, struct lane_tenant *tenant, bool in)
{
	for (size_t i = 0; i < tenant->nlanes; i++) {
		struct lane *lane = tenant->lanes[i];
		if (!lane->check)
			continue;
		if (in)
			TAILQ_INSERT_TAIL(&b->checks, lane, checks);
		else
			TAILQ_REMOVE(&b->checks, lane, checks);
	}
}

void backlog_bar_changed(struct backlog *b, struct lane_tenant *tenant, bool was_barred, int64_t now_us)
{
	bool barred = tenants_barred(tenant);
	if (barred != was_barred)
		list_checks(b, tenant, !barred);
	tenants_fit(b, tenant, now_us);
}

void backlog_bar(struct backlog *b, const char *name, enum backlog_bar bar, bool barred, int64_t now_us)
{
	struct lane_tenant *tenant = tenants_get(b, name);
	bool was = tenants_barred(tenant);
	tenant->barred = barred ? tenant->barred | bar : tenant->barred & ~(unsigned)bar;
	backlog_bar_changed(b, tenant, was, now_us);
}

void backlog_bar_until(struct backlog *b, const char *name, int64_t until_us, int64_t now_us)
{
	struct lane_tenant *tenant = tenants_get(b, name);
	bool was = tenants_barred(tenant);
	if (until_us > now_us)
		heap_set(&b->bars, &tenant->bar, tenants_bar_key(b, tenant, until_us));
	else
		heap_remove(&b->bars, &tenant->bar);
	backlog_bar_changed(b, tenant, was, now_us);
}

void backlog_set_shares(struct backlog *b, share_fn *share, void *arg)
{
	struct lane_tenant *tenant, *next;
	b->share = share;
	b->share_arg = arg;
	HASH_ITER(hh, b->tenants, tenant, next)
		tenants_reshare(b, tenant);
}

void backlog_set_grant(struct backlog *b, backlog_grant_fn *grant, void *arg)
{
	b->grant = grant;
	b->grant_arg = arg;
}

void backlog_set_aging(struct backlog *b, int64_t aging_us)
{
	b->aging_us = aging_us;
}

bool backlog_runnable(struct backlog *b, int64_t now_us)
{
	backlog_wake(b, now_us);
	return b->active > 0;
}

int64_t backlog_next_due(const struct backlog *b)
{
	const struct heap_node *lane = heap_top(&b->ahead), *bar = heap_top(&b->bars);
	int64_t due = lane ? lane->key : BACKLOG_NEVER;
	return bar && bar->key < due ? bar->key : due;
}

static bool lane_is_idle(const struct lane *lane, uint64_t serial)
{
	return lane->due_us == BACKLOG_NEVER && !lane->claiming && !lane->checking && !lane->check && lane->touched <= serial;
}

void backlog_sweep(struct backlog *b, uint64_t serial)
{
	struct lane_tenant *tenant, *next;
	HASH_ITER(hh, b->tenants, tenant, next) {
		size_t kept = 0;
		for (size_t i = 0; i < tenant->nlanes; i++) {
			struct lane *lane = tenant->lanes[i];
			if (lane_is_idle(lane, serial)) {
				b->lanes--;
				free(lane);
			} else {
				tenant->lanes[kept++] = lane;
			}
		}
		tenant->nlanes = kept;
		if (kept == 0 && !tenant->barred)
			tenants_forget(b, tenant);
	}
}

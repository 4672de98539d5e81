/*
 * queue/backlog.c: lanes, their cursors, and the ring of tenants; see backlog.h for the law.
 *
 * Runs in the dispatcher. Owns every lane and tenant of one queue's backlog. Invariants: a lane is in the heap exactly when
 * its due time is known and ahead (it was when last looked at); a tenant is in the ring exactly when one of its lanes is
 * due, not being claimed, and it is not barred. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define CHECK_INTERVAL_NS NS_PER_S

/* ---- heap of lanes that are due later, by due_us ---- */

static void heap_put(struct backlog *b, size_t at, struct lane *lane)
{
	b->heap[at] = lane;
	lane->heap_at = at + 1;
}

static void heap_up(struct backlog *b, size_t at)
{
	struct lane *lane = b->heap[at];
	while (at > 0 && b->heap[(at - 1) / 2]->due_us > lane->due_us) {
		heap_put(b, at, b->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(b, at, lane);
}

static void heap_down(struct backlog *b, size_t at)
{
	struct lane *lane = b->heap[at];
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= b->heap_len)
			break;
		if (child + 1 < b->heap_len && b->heap[child + 1]->due_us < b->heap[child]->due_us)
			child++;
		if (b->heap[child]->due_us >= lane->due_us)
			break;
		heap_put(b, at, b->heap[child]);
		at = child;
	}
	heap_put(b, at, lane);
}

static void heap_remove(struct backlog *b, struct lane *lane)
{
	if (lane->heap_at == 0)
		return;
	size_t at = lane->heap_at - 1;
	lane->heap_at = 0;
	struct lane *last = b->heap[--b->heap_len];
	if (last == lane)
		return;
	heap_put(b, at, last);
	heap_up(b, at);
	heap_down(b, last->heap_at - 1);
}

static void heap_add(struct backlog *b, struct lane *lane)
{
	if (b->heap_len == b->heap_cap) {
		b->heap_cap = b->heap_cap ? b->heap_cap * 2 : 64;
		b->heap = xreallocarray(b->heap, b->heap_cap, sizeof *b->heap);
	}
	heap_put(b, b->heap_len++, lane);
	heap_up(b, b->heap_len - 1);
}

/* ---- the ring ---- */

static bool lane_is_due(const struct lane *lane, int64_t now_us)
{
	return lane->due_us <= now_us && !lane->claiming;
}

static bool tenant_is_due(const struct lane_tenant *tenant, int64_t now_us)
{
	for (size_t i = 0; i < tenant->nlanes; i++)
		if (lane_is_due(tenant->lanes[i], now_us))
			return true;
	return false;
}

static void ring_leave(struct backlog *b, struct lane_tenant *tenant)
{
	if (!tenant->active)
		return;
	TAILQ_REMOVE(&b->ring, tenant, ring);
	tenant->active = false;
	b->active--;
}

/* At the head if it was served neither in this round nor in the last, else at the tail. */
static void ring_join(struct backlog *b, struct lane_tenant *tenant)
{
	if (tenant->active || tenant->barred)
		return;
	if (tenant->round + 1 < b->round)
		TAILQ_INSERT_HEAD(&b->ring, tenant, ring);
	else
		TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
	tenant->active = true;
	b->active++;
}

static void ring_served(struct backlog *b, struct lane_tenant *tenant)
{
	tenant->round = b->round;
	TAILQ_REMOVE(&b->ring, tenant, ring);
	TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
	if (b->round_left > 0)
		b->round_left--;
	if (b->round_left == 0) {
		b->round++;
		b->round_left = b->active;
	}
}

/* The one place where a lane's due time changes. */
static void lane_set_due(struct backlog *b, struct lane *lane, int64_t due_us, int64_t now_us)
{
	heap_remove(b, lane);
	lane->due_us = due_us;
	lane->touched = ++b->serial;
	if (lane_is_due(lane, now_us))
		ring_join(b, lane->tenant);
	else if (due_us != BACKLOG_NEVER && due_us > now_us)
		heap_add(b, lane);
	if (lane->tenant->active && !tenant_is_due(lane->tenant, now_us))
		ring_leave(b, lane->tenant);
}

static void wake_future_lanes(struct backlog *b, int64_t now_us)
{
	while (b->heap_len > 0 && b->heap[0]->due_us <= now_us) {
		struct lane *lane = b->heap[0];
		heap_remove(b, lane);
		if (lane_is_due(lane, now_us))
			ring_join(b, lane->tenant);
	}
}

/* ---- lanes and tenants ---- */

void backlog_init(struct backlog *b)
{
	memset(b, 0, sizeof *b);
	TAILQ_INIT(&b->ring);
	TAILQ_INIT(&b->checks);
	b->round = 2; /* a newcomer has served in none: it joins at the head */
}

static void tenant_free(struct backlog *b, struct lane_tenant *tenant)
{
	ring_leave(b, tenant);
	HASH_DEL(b->tenants, tenant);
	free(tenant->lanes);
	free(tenant->name);
	free(tenant);
}

void backlog_free(struct backlog *b)
{
	struct lane_tenant *tenant, *next;
	HASH_ITER(hh, b->tenants, tenant, next) {
		for (size_t i = 0; i < tenant->nlanes; i++)
			free(tenant->lanes[i]);
		tenant_free(b, tenant);
	}
	free(b->heap);
	memset(b, 0, sizeof *b);
}

static struct lane_tenant *tenant_get(struct backlog *b, const char *name)
{
	struct lane_tenant *tenant;
	HASH_FIND_STR(b->tenants, name, tenant);
	if (tenant)
		return tenant;
	tenant = xcalloc(1, sizeof *tenant);
	tenant->name = xstrdup(name);
	HASH_ADD_KEYPTR(hh, b->tenants, tenant->name, strlen(tenant->name), tenant);
	return tenant;
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
	struct lane_tenant *tenant = tenant_get(b, tenant_name);
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
	TAILQ_INSERT_TAIL(&b->checks, lane, checks);
}

static void checked(struct backlog *b, struct lane *lane)
{
	if (!lane->check)
		return;
	lane->check = false;
	TAILQ_REMOVE(&b->checks, lane, checks);
}

void backlog_checked(struct backlog *b, struct lane *lane, int64_t due_us, uint64_t serial, int64_t now_us, int64_t mono_ns)
{
	lane->checking = false;
	lane->checked_mono_ns = mono_ns;
	if (lane->touched > serial || lane->claiming)
		return;
	checked(b, lane);
	lane->after_us = lane->after_id = BACKLOG_START;
	if (due_us == BACKLOG_NEVER)
		lane->known = 0;
	lane_set_due(b, lane, due_us, now_us);
}

/* ---- claims ---- */

static void ask_lane(struct ask asks[], size_t *count, struct lane *lane, int64_t n)
{
	lane->claiming = true;
	asks[*count].lane = lane;
	asks[*count].n = (int32_t)n;
	(*count)++;
}

/* One tenant's turn: `share` rows over its due lanes, most urgent first. Returns the rows asked for. */
static int64_t ask_tenant(struct lane_tenant *tenant, int64_t now_us, int64_t share, struct ask asks[], size_t *count)
{
	int64_t left = share;
	for (size_t i = 0; i < tenant->nlanes && left > 0 && *count < BACKLOG_ASKS; i++) {
		struct lane *lane = tenant->lanes[i];
		if (!lane_is_due(lane, now_us))
			continue;
		ask_lane(asks, count, lane, left);
		if (lane->known == 0 || lane->known >= left)
			break;
		left -= lane->known;
	}
	return share;
}

size_t backlog_plan(struct backlog *b, int64_t now_us, int64_t room, int64_t quantum, struct ask asks[BACKLOG_ASKS])
{
	size_t count = 0;
	wake_future_lanes(b, now_us);
	if (b->active == 0 || room <= 0)
		return 0;
	int64_t share = room / (int64_t)b->active;
	if (share < quantum)
		share = quantum;
	size_t turns = b->active;
	while (turns-- > 0 && room > 0 && count < BACKLOG_ASKS) {
		struct lane_tenant *tenant = TAILQ_FIRST(&b->ring);
		room -= ask_tenant(tenant, now_us, share < room ? share : room, asks, &count);
		ring_served(b, tenant);
		if (!tenant_is_due(tenant, now_us))
			ring_leave(b, tenant);
		if (b->active == 0)
			break;
	}
	return count;
}

static bool is_behind(int64_t run_at_us, int64_t id, const struct lane *lane)
{
	return run_at_us > lane->after_us || (run_at_us == lane->after_us && id > lane->after_id);
}

void backlog_claimed(struct backlog *b, const struct ask *ask, int64_t got, int64_t last_us, int64_t last_id, int64_t now_us)
{
	struct lane *lane = ask->lane;
	lane->claiming = false;
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

void backlog_bar(struct backlog *b, const char *name, bool barred, int64_t now_us)
{
	struct lane_tenant *tenant = tenant_get(b, name);
	tenant->barred = barred;
	if (barred)
		ring_leave(b, tenant);
	else if (tenant_is_due(tenant, now_us))
		ring_join(b, tenant);
}

bool backlog_runnable(struct backlog *b, int64_t now_us)
{
	wake_future_lanes(b, now_us);
	return b->active > 0;
}

int64_t backlog_next_due(const struct backlog *b)
{
	return b->heap_len ? b->heap[0]->due_us : BACKLOG_NEVER;
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
			tenant_free(b, tenant);
	}
}

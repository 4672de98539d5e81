/*
 * queue/tenants.c: who stands in the ring of a backlog, and what its turn is worth; see tenants.h.
 *
 * Runs in the dispatcher. Owns the tenants, not their lanes. Invariants: after tenants_fit a tenant is in the ring exactly
 * when one of its lanes is due or being claimed, and it is not barred, and active when one is due and not being claimed: it keeps
 * its place while its claim is under way, else those that did not ask would overtake it; b->weight is the ring's; a tenant keeps its deficit while it has a due lane or a claim under way, and no longer. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/tenants.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static struct share share_of(const struct backlog *b, const char *name)
{
	return share_clamped(b->share ? b->share(b->share_arg, name) : (struct share){0});
}

struct lane_tenant *tenants_get(struct backlog *b, const char *name)
{
	struct lane_tenant *tenant;
	HASH_FIND_STR(b->tenants, name, tenant);
	if (tenant)
		return tenant;
	tenant = xcalloc(1, sizeof *tenant);
	tenant->name = xstrdup(name);
	tenant->share = share_of(b, name);
	HASH_ADD_KEYPTR(hh, b->tenants, tenant->name, strlen(tenant->name), tenant);
	return tenant;
}

bool tenants_lane_is_due(const struct lane *lane, int64_t now_us)
{
	return lane->due_us <= now_us && !lane->claiming;
}

bool tenants_barred(const struct lane_tenant *tenant)
{
	return tenant->barred != 0 || tenant->bar.at > 0;
}

int64_t tenants_known(const struct lane_tenant *tenant, int64_t now_us, int64_t unknown)
{
	int64_t sum = 0;
	for (size_t i = 0; i < tenant->nlanes; i++)
		if (tenants_lane_is_due(tenant->lanes[i], now_us))
			sum += tenant->lanes[i]->known > 0 ? tenant->lanes[i]->known : unknown;
	return sum;
}

/* ---- the ring ---- */

static void ring_leave(struct backlog *b, struct lane_tenant *tenant)
{
	TAILQ_REMOVE(&b->ring, tenant, ring);
	tenant->in_ring = false;
	b->weight -= tenant->share.weight;
	b->in_ring--;
}

/* At the head if it was served neither in this round nor in the last; else at the tail. */
static void ring_join(struct backlog *b, struct lane_tenant *tenant)
{
	if (tenant->round + 1 < b->round)
		TAILQ_INSERT_HEAD(&b->ring, tenant, ring);
	else
		TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
	tenant->in_ring = true;
	b->weight += tenant->share.weight;
	b->in_ring++;
}

static void fit(struct backlog *b, struct lane_tenant *tenant, bool due, bool claiming)
{
	bool stands = due || claiming;
	if (stands && !tenant->in_ring)
		ring_join(b, tenant);
	else if (!stands && tenant->in_ring)
		ring_leave(b, tenant);
	if (due != tenant->active)
		b->active += due ? 1 : (size_t)-1;
	tenant->active = due;
}

void tenants_fit(struct backlog *b, struct lane_tenant *tenant, int64_t now_us)
{
	bool due = false, claiming = false;
	for (size_t i = 0; i < tenant->nlanes; i++) {
		due = due || tenants_lane_is_due(tenant->lanes[i], now_us);
		claiming = claiming || tenant->lanes[i]->claiming;
	}
	if (!due && !claiming) {
		tenant->deficit = 0;
		tenant->in_turn = false;
	}
	bool barred = tenants_barred(tenant);
	fit(b, tenant, due && !barred, claiming && !barred);
}

void tenants_forget(struct backlog *b, struct lane_tenant *tenant)
{
	fit(b, tenant, false, false);
	heap_remove(&b->bars, &tenant->bar);
	HASH_DEL(b->tenants, tenant);
	free(tenant->lanes);
	free(tenant->name);
	free(tenant);
}

/* ---- turns ---- */

bool tenants_begin_turn(struct backlog *b, struct lane_tenant *tenant, int64_t quantum)
{
	if (tenant->in_turn)
		return false;
	tenant->turn = share_turn(tenant->share, quantum, b->weight);
	tenant->deficit += tenant->turn;
	tenant->in_turn = true;
	return true;
}

void tenants_pass(struct backlog *b, struct lane_tenant *tenant)
{
	TAILQ_REMOVE(&b->ring, tenant, ring);
	TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
}

void tenants_end_turn(struct backlog *b, struct lane_tenant *tenant)
{
	tenant->round = b->round;
	tenant->in_turn = false;
	tenants_pass(b, tenant);
	if (b->round_left > 0)
		b->round_left--;
	if (b->round_left == 0) {
		b->round++;
		b->round_left = b->in_ring;
	}
}

void tenants_refund(struct lane_tenant *tenant, int64_t rows)
{
	if (rows <= 0)
		return;
	tenant->deficit += rows * SHARE_ONE;
	if (tenant->deficit > 2 * tenant->turn) /* rows that are not there cannot be saved for ever */
		tenant->deficit = 2 * tenant->turn;
}

void tenants_reshare(struct backlog *b, struct lane_tenant *tenant)
{
	struct share fresh = share_of(b, tenant->name);
	if (tenant->in_ring)
		b->weight += (uint64_t)fresh.weight - tenant->share.weight;
	tenant->share = fresh;
}

/* ---- bars ---- */

int64_t tenants_bar_key(const struct backlog *b, const struct lane_tenant *tenant, int64_t until_us)
{
	if (until_us >= BACKLOG_NEVER - 2000)
		return BACKLOG_NEVER;
	uint64_t ago = b->turns - tenant->served + 1;
	int64_t rank = 15 * (63 - __builtin_clzll(ago)); /* below 1000 */
	return (until_us / 1000 + 1) * 1000 + 999 - rank;
}

void tenants_end_bars(struct backlog *b, int64_t now_us)
{
	struct heap_node *node;
	while ((node = heap_top(&b->bars)) != NULL && node->key <= now_us) {
		struct lane_tenant *tenant = HEAP_OWNER(node, struct lane_tenant, bar);
		heap_remove(&b->bars, node);
		tenant->round = b->round; /* no newcomer: it joins at the tail, behind those barred longer */
		backlog_bar_changed(b, tenant, true, now_us);
	}
}

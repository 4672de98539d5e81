/*
 * queue/ring.c: the ring of tenants with released jobs, and their deficits; see ring.h.
 *
 * Runs in the dispatcher. Owns the tenants of a buffer. Invariants: a tenant is in the ring exactly when it has released jobs
 * (mixed: jobs), after each ring_fit; b->weight is the sum of the ring's weights. A tenant without jobs is forgotten at the end
 * of a round. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct share ring_share(const struct buffer *b, const char *name)
{
	return share_clamped(b->share ? b->share(b->share_arg, name) : (struct share){0});
}

struct buffer_tenant *ring_tenant(struct buffer *b, const char *name)
{
	struct buffer_tenant *tenant;
	HASH_FIND_STR(b->tenants, name, tenant);
	if (tenant)
		return tenant;
	tenant = xcalloc(1, sizeof *tenant);
	tenant->name = xstrdup(name);
	tenant->share = ring_share(b, name);
	for (size_t i = 0; i < BUFFER_PRIORITIES; i++)
		TAILQ_INIT(&tenant->by_priority[i]);
	HASH_ADD_KEYPTR(hh, b->tenants, tenant->name, strlen(tenant->name), tenant);
	return tenant;
}

void ring_forget(struct buffer *b, struct buffer_tenant *tenant)
{
	heap_remove(&b->waiting, &tenant->group.wait);
	HASH_DEL(b->tenants, tenant);
	free(tenant->name);
	free(tenant);
}

size_t ring_takable(const struct buffer *b, const struct buffer_tenant *tenant)
{
	return b->law.mixed ? tenant->group.count : tenant->group.released;
}

/* At the head if it was served neither in this round nor in the last, else at the tail. */
static void ring_join(struct buffer *b, struct buffer_tenant *tenant)
{
	if (tenant->round + 1 < b->round)
		TAILQ_INSERT_HEAD(&b->ring, tenant, ring);
	else
		TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
	tenant->in_ring = true;
	b->weight += tenant->share.weight;
	b->active++;
}

static void ring_leave(struct buffer *b, struct buffer_tenant *tenant)
{
	TAILQ_REMOVE(&b->ring, tenant, ring);
	tenant->in_ring = tenant->in_turn = false;
	tenant->deficit = 0;
	b->weight -= tenant->share.weight;
	b->active--;
}

void ring_fit(struct buffer *b, struct buffer_tenant *tenant)
{
	bool wants = ring_takable(b, tenant) > 0;
	if (wants && !tenant->in_ring)
		ring_join(b, tenant);
	else if (!wants && tenant->in_ring)
		ring_leave(b, tenant);
}

static void round_ends(struct buffer *b)
{
	struct buffer_tenant *tenant, *next;
	b->round++;
	b->round_left = b->active;
	HASH_ITER(hh, b->tenants, tenant, next)
		if (tenant->group.count == 0)
			ring_forget(b, tenant);
}

/* The turn is over; the tenant goes to the tail, or is gone from the ring already. */
void ring_turn_ends(struct buffer *b, struct buffer_tenant *tenant)
{
	tenant->round = b->round;
	tenant->in_turn = false;
	if (tenant->in_ring) {
		TAILQ_REMOVE(&b->ring, tenant, ring);
		TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
	}
	if (b->round_left > 0)
		b->round_left--;
	if (b->round_left == 0)
		round_ends(b);
}

static size_t least(size_t a, size_t c)
{
	return a < c ? a : c;
}

bool ring_in_funds(const struct buffer *b, const struct buffer_tenant *tenant, size_t max)
{
	return tenant->deficit >= SHARE_ONE * (int64_t)least(ring_takable(b, tenant), max);
}

/* Whose turn it is; the ring is not empty. A light tenant saves up over some rounds (share.h: ten at most). */
struct buffer_tenant *ring_turn_of(struct buffer *b, size_t max)
{
	for (;;) {
		struct buffer_tenant *tenant = TAILQ_FIRST(&b->ring);
		if (!tenant->in_turn) {
			tenant->deficit += share_turn(tenant->share, (int64_t)b->law.batch, b->weight);
			tenant->in_turn = true;
		}
		if (ring_in_funds(b, tenant, max))
			return tenant;
		ring_turn_ends(b, tenant);
	}
}

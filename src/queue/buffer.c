/*
 * queue/buffer.c: the turn of tenants among claimed jobs; see buffer.h.
 *
 * Runs in the dispatcher. Owns the tenants of the ring, not the items. Invariant: a tenant is in the ring exactly when its
 * count is above zero. A tenant without jobs is forgotten at the end of the round in which it was served.
 */
#include "config.h"

#include "queue/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void buffer_init(struct buffer *b)
{
	memset(b, 0, sizeof *b);
	TAILQ_INIT(&b->ring);
	TAILQ_INIT(&b->suspects);
	b->round = 2; /* a newcomer has served in none: it joins at the head */
}

static void tenant_free(struct buffer *b, struct buffer_tenant *tenant)
{
	HASH_DEL(b->tenants, tenant);
	free(tenant->name);
	free(tenant);
}

void buffer_free(struct buffer *b)
{
	struct buffer_tenant *tenant, *next;
	HASH_ITER(hh, b->tenants, tenant, next)
		tenant_free(b, tenant);
	memset(b, 0, sizeof *b);
}

static struct buffer_tenant *tenant_get(struct buffer *b, const char *name)
{
	struct buffer_tenant *tenant;
	HASH_FIND_STR(b->tenants, name, tenant);
	if (tenant)
		return tenant;
	tenant = xcalloc(1, sizeof *tenant);
	tenant->name = xstrdup(name);
	for (size_t i = 0; i < BUFFER_PRIORITIES; i++)
		TAILQ_INIT(&tenant->by_priority[i]);
	HASH_ADD_KEYPTR(hh, b->tenants, tenant->name, strlen(tenant->name), tenant);
	return tenant;
}

static void ring_join(struct buffer *b, struct buffer_tenant *tenant)
{
	if (tenant->round + 1 < b->round)
		TAILQ_INSERT_HEAD(&b->ring, tenant, ring);
	else
		TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
	b->active++;
}

static void ring_leave(struct buffer *b, struct buffer_tenant *tenant)
{
	TAILQ_REMOVE(&b->ring, tenant, ring);
	b->active--;
}

static void round_ends(struct buffer *b)
{
	struct buffer_tenant *tenant, *next;
	b->round++;
	b->round_left = b->active;
	HASH_ITER(hh, b->tenants, tenant, next)
		if (tenant->count == 0)
			tenant_free(b, tenant);
}

static void ring_served(struct buffer *b, struct buffer_tenant *tenant)
{
	tenant->round = b->round;
	if (tenant->count > 0) {
		TAILQ_REMOVE(&b->ring, tenant, ring);
		TAILQ_INSERT_TAIL(&b->ring, tenant, ring);
	}
	if (b->round_left > 0)
		b->round_left--;
	if (b->round_left == 0)
		round_ends(b);
}

static struct buffer_list *list_of(struct buffer *b, const struct buffer_item *item)
{
	if (item->suspect)
		return &b->suspects;
	return &item->tenant->by_priority[item->priority < BUFFER_PRIORITIES ? item->priority : BUFFER_PRIORITIES - 1];
}

void buffer_add(struct buffer *b, const char *tenant, struct buffer_item *item, bool front)
{
	item->tenant = item->suspect ? NULL : tenant_get(b, tenant);
	struct buffer_list *list = list_of(b, item);
	if (front)
		TAILQ_INSERT_HEAD(list, item, link);
	else
		TAILQ_INSERT_TAIL(list, item, link);
	item->buffered = true;
	b->entries++;
	b->bytes += item->bytes;
	if (item->tenant && item->tenant->count++ == 0)
		ring_join(b, item->tenant);
}

void buffer_remove(struct buffer *b, struct buffer_item *item)
{
	TAILQ_REMOVE(list_of(b, item), item, link);
	item->buffered = false;
	b->entries--;
	b->bytes -= item->bytes;
	if (item->tenant && --item->tenant->count == 0)
		ring_leave(b, item->tenant);
	item->tenant = NULL;
}

static size_t take_from(struct buffer *b, struct buffer_tenant *tenant, size_t max, struct buffer_item *out[])
{
	size_t n = 0;
	for (size_t p = 0; p < BUFFER_PRIORITIES && n < max; p++) {
		struct buffer_item *item;
		while (n < max && (item = TAILQ_FIRST(&tenant->by_priority[p])) != NULL) {
			buffer_remove(b, item);
			out[n++] = item;
		}
	}
	return n;
}

size_t buffer_take(struct buffer *b, size_t max, bool mixed, struct buffer_item *out[], bool *alone)
{
	struct buffer_item *suspect = TAILQ_FIRST(&b->suspects);
	*alone = suspect != NULL;
	if (suspect) {
		buffer_remove(b, suspect);
		out[0] = suspect;
		return 1;
	}
	size_t n = 0;
	struct buffer_tenant *tenant;
	while (n < max && (tenant = TAILQ_FIRST(&b->ring)) != NULL) {
		n += take_from(b, tenant, max - n, out + n);
		ring_served(b, tenant);
		if (!mixed)
			break;
	}
	return n;
}

size_t buffer_suspects(const struct buffer *b)
{
	size_t n = 0;
	const struct buffer_item *item;
	TAILQ_FOREACH(item, &b->suspects, link)
		n++;
	return n;
}

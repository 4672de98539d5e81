/*
 * queue/buffer.c: groups, their release, and the turn of tenants among claimed jobs; see buffer.h for the law.
 *
 * Runs in the dispatcher. Owns the tenants of the ring, not the items. Invariants: a group with jobs is either released (in
 * part) or waits in the heap, never both; a tenant is in the ring exactly when it has released jobs (mixed: jobs). A
 * tenant without jobs is forgotten at the end of a round. Only groups smaller than a batch are ever walked, so adding and
 * taking cost O(1), and O(log groups) while timeouts are set. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "queue/group.h"
#include "queue/ring.h"

/* ---- in and out ---- */

static size_t slot_of(const struct buffer_item *item)
{
	return item->priority < BUFFER_PRIORITIES ? item->priority : BUFFER_PRIORITIES - 1;
}

void buffer_add(struct buffer *b, const char *name, struct buffer_item *item, bool front, int64_t now_ns)
{
	struct buffer_tenant *tenant = item->suspect ? NULL : ring_tenant(b, name);
	struct buffer_list *list = tenant ? &tenant->by_priority[slot_of(item)] : &b->suspects;
	if (front)
		TAILQ_INSERT_HEAD(list, item, link);
	else
		TAILQ_INSERT_TAIL(list, item, link);
	item->tenant = tenant;
	item->buffered = true;
	if (item->since_ns == 0)
		item->since_ns = now_ns;
	b->overflows += b->law.max_entries > 0 && b->entries >= b->law.max_entries;
	b->added++;
	b->entries++;
	b->bytes += item->bytes;
	if (!tenant) {
		b->released++;
		return;
	}
	tenant->mask |= 1u << slot_of(item);
	tenant->group.count++;
	if (b->law.mixed) {
		b->all.count++;
		ring_fit(b, tenant);
	}
	group_grew(b, group_of(b, tenant), item, now_ns);
}

/* Out of its list; the group is told by the caller. */
static size_t least(size_t a, size_t c)
{
	return a < c ? a : c;
}

static struct buffer_tenant *unlink_item(struct buffer *b, struct buffer_item *item)
{
	struct buffer_tenant *tenant = item->tenant;
	struct buffer_list *list = tenant ? &tenant->by_priority[slot_of(item)] : &b->suspects;
	TAILQ_REMOVE(list, item, link);
	item->buffered = false;
	item->tenant = NULL;
	b->entries--;
	b->bytes -= item->bytes;
	if (!tenant) {
		b->released--;
		return NULL;
	}
	if (TAILQ_EMPTY(list))
		tenant->mask &= ~(1u << slot_of(item));
	tenant->group.count--;
	if (b->law.mixed)
		b->all.count--;
	return tenant;
}

void buffer_remove(struct buffer *b, struct buffer_item *item, int64_t now_ns)
{
	struct buffer_tenant *tenant = unlink_item(b, item);
	if (!tenant)
		return;
	group_shrank(b, group_of(b, tenant), now_ns);
	ring_fit(b, tenant);
}

/* ---- taking ---- */

static int64_t age_of(const struct buffer_item *item, int64_t now_ns)
{
	return now_ns - (item->due_ns ? item->due_ns : item->since_ns);
}

/* The priorities that share the batch: the most urgent, and those whose first job is aged. */
static uint32_t sharing(const struct buffer *b, const struct buffer_tenant *tenant, int64_t now_ns)
{
	int first = __builtin_ctz(tenant->mask);
	uint32_t shared = 1u << first;
	for (uint32_t mask = tenant->mask & (tenant->mask - 1); mask && b->law.aging_ns > 0; mask &= mask - 1) {
		int p = __builtin_ctz(mask);
		if (share_aged(p, first, age_of(TAILQ_FIRST(&tenant->by_priority[p]), now_ns), b->law.aging_ns))
			shared |= 1u << p;
	}
	return shared;
}

static size_t take_list(struct buffer *b, struct buffer_list *list, size_t max, struct buffer_item *out[])
{
	size_t n = 0;
	struct buffer_item *item;
	while (n < max && (item = TAILQ_FIRST(list)) != NULL) {
		unlink_item(b, item);
		out[n++] = item;
	}
	return n;
}

static size_t take_shared(struct buffer *b, struct buffer_tenant *tenant, uint32_t shared, size_t max, struct buffer_item *out[])
{
	size_t n = 0, sharers = (size_t)__builtin_popcount(shared), part = max / sharers;
	if (part == 0) { /* fewer places than sharers: they begin in turn */
		for (unsigned skip = tenant->spin++ % (unsigned)sharers; skip > 0; skip--)
			shared &= shared - 1;
		part = 1;
	}
	for (; shared && n < max; shared &= shared - 1)
		n += take_list(b, &tenant->by_priority[__builtin_ctz(shared)], part, out + n);
	return n;
}

static size_t take_from(struct buffer *b, struct buffer_tenant *tenant, size_t max, int64_t now_ns, struct buffer_item *out[])
{
	size_t n = 0;
	uint32_t shared = sharing(b, tenant, now_ns);
	if (shared & (shared - 1))
		n = take_shared(b, tenant, shared, max, out);
	while (n < max && tenant->mask)
		n += take_list(b, &tenant->by_priority[__builtin_ctz(tenant->mask)], max - n, out + n);
	return n;
}

static size_t take_turn(struct buffer *b, size_t max, int64_t now_ns, struct buffer_item *out[], enum flush_reason *reason)
{
	struct buffer_tenant *tenant = ring_turn_of(b, max);
	struct buffer_group *group = group_of(b, tenant);
	size_t n = take_from(b, tenant, least(ring_takable(b, tenant), max), now_ns, out);
	*reason = group->reason;
	tenant->deficit -= SHARE_ONE * (int64_t)n;
	group->released -= n;
	b->released -= n;
	if (group->released == 0)
		group_judge(b, group, now_ns);
	ring_fit(b, tenant);
	if (!tenant->in_ring || !ring_in_funds(b, tenant, max))
		ring_turn_ends(b, tenant);
	return n;
}

bool buffer_ready(struct buffer *b, int64_t now_ns)
{
	group_end_waits(b, now_ns);
	if (b->released == 0)
		group_relieve(b);
	return b->released > 0;
}

static int64_t longest_wait(struct buffer_item *const *items, size_t n, int64_t now_ns)
{
	int64_t since = now_ns;
	for (size_t i = 0; i < n; i++)
		since = items[i]->since_ns < since ? items[i]->since_ns : since;
	return now_ns - since;
}

size_t buffer_take(struct buffer *b, size_t max, int64_t now_ns, struct buffer_item *out[], struct buffer_flush *flush)
{
	size_t n = 0;
	*flush = (struct buffer_flush){.reason = FLUSH_age};
	if (max == 0 || !buffer_ready(b, now_ns))
		return 0;
	max = least(max, b->law.batch);
	if (!TAILQ_EMPTY(&b->suspects)) {
		flush->alone = true;
		n = take_list(b, &b->suspects, 1, out);
	} else if (b->law.mixed) {
		max = least(max, b->all.released);
		while (n < max && b->all.released > 0 && !TAILQ_EMPTY(&b->ring))
			n += take_turn(b, max - n, now_ns, out + n, &flush->reason);
	} else {
		n = take_turn(b, max, now_ns, out, &flush->reason);
	}
	if (n == b->law.batch && !flush->alone)
		flush->reason = FLUSH_size;
	flush->waited_ns = longest_wait(out, n, now_ns);
	b->flushes[flush->reason]++;
	return n;
}

size_t buffer_drain(struct buffer *b, size_t max, int64_t now_ns, struct buffer_item *out[])
{
	struct buffer_tenant *tenant, *next;
	size_t n = take_list(b, &b->suspects, max, out);
	HASH_ITER(hh, b->tenants, tenant, next)
		while (n < max && tenant->mask) {
			struct buffer_item *item = TAILQ_FIRST(&tenant->by_priority[__builtin_ctz(tenant->mask)]);
			buffer_remove(b, item, now_ns);
			out[n++] = item;
		}
	return n;
}

/* ---- law and state ---- */

void buffer_set_law(struct buffer *b, const struct buffer_law *law, int64_t now_ns)
{
	bool mixed = b->entries > 0 ? b->law.mixed : law->mixed;
	b->law = *law;
	b->law.mixed = mixed;
	b->law.batch = law->batch ? law->batch : 1;
	b->at_once = law->timeout_ns[BUFFER_NORMAL] <= 0 && law->timeout_ns[BUFFER_HIGH] <= 0 && law->timeout_ns[BUFFER_URGENT] <= 0;
	group_judge_waiting(b, now_ns);
}

void buffer_set_batch(struct buffer *b, size_t batch, int64_t now_ns)
{
	struct buffer_law law = b->law;
	law.batch = batch;
	if (batch != b->law.batch)
		buffer_set_law(b, &law, now_ns);
}

void buffer_set_shares(struct buffer *b, share_fn *share, void *arg)
{
	struct buffer_tenant *tenant, *next;
	b->share = share;
	b->share_arg = arg;
	HASH_ITER(hh, b->tenants, tenant, next) {
		struct share fresh = ring_share(b, tenant->name);
		if (tenant->in_ring)
			b->weight += (uint64_t)fresh.weight - tenant->share.weight;
		tenant->share = fresh;
	}
}

void buffer_close(struct buffer *b, int64_t now_ns)
{
	b->closing = true;
	group_judge_waiting(b, now_ns);
}

bool buffer_waits(const struct buffer *b, const struct buffer_item *item, int64_t *until_ns)
{
	if (!item->buffered || !item->tenant)
		return false;
	const struct buffer_group *group = b->law.mixed ? &b->all : &item->tenant->group;
	*until_ns = group->wait.key;
	return group->released == 0 && group->wait.at > 0;
}

int64_t buffer_due_ns(const struct buffer *b)
{
	const struct heap_node *node = heap_top(&b->waiting);
	return node ? node->key : BUFFER_NEVER;
}

unsigned buffer_use_percent(const struct buffer *b)
{
	size_t entries = b->law.max_entries ? b->entries * 100 / b->law.max_entries : 0;
	size_t bytes = b->law.max_bytes ? b->bytes * 100 / b->law.max_bytes : 0;
	return (unsigned)(entries > bytes ? entries : bytes);
}

size_t buffer_room(const struct buffer *b, size_t ready)
{
	size_t room = ready > b->released ? ready - b->released : 0;
	if (b->law.max_entries > 0)
		room = least(room, b->law.max_entries > b->entries ? b->law.max_entries - b->entries : 0);
	if (b->law.max_bytes > 0 && b->bytes >= b->law.max_bytes)
		return 0;
	if (b->law.max_bytes > 0 && b->entries > 0 && b->bytes > 0)
		room = least(room, (b->law.max_bytes - b->bytes) / (b->bytes / b->entries + 1));
	return room;
}

size_t buffer_suspects(const struct buffer *b)
{
	size_t n = 0;
	const struct buffer_item *item;
	TAILQ_FOREACH(item, &b->suspects, link)
		n++;
	return n;
}

void buffer_init(struct buffer *b)
{
	memset(b, 0, sizeof *b);
	TAILQ_INIT(&b->ring);
	TAILQ_INIT(&b->suspects);
	b->law.batch = 25;
	b->at_once = true;
	b->round = 2; /* a newcomer has served in none: it joins at the head */
}

void buffer_free(struct buffer *b)
{
	struct buffer_tenant *tenant, *next;
	HASH_ITER(hh, b->tenants, tenant, next)
		ring_forget(b, tenant);
	heap_free(&b->waiting);
	memset(b, 0, sizeof *b);
}

/*
 * queue/group.c: when the jobs of a group have waited for company long enough; see buffer.h for the law.
 *
 * Runs in the dispatcher. Owns the groups of a buffer and its heap of waits. Invariant: a group with jobs is either released (in
 * part) or waits in the heap, never both, and never neither. Only groups smaller than a batch are ever walked, so telling a
 * group of one job more or less costs O(1), and O(log groups) while timeouts are set. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/group.h"

#include "queue/ring.h"

static const char *const reason_names[FLUSH_REASONS] = {
#define FLUSH_X(name, help) #name,
#include "tbl/flushes.def"
#undef FLUSH_X
};

const char *flush_reason_name(enum flush_reason reason)
{
	return reason_names[reason];
}

struct buffer_group *group_of(struct buffer *b, struct buffer_tenant *tenant)
{
	return b->law.mixed ? &b->all : &tenant->group;
}

static void group_release(struct buffer *b, struct buffer_group *group, size_t n, enum flush_reason reason)
{
	heap_remove(&b->waiting, &group->wait);
	b->released += n - group->released;
	group->released = n;
	group->reason = b->closing ? FLUSH_shutdown : reason;
	if (group != &b->all)
		ring_fit(b, HEAP_OWNER(group, struct buffer_tenant, group));
}

/* When the item's wait ends, and why. */
static int64_t item_due(const struct buffer *b, const struct buffer_item *item, enum flush_reason *reason)
{
	static const enum flush_reason by_class[BUFFER_CLASSES] = {FLUSH_age, FLUSH_high, FLUSH_urgent};
	const struct buffer_law *law = &b->law;
	int class = item->priority <= 1 ? BUFFER_URGENT : item->priority <= 2 ? BUFFER_HIGH : BUFFER_NORMAL;
	int64_t due = item->since_ns + law->timeout_ns[class];
	*reason = by_class[class];
	if (law->max_age_ns > 0 && item->since_ns + law->max_age_ns < due) {
		due = item->since_ns + law->max_age_ns;
		*reason = FLUSH_age;
	}
	if (item->deadline_ns != 0 && item->deadline_ns - law->deadline_margin_ns < due) {
		due = item->deadline_ns - law->deadline_margin_ns;
		*reason = FLUSH_deadline;
	}
	return due;
}

static void group_heed(const struct buffer *b, struct buffer_group *group, const struct buffer_item *item, int64_t *due)
{
	enum flush_reason reason;
	int64_t ends = item_due(b, item, &reason);
	if (ends < *due) {
		*due = ends;
		group->reason = reason;
	}
}

static int64_t tenant_heeds(const struct buffer *b, struct buffer_group *group, const struct buffer_tenant *tenant, int64_t due)
{
	const struct buffer_item *item;
	for (uint32_t mask = tenant->mask; mask; mask &= mask - 1)
		TAILQ_FOREACH(item, &tenant->by_priority[__builtin_ctz(mask)], link)
			group_heed(b, group, item, &due);
	return due;
}

static void group_wait(struct buffer *b, struct buffer_group *group, int64_t due, int64_t now_ns)
{
	if (due <= now_ns || b->closing)
		group_release(b, group, group->count, group->reason);
	else
		heap_set(&b->waiting, &group->wait, due);
}

/* How many of it go at once: whole batches, or all of a part batch whose time has come. */
static size_t group_whole(const struct buffer *b, const struct buffer_group *group)
{
	bool part = b->at_once || group->count < b->law.batch;
	return part ? group->count : group->count - group->count % b->law.batch;
}

/* Nothing of it is released: is it a batch now, or when? Walks it only if it is smaller than a batch. */
void group_judge(struct buffer *b, struct buffer_group *group, int64_t now_ns)
{
	const struct buffer_tenant *tenant;
	int64_t due = BUFFER_NEVER;
	if (group->count == 0 || group->count >= b->law.batch) {
		group_release(b, group, group_whole(b, group), FLUSH_size);
		return;
	}
	if (group == &b->all)
		TAILQ_FOREACH(tenant, &b->ring, ring)
			due = tenant_heeds(b, group, tenant, due);
	else
		due = tenant_heeds(b, group, HEAP_OWNER(group, struct buffer_tenant, group), due);
	group_wait(b, group, due, now_ns);
}

void group_grew(struct buffer *b, struct buffer_group *group, const struct buffer_item *item, int64_t now_ns)
{
	if (b->at_once && group->released > 0) {
		group->released++;
		b->released++;
	} else if (group->released > 0) {
		if (group_whole(b, group) > group->released)
			group_release(b, group, group_whole(b, group), group->reason);
	} else if (group->count >= b->law.batch) {
		group_release(b, group, group_whole(b, group), FLUSH_size);
	} else {
		int64_t due = group->wait.at ? group->wait.key : BUFFER_NEVER;
		group_heed(b, group, item, &due);
		group_wait(b, group, due, now_ns);
	}
}

/* One less; a released one if any was. */
void group_shrank(struct buffer *b, struct buffer_group *group, int64_t now_ns)
{
	if (group->released > 0) {
		group->released--;
		b->released--;
	}
	if (group->released == 0)
		group_judge(b, group, now_ns);
}

void group_end_waits(struct buffer *b, int64_t now_ns)
{
	struct heap_node *node;
	while ((node = heap_top(&b->waiting)) != NULL && node->key <= now_ns) {
		struct buffer_group *group = HEAP_OWNER(node, struct buffer_group, wait);
		group_release(b, group, group->count, group->reason);
	}
}

/* Nothing may go, but the buffer is fuller than it should be: the group that is due next goes. */
void group_relieve(struct buffer *b)
{
	unsigned use = buffer_use_percent(b);
	b->emergency = use >= BUFFER_EMERGENCY || (b->emergency && use >= BUFFER_EARLY);
	struct heap_node *node = heap_top(&b->waiting);
	if (use < BUFFER_EARLY || !node)
		return;
	struct buffer_group *group = HEAP_OWNER(node, struct buffer_group, wait);
	group_release(b, group, group->count, b->emergency ? FLUSH_emergency : FLUSH_early);
}

void group_judge_waiting(struct buffer *b, int64_t now_ns)
{
	struct buffer_tenant *tenant, *next;
	if (b->all.wait.at)
		group_judge(b, &b->all, now_ns);
	HASH_ITER(hh, b->tenants, tenant, next)
		if (tenant->group.wait.at)
			group_judge(b, &tenant->group, now_ns);
}

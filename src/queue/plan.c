/*
 * queue/plan.c: the next claim: which lanes, and how many rows of each; see backlog.h and share.h for the law.
 *
 * Runs in the dispatcher. Owns nothing: it takes from the tenants' deficits and marks the lanes that it asks for as claiming. Invariant: no
 * more than `room` rows are asked for, a lane is asked for once a claim, and what the limits granted beyond what was asked is given
 * back. Cannot fail.
 */
#include "config.h"

#include "queue/tenants.h"

static void ask_lane(struct ask asks[], size_t *count, struct lane *lane, int64_t n)
{
	lane->claiming = true;
	lane->ask = *count;
	asks[*count].lane = lane;
	asks[*count].n = (int32_t)n;
	(*count)++;
}

/* The tenant's due lanes in the order of their turn: those that share it first (share.h). Returns how many share it. */
static size_t order_lanes(const struct backlog *b, struct lane_tenant *tenant, int64_t now_us, struct lane *order[], size_t *len)
{
	struct lane *rest[BACKLOG_PRIORITIES];
	size_t sharers = 0, others = 0;
	for (size_t i = 0; i < tenant->nlanes && sharers + others < BACKLOG_PRIORITIES; i++) {
		struct lane *lane = tenant->lanes[i];
		if (!tenants_lane_is_due(lane, now_us))
			continue;
		int64_t age = lane->due_us > BACKLOG_START / 2 ? now_us - lane->due_us : INT64_MAX / 2;
		if (sharers == 0 || share_aged(lane->priority, order[0]->priority, age, b->aging_us))
			order[sharers++] = lane;
		else
			rest[others++] = lane;
	}
	for (size_t i = 0; i < others; i++)
		order[sharers + i] = rest[i];
	*len = sharers + others;
	return sharers;
}

/* A further turn of a tenant in the same claim asks more of the lanes that it has asked already, as far as they may have more:
 * else small turns would walk down its priorities, and claim low jobs before urgent ones. Returns the rows added. */
static int64_t ask_more(const struct lane_tenant *tenant, int64_t rows, struct ask asks[], size_t count)
{
	int64_t left = rows;
	for (size_t i = 0; i < count && left > 0; i++) {
		const struct lane *lane = asks[i].lane;
		if (lane->tenant != tenant)
			continue;
		int64_t more = lane->known > 0 ? lane->known - asks[i].n : left;
		if (more > left)
			more = left;
		if (more > 0) {
			asks[i].n += (int32_t)more;
			left -= more;
		}
	}
	return rows - left;
}

/* One tenant's turn: `rows` over its due lanes. Returns the rows asked for: all, unless the asks are used up. */
static int64_t ask_tenant(const struct backlog *b, struct lane_tenant *tenant, int64_t now_us, int64_t rows, struct ask asks[], size_t *count)
{
	struct lane *order[BACKLOG_PRIORITIES];
	int64_t left = rows - ask_more(tenant, rows, asks, *count);
	size_t len, sharers = order_lanes(b, tenant, now_us, order, &len);
	size_t skip = sharers > 1 && rows < (int64_t)sharers ? tenant->spin++ % sharers : 0;
	size_t first = *count;
	for (size_t i = skip; i < len && left > 0 && *count < BACKLOG_ASKS; i++) {
		int64_t among = i < sharers ? (int64_t)(sharers - i) : 1, n = (left + among - 1) / among;
		if (order[i]->known > 0 && order[i]->known < n)
			n = order[i]->known;
		ask_lane(asks, count, order[i], n);
		left -= n;
	}
	if (left > 0 && *count > first) { /* more may have come than is known: that is for the most urgent, not for the last */
		asks[first].n += (int32_t)left;
		left = 0;
	}
	return rows - left;
}

/* What the tenant at the head may ask for now: 0 = nothing, and its turn is over or it is barred. */
static int64_t allowance(struct backlog *b, struct lane_tenant *tenant, int64_t base, int64_t quantum, int64_t room, int64_t now_us)
{
	bool begins = tenants_begin_turn(b, tenant, base);
	int64_t funds = tenant->deficit / SHARE_ONE, want = funds < room ? funds : room;
	if (begins && want < quantum && want < room && want < tenants_known(tenant, now_us, quantum)) { /* light: it saves up */
		tenants_end_turn(b, tenant);
		return 0;
	}
	if (want > quantum && tenants_known(tenant, now_us, want) >= want)
		want -= want % quantum; /* whole batches: the rest is for its next turn */
	if (!b->grant)
		return want;
	int64_t until_us = now_us, granted = b->grant(b->grant_arg, tenant->name, want, &until_us);
	if (granted < want)
		tenant->deficit = granted > 0 ? granted * SHARE_ONE : 0; /* what its limit forbids it cannot save */
	if (granted <= 0) {
		tenants_end_turn(b, tenant);
		backlog_bar_until(b, tenant->name, until_us > now_us ? until_us : now_us + 1, now_us);
	}
	return granted;
}

size_t backlog_plan(struct backlog *b, int64_t now_us, int64_t room, int64_t quantum, struct ask asks[BACKLOG_ASKS])
{
	size_t count = 0;
	backlog_wake(b, now_us);
	if (b->active == 0 || room <= 0)
		return 0;
	int64_t base = room * SHARE_ONE / (int64_t)b->weight;
	if (base < quantum)
		base = quantum;
	size_t visits = b->in_ring, rounds = SHARE_ONE / SHARE_WEIGHT_MIN;
	while (visits > 0 && room > 0 && count < BACKLOG_ASKS && b->active > 0) {
		struct lane_tenant *tenant = TAILQ_FIRST(&b->ring);
		if (--visits == 0 && count == 0 && rounds-- > 0) /* all of them save up */
			visits = b->in_ring;
		if (!tenant->active) {
			tenants_pass(b, tenant);
			continue;
		}
		if (count > 0 && room < quantum && !tenant->in_turn && tenants_known(tenant, now_us, quantum) > room)
			break; /* a turn that the room would cut begins with the next claim: half batches cost as much as whole ones */
		int64_t rows = allowance(b, tenant, base, quantum, room, now_us);
		if (rows <= 0)
			continue;
		int64_t asked = ask_tenant(b, tenant, now_us, rows, asks, &count);
		if (asked < rows)
			backlog_give_back(b, tenant, rows - asked);
		tenant->deficit -= asked * SHARE_ONE;
		tenant->served = ++b->turns;
		room -= asked;
		bool ends = tenant->deficit < (asked >= quantum ? quantum : 1) * SHARE_ONE;
		if (ends)
			tenants_end_turn(b, tenant);
		tenants_fit(b, tenant, now_us);
		if (!ends)
			break; /* the room has cut its turn */
	}
	return count;
}

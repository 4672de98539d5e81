/*
 * tests/unit/test_backlog.c: lanes, cursors and turns of queue/backlog.c under a clock that the test holds.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "queue/backlog.h"

#define NOW INT64_C(1000000000)

static struct backlog b;

static void setup(void) { backlog_init(&b); }
static void teardown(void) { backlog_free(&b); }

static struct lane *arrive(const char *tenant, int priority, int64_t count, int64_t due_us)
{
	struct lane *lane = backlog_lane(&b, tenant, priority);
	backlog_arrived(&b, lane, count, due_us, NOW);
	return lane;
}

static size_t plan(int64_t room, int64_t quantum, struct ask asks[])
{
	return backlog_plan(&b, NOW, room, quantum, asks);
}

START_TEST(test_nothing_waits)
{
	struct ask asks[BACKLOG_ASKS];
	ck_assert(!backlog_runnable(&b, NOW));
	ck_assert_uint_eq(plan(100, 25, asks), 0);
	ck_assert_int_eq(backlog_next_due(&b), BACKLOG_NEVER);
}
END_TEST

START_TEST(test_future_lane_wakes)
{
	struct ask asks[BACKLOG_ASKS];
	arrive("a", 5, 1, NOW + 7);
	arrive("b", 5, 1, NOW + 3);
	arrive("c", 5, 1, NOW + 9);
	ck_assert(!backlog_runnable(&b, NOW));
	ck_assert_int_eq(backlog_next_due(&b), NOW + 3);
	ck_assert(backlog_runnable(&b, NOW + 7));
	ck_assert_uint_eq(backlog_plan(&b, NOW + 7, 100, 25, asks), 2);
	ck_assert_int_eq(backlog_next_due(&b), NOW + 9);
}
END_TEST

START_TEST(test_urgent_lane_first)
{
	struct ask asks[BACKLOG_ASKS];
	arrive("a", 10, 500, NOW);
	arrive("a", 1, 10, NOW);
	ck_assert_uint_eq(plan(25, 25, asks), 2);
	ck_assert_int_eq(asks[0].lane->priority, 1);
	ck_assert_int_eq(asks[0].n, 10);
	ck_assert_int_eq(asks[1].lane->priority, 10);
	ck_assert_int_eq(asks[1].n, 15);
}
END_TEST

START_TEST(test_cursor_moves_and_comes_back)
{
	struct ask asks[BACKLOG_ASKS];
	struct lane *lane = arrive("a", 5, 100, NOW - 50);
	ck_assert_uint_eq(plan(10, 10, asks), 1);
	backlog_claimed(&b, &asks[0], 10, NOW - 40, 10, NOW);
	ck_assert_int_eq(lane->after_us, NOW - 40);
	ck_assert_int_eq(lane->after_id, 10);
	backlog_returned(&b, lane, NOW - 45, NOW);
	ck_assert_int_eq(lane->after_us, NOW - 45);
	ck_assert_int_eq(lane->after_id, BACKLOG_START);
}
END_TEST

START_TEST(test_short_claim_wants_a_check_once_a_second)
{
	struct ask asks[BACKLOG_ASKS];
	struct lane *out[4], *lane = arrive("a", 5, 3, NOW);
	plan(10, 10, asks);
	backlog_claimed(&b, &asks[0], 3, NOW, 3, NOW);
	ck_assert(!backlog_runnable(&b, NOW));
	ck_assert_uint_eq(backlog_checks(&b, 5 * NS_PER_S, out, 4), 1);
	ck_assert_uint_eq(backlog_checks(&b, 5 * NS_PER_S, out, 4), 0);
	backlog_checked(&b, lane, NOW + 60, backlog_serial(&b), NOW, 5 * NS_PER_S);
	ck_assert_int_eq(backlog_next_due(&b), NOW + 60);
	ck_assert_int_eq(lane->after_us, NOW + 60); /* at its head, in front of every row of that time */
	ck_assert_int_eq(lane->after_id, BACKLOG_START);
	backlog_plan(&b, NOW + 60, 10, 10, asks);
	backlog_claimed(&b, &asks[0], 0, 0, 0, NOW + 60);
	ck_assert_uint_eq(backlog_checks(&b, 5 * NS_PER_S + 1, out, 4), 0);
	ck_assert_uint_eq(backlog_checks(&b, 6 * NS_PER_S, out, 4), 1);
}
END_TEST

START_TEST(test_stale_check_changes_nothing)
{
	struct ask asks[BACKLOG_ASKS];
	struct lane *out[4], *lane = arrive("a", 5, 3, NOW);
	plan(10, 10, asks);
	backlog_claimed(&b, &asks[0], 3, NOW, 3, NOW);
	ck_assert_uint_eq(backlog_checks(&b, 5 * NS_PER_S, out, 4), 1);
	uint64_t serial = backlog_serial(&b);
	backlog_arrived(&b, lane, 1, NOW, NOW);
	backlog_checked(&b, lane, BACKLOG_NEVER, serial, NOW, 5 * NS_PER_S);
	ck_assert(backlog_runnable(&b, NOW));
}
END_TEST

START_TEST(test_arrival_during_a_claim_is_not_lost)
{
	struct ask asks[BACKLOG_ASKS];
	struct lane *lane = arrive("a", 5, 3, NOW - 10);
	plan(10, 10, asks);
	ck_assert(!backlog_runnable(&b, NOW));
	backlog_arrived(&b, lane, 1, NOW - 20, NOW);
	ck_assert(!backlog_runnable(&b, NOW));
	backlog_claimed(&b, &asks[0], 3, NOW - 5, 9, NOW);
	ck_assert(backlog_runnable(&b, NOW));
	ck_assert_int_lt(lane->after_us, NOW - 19);
}
END_TEST

START_TEST(test_failed_claim_is_as_if_not_asked)
{
	struct ask asks[BACKLOG_ASKS];
	arrive("a", 5, 3, NOW);
	ck_assert_uint_eq(plan(10, 10, asks), 1);
	backlog_unclaimed(&b, &asks[0], NOW);
	ck_assert_uint_eq(plan(10, 10, asks), 1);
}
END_TEST

/* Many rounds of claims over tenants with endless backlogs: each gets the same. */
START_TEST(test_tenants_take_turns)
{
	enum { TENANTS = 100 };
	struct ask asks[BACKLOG_ASKS];
	int64_t got[TENANTS] = {0}, least = INT64_MAX, most = 0;
	char name[16];
	for (int i = 0; i < TENANTS; i++) {
		snprintf(name, sizeof name, "t%d", i);
		arrive(name, 5, i == 0 ? 1000000 : 10000, NOW - 1000);
	}
	for (int round = 0; round < 1000; round++) {
		size_t n = plan(500, 25, asks);
		for (size_t i = 0; i < n; i++) {
			got[atoi(asks[i].lane->tenant->name + 1)] += asks[i].n;
			backlog_claimed(&b, &asks[i], asks[i].n, NOW - 999, 1, NOW);
		}
	}
	for (int i = 0; i < TENANTS; i++) {
		least = got[i] < least ? got[i] : least;
		most = got[i] > most ? got[i] : most;
	}
	ck_assert_int_gt(least, 0);
	ck_assert_int_le(most - least, 25);
}
END_TEST

/* Claims tenants' rows by the plan until `rows` are claimed; a tenant named t<i> gets got[i]. left: NULL = endless. */
static void claim_rows(int64_t rows, int64_t room, int64_t got[], int64_t left[])
{
	struct ask asks[BACKLOG_ASKS];
	while (rows > 0) {
		size_t n = plan(room, 25, asks);
		int64_t sum = 0;
		ck_assert_uint_gt(n, 0);
		for (size_t i = 0; i < n; i++) {
			int t = atoi(asks[i].lane->tenant->name + 1);
			int64_t k = left && left[t] < asks[i].n ? left[t] : asks[i].n;
			sum += asks[i].n;
			got[t] += k;
			rows -= k;
			if (left)
				left[t] -= k;
			backlog_claimed(&b, &asks[i], k, NOW - 999, 1, NOW);
		}
		ck_assert_int_le(sum, room);
	}
}

/* Jain's index of 1,000 equal tenants, all backlogged, with backlogs from 1,000 to 100,000, at least 5 batches each. */
START_TEST(test_jain)
{
	enum { TENANTS = 1000 };
	static int64_t got[TENANTS], left[TENANTS];
	double sum = 0, squares = 0;
	char name[16];
	memset(got, 0, sizeof got);
	for (int i = 0; i < TENANTS; i++) {
		snprintf(name, sizeof name, "t%d", i);
		left[i] = 1000 + 99 * i;
		arrive(name, 5, i % 3 ? left[i] : 1, NOW - 1000); /* a third: no more is known than one row */
	}
	claim_rows(5 * 25 * TENANTS, 250, got, left);
	for (int i = 0; i < TENANTS; i++) {
		sum += (double)got[i];
		squares += (double)got[i] * (double)got[i];
	}
	ck_assert_double_gt(sum * sum / TENANTS / squares, 0.99);
}
END_TEST

static struct share share_of_name(void *arg, const char *name)
{
	const struct share *shares = arg;
	return shares[atoi(name + 1)];
}

START_TEST(test_weights)
{
	static const int64_t rooms[] = {500, 100, 30, 7};
	const struct share heavy[] = {{1000, 0}, {2000, 0}, {4000, 0}}, light[] = {{100, 0}, {200, 0}, {400, 0}};
	int64_t got[3] = {0};
	backlog_set_shares(&b, share_of_name, (void *)(uintptr_t)(_i < 4 ? heavy : light));
	for (int t = 0; t < 3; t++) {
		char name[16];
		snprintf(name, sizeof name, "t%d", t);
		arrive(name, 5, 1, NOW - 1000);
	}
	claim_rows(200000, rooms[_i % 4], got, NULL);
	for (int t = 0; t < 3; t++) {
		double share = (double)got[t] * 7 / (double)(got[0] + got[1] + got[2]) / (double)(1 << t);
		ck_assert_msg(share > 0.97 && share < 1.03, "tenant %d has %f of its share", t, share);
	}
}
END_TEST

/* Whatever the weights and the room, who has more than a batch waiting is asked for whole ones, and still gets its share. */
START_TEST(test_whole_batches)
{
	static const int64_t rooms[] = {25, 110, 480, 1000};
	const struct share shares[] = {{1000, 0}, {1500, 0}, {2000, 0}, {700, 0}};
	int64_t got[4] = {0};
	struct ask asks[BACKLOG_ASKS];
	backlog_set_shares(&b, share_of_name, (void *)(uintptr_t)shares);
	for (int t = 0; t < 4; t++) {
		char name[16];
		snprintf(name, sizeof name, "t%d", t);
		arrive(name, 5, 10000000, NOW - 1000);
	}
	for (int round = 0; round < 2000; round++) {
		size_t n = plan(rooms[_i], 25, asks);
		ck_assert_uint_gt(n, 0);
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(asks[i].n % 25, 0);
			got[atoi(asks[i].lane->tenant->name + 1)] += asks[i].n;
			backlog_claimed(&b, &asks[i], asks[i].n, NOW - 999, 1, NOW);
		}
	}
	for (int t = 0; t < 4; t++) {
		double share = (double)got[t] * 5200 / (double)(got[0] + got[1] + got[2] + got[3]) / shares[t].weight;
		ck_assert_msg(share > 0.97 && share < 1.03, "tenant %d has %f of its share", t, share);
	}
}
END_TEST

START_TEST(test_minimum_share)
{
	const struct share shares[] = {{1000, 300}, {5000, 0}, {3000, 0}, {1000, 0}};
	int64_t got[4] = {0};
	char name[16];
	for (int t = 0; t < 4; t++) {
		snprintf(name, sizeof name, "t%d", t);
		arrive(name, 5, 1, NOW - 1000);
	}
	backlog_set_shares(&b, share_of_name, (void *)(uintptr_t)shares);
	ck_assert_uint_eq(b.weight, 10000);
	claim_rows(100000, 500, got, NULL);
	double share = (double)got[0] / (double)(got[0] + got[1] + got[2] + got[3]);
	ck_assert_msg(share > 0.291 && share < 0.309, "it has %f", share);
}
END_TEST

/* A turn that the room cut short goes on where it was. */
START_TEST(test_cut_turn_goes_on)
{
	struct ask asks[BACKLOG_ASKS];
	arrive("a", 5, 100, NOW - 1);
	arrive("b", 5, 100, NOW - 1);
	ck_assert_uint_eq(plan(10, 25, asks), 1);
	const char *first = asks[0].lane->tenant->name;
	backlog_claimed(&b, &asks[0], 10, NOW - 1, 1, NOW);
	ck_assert_uint_eq(plan(100, 25, asks), 2);
	ck_assert_str_eq(asks[0].lane->tenant->name, first);
	ck_assert_int_eq(asks[0].n, 15);
	ck_assert_int_eq(asks[1].n, 50);
}
END_TEST

START_TEST(test_aged_lane_shares_the_turn)
{
	struct ask asks[BACKLOG_ASKS];
	backlog_set_aging(&b, 1000);
	arrive("a", 1, 500, NOW);
	arrive("a", 5, 500, NOW - 3999);
	arrive("a", 10, 500, NOW - 9000);
	ck_assert_uint_eq(plan(25, 25, asks), 2);
	ck_assert_int_eq(asks[0].lane->priority, 1);
	ck_assert_int_eq(asks[0].n, 13);
	ck_assert_int_eq(asks[1].lane->priority, 10);
	ck_assert_int_eq(asks[1].n, 12);
	backlog_unclaimed(&b, &asks[0], NOW);
	backlog_unclaimed(&b, &asks[1], NOW);
	int low = 0; /* with one row a turn they take turns */
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(plan(1, 1, asks), 1);
		low += asks[0].lane->priority == 10;
		backlog_claimed(&b, &asks[0], 1, NOW - 9000, i, NOW);
		if (asks[0].lane->priority == 1)
			backlog_arrived(&b, asks[0].lane, 1, NOW, NOW);
	}
	ck_assert_int_eq(low, 5);
}
END_TEST

/* A limit: at most limit_rows rows reserved, and a time when it frees. */
static int64_t limit_rows, limit_asked, limit_until;

static int64_t limited(void *arg, const char *tenant, int64_t want, int64_t *until_us)
{
	ck_assert_ptr_eq(arg, &limit_rows);
	if (strcmp(tenant, "a") != 0)
		return want;
	limit_asked++;
	int64_t granted = want < limit_rows ? want : limit_rows;
	limit_rows -= granted;
	*until_us = limit_until;
	return granted;
}

START_TEST(test_limited_tenant_is_left_alone)
{
	struct ask asks[BACKLOG_ASKS];
	struct lane *out[4], *lane = arrive("a", 5, 1000000, NOW - 5);
	arrive("b", 5, 1000, NOW - 5);
	backlog_set_grant(&b, limited, &limit_rows);
	limit_rows = 7, limit_asked = 0, limit_until = NOW + 50;
	ck_assert_uint_eq(plan(100, 25, asks), 2);
	size_t of_a = asks[0].lane == lane ? 0 : 1;
	ck_assert_int_eq(asks[of_a].n, 7);
	ck_assert_int_eq(limit_rows, 0);
	backlog_claimed(&b, &asks[of_a], 3, NOW - 5, 3, NOW); /* four come back, and its head wants a check */
	ck_assert_int_eq(limit_rows, 4);
	limit_rows = 0;
	backlog_arrived(&b, lane, 1, NOW - 5, NOW);
	backlog_unclaimed(&b, &asks[1 - of_a], NOW);
	for (int i = 0; i < 20; i++) {
		size_t n = plan(1000, 25, asks);
		ck_assert_uint_eq(n, 1);
		ck_assert_str_eq(asks[0].lane->tenant->name, "b");
		backlog_claimed(&b, &asks[0], asks[0].n, NOW - 4, i, NOW);
		ck_assert_uint_eq(backlog_checks(&b, (5 + i) * NS_PER_S, out, 4), 0);
	}
	ck_assert_int_eq(limit_asked, 3); /* granted, given back, refused: no more */
	ck_assert_int_eq(backlog_next_due(&b) / 1000, (NOW + 50) / 1000 + 1);
	limit_rows = 9;
	ck_assert_uint_eq(backlog_plan(&b, NOW + 2000, 1000, 25, asks), 2);
	ck_assert_uint_eq(backlog_checks(&b, 60 * NS_PER_S, out, 4), 0); /* it is being claimed */
	backlog_bar_until(&b, "a", BACKLOG_NEVER, NOW + 2000);
	ck_assert_int_eq(backlog_next_due(&b), BACKLOG_NEVER);
	backlog_bar_until(&b, "a", 0, NOW + 2000);
	backlog_claimed(&b, &asks[asks[0].lane == lane ? 0 : 1], 0, 0, 0, NOW + 2000);
	ck_assert_uint_eq(backlog_checks(&b, 60 * NS_PER_S, out, 4), 1);
	ck_assert_ptr_eq(out[0], lane);
}
END_TEST

/* More lanes than one claim may ask for: what was granted and not asked comes back. */
START_TEST(test_asks_used_up)
{
	struct ask asks[BACKLOG_ASKS];
	char name[16];
	for (int i = 0; i < BACKLOG_ASKS - 1; i++) {
		snprintf(name, sizeof name, "t%d", i);
		arrive(name, 5, 1, NOW - 1);
	}
	arrive("a", 1, 1, NOW - 1);
	arrive("a", 5, 1, NOW - 1);
	backlog_set_grant(&b, limited, &limit_rows);
	limit_rows = 1000, limit_until = NOW + 50;
	for (int turn = 0; turn < 2 && limit_rows == 1000; turn++) { /* a newcomer joins at the head: let it be the last */
		backlog_bar(&b, "a", BAR_PAUSED, true, NOW);
		backlog_plan(&b, NOW, 1, 1, asks);
		backlog_claimed(&b, &asks[0], 1, NOW - 1, 1, NOW);
		backlog_bar(&b, "a", BAR_PAUSED, false, NOW);
		size_t n = plan(25 * BACKLOG_ASKS, 25, asks);
		ck_assert_uint_eq(n, BACKLOG_ASKS);
	}
	int64_t asked = 0;
	for (int i = 0; i < BACKLOG_ASKS; i++)
		asked += strcmp(asks[i].lane->tenant->name, "a") == 0 ? asks[i].n : 0;
	ck_assert_int_eq(1000 - limit_rows, asked);
}
END_TEST

START_TEST(test_newcomer_goes_first)
{
	struct ask asks[BACKLOG_ASKS];
	char name[16];
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "t%d", i);
		arrive(name, 5, 10000, NOW - 1000);
	}
	for (int round = 0; round < 7; round++) {
		size_t n = plan(100, 25, asks);
		for (size_t i = 0; i < n; i++)
			backlog_claimed(&b, &asks[i], asks[i].n, NOW - 999, 1, NOW);
	}
	arrive("new", 5, 1, NOW);
	ck_assert_uint_gt(plan(100, 25, asks), 0);
	ck_assert_str_eq(asks[0].lane->tenant->name, "new");
}
END_TEST

START_TEST(test_barred_tenant_gets_no_turn)
{
	struct ask asks[BACKLOG_ASKS];
	arrive("a", 5, 5, NOW);
	arrive("b", 5, 5, NOW);
	backlog_bar(&b, "a", BAR_PAUSED, true, NOW);
	ck_assert_uint_eq(plan(100, 25, asks), 1);
	ck_assert_str_eq(asks[0].lane->tenant->name, "b");
	arrive("a", 1, 1, NOW);
	backlog_bar(&b, "a", BAR_PAUSED, false, NOW);
	ck_assert_uint_eq(plan(100, 25, asks), 2);
}
END_TEST

START_TEST(test_sweep_forgets_idle_lanes)
{
	struct ask asks[BACKLOG_ASKS];
	struct lane *out[4], *lane = arrive("a", 5, 1, NOW);
	arrive("b", 5, 1, NOW + 100);
	plan(10, 10, asks);
	backlog_claimed(&b, &asks[0], 0, 0, 0, NOW);
	backlog_sweep(&b, backlog_serial(&b));
	ck_assert_ptr_eq(backlog_find(&b, "a", 5), lane);
	backlog_checks(&b, 5 * NS_PER_S, out, 4);
	backlog_checked(&b, lane, BACKLOG_NEVER, backlog_serial(&b), NOW, 5 * NS_PER_S);
	backlog_sweep(&b, backlog_serial(&b));
	ck_assert_ptr_null(backlog_find(&b, "a", 5));
	ck_assert_ptr_nonnull(backlog_find(&b, "b", 5));
	ck_assert_uint_eq(b.lanes, 1);
}
END_TEST

/* The heap against a plain search, with random due times. */
START_TEST(test_heap_order)
{
	enum { LANES = 300 };
	char name[16];
	srand(7);
	for (int i = 0; i < LANES; i++) {
		snprintf(name, sizeof name, "t%d", i);
		arrive(name, 5, 1, NOW + 1 + rand() % 1000);
	}
	for (int step = 0; step < 3000; step++) {
		snprintf(name, sizeof name, "t%d", rand() % LANES);
		struct lane *lane = backlog_lane(&b, name, 5);
		backlog_checked(&b, lane, rand() % 4 ? NOW + 1 + rand() % 1000 : BACKLOG_NEVER, backlog_serial(&b), NOW, step);
		int64_t soonest = BACKLOG_NEVER;
		for (struct lane_tenant *t = b.tenants; t; t = t->hh.next)
			soonest = t->lanes[0]->due_us < soonest ? t->lanes[0]->due_us : soonest;
		ck_assert_int_eq(backlog_next_due(&b), soonest);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backlog");
	TCase *tc = tcase_create("law");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_nothing_waits);
	tcase_add_test(tc, test_future_lane_wakes);
	tcase_add_test(tc, test_urgent_lane_first);
	tcase_add_test(tc, test_cursor_moves_and_comes_back);
	tcase_add_test(tc, test_short_claim_wants_a_check_once_a_second);
	tcase_add_test(tc, test_stale_check_changes_nothing);
	tcase_add_test(tc, test_arrival_during_a_claim_is_not_lost);
	tcase_add_test(tc, test_failed_claim_is_as_if_not_asked);
	tcase_add_test(tc, test_tenants_take_turns);
	tcase_add_test(tc, test_jain);
	tcase_add_loop_test(tc, test_weights, 0, 8);
	tcase_add_loop_test(tc, test_whole_batches, 0, 4);
	tcase_add_test(tc, test_minimum_share);
	tcase_add_test(tc, test_cut_turn_goes_on);
	tcase_add_test(tc, test_aged_lane_shares_the_turn);
	tcase_add_test(tc, test_limited_tenant_is_left_alone);
	tcase_add_test(tc, test_asks_used_up);
	tcase_add_test(tc, test_newcomer_goes_first);
	tcase_add_test(tc, test_barred_tenant_gets_no_turn);
	tcase_add_test(tc, test_sweep_forgets_idle_lanes);
	tcase_add_test(tc, test_heap_order);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

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
	ck_assert_int_eq(asks[0].n, 25);
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
	ck_assert_int_eq(lane->after_us, BACKLOG_START);
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
	backlog_bar(&b, "a", true, NOW);
	ck_assert_uint_eq(plan(100, 25, asks), 1);
	ck_assert_str_eq(asks[0].lane->tenant->name, "b");
	arrive("a", 1, 1, NOW);
	backlog_bar(&b, "a", false, NOW);
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

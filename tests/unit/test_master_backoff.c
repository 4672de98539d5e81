/*
 * tests/unit/test_master_backoff.c: when a dead child's seat is filled again (master/backoff.h), the times given by hand.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "jobq/exit.h"
#include "master/backoff.h"

static int64_t die(struct master_backoff *b, int64_t now_s, bool worked, int64_t lived_ms, int code)
{
	struct master_death death = {.now_ns = now_s * NS_PER_S, .lived_ns = lived_ms * NS_PER_MS, .code = code, .worked = worked, .counted = true};

	return master_backoff_died(b, &death);
}

START_TEST(after_work_at_once_then_doubling)
{
	struct master_backoff b = {0};
	const int64_t ms[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};

	for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
		ck_assert_int_eq(die(&b, 1, true, 10, -1), ms[i] * NS_PER_MS);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(die(&b, 1, true, 10, -1), 30 * NS_PER_S);
	ck_assert_int_eq(b.hold, MASTER_HOLD_NONE);
}
END_TEST

START_TEST(a_second_of_working_life_forgives_a_step)
{
	struct master_backoff b = {0};

	for (int i = 0; i < 20; i++) /* killed every 1.2 seconds: always back at once */
		ck_assert_int_eq(die(&b, i, true, 1200, -1), 0);
	for (int i = 0; i < 5; i++)
		(void)die(&b, 30, true, 1, -1);
	ck_assert_int_eq(b.step, 6);
	ck_assert_int_eq(die(&b, 40, true, 3500, -1), 400 * NS_PER_MS); /* six steps, three forgiven */
	ck_assert_int_eq(die(&b, 50, true, 60000, -1), 0);
}
END_TEST

START_TEST(five_deaths_without_work_are_a_loop)
{
	struct master_backoff b = {0};
	const int64_t ms[] = {100, 200, 400, 800, 60000, 60000};

	for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++) {
		ck_assert_int_eq(die(&b, (int64_t)i, false, 5, JOBQ_EXIT_RUNTIME), ms[i] * NS_PER_MS);
		ck_assert_int_eq(b.hold, i < 4 ? MASTER_HOLD_NONE : MASTER_HOLD_LOOP);
	}
	ck_assert_int_eq(die(&b, 500, false, 5, -1), 60 * NS_PER_S); /* tried again a minute later: still a loop */
	ck_assert_int_eq(die(&b, 600, true, 5, -1), 800 * NS_PER_MS); /* it worked: no loop any more */
	ck_assert_int_eq(b.hold, MASTER_HOLD_NONE);
}
END_TEST

START_TEST(slow_deaths_are_no_loop)
{
	struct master_backoff b = {0};

	for (int i = 0; i < 50; i++) {
		(void)die(&b, i * 16, false, 5, -1); /* 5 of them take 64 s */
		ck_assert_int_eq(b.hold, MASTER_HOLD_NONE);
	}
	for (int i = 0; i < 3; i++)
		(void)die(&b, 2000 + i * 15, false, 5, -1);
	(void)die(&b, 2045, false, 5, -1);
	ck_assert_int_eq(b.hold, MASTER_HOLD_NONE);
	(void)die(&b, 2060, false, 5, -1); /* the fifth within 60 s */
	ck_assert_int_eq(b.hold, MASTER_HOLD_LOOP);
	master_backoff_worked(&b);
	ck_assert_int_eq(b.hold, MASTER_HOLD_NONE);
	(void)die(&b, 2061, false, 5, -1);
	ck_assert_int_eq(b.hold, MASTER_HOLD_NONE);
}
END_TEST

START_TEST(exit_codes_that_hold)
{
	for (int code = 0; code < 128; code++) {
		struct master_backoff b = {0};
		bool final = code == 2 || code == 3 || code == 5 || code == 6 || code == 7;
		int64_t ns = die(&b, 1, false, 5, code);

		ck_assert_int_eq(master_backoff_final(code), final);
		ck_assert_int_eq(b.hold, final ? MASTER_HOLD_FINAL : MASTER_HOLD_NONE);
		ck_assert_int_eq(ns, !final ? 100 * NS_PER_MS : code == JOBQ_EXIT_SCHEMA ? 5 * NS_PER_S : 60 * NS_PER_S);
		ck_assert_int_eq(die(&b, 2, true, 5, -1) > 30 * NS_PER_S, 0);
		ck_assert_int_eq(b.hold, MASTER_HOLD_NONE);
	}
}
END_TEST

START_TEST(what_does_not_count)
{
	struct master_backoff b = {0}, before;
	struct master_death death = {.now_ns = NS_PER_S, .lived_ns = 1, .code = -1, .worked = false, .counted = false};

	(void)die(&b, 1, false, 5, -1);
	before = b;
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(master_backoff_died(&b, &death), 0);
	ck_assert_mem_eq(&b, &before, sizeof b);
	death.counted = death.worked = true; /* a clean end after work: the past is forgotten */
	death.code = JOBQ_EXIT_OK;
	ck_assert_int_eq(master_backoff_died(&b, &death), 0);
	ck_assert_int_eq(b.step, 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_gt(die(&b, 3, false, 5, JOBQ_EXIT_OK), 0); /* ended well, but without work: do not spin */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("master_backoff");
	TCase *tc = tcase_create("rules");

	tcase_add_test(tc, after_work_at_once_then_doubling);
	tcase_add_test(tc, a_second_of_working_life_forgives_a_step);
	tcase_add_test(tc, five_deaths_without_work_are_a_loop);
	tcase_add_test(tc, slow_deaths_are_no_loop);
	tcase_add_test(tc, exit_codes_that_hold);
	tcase_add_test(tc, what_does_not_count);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

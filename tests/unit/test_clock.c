/*
 * tests/unit/test_clock.c: the clocks and their spelling (src/base/clock.c).
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const struct { int64_t us; const char *text; } times[] = {
	{0, "1970-01-01T00:00:00.000Z"},
	{INT64_C(1769860800123456), "2026-01-31T12:00:00.123Z"},
	{INT64_C(1709164799999999), "2024-02-28T23:59:59.999Z"},
	{INT64_C(1709164800000000), "2024-02-29T00:00:00.000Z"},
	{-1, "1969-12-31T23:59:59.999Z"},
	{-US_PER_S, "1969-12-31T23:59:59.000Z"},
	{INT64_MAX, "9999-12-31T23:59:59.999Z"}, /* what cannot be said is the nearest that can */
	{INT64_MIN, "0000-01-01T00:00:00.000Z"},
};

START_TEST(spelling)
{
	char text[25];

	ck_assert_str_eq(clock_rfc3339(text, sizeof text, times[_i].us), times[_i].text);
}
END_TEST

START_TEST(kernel_clocks)
{
	int64_t mono = clock_mono_ns(), boot = clock_boot_ns();

	ck_assert_int_gt(mono, 0);
	ck_assert_int_ge(boot, mono / 2);
	ck_assert_int_ge(clock_mono_ns(), mono);
	ck_assert_int_ge(clock_boot_ns(), boot);
	ck_assert_int_gt(clock_real_us(), INT64_C(1500000000) * US_PER_S);
}
END_TEST

START_TEST(stopped_clocks)
{
	clock_set(1, 2, 3);
	ck_assert(clock_mono_ns() == 1 && clock_boot_ns() == 2 && clock_real_us() == 3);
	clock_unset();
	ck_assert_int_gt(clock_mono_ns(), 1);
}
END_TEST

START_TEST(timeval)
{
	static const struct { int64_t ns; long sec, usec; } cases[] = {
		{0, 0, 0}, {-5, 0, 0}, {INT64_MIN, 0, 0}, {1, 0, 1}, {999, 0, 1}, {1500, 0, 1}, {NS_PER_S, 1, 0},
		{2 * NS_PER_S + 3 * NS_PER_MS, 2, 3000}, {INT64_MAX, 9223372036, 854775},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct timeval tv = clock_timeval(cases[i].ns);

		ck_assert_int_eq(tv.tv_sec, cases[i].sec);
		ck_assert_int_eq(tv.tv_usec, cases[i].usec);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *tc = tcase_create("clock");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, spelling, 0, (int)(sizeof times / sizeof times[0]));
	tcase_add_test(tc, kernel_clocks);
	tcase_add_test(tc, stopped_clocks);
	tcase_add_test(tc, timeval);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * tests/unit/test_units.c: durations, sizes, rates, backoffs (src/base/units.c).
 *
 * Tables of texts with the value each must give, or that each must be refused and leave the result alone; and the law
 * that what is printed is read back to the same value.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"

#define N(table) (sizeof(table) / sizeof(table)[0])
#define UNTOUCHED INT64_C(-77)

static const struct { const char *text; int64_t value; } durations[] = {
	{"0", 0}, {"0s", 0}, {"250ms", 250 * NS_PER_MS}, {"10s", 10 * NS_PER_S}, {"5min", 300 * NS_PER_S},
	{"5m", 300 * NS_PER_S}, {"2h30m", 9000 * NS_PER_S}, {"2h30min", 9000 * NS_PER_S}, {"30d", 2592000 * NS_PER_S},
	{"1d2h3m4s5ms6us7ns", INT64_C(93784005006007)}, {"1us", 1000}, {"007s", 7 * NS_PER_S},
	{"9223372036854775807ns", INT64_MAX}, {"106751d", INT64_C(106751) * 86400 * NS_PER_S},
};
static const char *const no_durations[] = {
	"", " ", "5", "00", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "5S", "5sec", "1.5s", "5s5", "30m2h", "5s5s", "1m2min",
	"5ms5s", "5mins", "9223372036854775808ns", "99999999999999999999s", "106752d", "9223372036s999999999999ns", "5s\n",
	"0x5s", "inf", "5\xc2\xb5s", "5s,", "..",
};

START_TEST(duration_reads)
{
	int64_t ns = UNTOUCHED;

	ck_assert_msg(units_duration(durations[_i].text, &ns), "%s", durations[_i].text);
	ck_assert_int_eq(ns, durations[_i].value);
}
END_TEST

START_TEST(duration_refuses)
{
	int64_t ns = UNTOUCHED;

	ck_assert_msg(!units_duration(no_durations[_i], &ns), "%s", no_durations[_i]);
	ck_assert_int_eq(ns, UNTOUCHED);
}
END_TEST

static const struct { int64_t value; const char *text; } printed[] = {
	{0, "0"}, {-5, "0"}, {INT64_MIN, "0"}, {1, "1ns"}, {250 * NS_PER_MS, "250ms"}, {NS_PER_S, "1s"}, {90 * NS_PER_S, "90s"},
	{300 * NS_PER_S, "5min"}, {9000 * NS_PER_S, "2h30m"}, {3600 * NS_PER_S, "1h"}, {30 * 86400 * NS_PER_S, "30d"},
	{36 * 3600 * NS_PER_S, "36h"}, {1500 * NS_PER_MS, "1500ms"},
};

START_TEST(duration_prints)
{
	char text[64];

	ck_assert_str_eq(units_print_duration(text, sizeof text, printed[_i].value), printed[_i].text);
}
END_TEST

static int64_t some(uint64_t *seed) /* of every magnitude */
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int64_t)((*seed >> 1) >> (*seed >> 33) % 63);
}

START_TEST(durations_and_sizes_round_trip)
{
	char text[64];
	uint64_t seed = 1;
	int64_t back;

	for (int i = 0; i < 20000; i++) {
		int64_t v = i == 0 ? INT64_MAX : some(&seed);

		ck_assert_msg(units_duration(units_print_duration(text, sizeof text, v), &back), "%s", text);
		ck_assert_int_eq(back, v);
		ck_assert_msg(units_size(units_print_size(text, sizeof text, v), &back), "%s", text);
		ck_assert_int_eq(back, v);
	}
}
END_TEST

static const struct { const char *text; int64_t value; const char *printed; } sizes[] = {
	{"0", 0, "0"}, {"5", 5, "5"}, {"5B", 5, "5"}, {"64kB", 65536, "64kB"}, {"16MB", 16777216, "16MB"},
	{"1GB", 1073741824, "1GB"}, {"2TB", INT64_C(2) << 40, "2TB"}, {"1024kB", 1048576, "1MB"}, {"1025", 1025, "1025"},
	{"9223372036854775807", INT64_MAX, "9223372036854775807"}, {"8388607TB", INT64_C(8388607) << 40, "8388607TB"},
};
static const char *const no_sizes[] = {
	"", "kB", "-1", "1k", "1KB", "1kb", "1 kB", "1kB ", "1.5MB", "8388608TB", "9223372036854775808", "1kB1", "1MBkB", "1PB",
};

START_TEST(size_reads_and_prints)
{
	int64_t bytes = UNTOUCHED;
	char text[64];

	ck_assert_msg(units_size(sizes[_i].text, &bytes), "%s", sizes[_i].text);
	ck_assert_int_eq(bytes, sizes[_i].value);
	ck_assert_str_eq(units_print_size(text, sizeof text, bytes), sizes[_i].printed);
}
END_TEST

START_TEST(size_refuses)
{
	int64_t bytes = UNTOUCHED;

	ck_assert_msg(!units_size(no_sizes[_i], &bytes), "%s", no_sizes[_i]);
	ck_assert_int_eq(bytes, UNTOUCHED);
}
END_TEST

static const struct { const char *text; struct rate rate; double per_second; const char *printed; } rates[] = {
	{"50/s", {50, NS_PER_S}, 50, "50/s"}, {"600/min", {600, 60 * NS_PER_S}, 10, "600/min"},
	{"600/m", {600, 60 * NS_PER_S}, 10, "600/min"}, {"500/15s", {500, 15 * NS_PER_S}, 500.0 / 15, "500/15s"},
	{"10/h", {10, 3600 * NS_PER_S}, 10.0 / 3600, "10/h"}, {"1/d", {1, 86400 * NS_PER_S}, 1.0 / 86400, "1/d"},
	{"3/1h30m", {3, 5400 * NS_PER_S}, 3.0 / 5400, "3/90min"}, {"5/250ms", {5, 250 * NS_PER_MS}, 20, "5/250ms"},
	{"5/1s", {5, NS_PER_S}, 5, "5/s"}, {"5/10s", {5, 10 * NS_PER_S}, 0.5, "5/10s"},
	{"9223372036854775807/ns", {INT64_MAX, 1}, 9223372036854775807.0 * 1e9, "9223372036854775807/ns"},
	{"0", {0, 0}, 0, "off"}, {"off", {0, 0}, 0, "off"},
};
static const char *const no_rates[] = {
	"", "50", "/s", "50/", "50/0", "50/0s", "0/s", "-5/s", "50 /s", "50/ s", "50/s ", "50/sec", "50//s", "50/s/s", "1.5/s",
	"9223372036854775808/s", "5/99999999999d", "on", "50/15", "50/s2",
};

START_TEST(rate_reads_and_prints)
{
	struct rate rate = {-1, -1};
	char text[64];

	ck_assert_msg(units_rate(rates[_i].text, &rate), "%s", rates[_i].text);
	ck_assert_int_eq(rate.count, rates[_i].rate.count);
	ck_assert_int_eq(rate.period_ns, rates[_i].rate.period_ns);
	ck_assert_double_eq_tol(units_per_second(rate), rates[_i].per_second, 1e-9);
	ck_assert_str_eq(units_print_rate(text, sizeof text, rate), rates[_i].printed);
	ck_assert(units_rate(text, &rate));
	ck_assert_int_eq(rate.count, rates[_i].rate.count);
	ck_assert_int_eq(rate.period_ns, rates[_i].rate.period_ns);
}
END_TEST

START_TEST(rate_refuses)
{
	struct rate rate = {UNTOUCHED, UNTOUCHED};

	ck_assert_msg(!units_rate(no_rates[_i], &rate), "%s", no_rates[_i]);
	ck_assert_int_eq(rate.count, UNTOUCHED);
}
END_TEST

START_TEST(booleans)
{
	static const char *const yes[] = {"on", "true", "yes", "1"}, *const no[] = {"off", "false", "no", "0"};
	static const char *const neither[] = {"", "On", "TRUE", "y", "2", "on ", "01", "enabled"};
	bool v = false;

	for (size_t i = 0; i < N(yes); i++) {
		ck_assert(units_bool(yes[i], &v) && v);
		ck_assert(units_bool(no[i], &v) && !v);
	}
	for (size_t i = 0; i < N(neither); i++)
		ck_assert_msg(!units_bool(neither[i], &v), "%s", neither[i]);
}
END_TEST

static const struct { const char *text; int64_t min, max, value; bool good; } ints[] = {
	{"0", 0, 9, 0, true}, {"-0", 0, 9, 0, true}, {"9", 0, 9, 9, true}, {"10", 0, 9, 0, false}, {"-1", 0, 9, 0, false},
	{"-5", -9, 9, -5, true}, {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, true},
	{"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, true},
	{"9223372036854775808", INT64_MIN, INT64_MAX, 0, false}, {"-9223372036854775809", INT64_MIN, INT64_MAX, 0, false},
	{"", 0, 9, 0, false}, {"-", 0, 9, 0, false}, {"+1", 0, 9, 0, false}, {" 1", 0, 9, 0, false}, {"1 ", 0, 9, 0, false},
	{"1e3", 0, 9999, 0, false}, {"0x10", 0, 99, 0, false}, {"1.0", 0, 9, 0, false},
};

START_TEST(integers)
{
	int64_t v = UNTOUCHED;

	ck_assert_msg(units_int(ints[_i].text, ints[_i].min, ints[_i].max, &v) == ints[_i].good, "%s", ints[_i].text);
	ck_assert_int_eq(v, ints[_i].good ? ints[_i].value : UNTOUCHED);
}
END_TEST

static const struct { const char *text; struct backoff b; const char *printed; } backoffs[] = {
	{"exponential 5s..1h", {BACKOFF_EXPONENTIAL, 5 * NS_PER_S, 3600 * NS_PER_S}, "exponential 5s..1h"},
	{"fixed 10s", {BACKOFF_FIXED, 10 * NS_PER_S, 10 * NS_PER_S}, "fixed 10s"},
	{"linear  10s..10min", {BACKOFF_LINEAR, 10 * NS_PER_S, 600 * NS_PER_S}, "linear 10s..10min"},
	{"linear\t1ms..1ms", {BACKOFF_LINEAR, NS_PER_MS, NS_PER_MS}, "linear 1ms..1ms"},
};
static const char *const no_backoffs[] = {
	"", "fixed", "fixed ", "fixed 0", "fixed 10s..20s", "exponential 5s", "exponential 5s..", "exponential ..5s", "5s..1h",
	"exponential 1h..5s", "exponential 0..5s", "Exponential 5s..1h", "exponential5s..1h", "exponential 5s...1h",
	"exponential 5s .. 1h", "exponential 5s..1h ", "linear 5s..1h..2h", "quadratic 5s..1h",
	"linear 0000000000000000000000000000000000000000000000000000000000000000000001s..2s",
};

START_TEST(backoff_reads_and_prints)
{
	struct backoff b;
	char text[64];

	ck_assert_msg(units_backoff(backoffs[_i].text, &b), "%s", backoffs[_i].text);
	ck_assert_int_eq(b.kind, backoffs[_i].b.kind);
	ck_assert_int_eq(b.first_ns, backoffs[_i].b.first_ns);
	ck_assert_int_eq(b.max_ns, backoffs[_i].b.max_ns);
	ck_assert_str_eq(units_print_backoff(text, sizeof text, b), backoffs[_i].printed);
	ck_assert(units_backoff(text, &b));
}
END_TEST

START_TEST(backoff_refuses)
{
	struct backoff b = {.first_ns = UNTOUCHED};

	ck_assert_msg(!units_backoff(no_backoffs[_i], &b), "%s", no_backoffs[_i]);
	ck_assert_int_eq(b.first_ns, UNTOUCHED);
}
END_TEST

START_TEST(printers_keep_to_the_size)
{
	char text[4] = "zzz";

	units_print_duration(text, 3, 9000 * NS_PER_S);
	ck_assert_str_eq(text, "2h");
	units_print_rate(text, 3, (struct rate){500, NS_PER_S});
	ck_assert_str_eq(text, "50");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("units");
	TCase *tc = tcase_create("units");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, duration_reads, 0, (int)N(durations));
	tcase_add_loop_test(tc, duration_refuses, 0, (int)N(no_durations));
	tcase_add_loop_test(tc, duration_prints, 0, (int)N(printed));
	tcase_add_test(tc, durations_and_sizes_round_trip);
	tcase_add_loop_test(tc, size_reads_and_prints, 0, (int)N(sizes));
	tcase_add_loop_test(tc, size_refuses, 0, (int)N(no_sizes));
	tcase_add_loop_test(tc, rate_reads_and_prints, 0, (int)N(rates));
	tcase_add_loop_test(tc, rate_refuses, 0, (int)N(no_rates));
	tcase_add_test(tc, booleans);
	tcase_add_loop_test(tc, integers, 0, (int)N(ints));
	tcase_add_loop_test(tc, backoff_reads_and_prints, 0, (int)N(backoffs));
	tcase_add_loop_test(tc, backoff_refuses, 0, (int)N(no_backoffs));
	tcase_add_test(tc, printers_keep_to_the_size);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

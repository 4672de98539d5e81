/*
 * tests/unit/test_buffer.c: the turn of tenants among claimed jobs (queue/buffer.c), and the backoff (queue/retry.c).
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "queue/buffer.h"
#include "queue/retry.h"

static struct buffer b;
static struct buffer_item items[1000], *out[1000];
static size_t used;

static void setup(void)
{
	buffer_init(&b);
	used = 0;
}

static void teardown(void) { buffer_free(&b); }

static struct buffer_item *put(const char *tenant, int priority, bool suspect)
{
	struct buffer_item *item = &items[used++];
	*item = (struct buffer_item){.priority = (uint8_t)priority, .bytes = 10, .suspect = suspect};
	buffer_add(&b, tenant, item, false);
	return item;
}

START_TEST(test_one_tenant_a_batch)
{
	bool alone;
	for (int i = 0; i < 30; i++)
		put("a", 5, false);
	for (int i = 0; i < 3; i++)
		put("b", 5, false);
	size_t first = buffer_take(&b, 25, false, out, &alone);
	size_t second = buffer_take(&b, 25, false, out, &alone);
	size_t third = buffer_take(&b, 25, false, out, &alone);
	ck_assert_uint_eq(first + second + third, 33);
	ck_assert(first == 3 || second == 3);
	ck_assert_uint_eq(third, 5);
	ck_assert_uint_eq(b.entries, 0);
	ck_assert_uint_eq(b.bytes, 0);
}
END_TEST

START_TEST(test_urgent_first_then_order)
{
	bool alone;
	struct buffer_item *low = put("a", 10, false), *normal = put("a", 5, false), *later = put("a", 5, false), *urgent = put("a", 1, false);
	ck_assert_uint_eq(buffer_take(&b, 10, false, out, &alone), 4);
	ck_assert_ptr_eq(out[0], urgent);
	ck_assert_ptr_eq(out[1], normal);
	ck_assert_ptr_eq(out[2], later);
	ck_assert_ptr_eq(out[3], low);
}
END_TEST

START_TEST(test_mixed_fills_from_many)
{
	bool alone;
	char name[16];
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "t%d", i);
		put(name, 5, false);
	}
	ck_assert_uint_eq(buffer_take(&b, 7, true, out, &alone), 7);
	ck_assert_uint_eq(buffer_take(&b, 7, true, out, &alone), 3);
}
END_TEST

START_TEST(test_suspect_goes_alone_and_first)
{
	bool alone;
	put("a", 1, false);
	struct buffer_item *suspect = put("a", 10, true);
	ck_assert_uint_eq(buffer_take(&b, 25, false, out, &alone), 1);
	ck_assert_ptr_eq(out[0], suspect);
	ck_assert(alone);
	ck_assert_uint_eq(buffer_take(&b, 25, false, out, &alone), 1);
	ck_assert(!alone);
}
END_TEST

START_TEST(test_removed_is_gone)
{
	bool alone;
	struct buffer_item *one = put("a", 5, false);
	put("b", 5, false);
	buffer_remove(&b, one);
	ck_assert_uint_eq(b.active, 1);
	ck_assert_uint_eq(buffer_take(&b, 25, true, out, &alone), 1);
}
END_TEST

/* A tenant with a thousand jobs and ten with a few: nobody waits longer than a round. */
START_TEST(test_turns_are_even)
{
	bool alone;
	char name[16];
	size_t served_small = 0;
	for (int i = 0; i < 500; i++)
		put("big", 5, false);
	for (int t = 0; t < 10; t++) {
		snprintf(name, sizeof name, "s%d", t);
		for (int i = 0; i < 25; i++)
			put(name, 5, false);
	}
	for (int turn = 0; turn < 11; turn++) {
		const struct buffer_item *first;
		ck_assert_uint_eq(buffer_take(&b, 25, false, out, &alone), 25);
		first = out[0];
		served_small += first >= &items[500];
	}
	ck_assert_uint_eq(served_small, 10);
}
END_TEST

START_TEST(test_backoff)
{
	const struct backoff fixed = {BACKOFF_FIXED, 10 * NS_PER_S, 10 * NS_PER_S};
	const struct backoff linear = {BACKOFF_LINEAR, 10 * NS_PER_S, 60 * NS_PER_S};
	const struct backoff exponential = {BACKOFF_EXPONENTIAL, 5 * NS_PER_S, 3600 * NS_PER_S};
	uint64_t random = 88172645463325252u;
	for (int n = 0; n < 100; n++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		int64_t f = retry_delay_ns(fixed, n, random), l = retry_delay_ns(linear, n, random), e = retry_delay_ns(exponential, n, random);
		int64_t lw = (n < 1 ? 1 : n > 6 ? 6 : n) * 10 * NS_PER_S;
		int64_t ew = n > 10 ? 3600 * NS_PER_S : (INT64_C(5) << (n < 1 ? 0 : n - 1)) * NS_PER_S;
		ck_assert(f >= 9 * NS_PER_S && f <= 11 * NS_PER_S);
		ck_assert(l >= lw - lw / 10 && l <= lw + lw / 10);
		ck_assert(e >= ew / 2 && e <= ew);
	}
	ck_assert_int_le(retry_delay_ns(exponential, INT32_MAX, 1), 3600 * NS_PER_S);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buffer");
	TCase *tc = tcase_create("law");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_one_tenant_a_batch);
	tcase_add_test(tc, test_urgent_first_then_order);
	tcase_add_test(tc, test_mixed_fills_from_many);
	tcase_add_test(tc, test_suspect_goes_alone_and_first);
	tcase_add_test(tc, test_removed_is_gone);
	tcase_add_test(tc, test_turns_are_even);
	tcase_add_test(tc, test_backoff);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

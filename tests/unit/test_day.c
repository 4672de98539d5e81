/*
 * tests/unit/test_day.c: whole days under a virtual clock (tests/bench/day.c): what the laws of src/queue promise together.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/day.h"

static struct day_conf c;
static struct day_result out;

static void setup(void)
{
	memset(&out, 0, sizeof out);
	c = (struct day_conf){.tenants = 100, .jobs = 50000, .duration_ns = 3600 * NS_PER_S, .workers = 5, .burst_s = 0.1,
		.handler = {.fixed_ns = 5 * NS_PER_MS, .per_job_ns = NS_PER_MS / 10, .noise = 0.1}, .claim_ns = 3 * NS_PER_MS, .seed = 7,
		.tuner = {.start = 25, .min = 5, .max = 50, .target_ns = 2 * NS_PER_S}, .buffer = {.max_entries = 1000}};
}

static void teardown(void) { day_free(&out); }

static void run(void)
{
	char error[128];
	ck_assert_msg(day_run(&c, &out, error, sizeof error), "%s", error);
	ck_assert_uint_le(out.most_buffered, c.buffer.max_entries);
}

START_TEST(test_every_job_is_done_once)
{
	c.urgent = 0.1, c.high = 0.1, c.low = 0.2, c.skew = 0.8;
	c.buffer.timeout_ns[BUFFER_NORMAL] = 300 * NS_PER_S;
	c.buffer.timeout_ns[BUFFER_HIGH] = 120 * NS_PER_S;
	c.buffer.timeout_ns[BUFFER_URGENT] = 60 * NS_PER_S;
	c.handler.refuse_at = 30;
	c.adaptive = true;
	run();
	ck_assert_uint_eq(out.done, 50000);
	ck_assert_double_gt(out.mean_batch, 2);
	ck_assert_double_le(out.by_priority[0].worst_s, 62);
	ck_assert_double_le(out.by_priority[1].worst_s, 122);
	ck_assert_double_le(out.by_priority[2].worst_s, 302);
	ck_assert_uint_gt(out.flushes[FLUSH_size] + out.flushes[FLUSH_early], 0);
}
END_TEST

/* Both rings together: 1,000 equal tenants, at least 5 batches each. */
START_TEST(test_jain)
{
	c.tenants = 1000, c.jobs = 300000, c.at_once = true, c.window_ns = 9 * NS_PER_S;
	run();
	ck_assert_uint_eq(out.jain_tenants, 1000);
	ck_assert_uint_gt(out.done, 125 * 1000);
	ck_assert_msg(out.jain > 0.99, "Jain's index is %f", out.jain);
}
END_TEST

START_TEST(test_weights)
{
	double sums[3] = {0};
	c.tenants = 30, c.jobs = 600000, c.at_once = true, c.window_ns = 10 * NS_PER_S;
	c.nweights = 3, c.weights[0] = 1000, c.weights[1] = 2000, c.weights[2] = 4000;
	run();
	for (uint32_t i = 0; i < 30; i++)
		sums[i % 3] += (double)out.served[i];
	for (int w = 0; w < 3; w++) {
		double share = sums[w] * 7 / (sums[0] + sums[1] + sums[2]) / (1 << w);
		ck_assert_msg(share > 0.97 && share < 1.03, "weight %d has %f of its share", 1 << w, share);
	}
}
END_TEST

/* Tenant 0 is limited and has a backlog of most of all jobs: the others do not notice. */
START_TEST(test_limited_backlog_costs_the_others_nothing)
{
	struct day_result without;
	c.tenants = 20, c.jobs = 400000, c.skew = 3, c.at_once = true, c.window_ns = 4 * NS_PER_S;
	c.tenant_rate = 10, c.limited = 1;
	run();
	without = out;
	ck_assert_uint_le(out.served[0], 10 * 4 + 2);
	ck_assert_uint_ge(out.served[0], 10 * 4 * 95 / 100 - 10);
	uint64_t others = without.done - without.served[0];
	ck_assert_msg(others > 30000, "%lu jobs of the others", (unsigned long)others);
	ck_assert_uint_lt(without.empty_claims, without.claims / 10 + 40);
}
END_TEST

START_TEST(test_rate_is_held_and_used)
{
	c.rate = 50, c.tenants = 10, c.jobs = 20000, c.at_once = true, c.window_ns = 300 * NS_PER_S;
	run();
	ck_assert_uint_le(out.most_a_second, 50 + 5);
	ck_assert_msg(out.jain > 0.98, "Jain's index is %f", out.jain);
	ck_assert_msg(out.rate_used > 0.97, "%f of the rate is used", out.rate_used);
}
END_TEST

/* Tenants that share a tier's limit are barred and freed at the same times: they take turns all the same. */
START_TEST(test_tier_is_shared)
{
	c.tier_rate = 50, c.tenants = 50, c.jobs = 50000, c.at_once = true, c.window_ns = 600 * NS_PER_S;
	run();
	ck_assert_uint_le(out.most_a_second, 50 + 5);
	ck_assert_uint_ge(out.done, 50 * 600 * 95 / 100);
	ck_assert_msg(out.jain > 0.95, "Jain's index is %f", out.jain);
}
END_TEST

START_TEST(test_record)
{
	char lines[] = "0.5,3,5\n0.5,3,1\n10.25,99,10\n11,5,2\n";
	c.record = fmemopen(lines, sizeof lines - 1, "r");
	ck_assert_ptr_nonnull(c.record);
	run();
	ck_assert_int_eq(fclose(c.record), 0);
	ck_assert_uint_eq(out.done, 4);
	ck_assert_double_lt(out.by_priority[3].worst_s, 0.01);
	ck_assert_double_ge(out.end_s, 11);
}
END_TEST

START_TEST(test_impossible_days)
{
	char error[128];
	c.workers = 0;
	ck_assert(!day_run(&c, &out, error, sizeof error));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("day");
	TCase *tc = tcase_create("law");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_every_job_is_done_once);
	tcase_add_test(tc, test_jain);
	tcase_add_test(tc, test_weights);
	tcase_add_test(tc, test_limited_backlog_costs_the_others_nothing);
	tcase_add_test(tc, test_rate_is_held_and_used);
	tcase_add_test(tc, test_tier_is_shared);
	tcase_add_test(tc, test_record);
	tcase_add_test(tc, test_impossible_days);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

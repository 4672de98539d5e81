/*
 * tests/unit/test_buffer.c: batches that wait for company, pressure, and the turn of tenants among claimed jobs
 * (queue/buffer.c, group.c, ring.c), and the backoff (queue/retry.c), under a clock that the test holds.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "queue/buffer.h"
#include "queue/retry.h"

static struct buffer b;
static struct buffer_item items[1024], *out[1024];
static size_t used;
static int64_t now;

static void setup(void)
{
	buffer_init(&b);
	used = 0;
	now = 1000 * NS_PER_S;
}

static void teardown(void) { buffer_free(&b); }

static struct buffer_item *put(const char *tenant, int priority, bool suspect)
{
	struct buffer_item *item = &items[used++];
	*item = (struct buffer_item){.priority = (uint8_t)priority, .bytes = 10, .suspect = suspect};
	buffer_add(&b, tenant, item, false, now);
	return item;
}

static size_t take(size_t max, struct buffer_flush *flush)
{
	return buffer_take(&b, max, now, out, flush);
}

static void law(struct buffer_law law)
{
	buffer_set_law(&b, &law, now);
}

START_TEST(test_one_tenant_a_batch)
{
	struct buffer_flush flush;
	for (int i = 0; i < 30; i++)
		put("a", 5, false);
	for (int i = 0; i < 3; i++)
		put("b", 5, false);
	size_t first = take(25, &flush);
	size_t second = take(25, &flush);
	size_t third = take(25, &flush);
	ck_assert_uint_eq(first + second + third, 33);
	ck_assert(first == 3 || second == 3);
	ck_assert_uint_eq(third, 5);
	ck_assert_uint_eq(b.entries, 0);
	ck_assert_uint_eq(b.bytes, 0);
}
END_TEST

START_TEST(test_urgent_first_then_order)
{
	struct buffer_flush flush;
	struct buffer_item *low = put("a", 10, false), *normal = put("a", 5, false), *later = put("a", 5, false), *urgent = put("a", 1, false);
	ck_assert_uint_eq(take(10, &flush), 4);
	ck_assert_ptr_eq(out[0], urgent);
	ck_assert_ptr_eq(out[1], normal);
	ck_assert_ptr_eq(out[2], later);
	ck_assert_ptr_eq(out[3], low);
}
END_TEST

START_TEST(test_mixed_fills_from_many)
{
	struct buffer_flush flush;
	char name[16];
	law((struct buffer_law){.batch = 25, .mixed = true});
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "t%d", i);
		put(name, 5, false);
	}
	ck_assert_uint_eq(take(7, &flush), 7);
	ck_assert_uint_eq(take(7, &flush), 3);
}
END_TEST

START_TEST(test_suspect_goes_alone_and_first)
{
	struct buffer_flush flush;
	put("a", 1, false);
	struct buffer_item *suspect = put("a", 10, true);
	ck_assert_uint_eq(take(25, &flush), 1);
	ck_assert_ptr_eq(out[0], suspect);
	ck_assert(flush.alone);
	ck_assert_uint_eq(take(25, &flush), 1);
	ck_assert(!flush.alone);
}
END_TEST

START_TEST(test_removed_is_gone)
{
	struct buffer_flush flush;
	struct buffer_item *one = put("a", 5, false);
	put("b", 5, false);
	buffer_remove(&b, one, now);
	ck_assert_uint_eq(b.active, 1);
	ck_assert_uint_eq(take(25, &flush), 1);
}
END_TEST

/* A tenant with a thousand jobs and ten with a few: nobody waits longer than a round. */
START_TEST(test_turns_are_even)
{
	struct buffer_flush flush;
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
		ck_assert_uint_eq(take(25, &flush), 25);
		first = out[0];
		served_small += first >= &items[500];
	}
	ck_assert_uint_eq(served_small, 10);
}
END_TEST

/* ---- batches that wait for company ---- */

static const struct buffer_law patient = {.batch = 25, .timeout_ns = {300 * NS_PER_S, 120 * NS_PER_S, 60 * NS_PER_S},
	.max_age_ns = 3600 * NS_PER_S, .deadline_margin_ns = 2 * NS_PER_S};

static void fill(const char *tenant, int priority, int count)
{
	for (int i = 0; i < count; i++)
		put(tenant, priority, false);
}

static void expect(size_t n, enum flush_reason reason)
{
	struct buffer_flush flush;
	ck_assert_uint_eq(take(25, &flush), n);
	ck_assert_str_eq(flush_reason_name(flush.reason), flush_reason_name(reason));
}

static void expect_none(void)
{
	struct buffer_flush flush;
	ck_assert(!buffer_ready(&b, now));
	ck_assert_uint_eq(take(25, &flush), 0);
}

START_TEST(test_full_batch_goes_the_rest_waits)
{
	law(patient);
	fill("a", 5, 24);
	expect_none();
	fill("a", 5, 29);
	expect(25, FLUSH_size);
	expect(25, FLUSH_size);
	expect_none();
	ck_assert_uint_eq(b.entries, 3);
	ck_assert_uint_eq(b.flushes[FLUSH_size], 2);
}
END_TEST

/* The wait is that of the most urgent job in it. */
START_TEST(test_wait_by_priority)
{
	static const struct { int priority; int64_t wait; enum flush_reason reason; } of[] = {
		{10, 300, FLUSH_age}, {5, 300, FLUSH_age}, {2, 120, FLUSH_high}, {1, 60, FLUSH_urgent}};
	law(patient);
	for (size_t i = 0; i < 4; i++) {
		fill("a", 10, 2);
		put("a", of[i].priority, false);
		ck_assert_int_eq(buffer_due_ns(&b), now + of[i].wait * NS_PER_S);
		now += of[i].wait * NS_PER_S - 1;
		expect_none();
		now++;
		expect(3, of[i].reason);
		ck_assert_int_eq(buffer_due_ns(&b), BUFFER_NEVER);
	}
}
END_TEST

/* The wait began when the oldest came, not when the last did; an urgent one that leaves takes its haste along. */
START_TEST(test_wait_begins_with_the_oldest)
{
	law(patient);
	int64_t began = now;
	put("a", 5, false);
	now += 200 * NS_PER_S;
	struct buffer_item *urgent = put("a", 1, false);
	ck_assert_int_eq(buffer_due_ns(&b), began + 260 * NS_PER_S);
	buffer_remove(&b, urgent, now);
	ck_assert_int_eq(buffer_due_ns(&b), began + 300 * NS_PER_S);
	now = began + 300 * NS_PER_S;
	fill("a", 5, 2);
	expect(3, FLUSH_age);
}
END_TEST

START_TEST(test_deadline_shortens_the_wait)
{
	law(patient);
	put("a", 5, false);
	struct buffer_item *item = &items[used++];
	*item = (struct buffer_item){.priority = 5, .bytes = 10, .deadline_ns = now + 10 * NS_PER_S};
	buffer_add(&b, "a", item, false, now);
	now += 8 * NS_PER_S - 1;
	expect_none();
	now++;
	expect(2, FLUSH_deadline);
}
END_TEST

START_TEST(test_max_age_bounds_the_wait)
{
	struct buffer_law l = patient;
	l.max_age_ns = 7 * NS_PER_S;
	law(l);
	put("a", 5, false);
	now += 7 * NS_PER_S;
	expect(1, FLUSH_age);
}
END_TEST

/* Above 85% the group that is due next goes, and only until it is below again; above 95% the state lasts until 85%. */
START_TEST(test_pressure)
{
	struct buffer_law l = patient;
	char name[16];
	l.max_entries = 100;
	law(l);
	for (int i = 0; i < 84; i++) {
		snprintf(name, sizeof name, "t%d", i);
		put(name, 5, false);
		now++;
	}
	expect_none();
	put("t84", 5, false);
	expect(1, FLUSH_early);
	ck_assert_ptr_eq(out[0], &items[0]);
	expect_none();
	for (int i = 85; i < 97; i++) {
		snprintf(name, sizeof name, "t%d", i);
		put(name, 5, false);
	}
	for (int use = 96; use >= 85; use--)
		expect(1, FLUSH_emergency);
	expect_none();
	ck_assert_uint_eq(b.overflows, 0);
}
END_TEST

START_TEST(test_pressure_of_bytes)
{
	struct buffer_law l = patient;
	l.max_bytes = 1000;
	law(l);
	for (int i = 0; i < 84; i++)
		put(i % 5 ? "a" : "b", 5, false);
	while (b.released > 0)
		expect(25, FLUSH_size);
	ck_assert_uint_eq(buffer_use_percent(&b), 34);
	expect_none();
	struct buffer_item *big = &items[used++];
	*big = (struct buffer_item){.priority = 5, .bytes = 600};
	buffer_add(&b, "c", big, false, now);
	ck_assert_uint_eq(buffer_room(&b, 100), 0 + (1000 - 940) / (940 / 35 + 1));
	struct buffer_flush flush;
	ck_assert_uint_gt(take(25, &flush), 0);
	ck_assert_int_eq(flush.reason, FLUSH_early);
}
END_TEST

START_TEST(test_room)
{
	struct buffer_law l = patient;
	l.max_entries = 40;
	law(l);
	ck_assert_uint_eq(buffer_room(&b, 50), 40);
	fill("a", 5, 30); /* 25 ready, 5 wait */
	ck_assert_uint_eq(buffer_room(&b, 30), 5);
	ck_assert_uint_eq(buffer_room(&b, 500), 10);
	fill("a", 5, 11);
	ck_assert_uint_eq(buffer_room(&b, 500), 0);
	ck_assert_uint_eq(b.overflows, 1);
	l.max_entries = 0;
	l.max_bytes = 100;
	law(l);
	ck_assert_uint_eq(buffer_room(&b, 500), 0);
}
END_TEST

START_TEST(test_shutdown_flushes)
{
	law(patient);
	fill("a", 5, 3);
	buffer_close(&b, now);
	expect(3, FLUSH_shutdown);
	fill("b", 5, 2);
	expect(2, FLUSH_shutdown);
}
END_TEST

/* A batch that is taken in pieces (a limited queue) is one flush's worth: the pieces do not wait again. */
START_TEST(test_pieces_of_a_batch_do_not_wait)
{
	struct buffer_flush flush;
	law(patient);
	fill("a", 5, 27);
	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(take(5, &flush), 5);
		ck_assert_int_eq(flush.reason, FLUSH_size);
	}
	expect_none();
	ck_assert_uint_eq(b.entries, 2);
}
END_TEST

START_TEST(test_late_company_goes_along)
{
	law(patient);
	fill("a", 5, 2);
	now += 300 * NS_PER_S;
	ck_assert(buffer_ready(&b, now));
	fill("a", 5, 4);
	expect(6, FLUSH_age);
}
END_TEST

START_TEST(test_mixed_group_waits_as_one)
{
	struct buffer_law l = patient;
	char name[16];
	l.mixed = true;
	law(l);
	for (int i = 0; i < 24; i++) {
		snprintf(name, sizeof name, "t%d", i);
		put(name, 5, false);
	}
	expect_none();
	put("x", 5, false);
	expect(25, FLUSH_size);
	struct buffer_item *one = put("y", 1, false);
	put("z", 5, false);
	ck_assert_int_eq(buffer_due_ns(&b), now + 60 * NS_PER_S);
	buffer_remove(&b, one, now);
	ck_assert_int_eq(buffer_due_ns(&b), now + 300 * NS_PER_S);
	now += 300 * NS_PER_S;
	expect(1, FLUSH_age);
	put("y", 5, false);
	buffer_set_batch(&b, 1, now);
	expect(1, FLUSH_size);
	put("y", 5, false);
	buffer_set_batch(&b, 5, now);
	buffer_close(&b, now);
	expect(1, FLUSH_size);
}
END_TEST

START_TEST(test_smaller_batch_size_releases)
{
	law(patient);
	fill("a", 5, 12);
	fill("b", 5, 4);
	expect_none();
	buffer_set_batch(&b, 5, now);
	expect(5, FLUSH_size);
	expect(5, FLUSH_size);
	expect_none();
	ck_assert_uint_eq(b.entries, 6);
	buffer_set_batch(&b, 0, now);
	ck_assert_uint_eq(b.law.batch, 1);
}
END_TEST

START_TEST(test_urgent_overtakes)
{
	struct buffer_flush flush;
	law((struct buffer_law){.batch = 25});
	fill("a", 5, 100);
	struct buffer_item *urgent = put("a", 1, false);
	ck_assert_uint_eq(take(25, &flush), 25);
	ck_assert_ptr_eq(out[0], urgent);
}
END_TEST

START_TEST(test_drain_returns_all)
{
	law(patient);
	fill("a", 5, 30);
	fill("b", 1, 3);
	put("c", 5, true);
	ck_assert_uint_eq(buffer_drain(&b, 10, now, out), 10);
	ck_assert_uint_eq(buffer_drain(&b, 100, now, out), 24);
	ck_assert_uint_eq(b.entries + b.bytes + b.released, 0);
	ck_assert_int_eq(buffer_due_ns(&b), BUFFER_NEVER);
}
END_TEST

START_TEST(test_suspects_removed_and_counted)
{
	struct buffer_item *one = put("a", 5, true);
	put("a", 5, true);
	ck_assert_uint_eq(buffer_suspects(&b), 2);
	buffer_remove(&b, one, now);
	ck_assert_uint_eq(buffer_suspects(&b), 1);
	ck_assert_uint_eq(b.released, 1);
}
END_TEST

/* ---- weights, aging ---- */

static struct share weight_of(void *arg, const char *tenant)
{
	const uint32_t *scale = arg;
	uint32_t w = tenant[0] == 'a' ? 1000 : tenant[0] == 'b' ? 2000 : tenant[0] == 'c' ? 4000 : tenant[0] == 'l' ? 1 : 0;
	return (struct share){.weight = w * *scale / 1000, .minimum = tenant[0] == 'm' ? 500 : 0};
}

/* Turns of tenants that always have jobs; what is taken is put back at the end. */
static void churn(const char *const names[], size_t n, size_t turns, size_t max, size_t got[])
{
	struct buffer_flush flush;
	for (size_t t = 0; t < n; t++)
		fill(names[t], 5, 150);
	for (size_t turn = 0; turn < turns; turn++) {
		size_t k = take(max, &flush);
		ck_assert_uint_gt(k, 0);
		size_t owner = (size_t)(out[0] - items) / 150;
		got[owner] += k;
		for (size_t i = 0; i < k; i++)
			buffer_add(&b, names[owner], out[i], false, now);
	}
}

START_TEST(test_weights)
{
	static const char *const names[] = {"a", "b", "c"};
	static const size_t maxima[] = {25, 7, 1};
	uint32_t scale = _i < 3 ? 1000 : 200; /* 0.2 : 0.4 : 0.8 */
	size_t got[3] = {0};
	law((struct buffer_law){.batch = 25});
	buffer_set_shares(&b, weight_of, &scale);
	churn(names, 3, 7000, maxima[_i % 3], got);
	size_t sum = got[0] + got[1] + got[2];
	for (size_t i = 0; i < 3; i++) {
		double share = (double)got[i] * 7 / (double)sum / (double)(1 << i);
		ck_assert_msg(share > 0.97 && share < 1.03, "tenant %zu has %f of its share", i, share);
	}
}
END_TEST

START_TEST(test_minimum_share)
{
	static const char *const names[] = {"m", "c", "c2", "b", "b2"};
	uint32_t scale = 1000;
	size_t got[5] = {0}, sum = 0;
	law((struct buffer_law){.batch = 10});
	buffer_set_shares(&b, weight_of, &scale);
	churn(names, 5, 5000, 10, got);
	for (size_t i = 0; i < 5; i++)
		sum += got[i];
	double share = (double)got[0] / (double)sum;
	ck_assert_msg(share > 0.485 && share < 0.515, "it has %f", share);
}
END_TEST

START_TEST(test_weights_may_change)
{
	static const char *const names[] = {"a", "b"};
	uint32_t scale = 1000;
	size_t got[2] = {0};
	law((struct buffer_law){.batch = 10});
	fill("a", 5, 0);
	churn(names, 2, 10, 10, got);
	buffer_set_shares(&b, weight_of, &scale);
	ck_assert_uint_eq(b.weight, 3000);
	buffer_set_shares(&b, NULL, NULL);
	ck_assert_uint_eq(b.weight, 2000);
}
END_TEST

static struct buffer_item *put_aged(int priority, int64_t age_ns)
{
	struct buffer_item *item = put("a", priority, false);
	buffer_remove(&b, item, now);
	item->due_ns = now - age_ns;
	buffer_add(&b, "a", item, false, now);
	return item;
}

START_TEST(test_aged_jobs_share_the_batch)
{
	struct buffer_flush flush;
	law((struct buffer_law){.batch = 10, .aging_ns = 60 * NS_PER_S});
	for (int i = 0; i < 20; i++)
		put_aged(5, 0);
	for (int i = 0; i < 20; i++)
		put_aged(10, 299 * NS_PER_S);
	ck_assert_uint_eq(take(10, &flush), 10);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(out[i]->priority, 5);
	now += NS_PER_S;
	ck_assert_uint_eq(take(10, &flush), 10);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(out[i]->priority, i < 5 ? 5 : 10);
}
END_TEST

START_TEST(test_aged_job_is_not_starved_by_batches_of_one)
{
	struct buffer_flush flush;
	int low = 0;
	law((struct buffer_law){.batch = 1, .aging_ns = 60 * NS_PER_S});
	for (int i = 0; i < 20; i++) {
		put_aged(1, 0);
		put_aged(10, 9 * 60 * NS_PER_S);
	}
	for (int i = 0; i < 20; i++) {
		ck_assert_uint_eq(take(1, &flush), 1);
		low += out[0]->priority == 10;
	}
	ck_assert_int_eq(low, 10);
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
	tcase_add_test(tc, test_full_batch_goes_the_rest_waits);
	tcase_add_test(tc, test_wait_by_priority);
	tcase_add_test(tc, test_wait_begins_with_the_oldest);
	tcase_add_test(tc, test_deadline_shortens_the_wait);
	tcase_add_test(tc, test_max_age_bounds_the_wait);
	tcase_add_test(tc, test_pressure);
	tcase_add_test(tc, test_pressure_of_bytes);
	tcase_add_test(tc, test_room);
	tcase_add_test(tc, test_shutdown_flushes);
	tcase_add_test(tc, test_pieces_of_a_batch_do_not_wait);
	tcase_add_test(tc, test_late_company_goes_along);
	tcase_add_test(tc, test_mixed_group_waits_as_one);
	tcase_add_test(tc, test_smaller_batch_size_releases);
	tcase_add_test(tc, test_urgent_overtakes);
	tcase_add_test(tc, test_drain_returns_all);
	tcase_add_test(tc, test_suspects_removed_and_counted);
	tcase_add_test(tc, test_minimum_share);
	tcase_add_test(tc, test_weights_may_change);
	tcase_add_test(tc, test_aged_jobs_share_the_batch);
	tcase_add_test(tc, test_aged_job_is_not_starved_by_batches_of_one);
	tcase_add_loop_test(tc, test_weights, 0, 6);
	tcase_add_test(tc, test_backoff);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

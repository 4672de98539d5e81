/*
 * tests/unit/test_limits.c: reserving and taking (queue/limits.c) and the record of exceedances (queue/exceed.c), under a clock
 * that the test holds.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "queue/exceed.h"
#include "queue/gcra.h"
#include "queue/limits.h"

static struct limits l;
static struct limits_of given;
static int64_t now, until;

static void of(void *arg, const char *tenant, struct limits_of *out)
{
	ck_assert_ptr_eq(arg, &given);
	if (strncmp(tenant, "free", 4) != 0)
		*out = given;
}

static void setup(void)
{
	now = 1000 * NS_PER_S;
	given = (struct limits_of){0};
	limits_init(&l, of, &given);
}

static void teardown(void) { limits_free(&l); }

static int64_t reserve(const char *tenant, int64_t want)
{
	return limits_reserve(&l, tenant, want, now, &until);
}

static void limit_tenant(int64_t per_s, int64_t burst)
{
	given.interval_ns = gcra_interval(per_s, NS_PER_S);
	given.burst_ns = burst * given.interval_ns;
}

START_TEST(test_no_limit)
{
	ck_assert_int_eq(reserve("free", 1000000), 1000000);
	ck_assert_int_eq(reserve("free", 0), 0);
	ck_assert_int_eq(limits_why(&l, "free", now, &until), LIMIT_NONE);
	limits_unreserve(&l, "free", 999999);
	limits_sent(&l, limits_tenant(&l, "free", now), 1, now);
	ck_assert(!limits_ended(limits_tenant(&l, "free", now)));
	ck_assert(!limits_ended(limits_tenant(&l, "nobody", now)));
	limits_unreserve(&l, "nobody", 1);
	limits_unreserve(&l, "free", -1);
	limits_sweep(&l, now, NULL, NULL);
	ck_assert_uint_eq(HASH_COUNT(l.tenants), 0);
}
END_TEST

/* 10/s and a burst of 2: a second's worth and the burst may be claimed, then half a second's worth each half second. */
START_TEST(test_tenant_rate)
{
	limit_tenant(10, 2);
	ck_assert_int_eq(reserve("a", 100), 12);
	ck_assert_int_eq(reserve("a", 100), 0);
	ck_assert_int_eq(until, now + 500 * NS_PER_MS);
	ck_assert_int_eq(reserve("free", 100), 100);
	ck_assert_int_eq(limits_why(&l, "a", now, &until), LIMIT_TENANT);
	ck_assert_int_eq(until, now + 100 * NS_PER_MS);
	limits_unreserve(&l, "a", 3);
	ck_assert_int_eq(reserve("a", 2), 2);
	ck_assert_int_eq(reserve("a", 2), 1);
}
END_TEST

/* Ten minutes of backlog: everything granted is sent by the law, and the rate is used. */
START_TEST(test_used_and_never_exceeded)
{
	int64_t waiting = 0, sent = 0, asked = 0, next_ask = 0, begin = now, tat = 0;
	limit_tenant(50, 5);
	while (now < begin + 600 * NS_PER_S) {
		if (now >= next_ask) {
			int64_t n = reserve("a", 25);
			asked++;
			waiting += n;
			next_ask = n > 0 ? now : until;
		}
		while (waiting > 0 && gcra_take(&tat, now, given.interval_ns, given.burst_ns, 1) == 0) {
			limits_sent(&l, limits_tenant(&l, "a", now), 1, now);
			(void)limits_ended(limits_tenant(&l, "a", now));
			waiting--;
			sent++;
		}
		ck_assert_int_le(waiting, 55);
		now += 5 * NS_PER_MS;
	}
	ck_assert_int_le(sent, 50 * 600 + 5);
	ck_assert_int_ge(sent, 50 * 600 * 99 / 100);
	ck_assert_int_le(asked, 600 * 5); /* not once a token */
}
END_TEST

START_TEST(test_queue_and_tier)
{
	memcpy(given.tier, "gold", 5);
	given.tier_interval_ns = NS_PER_S / 20;
	limits_set_bucket(&l.queue, NS_PER_S / 30, 0, now);
	ck_assert_int_eq(reserve("a", 15), 15);
	ck_assert_int_eq(reserve("b", 15), 5);
	ck_assert_int_eq(reserve("b", 15), 0);
	ck_assert_int_eq(limits_why(&l, "b", now, &until), LIMIT_TIER);
	ck_assert_int_eq(limits_room(&l, 7, now, &until), 7);
	ck_assert_int_eq(reserve("free", 10), 10);
	ck_assert_int_eq(limits_room(&l, 0, now, &until), 0);
	ck_assert_int_eq(limits_room(&l, 15, now, &until), 0);
	ck_assert(until > now + 499 * NS_PER_MS && until <= now + 500 * NS_PER_MS);
	int64_t later = until;
	ck_assert_int_eq(limits_room(&l, 50, later, &until), 0); /* nothing was sent: nothing has become free */
	struct limit_bucket queue = l.queue;
	l.queue.tat_ns = now + 15 * l.queue.interval_ns; /* fifteen were */
	l.queue.reserved_milli -= 15000;
	ck_assert_int_eq(limits_room(&l, 50, later, &until), 15);
	l.queue = queue;
	ck_assert_int_eq(limits_why(&l, "free", now, &until), LIMIT_QUEUE);
	given.tier_interval_ns = NS_PER_S / 25;
	limits_reload(&l, now);
	limits_set_bucket(&l.queue, 0, 0, now);
	ck_assert_int_eq(reserve("b", 15), 5);
	memcpy(given.tier, "lead", 5); /* what is reserved moves along */
	limits_reload(&l, now);
	ck_assert_int_eq(reserve("b", 15), 0);
}
END_TEST

START_TEST(test_concurrency)
{
	given.concurrency = 3;
	ck_assert_int_eq(reserve("a", 10), 3);
	ck_assert_int_eq(reserve("a", 10), 0);
	ck_assert_int_eq(until, LIMITS_NEVER);
	ck_assert_int_eq(limits_why(&l, "a", now, &until), LIMIT_CONCURRENCY);
	for (int i = 0; i < 3; i++)
		limits_sent(&l, limits_tenant(&l, "a", now), 1, now);
	ck_assert(limits_ended(limits_tenant(&l, "a", now)));
	ck_assert(!limits_ended(limits_tenant(&l, "a", now)));
	ck_assert_int_eq(reserve("a", 10), 2);
}
END_TEST

/* Jobs of four units: the average is learned, and four times fewer are claimed. */
START_TEST(test_costs)
{
	limit_tenant(40, 0);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_ge(reserve("a", 1), 0);
		limits_sent(&l, limits_tenant(&l, "a", now), 4, now);
		now += 200 * NS_PER_MS;
	}
	ck_assert_int_eq(reserve("a", 100), 40 / 4);
	ck_assert_int_eq(l.queue.reserved_milli, l.tenants->bucket.reserved_milli);
	limits_sweep(&l, now + NS_PER_S, NULL, NULL);
	ck_assert_uint_eq(HASH_COUNT(l.tenants), 1);
}
END_TEST

/* A job dearer than the whole horizon goes alone, and its debt is waited for. */
START_TEST(test_dear_job)
{
	limit_tenant(1, 0);
	for (int i = 0; i < 100; i++) {
		now += 60 * NS_PER_S;
		limits_sent(&l, limits_tenant(&l, "a", now), 30, now);
	}
	ck_assert_int_eq(reserve("a", 5), 0);
	now += 60 * NS_PER_S;
	ck_assert_int_eq(reserve("a", 5), 1);
	ck_assert_int_eq(reserve("a", 5), 0);
	ck_assert_int_gt(until, now);
}
END_TEST

/* ---- exceedances ---- */

static struct exceed e;

START_TEST(test_once_a_second)
{
	exceed_init(&e);
	ck_assert(exceed_note(&e, "a", 5000000, 7, "Rate limit exceeded: 50 per second"));
	ck_assert(!exceed_note(&e, "a", 5999999, 8, "x"));
	ck_assert(exceed_note(&e, "b", 5999999, 8, "x"));
	ck_assert(exceed_note(&e, "a", 6000000, 9, "Rate limit exceeded: 50 per second"));
	const struct exceed_tenant *a = exceed_find(&e, "a");
	ck_assert_uint_eq(a->count, 2);
	ck_assert_int_eq(a->last_us, 6000000);
	ck_assert_int_eq(exceed_detail(a, 0)->batch, 9);
	ck_assert_int_eq(exceed_detail(a, 1)->batch, 7);
	ck_assert_ptr_eq(exceed_detail(a, 0)->message, exceed_detail(a, 1)->message);
	ck_assert_ptr_null(exceed_detail(a, 2));
	exceed_reset(&e, "a");
	ck_assert_ptr_null(exceed_find(&e, "a"));
	ck_assert_ptr_nonnull(exceed_find(&e, "b"));
	ck_assert_uint_eq(e.count, 3);
	exceed_free(&e);
}
END_TEST

/* A refusal counts each time, and beside a wait of the same second. */
START_TEST(test_refusals)
{
	exceed_init(&e);
	ck_assert(exceed_note(&e, "a", 5000000, 7, "x"));
	exceed_refused(&e, "a", 5000001, 1, "too many");
	exceed_refused(&e, "a", 5000002, 2, "too many");
	ck_assert(!exceed_note(&e, "a", 5000003, 7, "x"));
	ck_assert(exceed_note(&e, "a", 6000000, 7, "x"));
	ck_assert_uint_eq(exceed_find(&e, "a")->count, 4);
	ck_assert_str_eq(exceed_detail(exceed_find(&e, "a"), 1)->message->text, "too many");
	exceed_free(&e);
}
END_TEST

START_TEST(test_restored)
{
	exceed_init(&e);
	ck_assert(exceed_restore(&e, "a", 17, 5000000));
	ck_assert(!exceed_restore(&e, "a", 1, 1));
	exceed_detail_add(&e, "a", 4000000, 3, "x");
	exceed_detail_add(&e, "a", 5000000, 4, "y");
	exceed_detail_add(&e, "nobody", 5000000, 4, "y");
	ck_assert_ptr_null(exceed_find(&e, "nobody"));
	ck_assert_uint_eq(e.count, 17);
	ck_assert(!exceed_note(&e, "a", 5000001, 7, "x"));
	ck_assert(exceed_note(&e, "a", 6000000, 7, "x"));
	const struct exceed_tenant *a = exceed_find(&e, "a");
	ck_assert_uint_eq(a->count, 18);
	ck_assert_int_eq(exceed_detail(a, 0)->batch, 7);
	ck_assert_int_eq(exceed_detail(a, 1)->batch, 4);
	ck_assert_int_eq(exceed_detail(a, 2)->at_us, 4000000);
	ck_assert_ptr_null(exceed_detail(a, 3));
	exceed_free(&e);
}
END_TEST

/* A text that is cut is cut at a character; one that is no text becomes one. */
START_TEST(test_messages_are_text)
{
	char message[EXCEED_MESSAGE + 3];
	memset(message, 'm', sizeof message);
	memcpy(message + EXCEED_MESSAGE - 1, "\xc3\xa4", 3);
	exceed_init(&e);
	exceed_refused(&e, "a", 1, 1, message);
	ck_assert_uint_eq(strlen(exceed_detail(exceed_find(&e, "a"), 0)->message->text), EXCEED_MESSAGE - 1);
	exceed_refused(&e, "a", 1, 1, "\xff");
	ck_assert_str_eq(exceed_detail(exceed_find(&e, "a"), 0)->message->text, "\xef\xbf\xbd");
	exceed_free(&e);
}
END_TEST

START_TEST(test_bounded)
{
	char name[32], message[2 * EXCEED_MESSAGE];
	exceed_init(&e);
	memset(message, 'm', sizeof message);
	message[sizeof message - 1] = '\0';
	for (int i = 0; i < 30; i++) {
		message[0] = (char)('a' + i % 3);
		ck_assert(exceed_note(&e, "old", i * 1000000, i, message));
	}
	const struct exceed_tenant *old = exceed_find(&e, "old");
	ck_assert_int_eq(exceed_detail(old, EXCEED_DETAILS - 1)->batch, 30 - EXCEED_DETAILS);
	ck_assert_ptr_null(exceed_detail(old, EXCEED_DETAILS));
	ck_assert_uint_eq(strlen(exceed_detail(old, 0)->message->text), EXCEED_MESSAGE);
	for (int i = 0; i < EXCEED_TENANTS; i++) {
		snprintf(name, sizeof name, "t%d", i);
		for (int j = 0; j <= i % 4; j++)
			ck_assert(exceed_note(&e, name, (int64_t)(40 + i * 4 + j) * 1000000, 1, "x"));
	}
	ck_assert_uint_eq(HASH_COUNT(e.tenants), EXCEED_TENANTS);
	ck_assert_ptr_null(exceed_find(&e, "old"));
	const struct exceed_tenant *worst[100];
	ck_assert_uint_eq(exceed_worst(&e, worst, 100), 100);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(worst[i]->count, 4);
	ck_assert_uint_eq(exceed_worst(&e, worst, 0), 0);
	exceed_free(&e);
	ck_assert_uint_eq(e.count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tc = tcase_create("law");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_no_limit);
	tcase_add_test(tc, test_tenant_rate);
	tcase_add_test(tc, test_used_and_never_exceeded);
	tcase_add_test(tc, test_queue_and_tier);
	tcase_add_test(tc, test_concurrency);
	tcase_add_test(tc, test_costs);
	tcase_add_test(tc, test_dear_job);
	tcase_add_test(tc, test_once_a_second);
	tcase_add_test(tc, test_refusals);
	tcase_add_test(tc, test_restored);
	tcase_add_test(tc, test_messages_are_text);
	tcase_add_test(tc, test_bounded);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * tests/unit/test_modes.c: the dynamic rate (queue/rate.c), the gate (queue/breaker.c) and the degraded modes (queue/degrade.c),
 * under a clock that the test holds.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "queue/breaker.h"
#include "queue/degrade.h"
#include "queue/flight.h"
#include "queue/flow.h"
#include "queue/rate.h"
#include "queue/waits.h"

static struct rate_state r;
static struct breaker b;
static struct degrade d;
static int64_t now;

static void setup(void)
{
	now = 1000 * NS_PER_S;
	rate_init(&r, 50, now);
	breaker_init(&b);
	degrade_init(&d);
}

/* ---- rate ---- */

START_TEST(test_one_overload_cuts_once)
{
	ck_assert_int_eq(rate_interval_ns(&r), 20 * NS_PER_MS);
	ck_assert(rate_refused(&r, now));
	for (int i = 0; i < 20; i++)
		ck_assert(!rate_refused(&r, now + i));
	ck_assert_double_eq_tol(r.effective, 35, 1e-9);
	for (int i = 0; i < 50; i++)
		(void)rate_refused(&r, now += 2 * NS_PER_S);
	ck_assert_double_eq_tol(r.effective, 1, 1e-9);
	ck_assert(!rate_refused(&r, now += 2 * NS_PER_S));
}
END_TEST

/* A receiver that bears 30 of 50 a second, for ten minutes: it is used by 85% at least, and refuses few. */
START_TEST(test_settles_below_what_is_borne)
{
	double borne = 0, refusals = 0;
	for (int s = 0; s < 600; s++) {
		for (int i = 0; i < (int)r.effective; i++) {
			if (i < 30) {
				rate_accepted(&r);
				borne++;
				continue;
			}
			refusals++;
			(void)rate_refused(&r, now);
		}
		(void)rate_second(&r, now);
		now += NS_PER_S;
	}
	ck_assert_double_gt(borne, 0.85 * 30 * 600);
	ck_assert_double_lt(refusals, 0.05 * borne);
}
END_TEST

START_TEST(test_comes_back_to_the_limit)
{
	ck_assert(rate_refused(&r, now));
	ck_assert(!rate_second(&r, now + NS_PER_S));
	ck_assert(!rate_second(&r, now + 2 * NS_PER_S));
	for (int s = 3; s < 60; s++)
		(void)rate_second(&r, now + s * NS_PER_S);
	ck_assert_double_eq(r.effective, 50);
	ck_assert(!rate_second(&r, now + 100 * NS_PER_S));
	ck_assert(!rate_second(&r, now + 100 * NS_PER_S + 1));
}
END_TEST

/* One recipient of a hundred that is always refused slows nobody; one in ten does. */
START_TEST(test_a_bad_recipient)
{
	for (int i = 0; i < 100000; i++) {
		rate_accepted(&r);
		if (i % 100 == 99)
			ck_assert(!rate_refused(&r, now));
		if (i % 50 == 49)
			(void)rate_second(&r, now += NS_PER_S);
	}
	ck_assert_double_eq(r.effective, 50);
	int cuts = 0;
	for (int i = 0; i < 500; i++) {
		rate_accepted(&r);
		if (i % 10 == 9)
			cuts += rate_refused(&r, now);
		if (i % 50 == 49)
			(void)rate_second(&r, now += NS_PER_S);
	}
	ck_assert_int_ge(cuts, 5);
}
END_TEST

/* Errors of a receiver that sending less does not mend: slower, but not stopped; and they find no limit where there is none. */
START_TEST(test_failures)
{
	for (int i = 0; i < 20000; i++) {
		rate_accepted(&r);
		if (i % 5 == 4)
			(void)rate_failed(&r, now);
		if (i % 50 == 49)
			(void)rate_second(&r, now += NS_PER_S);
	}
	ck_assert_double_le(r.effective, 25);
	ck_assert_double_ge(r.effective, 50 * RATE_WEAK_FLOOR);
	rate_init(&r, 0, now);
	for (int i = 0; i < 1000; i++) {
		ck_assert(!rate_failed(&r, now));
		rate_accepted(&r);
		if (i % 50 == 49)
			ck_assert(!rate_second(&r, now += NS_PER_S));
	}
}
END_TEST

START_TEST(test_latency)
{
	for (int i = 0; i < 1100; i++)
		ck_assert(!rate_latency(&r, (90 + i % 20) * NS_PER_MS, now));
	int cuts = 0;
	for (int i = 0; i < 40; i++)
		cuts += rate_latency(&r, 300 * NS_PER_MS, now += 100 * NS_PER_MS);
	ck_assert_int_ge(cuts, 1);
	ck_assert_int_le(cuts, 3);
	ck_assert_double_le(r.effective, 0.85 * 50);
	for (int i = 0; i < 100; i++)
		(void)rate_latency(&r, 90 * NS_PER_MS, now);
	ck_assert(!rate_latency(&r, 90 * NS_PER_MS, now += 2 * NS_PER_S));
	rate_init(&r, 50, now); /* small times: a rise of a few milliseconds is noise */
	for (int i = 0; i < 100; i++)
		ck_assert(!rate_latency(&r, (i < 50 ? 1 : 8) * NS_PER_MS, now));
}
END_TEST

static int by_value(const void *left, const void *right)
{
	int64_t x = *(const int64_t *)left, y = *(const int64_t *)right;
	return (x > y) - (x < y);
}

/* The ordered copy of the last requests is the last requests, in order. */
START_TEST(test_latency_order)
{
	unsigned seed = 7;
	for (uint32_t i = 0; i < 500; i++) {
		int64_t last[RATE_RECENT];
		uint32_t n = i + 1 < RATE_RECENT ? i + 1 : RATE_RECENT;
		seed = seed * 1103515245u + 12345u;
		(void)rate_latency(&r, (int64_t)(seed >> 16) % 40, now); /* equal ones among them */
		memcpy(last, r.recent_ns, sizeof last);
		qsort(last, n, sizeof *last, by_value);
		ck_assert_mem_eq(last, r.sorted_ns, n * sizeof *last);
	}
}
END_TEST

/* Times that vary as those of real receivers do (here 1:20 from one request to the next) are no rise. */
START_TEST(test_latency_noise)
{
	unsigned seed = 1;
	double sum = 0;
	for (int i = 0; i < 100000; i++) {
		seed = seed * 1103515245u + 12345u;
		int64_t took = (50 + (int64_t)(seed >> 16) % 100 + ((seed >> 24) % 20 == 0 ? 950 : 0)) * NS_PER_MS;
		(void)rate_latency(&r, took, now += 20 * NS_PER_MS);
		if (i % 50 == 49)
			(void)rate_second(&r, now);
		sum += r.effective;
	}
	ck_assert_double_gt(sum / 100000, 48);
}
END_TEST

/* One request in twenty hangs for two seconds where the others take 20 ms: that is no overload. */
START_TEST(test_latency_of_a_few)
{
	unsigned seed = 7;
	for (int i = 0; i < 20000; i++) {
		seed = seed * 1103515245u + 12345u;
		ck_assert(!rate_latency(&r, (seed >> 16) % 20 == 0 ? 2 * NS_PER_S : 20 * NS_PER_MS, now += 20 * NS_PER_MS));
	}
	ck_assert_double_eq(r.effective, 50);
}
END_TEST

/* A receiver that has become slower for good is not slowed for good, and never below a quarter. */
START_TEST(test_latency_that_stays)
{
	double least = 50;
	for (int i = 0; i < 20000; i++) {
		(void)rate_latency(&r, (i < 1000 ? 50 : 2000) * NS_PER_MS, now += 20 * NS_PER_MS);
		if (i % 50 == 49)
			(void)rate_second(&r, now);
		least = r.effective < least ? r.effective : least;
	}
	ck_assert_double_ge(least, 50 * RATE_WEAK_FLOOR);
	ck_assert_double_lt(least, 50);
	ck_assert_double_eq(r.effective, 50);
	rate_init(&r, 0, now);
	for (int i = 0; i < 1000; i++) /* without a rate there is nothing to cut */
		ck_assert(!rate_latency(&r, (i < 500 ? 50 : 2000) * NS_PER_MS, now += 20 * NS_PER_MS));
}
END_TEST

START_TEST(test_resume)
{
	rate_resume(&r, 20, now);
	ck_assert_double_eq(r.effective, 20);
	ck_assert(!rate_second(&r, now + NS_PER_S));
	ck_assert(rate_second(&r, now + 4 * NS_PER_S));
	rate_init(&r, 50, now);
	rate_resume(&r, 70, now);
	rate_resume(&r, 0, now);
	ck_assert_double_eq(r.effective, 50);
	rate_init(&r, 0, now);
	rate_resume(&r, 70, now);
	ck_assert_double_eq(r.effective, 70);
	ck_assert_double_eq(r.ceiling, 70);
}
END_TEST

START_TEST(test_without_a_limit)
{
	rate_init(&r, 0, now);
	ck_assert_int_eq(rate_interval_ns(&r), 0);
	ck_assert(!rate_second(&r, now += 10 * NS_PER_S));
	ck_assert(!rate_refused(&r, now));
	ck_assert(!rate_second(&r, now += NS_PER_S)); /* one refusal makes no limit */
	for (int s = 0; s < 5 && r.effective <= 0; s++) {
		for (int i = 0; i < 200; i++)
			rate_accepted(&r);
		for (int i = 0; i < 50; i++)
			ck_assert(!rate_refused(&r, now));
		ck_assert(rate_second(&r, now += NS_PER_S));
	}
	ck_assert_double_ge(r.ceiling, 125);
	ck_assert_double_le(r.ceiling, 250);
	ck_assert_double_eq_tol(r.effective, 0.7 * r.ceiling, 1e-9);
	for (int s = 0; s < 400 && r.effective > 0; s++)
		(void)rate_second(&r, now += NS_PER_S);
	ck_assert_double_eq(r.effective, 0);
}
END_TEST

START_TEST(test_new_limit)
{
	rate_set_limit(&r, 80);
	ck_assert_double_eq(r.effective, 80);
	ck_assert(rate_refused(&r, now));
	rate_set_limit(&r, 100);
	ck_assert_double_eq_tol(r.effective, 56, 1e-9);
	rate_set_limit(&r, 10);
	ck_assert_double_eq(r.effective, 10);
	rate_set_limit(&r, 0);
	ck_assert_int_eq(rate_interval_ns(&r), 0);
}
END_TEST

/* ---- breaker ---- */

START_TEST(test_outage_counts_once)
{
	for (int i = 0; i < 9; i++)
		ck_assert(!breaker_failed(&b, 10, now));
	ck_assert_int_eq(breaker_may(&b, now), INT64_MAX);
	ck_assert_int_eq(breaker_next_ns(&b), BREAKER_NEVER);
	bool tripped = breaker_failed(&b, 10, now) || breaker_failed(&b, 10, now); /* ten tenths are not quite one */
	ck_assert(tripped);
	ck_assert_int_eq(breaker_may(&b, now), 0);
	ck_assert_int_eq(breaker_next_ns(&b), now + BREAKER_FIRST_NS);
	ck_assert(!breaker_failed(&b, 10, now));
	ck_assert(!breaker_succeeded(&b));
	ck_assert_uint_eq(b.trips, 1);
}
END_TEST

START_TEST(test_success_between_failures)
{
	for (int i = 0; i < 100; i++) {
		ck_assert(!breaker_failed(&b, 0, now));
		ck_assert(!breaker_failed(&b, 1, now));
		ck_assert(!breaker_succeeded(&b));
	}
}
END_TEST

static void trip(void)
{
	while (!breaker_failed(&b, 1, now))
		;
}

START_TEST(test_probe)
{
	int64_t wait = BREAKER_FIRST_NS;
	trip();
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(breaker_may(&b, now + wait - 1), 0);
		now += wait;
		ck_assert_int_eq(breaker_may(&b, now), 1);
		breaker_probe_sent(&b);
		ck_assert_int_eq(breaker_may(&b, now), 0);
		breaker_probe_lost(&b);
		ck_assert_int_eq(breaker_may(&b, now), 1);
		breaker_probe_sent(&b);
		ck_assert(breaker_failed(&b, 1, now));
		wait = wait * 2 < BREAKER_MOST_NS ? wait * 2 : BREAKER_MOST_NS;
	}
	now += wait;
	ck_assert_int_eq(breaker_may(&b, now), 1);
	breaker_probe_sent(&b);
	ck_assert(breaker_succeeded(&b));
	ck_assert_int_eq(breaker_may(&b, now), INT64_MAX);
	ck_assert_uint_eq(b.trips, 11);
	trip();
	ck_assert_int_eq(breaker_next_ns(&b), now + BREAKER_FIRST_NS);
}
END_TEST

START_TEST(test_retry_after)
{
	ck_assert(!breaker_retry_after(&b, now, now));
	ck_assert(breaker_retry_after(&b, now + 5, now));
	ck_assert(!breaker_retry_after(&b, now + 4, now));
	ck_assert(!breaker_retry_after(&b, now + 9, now));
	ck_assert_int_eq(breaker_next_ns(&b), now + 9);
	ck_assert_int_eq(breaker_may(&b, now + 9), 1);
	ck_assert_int_eq(b.wait_ns, BREAKER_FIRST_NS);
}
END_TEST

START_TEST(test_refused_credentials)
{
	ck_assert(breaker_refused(&b, 5 * NS_PER_S, now));
	ck_assert_int_eq(breaker_next_ns(&b), now + 5 * NS_PER_S);
	ck_assert(!breaker_refused(&b, 500 * NS_PER_S, now)); /* one refusal, seen by many */
	ck_assert_int_eq(breaker_may(&b, now += 5 * NS_PER_S), 1);
	breaker_probe_sent(&b);
	ck_assert(breaker_refused(&b, 0, now));
	ck_assert_int_eq(breaker_next_ns(&b), now + 2 * BREAKER_FIRST_NS);
	ck_assert_int_eq(b.shut_ns, now);
}
END_TEST

/* ---- degraded modes ---- */

START_TEST(test_halves_then_single_then_slower)
{
	static const uint32_t bounds[] = {12, 6, 3, 1};
	ck_assert_uint_eq(degrade_size(&d, 25), 25);
	uint32_t size = 25;
	for (int i = 0; i < 4; i++) {
		ck_assert(degrade_batch(&d, size, true));
		ck_assert(!degrade_batch(&d, size, true)); /* handed out before */
		size = degrade_size(&d, 25);
		ck_assert_uint_eq(size, bounds[i]);
		ck_assert_str_eq(degrade_mode_name(degrade_mode(&d)), i < 3 ? "split" : "single");
	}
	for (int64_t slow = DEGRADE_SLOW_NS; slow < DEGRADE_SLOW_MOST_NS; slow *= 2) {
		ck_assert(degrade_batch(&d, 1, true));
		ck_assert_int_eq(degrade_slow_ns(&d), slow);
	}
	ck_assert(degrade_batch(&d, 1, true));
	ck_assert_int_eq(degrade_slow_ns(&d), DEGRADE_SLOW_MOST_NS);
	ck_assert_int_eq(degrade_mode(&d), DEGRADE_SLOW);
	ck_assert(!degrade_batch(&d, 0, true));
}
END_TEST

START_TEST(test_way_back)
{
	for (int i = 0; i < 6; i++)
		(void)degrade_batch(&d, degrade_size(&d, 25), true);
	int batches = 0;
	while (degrade_mode(&d) != DEGRADE_NONE) {
		(void)degrade_batch(&d, degrade_size(&d, 25), false);
		batches++;
	}
	ck_assert_int_eq(batches, 6 * (int)DEGRADE_CLEAN); /* slow, 1, 2, 4, 8, 16 */
	ck_assert_uint_eq(d.steps_up, 6);
	for (unsigned i = 0; i < DEGRADE_CLEAN; i++)
		ck_assert(!degrade_batch(&d, 25, false));
	ck_assert(!d.fresh);
}
END_TEST

/* A bad job that keeps coming: relapses make the way back longer, up to a bound. */
START_TEST(test_relapses)
{
	(void)degrade_batch(&d, 4, true);
	for (int i = 0; i < 20; i++) {
		while (degrade_mode(&d) != DEGRADE_NONE)
			(void)degrade_batch(&d, degrade_size(&d, 4), false);
		(void)degrade_batch(&d, 4, true);
	}
	ck_assert_uint_eq(d.need, DEGRADE_CLEAN_MOST);
	while (degrade_mode(&d) != DEGRADE_NONE)
		(void)degrade_batch(&d, degrade_size(&d, 4), false);
	for (unsigned i = 0; i < DEGRADE_CLEAN_MOST; i++)
		(void)degrade_batch(&d, 4, false);
	ck_assert_uint_eq(d.need, DEGRADE_CLEAN);
}
END_TEST

/* ---- waits ---- */

START_TEST(test_waits_by_room)
{
	struct waits w;
	double last = 1;
	waits_init(&w);
	for (unsigned use = 0; use <= 100; use++) {
		bool changed = waits_second(&w, &(struct waits_seen){.use_percent = use});
		ck_assert_double_le(w.scale, last);
		ck_assert_double_ge(w.scale, WAITS_LEAST);
		ck_assert_int_eq(changed, w.scale < last);
		if (use <= WAITS_ROOM)
			ck_assert_double_eq(w.scale, 1);
		last = w.scale;
	}
	ck_assert_double_eq_tol(w.scale, WAITS_LEAST, 0.01);
	ck_assert_int_lt(waits_ns(&w, 60 * NS_PER_S), 5 * NS_PER_S);
	ck_assert(waits_second(&w, &(struct waits_seen){.use_percent = 10}));
	ck_assert_int_eq(waits_ns(&w, 60 * NS_PER_S), 60 * NS_PER_S);
}
END_TEST

START_TEST(test_waits_by_speed)
{
	struct waits w;
	const struct waits_seen slow = {.arrived = 20, .ended = 4, .target = 10, .idle_beside_waiting = true};
	struct waits_seen seen[] = {slow, slow, slow, slow};
	seen[0].arrived = 9;   /* few come: it waits as long as it was told to */
	seen[1].ended = 10;
	seen[2].target = 0;
	seen[3].idle_beside_waiting = false;
	for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
		waits_init(&w);
		ck_assert(!waits_second(&w, &seen[i]));
		ck_assert_double_eq(w.scale, 1);
	}
	for (int i = 0; i < 4; i++)
		ck_assert(waits_second(&w, &slow));
	ck_assert(!waits_second(&w, &slow));
	ck_assert_double_eq(w.scale, WAITS_LEAST);
	for (int i = 0; i < 4; i++)
		ck_assert(waits_second(&w, &seen[1]));
	ck_assert_double_eq(w.scale, 1);
}
END_TEST

/* ---- batches in flight ---- */

/* A second of a receiver that bears `bears` batches at a time, of ten requests each: what is more is refused. */
static void second_of(struct flight *f, uint32_t bears)
{
	for (uint32_t i = 0; i < f->now; i++)
		for (int job = 0; job < 10; job++) {
			if (i < bears)
				flight_good(f);
			else
				(void)flight_refused(f, now);
		}
	now += NS_PER_S;
	(void)flight_second(f, true, now);
}

START_TEST(test_flight_finds_what_is_borne)
{
	struct flight f;
	flight_init(&f, 8);
	uint32_t over = 0, sum = 0;
	for (int i = 0; i < 120; i++) {
		second_of(&f, 3);
		over += i >= 20 && f.now > 3;
		sum += i >= 20 ? f.now : 0;
	}
	ck_assert_uint_le(over, 8);
	ck_assert_uint_ge(sum, 250);
	for (int i = 0; i < 200; i++)
		second_of(&f, 100);
	ck_assert_uint_eq(f.now, 8);
}
END_TEST

START_TEST(test_flight_stays)
{
	struct flight f;
	flight_init(&f, 4);
	for (int i = 0; i < 100; i++)
		flight_good(&f);
	ck_assert(!flight_refused(&f, now)); /* one in a hundred is a bad recipient */
	ck_assert_uint_eq(f.now, 4);
	ck_assert(!flight_second(&f, true, now));
	flight_init(&f, 1);
	ck_assert(!flight_refused(&f, now)); /* there is nothing to take away: the rate has to answer it */
	flight_init(&f, 4);
	ck_assert(flight_refused(&f, now));
	ck_assert_uint_eq(f.now, 2);
	ck_assert(flight_refused(&f, now + NS_PER_MS)); /* the same overload */
	ck_assert_uint_eq(f.now, 2);
	now += 10 * NS_PER_S;
	for (int i = 0; i < 100; i++)
		flight_good(&f);
	ck_assert(!flight_second(&f, false, now)); /* nobody wants more */
	ck_assert(flight_second(&f, true, now));
	ck_assert_uint_eq(f.now, 3);
}
END_TEST

/* ---- the flow of ends ---- */

static void flow_ends(struct flow *f, int64_t every_ns, int64_t span_ns, int together)
{
	for (int64_t stop = now + span_ns; now < stop; now += every_ns)
		for (int i = 0; i < together; i++)
			flow_add(f, now);
}

START_TEST(test_flow_is_known_soon)
{
	struct flow f = {0};

	ck_assert(flow_per_s(&f, now) <= 0);
	flow_ends(&f, NS_PER_MS / 10, 50 * NS_PER_MS, 1); /* 10,000 a second */
	ck_assert_double_ge(flow_per_s(&f, now), 500);
	flow_ends(&f, NS_PER_MS / 10, NS_PER_S, 1);
	ck_assert_double_eq_tol(flow_per_s(&f, now), 10000, 200);
	flow_ends(&f, NS_PER_MS, NS_PER_S, 1);
	ck_assert_double_eq_tol(flow_per_s(&f, now), 1000, 100);
}
END_TEST

/* an hour without any is no promise of thousands */
START_TEST(test_flow_stops)
{
	struct flow f = {0};

	flow_ends(&f, NS_PER_MS / 10, NS_PER_S, 1);
	now += 100 * NS_PER_MS;
	ck_assert_double_le(flow_per_s(&f, now), 2010);
	now += 3600 * NS_PER_S;
	ck_assert_double_le(flow_per_s(&f, now), 0.1);
	flow_add(&f, now);
	ck_assert_double_le(flow_per_s(&f, now), 0.1);
	flow_ends(&f, 20 * NS_PER_MS, 2 * NS_PER_S, 1);
	ck_assert_double_eq_tol(flow_per_s(&f, now), 50, 5);
}
END_TEST

START_TEST(test_flow_of_batches)
{
	struct flow f = {0};

	flow_ends(&f, NS_PER_S, 10 * NS_PER_S, 100);
	ck_assert_double_eq_tol(flow_per_s(&f, now), 100, 2);
	flow_ends(&f, 50 * NS_PER_MS, 5 * NS_PER_S, 25);
	ck_assert_double_eq_tol(flow_per_s(&f, now), 500, 25);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("modes");
	TCase *tc = tcase_create("law");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_one_overload_cuts_once);
	tcase_add_test(tc, test_settles_below_what_is_borne);
	tcase_add_test(tc, test_comes_back_to_the_limit);
	tcase_add_test(tc, test_a_bad_recipient);
	tcase_add_test(tc, test_failures);
	tcase_add_test(tc, test_latency);
	tcase_add_test(tc, test_latency_order);
	tcase_add_test(tc, test_latency_noise);
	tcase_add_test(tc, test_latency_of_a_few);
	tcase_add_test(tc, test_latency_that_stays);
	tcase_add_test(tc, test_resume);
	tcase_add_test(tc, test_without_a_limit);
	tcase_add_test(tc, test_new_limit);
	tcase_add_test(tc, test_outage_counts_once);
	tcase_add_test(tc, test_success_between_failures);
	tcase_add_test(tc, test_probe);
	tcase_add_test(tc, test_retry_after);
	tcase_add_test(tc, test_refused_credentials);
	tcase_add_test(tc, test_halves_then_single_then_slower);
	tcase_add_test(tc, test_way_back);
	tcase_add_test(tc, test_relapses);
	tcase_add_test(tc, test_waits_by_room);
	tcase_add_test(tc, test_waits_by_speed);
	tcase_add_test(tc, test_flight_finds_what_is_borne);
	tcase_add_test(tc, test_flight_stays);
	tcase_add_test(tc, test_flow_is_known_soon);
	tcase_add_test(tc, test_flow_stops);
	tcase_add_test(tc, test_flow_of_batches);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

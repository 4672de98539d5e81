/*
 * tests/unit/test_tuner.c: the search for the best batch size (queue/tuner.c), against handlers on paper (tests/bench/sim.c)
 * under a virtual clock.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/sim.h"
#include "queue/tuner.h"

static struct tuner t;

static const struct tuner_law from_below = {.start = 5, .min = 5, .max = 50, .target_ns = 2 * NS_PER_S};
static const struct tuner_law from_above = {.start = 50, .min = 5, .max = 50, .target_ns = 2 * NS_PER_S};
static const struct tuner_law as_built = {.start = 25, .min = 5, .max = 50, .target_ns = 2 * NS_PER_S};

static const struct { const char *name, *handler; } handlers[] = {
	{"fixed + per job, all fit", "100+5"},
	{"fixed + per job, the target binds", "200+50"},
	{"fixed + per job, the target binds early", "500+100"},
	{"latency steps up at 30", "50+2,step=30:300"},
	{"latency steps up at 12", "50+2,step=12:300"},
	{"latency steps up at 20", "300+10,step=20:900"},
	{"refuses above 20", "50+2,refuse=20"},
	{"refuses above 41", "200+10,refuse=41"},
	{"refuses above 7", "20+1,refuse=7"},
	{"no noise", "100+10,step=30:500,noise=0"},
};
#define HANDLERS (int)(sizeof handlers / sizeof handlers[0])

static void finds(const struct tuner_law *law, int which, uint64_t seed)
{
	struct sim_handler h;
	double best_rate;
	ck_assert(sim_handler_parse(&h, handlers[which].handler));
	uint32_t best = sim_best_fixed(law, &h, &best_rate);
	struct tuner scratch;
	struct sim_tuning fixed = sim_tune(&scratch, law, &h, 5, 600 * NS_PER_S, best, seed);
	struct sim_tuning found = sim_tune(&t, law, &h, 5, 600 * NS_PER_S, 0, seed);
	ck_assert_msg(found.jobs_per_s > 0.9 * fixed.jobs_per_s, "%s from %u: %.1f jobs/s, the best fixed size %u does %.1f",
	              handlers[which].name, law->start, found.jobs_per_s, best, fixed.jobs_per_s);
	ck_assert_msg(found.mean_size > 0.9 * best && found.mean_size < 1.1 * best, "%s from %u: %.1f, the best fixed size is %u",
	              handlers[which].name, law->start, found.mean_size, best);
	ck_assert_int_ge(found.settled_ns, 0);
}

START_TEST(test_finds_the_best_from_below) { finds(&from_below, _i % HANDLERS, (uint64_t)_i); }
END_TEST
START_TEST(test_finds_the_best_from_above) { finds(&from_above, _i % HANDLERS, (uint64_t)_i + 100); }
END_TEST
START_TEST(test_finds_the_best_from_between) { finds(&as_built, _i % HANDLERS, (uint64_t)_i + 200); }
END_TEST

/* ---- by hand ---- */

static int64_t now;

static bool batch(uint32_t size, int64_t run_ms, uint32_t refused)
{
	now += run_ms * NS_PER_MS;
	const struct tuner_sample sample = {.end_ns = now, .run_ns = run_ms * NS_PER_MS, .size = size, .jobs = size, .done = size - refused, .refused = refused};
	return tuner_sample(&t, &sample);
}

static int64_t fits(uint32_t size) { return 100 + 20 * size; }

static void until_settled(int64_t (*run_ms)(uint32_t))
{
	for (int i = 0; i < 1000 && t.phase != TUNER_HOLD; i++)
		(void)batch(tuner_size(&t), run_ms(tuner_size(&t)), 0);
	ck_assert_int_eq(t.phase, TUNER_HOLD);
}

static void setup(void)
{
	now = 0;
	tuner_init(&t, &as_built, now);
}

START_TEST(test_starts_as_configured)
{
	ck_assert_uint_eq(tuner_size(&t), 25);
	ck_assert_str_eq(tune_reason_name(tuner_decision(&t, 0)->reason), "start");
	ck_assert_str_eq(tune_reason_text(TUNE_start), "configured");
	ck_assert_ptr_null(tuner_decision(&t, 1));
}
END_TEST

/* A batch far over its target is seen while it runs; the size follows at once. */
START_TEST(test_step_is_seen_while_it_runs)
{
	until_settled(fits);
	ck_assert_uint_eq(tuner_size(&t), 50);
	now += 4 * NS_PER_S;
	ck_assert(!tuner_running(&t, 2 * NS_PER_S, now));
	ck_assert(tuner_running(&t, 31 * NS_PER_S / 10, now));
	ck_assert_uint_le(tuner_size(&t), 50 * 20 / 31);
	ck_assert_str_eq(tune_reason_name(tuner_decision(&t, 0)->reason), "slow");
	ck_assert(!tuner_running(&t, 4 * NS_PER_S, now + NS_PER_S)); /* begun before the change */
}
END_TEST

static int64_t slower(uint32_t size) { return 100 + 60 * size; }

/* Settled at 50, then three times slower: within two batches (of three seconds each) it is down, and settles anew. */
START_TEST(test_step_of_latency)
{
	until_settled(fits);
	(void)batch(50, slower(50), 0);
	(void)batch(50, slower(50), 0);
	ck_assert_uint_le(tuner_size(&t), 33);
	until_settled(slower);
	ck_assert_uint_ge(tuner_size(&t), 28);
	ck_assert_uint_le(tuner_size(&t), 33);
}
END_TEST

START_TEST(test_refusal_acts_at_once)
{
	until_settled(fits);
	(void)batch(50, 1000, 0);
	ck_assert(batch(50, 10, 50));
	ck_assert_uint_lt(tuner_size(&t), 40);
	ck_assert_str_eq(tune_reason_name(tuner_decision(&t, 0)->reason), "refused");
	uint32_t size = tuner_size(&t);
	const struct tuner_sample old = {.end_ns = now + 10, .run_ns = NS_PER_S, .size = 50, .jobs = 50, .refused = 50};
	ck_assert(!tuner_sample(&t, &old)); /* the others that were under way say nothing new */
	for (int i = 1; i < 20; i++) { /* nor those that were handed out before the first refusal was heard of, and begun after it */
		const struct tuner_sample late = {.end_ns = now + i * 20 * NS_PER_MS, .run_ns = NS_PER_MS, .size = 50, .jobs = 50, .refused = 50};
		ck_assert(!tuner_sample(&t, &late));
	}
	ck_assert_uint_eq(tuner_size(&t), size);
}
END_TEST

/* Everything is refused: down to the smallest, and from there up again once the receiver is back. */
START_TEST(test_refusing_whatever_the_size)
{
	until_settled(fits);
	for (int i = 0; i < 100; i++)
		(void)batch(tuner_size(&t), 10, tuner_size(&t));
	ck_assert_uint_eq(tuner_size(&t), 5);
	ck_assert_int_eq(t.phase, TUNER_REFUSED);
	for (int i = 0; i < TUNER_WINDOW; i++)
		(void)batch(5, fits(5), 0);
	until_settled(fits);
	ck_assert_uint_eq(tuner_size(&t), 50);
}
END_TEST

START_TEST(test_memory)
{
	until_settled(fits);
	ck_assert(!tuner_memory(&t, 90, now += NS_PER_S));
	ck_assert(tuner_memory(&t, 96, now += NS_PER_S));
	uint32_t size = tuner_size(&t);
	ck_assert_uint_lt(size, 40);
	ck_assert(!tuner_memory(&t, 96, now + NS_PER_MS));
	for (int i = 0; i < 20; i++)
		(void)tuner_memory(&t, 99, now += NS_PER_S);
	ck_assert_uint_eq(tuner_size(&t), 5);
	until_settled(fits);
	ck_assert_uint_eq(tuner_size(&t), 5);
	(void)tuner_memory(&t, 84, now += NS_PER_S);
	t.phase = TUNER_SWEEP;
	until_settled(fits);
	ck_assert_uint_eq(tuner_size(&t), 50);
}
END_TEST

/* Five workers, batches of half a second, settled; then each takes five times as long. A second after the step the size is down. */
START_TEST(test_reacts_within_a_second)
{
	const struct tuner_law law = {.start = 25, .min = 5, .max = 50, .target_ns = 600 * NS_PER_MS};
	int64_t begun[5], ends[5], step = 120 * NS_PER_S;
	tuner_init(&t, &law, now);
	for (int w = 0; w < 5; w++)
		begun[w] = w * 100 * NS_PER_MS, ends[w] = begun[w] + 100 * NS_PER_MS;
	uint32_t before = 0;
	for (now = 0; now <= step + NS_PER_S; now += 10 * NS_PER_MS) {
		int64_t oldest = now;
		for (int w = 0; w < 5; w++) {
			if (now >= ends[w]) {
				uint32_t size = tuner_size(&t);
				const struct tuner_sample sample = {.end_ns = now, .run_ns = now - begun[w], .size = size, .jobs = size, .done = size};
				(void)tuner_sample(&t, &sample);
				begun[w] = now;
				ends[w] = now + (now >= step ? 5 : 1) * (100 + 10 * (int64_t)tuner_size(&t)) * NS_PER_MS;
			}
			oldest = begun[w] < oldest ? begun[w] : oldest;
		}
		(void)tuner_running(&t, now - oldest, now);
		if (now == step) {
			before = tuner_size(&t);
			for (int w = 0; w < 5; w++)
				ends[w] = now + 5 * (ends[w] - now); /* what is under way is slower too */
		}
	}
	ck_assert_uint_ge(before, 45);
	ck_assert_msg(tuner_size(&t) < before * 2 / 3, "it was %u and is %u", before, tuner_size(&t));
}
END_TEST

static int64_t faster(uint32_t size) { return 30 + 6 * size; }

START_TEST(test_looks_again)
{
	until_settled(slower);
	uint64_t decided = t.decided;
	uint32_t settled = tuner_size(&t);
	for (int i = 0; i < 100; i++)
		(void)batch(tuner_size(&t), slower(tuner_size(&t)), 0);
	ck_assert_uint_gt(t.decided, decided);
	ck_assert_uint_ge(tuner_size(&t), settled - 3);
	until_settled(slower);
	for (int i = 0; i < 2 * TUNER_WINDOW; i++)
		(void)batch(tuner_size(&t), faster(tuner_size(&t)), 0);
	ck_assert_int_ne(t.phase, TUNER_HOLD);
	now += 3600 * NS_PER_S; /* walls are gone */
	until_settled(faster);
	ck_assert_uint_eq(tuner_size(&t), 50);
}
END_TEST

START_TEST(test_part_batches_tell_nothing)
{
	for (int i = 0; i < 100; i++)
		ck_assert(!batch(3, 50000, 0));
	ck_assert_uint_eq(tuner_size(&t), 25);
}
END_TEST

START_TEST(test_law_is_mended)
{
	const struct tuner_law odd = {.start = 7, .min = 0, .max = 0};
	tuner_set_law(&t, &odd, now);
	ck_assert_uint_eq(tuner_size(&t), 1);
	until_settled(fits);
	ck_assert(!tuner_running(&t, 3600 * NS_PER_S, now));
	ck_assert(!batch(1, 10, 1));
	const struct tuner_law wide = {.start = 1, .min = 1, .max = 1024};
	tuner_init(&t, &wide, now);
	ck_assert_uint_eq(t.rungs[t.nrungs - 1].size, 1024);
	for (int i = 0; i < 9000; i++)
		(void)batch(tuner_size(&t), 100 + tuner_size(&t), 0);
	ck_assert_ptr_nonnull(tuner_decision(&t, TUNER_DECISIONS - 1));
	ck_assert_ptr_null(tuner_decision(&t, TUNER_DECISIONS));
	now = 5;
	tuner_init(&t, &from_above, now);
	ck_assert(!tuner_running(&t, 1, now));
}
END_TEST

/* Batches in flight: eight do all there is to do; more do no more, so eight it is, or what does nearly the same. */
START_TEST(test_concurrency)
{
	const struct tuner_law law = {.start = 1, .min = 1, .max = 32, .prefer_small = true};
	tuner_init(&t, &law, now);
	for (int i = 0; i < 1000 && t.phase != TUNER_HOLD; i++) {
		uint32_t level = tuner_size(&t), does = level < 8 ? level : 8;
		now += NS_PER_S / 4;
		const struct tuner_sample window = {.end_ns = now, .run_ns = NS_PER_S / 4, .size = level, .jobs = 25 * does, .done = 25 * does};
		(void)tuner_sample(&t, &window);
	}
	ck_assert_int_eq(t.phase, TUNER_HOLD);
	ck_assert_uint_ge(tuner_size(&t), 8);
	ck_assert_uint_le(tuner_size(&t), 9);
}
END_TEST

START_TEST(test_handler_text)
{
	struct sim_handler h;
	ck_assert(!sim_handler_parse(&h, "100"));
	ck_assert(!sim_handler_parse(&h, "100+5,stop=3"));
	ck_assert(!sim_handler_parse(&h, "100+5;"));
	ck_assert(sim_handler_parse(&h, "1.5+0.25,step=7:20,refuse=9,noise=0.5"));
	ck_assert_int_eq(h.fixed_ns, 1500000);
	ck_assert_uint_eq(h.refuse_at, 9);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tuner");
	TCase *tc = tcase_create("law");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, test_finds_the_best_from_below, 0, 3 * HANDLERS);
	tcase_add_loop_test(tc, test_finds_the_best_from_above, 0, 3 * HANDLERS);
	tcase_add_loop_test(tc, test_finds_the_best_from_between, 0, 3 * HANDLERS);
	tcase_add_test(tc, test_starts_as_configured);
	tcase_add_test(tc, test_step_is_seen_while_it_runs);
	tcase_add_test(tc, test_step_of_latency);
	tcase_add_test(tc, test_refusal_acts_at_once);
	tcase_add_test(tc, test_refusing_whatever_the_size);
	tcase_add_test(tc, test_memory);
	tcase_add_test(tc, test_reacts_within_a_second);
	tcase_add_test(tc, test_looks_again);
	tcase_add_test(tc, test_part_batches_tell_nothing);
	tcase_add_test(tc, test_law_is_mended);
	tcase_add_test(tc, test_concurrency);
	tcase_add_test(tc, test_handler_text);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * unit_shm_limit: the law of rate limits (queue/gcra.h) under a virtual clock, and its atomic form (shm/limit.h).
 *
 * What is held: never more than rate * time + burst units in any window, whoever asks and however late; no drift; a clock
 * that stands still gives the burst and no more; extremes saturate.
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "queue/gcra.h"
#include "shm/limit.h"

static uint64_t seed = 20240229;

static int64_t chance(int64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int64_t)((seed >> 33) % (uint64_t)below);
}

START_TEST(interval_is_rounded_up)
{
	ck_assert_int_eq(gcra_interval(50, NS_PER_S), 20 * NS_PER_MS);
	ck_assert_int_eq(gcra_interval(3, NS_PER_S), 333333334);
	ck_assert_int_eq(gcra_interval(7, 15 * 60 * NS_PER_S), 128571428572);
	ck_assert_int_eq(gcra_interval(1500000, NS_PER_S), 667);
	ck_assert_int_eq(gcra_interval(INT64_MAX, 1), 1);
	ck_assert_int_eq(gcra_interval(0, NS_PER_S), 0);
	for (int i = 0; i < 10000; i++) {
		int64_t count = 1 + chance(5000000), period = 1 + chance(1000) * NS_PER_S;
		int64_t interval = gcra_interval(count, period);
		ck_assert(interval > 0);
		ck_assert((__int128)interval * count >= period);       /* never above the rate */
		ck_assert((__int128)(interval - 1) * count < period);  /* and not a whole ns below it */
	}
}
END_TEST

/* Asks at random moments for random costs; then looks at every window that starts and ends with a take. */
static void check_windows(int64_t interval, int64_t units, int64_t max_cost)
{
	enum { TAKES = 400 };
	static struct { int64_t at, cost; } took[TAKES];
	int64_t now = chance(NS_PER_S), tat = 0, burst = gcra_span(units, interval);
	int n = 0;

	while (n < TAKES) {
		int64_t cost = 1 + chance(max_cost);
		int64_t wait = gcra_take(&tat, now, interval, burst, cost);
		if (wait == 0) {
			took[n].at = now;
			took[n++].cost = cost;
		} else {
			ck_assert_int_gt(wait, 0);
			ck_assert_int_eq(gcra_wait(tat, now + wait, interval, burst, cost), 0);
			ck_assert_int_eq(gcra_wait(tat, now + wait - 1, interval, burst, cost), 1);
		}
		switch (chance(4)) {
		case 0: break;                                    /* at once again */
		case 1: now += chance(interval) + 1; break;
		case 2: now += wait; break;                       /* exactly when told */
		default: now += chance(units * interval * 2); break; /* late */
		}
	}
	for (int from = 0; from < TAKES; from++) {
		int64_t sum = 0;
		for (int to = from; to < TAKES; to++) {
			sum += took[to].cost;
			ck_assert_int_le((sum - units) * interval, took[to].at - took[from].at);
		}
	}
}

START_TEST(no_window_holds_more_than_rate_and_burst)
{
	check_windows(20 * NS_PER_MS, 5, 1);
	check_windows(20 * NS_PER_MS, 5, 5);
	check_windows(gcra_interval(7, 15 * 60 * NS_PER_S), 1, 1);
	check_windows(gcra_interval(1500000, NS_PER_S), 150000, 7);
	check_windows(1, 10, 3);
}
END_TEST

START_TEST(ten_million_takes_do_not_drift)
{
	const int64_t interval = gcra_interval(3, NS_PER_S), takes = 10000000;
	const int64_t start = 12345;
	int64_t now = start, tat = 0, refused = 0;

	for (int64_t i = 0; i < takes; i++) {
		int64_t wait = gcra_take(&tat, now, interval, interval * 2, 1);
		if (wait > 0) { /* wakes up late, by less than the burst makes good */
			now += wait + chance(interval);
			refused += gcra_take(&tat, now, interval, interval * 2, 1) != 0;
		}
	}
	ck_assert_int_eq(refused, 0);
	ck_assert_int_eq(tat, start + takes * interval); /* the schedule of the rate, to the nanosecond */
	ck_assert_int_le(now, tat);
}
END_TEST

START_TEST(a_clock_at_rest_gives_the_burst_only)
{
	int64_t tat = 0, took = 0;

	for (int i = 0; i < 1000; i++)
		took += gcra_take(&tat, 1000, 100, 700, 1) == 0;
	ck_assert_int_eq(took, 7);
	ck_assert_int_eq(gcra_wait(tat, 1000, 100, 700, 1), 100);
	ck_assert_int_eq(gcra_wait(tat, 900, 100, 700, 1), 200); /* and one that goes back, less */
}
END_TEST

START_TEST(what_is_dearer_than_the_burst_goes_when_all_is_paid)
{
	int64_t tat = 0;

	ck_assert_int_eq(gcra_take(&tat, 1000, 10, 20, 5), 0);
	ck_assert_int_eq(tat, 1050);
	ck_assert_int_eq(gcra_take(&tat, 1000, 10, 20, 5), 50);
	ck_assert_int_eq(gcra_take(&tat, 1049, 10, 20, 5), 1);
	ck_assert_int_eq(gcra_take(&tat, 1050, 10, 20, 5), 0);
}
END_TEST

START_TEST(extremes_saturate)
{
	const int64_t values[] = {0, 1, 2, 1000, NS_PER_S, GCRA_MAX, INT64_MAX - 1, INT64_MAX};
	const size_t n = sizeof values / sizeof *values;

	for (size_t i = 0; i < n * n * n * n; i++) {
		int64_t tat = values[i % n], now = values[i / n % n];
		int64_t interval = values[i / n / n % n], cost = values[i / n / n / n];
		int64_t before = tat, wait = gcra_take(&tat, now, interval, gcra_span(3, interval), cost);
		ck_assert_int_ge(wait, 0);
		ck_assert_int_ge(tat, before);
	}
	int64_t tat = INT64_MIN;
	ck_assert_int_eq(gcra_take(&tat, 5, 10, 10, 1), 0);
	ck_assert_int_eq(tat, 15);
	ck_assert_int_eq(gcra_ahead(INT64_MAX, INT64_MIN), INT64_MAX);
}
END_TEST

START_TEST(no_limit_never_waits)
{
	static struct shm_limit limit;

	shm_limit_set(&limit, (struct rate){0, 0}, 10);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(shm_limit_take(&limit, 1000, 1), 0);
	ck_assert_int_eq(shm_limit_wait(&limit, 1), 0);
}
END_TEST

START_TEST(a_new_rate_keeps_what_is_owed)
{
	static struct shm_limit limit;
	const int64_t now = 500 * NS_PER_S;

	clock_set(now, now, 1);
	shm_limit_set(&limit, (struct rate){1, 3600 * NS_PER_S}, 1); /* one an hour */
	ck_assert_int_eq(shm_limit_take(&limit, 1, now), 0);
	ck_assert_int_eq(shm_limit_wait(&limit, now), 3600 * NS_PER_S);
	shm_limit_set(&limit, (struct rate){1, 3600 * NS_PER_S}, 1); /* the same: no fresh burst */
	ck_assert_int_eq(shm_limit_wait(&limit, now), 3600 * NS_PER_S);
	shm_limit_set(&limit, (struct rate){50, NS_PER_S}, 1);       /* one unit is owed still, at the new pace */
	ck_assert_int_eq(shm_limit_wait(&limit, now), 20 * NS_PER_MS);
	shm_limit_set(&limit, (struct rate){50, NS_PER_S}, 5);       /* a larger burst has to be earned */
	ck_assert_int_eq(shm_limit_wait(&limit, now), 20 * NS_PER_MS);
	ck_assert_int_eq(shm_limit_wait_for(&limit, 5, now), 100 * NS_PER_MS);
	ck_assert_int_eq(shm_limit_take(&limit, 3, now + 60 * NS_PER_MS), 0);
	shm_limit_set(&limit, (struct rate){1, NS_PER_S}, 0);        /* a burst below one is one; two units were left to be earned */
	ck_assert_int_eq(shm_limit_wait(&limit, now + 60 * NS_PER_MS), 4 * NS_PER_S - 60 * NS_PER_MS);
	clock_unset();
}
END_TEST

/* Of several limits all tokens are taken, or none. */
START_TEST(all_or_none)
{
	static struct shm_limit a, b;
	struct shm_limit *const both[] = {&a, &b};
	int64_t now = clock_mono_ns();

	shm_limit_set(&a, (struct rate){10, NS_PER_S}, 10);
	shm_limit_set(&b, (struct rate){1, NS_PER_S}, 2);
	ck_assert_int_eq(shm_limit_take_all(both, 2, 2, now), 0);
	ck_assert_int_eq(shm_limit_take_all(both, 2, 1, now), NS_PER_S);
	ck_assert_int_eq(shm_limit_take(&a, 8, now), 0); /* nothing of it was lost */
	ck_assert_int_gt(shm_limit_take(&a, 1, now), 0);
	ck_assert_int_eq(shm_limit_take_all(both, 0, 1, now), 0);
}
END_TEST

/* A limit whose law has ended lets nothing through until it has another; what is owed stays. */
START_TEST(a_law_ends)
{
	static struct shm_limit limit;
	int64_t now = clock_mono_ns(), interval = NS_PER_S / 10;

	shm_limit_set_until(&limit, interval, 5 * interval, now + NS_PER_S);
	ck_assert_int_eq(shm_limit_take(&limit, 5, now), 0);
	ck_assert_int_gt(shm_limit_take(&limit, 1, now + NS_PER_S), 0);
	ck_assert_int_gt(shm_limit_wait(&limit, now + NS_PER_S), 0);
	shm_limit_set_until(&limit, interval, 5 * interval, now + 2 * NS_PER_S);
	ck_assert_int_eq(shm_limit_take(&limit, 5, now + NS_PER_S), 0);
	ck_assert_int_eq(shm_limit_take(&limit, 1, now + NS_PER_S), interval);
	shm_limit_set_until(&limit, interval, 5 * interval, 0);
	ck_assert_int_eq(shm_limit_take(&limit, 5, now + 3600 * NS_PER_S), 0);
}
END_TEST

/* Four processes ask for all they can get while the clock, one number for all of them, goes on by the microsecond. */
START_TEST(many_processes_share_one_limit)
{
	enum { PROCESSES = 4, INTERVAL_US = 20, BURST = 5, TICKS = 20000 };
	struct shared { struct shm_limit limit; shm_i64 now, took; } *s;

	s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(s, MAP_FAILED);
	shm_limit_set(&s->limit, (struct rate){1, INTERVAL_US * NS_PER_US}, BURST);
	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid != 0)
			continue;
		for (int64_t now; (now = atomic_load(&s->now)) < TICKS * NS_PER_US;)
			if (shm_limit_take(&s->limit, 1, now) == 0)
				atomic_fetch_add(&s->took, 1);
			else
				atomic_fetch_add(&s->now, NS_PER_US);
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	/* the clock ends at most PROCESSES ticks past TICKS; everything that was free was taken, nothing more */
	int64_t took = atomic_load(&s->took);
	ck_assert_int_le(took, BURST + (TICKS + PROCESSES) / INTERVAL_US);
	ck_assert_int_ge(took, TICKS / INTERVAL_US);
}
END_TEST

/* The clock stands still; four processes take as fast as they can: together exactly the burst, so no take was lost. */
START_TEST(no_take_is_lost)
{
	enum { PROCESSES = 4, BURST = 400000 };
	struct shared { struct shm_limit limit; shm_i64 took; } *s;

	s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(s, MAP_FAILED);
	shm_limit_set(&s->limit, (struct rate){1000, NS_PER_S}, BURST);
	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid != 0)
			continue;
		int64_t took = 0;
		while (shm_limit_take(&s->limit, 1, NS_PER_S) == 0)
			took++;
		atomic_fetch_add(&s->took, took);
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++)
		ck_assert_int_gt(wait(NULL), 0);
	ck_assert_int_eq(atomic_load(&s->took), BURST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm_limit");
	TCase *law = tcase_create("law"), *shared = tcase_create("shared");

	tcase_add_test(law, all_or_none);
	tcase_add_test(law, a_law_ends);
	tcase_add_test(law, interval_is_rounded_up);
	tcase_add_test(law, no_window_holds_more_than_rate_and_burst);
	tcase_add_test(law, ten_million_takes_do_not_drift);
	tcase_add_test(law, a_clock_at_rest_gives_the_burst_only);
	tcase_add_test(law, what_is_dearer_than_the_burst_goes_when_all_is_paid);
	tcase_add_test(law, extremes_saturate);
	tcase_add_test(shared, no_limit_never_waits);
	tcase_add_test(shared, a_new_rate_keeps_what_is_owed);
	tcase_add_test(shared, many_processes_share_one_limit);
	tcase_add_test(shared, no_take_is_lost);
	suite_add_tcase(suite, law);
	suite_add_tcase(suite, shared);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * unit_shm_hist: histograms of shared memory against exact arithmetic. A quantile is never below the exact one, and above
 * it by at most 1/8; buckets tile the numbers without a gap.
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "shm/hist.h"

static struct shm_hist hist;

static void clear(void)
{
	for (uint32_t i = 0; i < SHM_HIST_BUCKETS; i++)
		atomic_store(&hist.buckets[i], 0);
	atomic_store(&hist.count, 0);
	atomic_store(&hist.sum_us, 0);
}

START_TEST(buckets_tile_the_numbers)
{
	int64_t lower = 0;

	for (uint32_t i = 0; i < SHM_HIST_BUCKETS; i++) {
		int64_t upper = shm_hist_upper(i);
		ck_assert_int_ge(upper, lower);
		ck_assert_uint_eq(shm_hist_bucket(lower), i);
		ck_assert_uint_eq(shm_hist_bucket(upper), i);
		ck_assert(upper - lower <= lower / 8); /* the promised error */
		lower = upper + 1;
	}
	ck_assert_int_eq(lower, INT64_C(1) << 42);
}
END_TEST

START_TEST(extremes_have_a_bucket)
{
	ck_assert_uint_eq(shm_hist_bucket(INT64_MIN), 0);
	ck_assert_uint_eq(shm_hist_bucket(-1), 0);
	ck_assert_uint_eq(shm_hist_bucket(INT64_MAX), SHM_HIST_BUCKETS - 1);
	ck_assert_int_eq(shm_hist_upper(UINT32_MAX), shm_hist_upper(SHM_HIST_BUCKETS - 1));
}
END_TEST

START_TEST(empty_and_single)
{
	clear();
	ck_assert_int_eq(shm_hist_quantile(&hist, 0.5), 0);
	ck_assert(shm_hist_mean(&hist) == 0.0);
	shm_hist_add(&hist, 7);
	for (double q = -1; q < 2; q += 0.25)
		ck_assert_int_eq(shm_hist_quantile(&hist, q), 7);
	shm_hist_add(&hist, -5); /* counts as 0 */
	ck_assert_int_eq(shm_hist_quantile(&hist, 0.5), 0);
	ck_assert(shm_hist_mean(&hist) == 3.5);
}
END_TEST

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(quantiles_follow_the_exact_ones)
{
	enum { N = 20000 };
	static int64_t values[N];
	uint64_t state = 42, sum = 0;

	clear();
	for (int i = 0; i < N; i++) { /* from microseconds to hours, evenly over the powers of two */
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		values[i] = (int64_t)((state >> 30) >> ((state >> 58) % 34));
		shm_hist_add(&hist, values[i]);
		sum += (uint64_t)values[i];
	}
	qsort(values, N, sizeof *values, compare);
	for (int k = 1; k <= N; k += 7) {
		int64_t exact = values[k - 1], got = shm_hist_quantile(&hist, (double)k / N);
		ck_assert_int_ge(got, exact);
		ck_assert_int_le(got, exact + exact / 8);
	}
	ck_assert(shm_hist_mean(&hist) == (double)sum / N);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm_hist");
	TCase *all = tcase_create("all");

	tcase_add_test(all, buckets_tile_the_numbers);
	tcase_add_test(all, extremes_have_a_bucket);
	tcase_add_test(all, empty_and_single);
	tcase_add_test(all, quantiles_follow_the_exact_ones);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

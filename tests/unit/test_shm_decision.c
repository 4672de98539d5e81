/*
 * tests/unit/test_shm_decision.c: the ring of decisions: newest first, bounded, never torn, and named by its tables.
 */
#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/decision.h"

static struct shm_queue *queue;

static void setup(void)
{
	queue = mmap(NULL, sizeof *queue, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(queue, MAP_FAILED);
}

static void teardown(void)
{
	ck_assert_int_eq(munmap(queue, sizeof *queue), 0);
}

static void push(int64_t n)
{
	const struct decision d = {.at_mono_ns = n, .at_real_us = n, .what = (uint32_t)(n % SHM_TUNED_COUNT), .reason = (uint32_t)n,
		.from = (double)n, .to = (double)n, .run_ns = n, .score = (double)n};
	shm_decision_push(queue, &d);
}

static void whole(const struct decision *d)
{
	ck_assert_int_eq(d->at_mono_ns, d->at_real_us);
	ck_assert_int_eq(d->at_mono_ns, d->run_ns);
	ck_assert_int_eq((int64_t)d->from, d->run_ns);
	ck_assert_int_eq((int64_t)d->to, d->run_ns);
	ck_assert_int_eq((int64_t)d->score, d->run_ns);
	ck_assert_uint_eq(d->reason, (uint32_t)d->run_ns);
}

START_TEST(newest_first_and_bounded)
{
	struct decision d;
	ck_assert(!shm_decision_read(queue, 0, &d));
	for (int64_t n = 0; n < 200; n++) {
		push(n);
		for (uint64_t i = 0; i < 3 && (int64_t)i <= n; i++) {
			ck_assert(shm_decision_read(queue, i, &d));
			ck_assert_int_eq(d.at_mono_ns, n - (int64_t)i);
			whole(&d);
		}
	}
	ck_assert(shm_decision_read(queue, SHM_DECISIONS - 2, &d));
	ck_assert(!shm_decision_read(queue, SHM_DECISIONS - 1, &d));
	ck_assert(!shm_decision_read(queue, UINT64_MAX, &d));
}
END_TEST

START_TEST(thousandths)
{
	struct decision d = {.from = 12.5, .to = 0.0014, .score = 1e300};
	shm_decision_push(queue, &d);
	ck_assert(shm_decision_read(queue, 0, &d));
	ck_assert_double_eq(d.from, 12.5);
	ck_assert_double_eq(d.to, 0.001);
	ck_assert_double_gt(d.score, 8e15);
}
END_TEST

/* A reader beside the writer sees whole entries or none, also when the writer is killed in the middle of one. */
START_TEST(never_torn)
{
	struct decision d;
	int64_t last = -1;
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		for (int64_t n = 0;; n++)
			push(n);
	for (int seen = 0; seen < 100000;)
		for (uint64_t i = 0; i < SHM_DECISIONS; i++)
			if (shm_decision_read(queue, i, &d)) {
				whole(&d);
				last = d.at_mono_ns > last ? d.at_mono_ns : last;
				seen++;
			}
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(shm_decision_read(queue, 0, &d));
	whole(&d);
	ck_assert_int_ge(d.at_mono_ns, last);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(shm_tuned_name(SHM_TUNED_batch_size), "batch_size");
	ck_assert_str_eq(shm_tuned_unit(SHM_TUNED_rate), "per s");
	ck_assert_str_eq(shm_tuned_text(SHM_TUNED_batch_size), "batch size");
	ck_assert_str_eq(shm_tuning_name(0), "start");
	ck_assert_str_eq(shm_tuning_text(0), "configured");
	ck_assert_str_eq(shm_tuned_name(SHM_TUNED_COUNT), "?");
	ck_assert_str_eq(shm_tuned_unit(UINT32_MAX), "?");
	ck_assert_str_eq(shm_tuned_text(UINT32_MAX), "?");
	ck_assert_str_eq(shm_tuning_name(UINT32_MAX), "?");
	ck_assert_str_eq(shm_tuning_text(1000), "?");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm_decision");
	TCase *tc = tcase_create("ring");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, newest_first_and_bounded);
	tcase_add_test(tc, thousandths);
	tcase_add_test(tc, never_torn);
	tcase_add_test(tc, names);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

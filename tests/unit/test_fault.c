/*
 * tests/unit/test_fault.c: the fault points themselves (src/base/fault.c).
 *
 * With --enable-faults every action is tried in a process of its own (check forks for each test); without, the macro
 * must be false whatever the environment says.
 */
#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "jobq/exit.h"

static void arm(const char *spec)
{
	ck_assert_int_eq(setenv("JOBQ_FAULT", spec, 1), 0);
}

#ifdef JOBQ_FAULTS
START_TEST(fails_at_the_nth_passage_once)
{
	arm("before_ack=fail,3;after_effect=fail");
	ck_assert(!FAULT(before_ack) && !FAULT(before_ack) && FAULT(before_ack));
	ck_assert(!FAULT(before_ack) && !FAULT(before_ack) && !FAULT(before_ack));
	ck_assert(FAULT(after_effect) && !FAULT(after_effect));
	ck_assert(!FAULT(before_effect));
}
END_TEST

START_TEST(exits)
{
	arm("before_ack=exit");
	(void)FAULT(before_ack);
}
END_TEST

START_TEST(kills)
{
	arm("before_ack=kill");
	(void)FAULT(before_ack);
}
END_TEST

START_TEST(segfaults)
{
	arm("before_ack=segv");
	(void)FAULT(before_ack);
}
END_TEST

START_TEST(stops)
{
	pid_t pid;
	int status;

	arm("before_ack=stop");
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(FAULT(before_ack) ? 1 : 5);
	ck_assert(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	ck_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}
END_TEST

START_TEST(delays)
{
	int64_t before = clock_mono_ns();

	arm("before_ack=delay:20,2");
	ck_assert(!FAULT(before_ack) && !FAULT(before_ack));
	ck_assert_int_ge(clock_mono_ns() - before, 20 * NS_PER_MS);
}
END_TEST

START_TEST(allocation_fails)
{
	arm("alloc=fail,2");
	free(xmalloc(1));
	free(xmalloc(1));
}
END_TEST

START_TEST(once_over_all_processes)
{
	char path[] = "/tmp/jobq-fault-XXXXXX";
	int fired = 0, status;

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chdir(path), 0);
	ck_assert_int_eq(setenv("JOBQ_FAULT_ONCE", "once", 1), 0);
	arm("before_ack=fail");
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			_exit(FAULT(before_ack) ? 1 : 0);
		ck_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		fired += WEXITSTATUS(status);
	}
	ck_assert_int_eq(fired, 1);
	ck_assert_int_eq(unlink("once"), 0);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

static const char *const wrong[] = {
	"before_akc=fail", "before_ack", "before_ack=", "before_ack=explode", "before_ack=fail,0", "before_ack=fail,x",
	"before_ack=delay", "before_ack=delay:x", "before_ack=fail:5", "=fail", "before_ack=fail;x",
};

START_TEST(a_misspelt_fault_is_fatal)
{
	arm(wrong[_i]);
	(void)FAULT(after_fork);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, fails_at_the_nth_passage_once);
	tcase_add_exit_test(tc, exits, JOBQ_EXIT_INTERNAL);
	tcase_add_test_raise_signal(tc, kills, SIGKILL);
	tcase_add_test_raise_signal(tc, segfaults, SIGSEGV);
	tcase_add_test(tc, stops);
	tcase_add_test(tc, delays);
	tcase_add_exit_test(tc, allocation_fails, JOBQ_EXIT_INTERNAL);
	tcase_add_test(tc, once_over_all_processes);
	tcase_add_loop_exit_test(tc, a_misspelt_fault_is_fatal, JOBQ_EXIT_USAGE, 0, (int)(sizeof wrong / sizeof wrong[0]));
}
#else
START_TEST(nothing_without_the_switch)
{
	arm("alloc=fail;before_ack=exit");
	free(xmalloc(1));
	ck_assert(!FAULT(alloc) && !FAULT(before_ack));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, nothing_without_the_switch);
}
#endif

int main(void)
{
	Suite *suite = suite_create("fault");
	TCase *tc = tcase_create("fault");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	add(tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * unit_exec: the parts of the exec handler that need no program: stderr cut into lines, the environment; the notes of programs
 * in a slot, with real processes.
 */
#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "conf/conf.h"
#include "handlers/exec_conf.h"
#include "handlers/exec_stderr.h"
#include "jobq/handler.h"
#include "shm/program.h"

/* --- stderr */

static bool feed(struct exec_stderr *s, const char *text)
{
	return exec_stderr_feed(s, 1, text, strlen(text), NS_PER_S);
}

START_TEST(lines_are_cut)
{
	struct exec_stderr s = {0};

	ck_assert(!feed(&s, "one\ntw"));
	ck_assert_str_eq(s.last, "one");
	ck_assert(!feed(&s, "o\r\n\n  \nthr"));
	ck_assert_str_eq(s.last, "two");
	exec_stderr_end(&s, 1, NS_PER_S);
	ck_assert_str_eq(s.last, "thr");
}
END_TEST

START_TEST(long_and_dirty_lines_are_clipped)
{
	struct exec_stderr s = {0};
	char chunk[301];

	memset(chunk, 'x', 300);
	chunk[300] = '\0';
	for (int i = 0; i < 20; i++)
		(void)feed(&s, chunk);
	(void)feed(&s, "\n");
	ck_assert_uint_eq(strlen(s.last), EXEC_STDERR_LINE);
	(void)exec_stderr_feed(&s, 1, "a\0b\xff\n", 5, NS_PER_S);
	ck_assert_str_eq(s.last, "ab\xef\xbf\xbd");
}
END_TEST

START_TEST(a_flood_is_counted)
{
	struct exec_stderr s = {0};
	bool flood = false;

	for (int i = 0; i < 1000; i++)
		flood = feed(&s, "spam\n");
	ck_assert(flood);
	ck_assert_uint_eq(s.dropped, 800);
	ck_assert(!exec_stderr_feed(&s, 1, "later\n", 6, 2 * NS_PER_S)); /* a second later there is room, and the count was told */
	ck_assert_uint_eq(s.dropped, 0);
	ck_assert_str_eq(s.last, "later");
}
END_TEST

/* --- configuration */

static struct conf_queue queue_of(const char *command, const char *env)
{
	return (struct conf_queue){.name = "q", .k = {.handler = "exec", .command = command, .env = env, .max_output = 1 << 20}};
}

static bool has(char *const *envp, const char *variable)
{
	for (; *envp != NULL; envp++)
		if (strcmp(*envp, variable) == 0)
			return true;
	return false;
}

START_TEST(the_environment_is_what_is_configured)
{
	struct exec_conf c;
	char err[256];
	struct conf_queue q = queue_of("/bin/echo 'a b' c", "A=1\nB=x=y z\nA=2\nLANG=C");
	size_t n = 0;

	ck_assert_int_eq(exec_conf_open(&c, &q, err, sizeof err), 0);
	ck_assert(has(c.envp, "A=2") && has(c.envp, "B=x=y z") && has(c.envp, "LANG=C"));
	ck_assert(has(c.envp, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	while (c.envp[n] != NULL)
		n++;
	ck_assert_uint_eq(n, 4);
	ck_assert_str_eq(c.argv[1], "a b");
	ck_assert_uint_eq(c.nlimits, 0);
	exec_conf_close(&c);
}
END_TEST

START_TEST(limits_are_set_where_they_are_given)
{
	struct exec_conf c;
	char err[256];
	struct conf_queue q = queue_of("/bin/echo", "");

	q.k.rlimit_cpu = 3 * NS_PER_S;
	q.k.rlimit_nofile = 10;
	ck_assert_int_eq(exec_conf_open(&c, &q, err, sizeof err), 0);
	ck_assert_uint_eq(c.nlimits, 2);
	ck_assert_int_eq(c.limits[0].what, RLIMIT_CPU);
	ck_assert_uint_eq(c.limits[0].limit.rlim_cur, 3);
	ck_assert_uint_gt(c.limits[0].limit.rlim_max, 3);
	ck_assert_int_eq(c.limits[1].what, RLIMIT_NOFILE);
	ck_assert_uint_eq(c.limits[1].limit.rlim_max, 10);
	exec_conf_close(&c);
}
END_TEST

static const struct { const char *command, *why; } unfit[] = {
	{"/no/such/program", "command: cannot run /no/such/program: No such file or directory"},
	{"/tmp", "command: cannot run /tmp: it is no file"},
	{"/etc/passwd", "command: cannot run /etc/passwd: Permission denied"},
	{"/x 'y", "command: a single quote is not closed"},
};

START_TEST(what_cannot_be_run_is_told)
{
	struct exec_conf c;
	char err[256];
	struct conf_queue q = queue_of(unfit[_i].command, "");

	ck_assert_int_eq(exec_conf_open(&c, &q, err, sizeof err), -1);
	ck_assert_str_eq(err, unfit[_i].why);
	exec_conf_close(&c);
}
END_TEST

/* --- notes of programs */

static pid_t group_leader(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)setsid();
		for (;;)
			(void)pause();
	}
	while (getpgid(pid) != pid)
		ck_assert_int_eq(usleep(1000), 0);
	return pid;
}

static int death_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(noted_programs_are_killed)
{
	static struct shm_slot slot;
	pid_t a = group_leader(), b = group_leader(), c = group_leader();

	ck_assert(shm_program_note(&slot, a) && shm_program_note(&slot, b) && shm_program_note(&slot, c));
	shm_program_forget(&slot, b);
	ck_assert_uint_eq(shm_program_kill(&slot), 2);
	ck_assert_int_eq(death_of(a), SIGKILL);
	ck_assert_int_eq(death_of(c), SIGKILL);
	ck_assert_int_eq(kill(b, 0), 0);
	ck_assert_uint_eq(shm_program_kill(&slot), 0); /* the notes are gone */
	ck_assert_int_eq(kill(b, SIGKILL), 0);
	ck_assert_int_eq(death_of(b), SIGKILL);
}
END_TEST

/* The number is another process's by now: its start time is not the noted one. */
START_TEST(a_number_that_was_given_away_is_left_alone)
{
	static struct shm_slot slot;
	pid_t a = group_leader();

	ck_assert(shm_program_note(&slot, a));
	atomic_fetch_add(&slot.programs[0].start, 1);
	ck_assert_uint_eq(shm_program_kill(&slot), 0);
	ck_assert_int_eq(kill(a, SIGKILL), 0);
	ck_assert_int_eq(death_of(a), SIGKILL);
	ck_assert(shm_program_note(&slot, a)); /* nobody: no start time */
	ck_assert_uint_eq(shm_program_kill(&slot), 0);
}
END_TEST

/* Its leader is gone, and reaped; the rest of the group is not spared. */
START_TEST(a_group_without_its_leader_is_killed)
{
	static struct shm_slot slot;
	int pipe_of[2];
	char byte;
	struct proc_seen seen;

	ck_assert_int_eq(pipe(pipe_of), 0);
	pid_t a = fork();
	ck_assert_int_ge(a, 0);
	if (a == 0) {
		(void)setsid();
		pid_t child = fork();
		if (child == 0) {
			(void)!write(pipe_of[1], "x", 1);
			for (;;)
				(void)pause();
		}
		_exit(child < 0);
	}
	ck_assert_int_eq(close(pipe_of[1]), 0);
	ck_assert(proc_look(a, &seen));
	ck_assert(shm_program_note(&slot, a));
	ck_assert_int_eq(death_of(a), 0);
	ck_assert_int_eq(read(pipe_of[0], &byte, 1), 1);
	ck_assert_uint_eq(shm_program_kill(&slot), 1);
	ck_assert_int_eq(read(pipe_of[0], &byte, 1), 0); /* its last holder is dead */
	ck_assert_int_eq(close(pipe_of[0]), 0);
}
END_TEST

START_TEST(notes_have_their_bound)
{
	static struct shm_slot slot;

	for (unsigned i = 0; i < SHM_PROGRAMS; i++)
		ck_assert(shm_program_note(&slot, 0x7fff0000 + (pid_t)i));
	ck_assert(!shm_program_note(&slot, 0x7ffffff0));
	shm_program_clear(&slot);
	ck_assert(shm_program_note(&slot, 0x7ffffff0));
}
END_TEST

START_TEST(processes_are_looked_at)
{
	struct proc_seen seen, again;

	ck_assert(proc_look(getpid(), &seen));
	ck_assert_int_eq(seen.group, getpgrp());
	ck_assert_uint_gt(seen.start, 0);
	ck_assert(proc_look(getpid(), &again) && again.start == seen.start);
	ck_assert(!proc_look(0x7ffffff0, &seen));
	ck_assert_uint_eq(seen.start, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec");
	TCase *t = tcase_create("exec");

	if (log_open("/dev/null", LOG_F_LOGFMT, LOG_L_DEBUG) != 0)
		return 1;
	tcase_add_test(t, lines_are_cut);
	tcase_add_test(t, long_and_dirty_lines_are_clipped);
	tcase_add_test(t, a_flood_is_counted);
	tcase_add_test(t, the_environment_is_what_is_configured);
	tcase_add_test(t, limits_are_set_where_they_are_given);
	tcase_add_loop_test(t, what_cannot_be_run_is_told, 0, (int)(sizeof unfit / sizeof unfit[0]));
	tcase_add_test(t, noted_programs_are_killed);
	tcase_add_test(t, a_number_that_was_given_away_is_left_alone);
	tcase_add_test(t, a_group_without_its_leader_is_killed);
	tcase_add_test(t, notes_have_their_bound);
	tcase_add_test(t, processes_are_looked_at);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

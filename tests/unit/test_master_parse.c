/*
 * tests/unit/test_master_parse.c: what the master reads from files and strangers: pid files, postmaster.pid, the instance
 * file, lines of a stream, installed PostgreSQL versions.
 */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "jobq/exit.h"
#include "master/embed_parts.h"
#include "master/embed_pid.h"
#include "master/instance.h"
#include "master/lines.h"
#include "master/pidfile.h"

static char dir[] = "/tmp/jobq-unit-XXXXXX";

static void make_dir(void)
{
	(void)strcpy(dir, "/tmp/jobq-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	char *command = xasprintf("rm -rf '%s'", dir);

	ck_assert_int_eq(system(command), 0);
	free(command);
}

static pid_t pid_of(const char *text)
{
	return master_pidfile_parse(text, strlen(text));
}

START_TEST(pids)
{
	ck_assert_int_eq(pid_of("4711\n"), 4711);
	ck_assert_int_eq(pid_of("4711"), 4711);
	ck_assert_int_eq(pid_of(""), 0);
	ck_assert_int_eq(pid_of("\n"), 0);
	ck_assert_int_eq(pid_of("-1\n"), 0);
	ck_assert_int_eq(pid_of("0"), 0);
	ck_assert_int_eq(pid_of("12 13"), 0);
	ck_assert_int_eq(pid_of("99999999999999999999"), 0);
	ck_assert_int_eq(pid_of("4294967297"), 0);
	ck_assert_int_eq(master_pidfile_parse("12\0" "3", 4), 0);
}
END_TEST

START_TEST(a_zombie_is_not_alive)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert(!master_pidfile_alive(pid));
	ck_assert(master_pidfile_alive(getpid()));
	ck_assert(!master_pidfile_alive(0));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!master_pidfile_alive(pid));
}
END_TEST

START_TEST(one_lock_a_file)
{
	char err[256], *path = xasprintf("%s/pid", dir);
	int fd = -1, other = -1, status;

	ck_assert_int_eq(master_pidfile_lock(path, &fd, err, sizeof err), JOBQ_EXIT_OK);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	pid_t pid = fork();
	if (pid == 0) /* the recorded pid lives: told at once */
		_exit(master_pidfile_lock(path, &other, err, sizeof err) == JOBQ_EXIT_RUNNING && strstr(err, "already running with pid") ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	master_pidfile_remove(path, fd);
	ck_assert_int_ne(access(path, F_OK), 0);

	ck_assert_int_eq(master_pidfile_lock(path, &fd, err, sizeof err), JOBQ_EXIT_OK);
	ck_assert_int_eq(unlink(path), 0); /* somebody removed it, another took its place: that one is left alone */
	ck_assert_int_eq(master_pidfile_lock(path, &other, err, sizeof err), JOBQ_EXIT_OK);
	master_pidfile_remove(path, fd);
	ck_assert_int_eq(access(path, F_OK), 0);
	master_pidfile_remove(path, other);
	free(path);
}
END_TEST

START_TEST(lock_of_a_dead_one_is_waited_for)
{
	char err[256], *path = xasprintf("%s/pid", dir);
	int fd = -1, hold[2], status;
	char byte;

	ck_assert_int_eq(io_pipe(hold), 0);
	pid_t pid = fork();
	if (pid == 0) { /* a master that dies, and its child that holds the lock a moment longer */
		if (master_pidfile_lock(path, &fd, err, sizeof err) != JOBQ_EXIT_OK)
			_exit(1);
		if (fork() == 0) {
			(void)close(hold[1]);
			_exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq((fd = open(path, O_RDWR | O_CLOEXEC)) >= 0, 1);
	ck_assert_int_ne(flock(fd, LOCK_EX | LOCK_NB), 0);
	(void)close(fd);
	pid_t releaser = fork();
	if (releaser == 0) {
		(void)close(hold[0]);
		(void)usleep(100000);
		_exit(0); /* the last writer's end goes: the holder reads EOF */
	}
	(void)close(hold[1]);
	ck_assert_int_eq(master_pidfile_lock(path, &fd, err, sizeof err), JOBQ_EXIT_OK);
	(void)close(hold[0]);
	ck_assert_int_eq(waitpid(releaser, NULL, 0), releaser);
	master_pidfile_remove(path, fd);
	free(path);
}
END_TEST

static bool parse(const char *text, struct embed_pid *out)
{
	return master_embed_pid_parse(text, strlen(text), out);
}

START_TEST(postmaster_pid)
{
	struct embed_pid p;

	ck_assert(parse("123\n/var/lib/jobq/data\n1700000000\n5432\n/run/jobq/pg\n\n   123456     98765\nready   \n", &p));
	ck_assert_int_eq(p.pid, 123);
	ck_assert_str_eq(p.data_dir, "/var/lib/jobq/data");
	ck_assert_str_eq(p.status, "ready");
	ck_assert_int_eq(p.shm_id, 98765);
	ck_assert(parse("123\n/d\n1700000000\n5432\n\n\n", &p)); /* written so far */
	ck_assert_str_eq(p.status, "");
	ck_assert_int_eq(p.shm_id, -1);
	ck_assert(parse("123\n/d\n1\n2\n3\n4\n  1 2\nstarti", &p)); /* half a line is none */
	ck_assert_str_eq(p.status, "");
	ck_assert_int_eq(p.shm_id, 2);
	ck_assert(!parse("", &p));
	ck_assert(!parse("123", &p));
	ck_assert(!parse("123\n", &p));
	ck_assert(!parse("123\nrelative\n", &p));
	ck_assert(!parse("-5\n/d\n", &p)); /* a standalone backend writes its pid negative */
	ck_assert(!parse("1\n/d\n", &p));
	ck_assert(!parse("abc\n/d\n", &p));
	ck_assert(!master_embed_pid_parse("12\0\n/d\n", 7, &p));
}
END_TEST

START_TEST(instance_file)
{
	char err[256];

	ck_assert(master_instance_valid("0123456789abcdef0123456789abcdef\n", 33));
	ck_assert(master_instance_valid("0123456789abcdef0123456789abcdef", 32));
	ck_assert(!master_instance_valid("0123456789abcdef0123456789abcde\n", 32));
	ck_assert(!master_instance_valid("0123456789ABCDEF0123456789abcdef", 32));
	ck_assert(!master_instance_valid("0123456789abcde\0" "0123456789abcdef", 32));
	ck_assert(!master_instance_valid("", 0));

	char *one = master_instance_open(dir, err, sizeof err), *two = master_instance_open(dir, err, sizeof err);
	ck_assert_str_eq(one, two);
	ck_assert_ptr_nonnull(strchr(one, ':'));
	char *path = xasprintf("%s/instance", dir);
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(io_write_file(path, "junk", 4, 0600), 0);
	ck_assert_ptr_null(master_instance_open(dir, err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "damaged"));
	free(path);
	free(one);
	free(two);
}
END_TEST

START_TEST(lines_of_a_stream)
{
	struct lines l = {0};
	const char stream[] = "one\n\nthree is longer\nfour";
	size_t len, whole = 0;
	char got[64] = "";

	for (size_t i = 0; i < sizeof stream - 1; i++) { /* byte by byte */
		buf_add(&l.in, stream + i, 1);
		for (const char *line; (line = master_lines_next(&l, &len)) != NULL; master_lines_take(&l, len)) {
			(void)strncat(got, line, len);
			(void)strcat(got, "|");
			whole++;
		}
	}
	ck_assert_uint_eq(whole, 3);
	ck_assert_str_eq(got, "one||three is longer|");
	ck_assert_uint_eq(l.in.len, 4);
	buf_add(&l.in, "\nfive\nsix\n", 10);
	ck_assert_ptr_nonnull(master_lines_next(&l, &len));
	ck_assert_ptr_nonnull(master_lines_next(&l, &len)); /* asked twice: the same */
	ck_assert_uint_eq(len, 4);
	master_lines_take(&l, len);
	ck_assert_ptr_nonnull(master_lines_next(&l, &len));
	ck_assert_uint_eq(len, 4);
	master_lines_take(&l, len);
	ck_assert_ptr_nonnull(master_lines_next(&l, &len));
	master_lines_take(&l, len);
	ck_assert_ptr_null(l.in.data); /* nothing is kept */
	ck_assert_ptr_null(master_lines_next(&l, &len));
	master_lines_free(&l);
}
END_TEST

static void program(const char *version, const char *name)
{
	char *bin = xasprintf("%s/postgresql/%s/bin", dir, version), *path = xasprintf("%s/%s", bin, name);

	ck_assert_int_eq(io_mkdirs(bin, 0755), 0);
	ck_assert_int_eq(io_write_file(path, "", 0, 0755), 0);
	free(path);
	free(bin);
}

START_TEST(installed_versions)
{
	char found[256], *pattern = xasprintf("%s/postgresql/*/bin", dir), *expect;
	const char *const patterns[] = {"/nonexistent/*/bin", pattern};

	ck_assert_int_eq(master_embed_version("/usr/lib/postgresql/15/bin"), 15);
	ck_assert_int_eq(master_embed_version("/usr/pgsql-16/bin"), 16);
	ck_assert_int_eq(master_embed_version("/opt/bin"), 0);
	master_embed_find(patterns, 2, 0, found, sizeof found);
	ck_assert_str_eq(found, "");
	const char *const versions[] = {"9.6", "14", "15", "16"};
	for (size_t i = 0; i < 4; i++) {
		program(versions[i], "postgres");
		program(versions[i], "initdb");
	}
	program("17", "postgres"); /* half installed: no initdb */
	master_embed_find(patterns, 2, 0, found, sizeof found);
	expect = xasprintf("%s/postgresql/16/bin", dir);
	ck_assert_str_eq(found, expect);
	free(expect);
	master_embed_find(patterns, 2, 15, found, sizeof found);
	expect = xasprintf("%s/postgresql/15/bin", dir);
	ck_assert_str_eq(found, expect);
	free(expect);
	master_embed_find(patterns, 2, 14, found, sizeof found); /* too old, even for its own data */
	ck_assert_str_eq(found, "");
	free(pattern);
}
END_TEST

START_TEST(version_of_the_data)
{
	char *data = xasprintf("%s/data", dir), *path = xasprintf("%s/PG_VERSION", data);

	ck_assert_int_eq(master_embed_data_version(data), 0);
	ck_assert_int_eq(io_mkdirs(data, 0700), 0);
	ck_assert_int_eq(master_embed_data_version(data), -1);
	ck_assert_int_eq(io_write_file(path, "15\n", 3, 0600), 0);
	ck_assert_int_eq(master_embed_data_version(data), 15);
	ck_assert_int_eq(io_write_file(path, "junk\n", 5, 0600), 0);
	ck_assert_int_eq(master_embed_data_version(data), -1);
	free(path);
	free(data);
}
END_TEST

START_TEST(quoting)
{
	char *quoted = master_embed_conf_quote("/run/it's\\here");

	ck_assert_str_eq(quoted, "'/run/it\\'s\\\\here'");
	free(quoted);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("master_parse");
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, pids);
	tcase_add_test(tc, a_zombie_is_not_alive);
	tcase_add_test(tc, one_lock_a_file);
	tcase_add_test(tc, lock_of_a_dead_one_is_waited_for);
	tcase_add_test(tc, postmaster_pid);
	tcase_add_test(tc, instance_file);
	tcase_add_test(tc, lines_of_a_stream);
	tcase_add_test(tc, installed_versions);
	tcase_add_test(tc, version_of_the_data);
	tcase_add_test(tc, quoting);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

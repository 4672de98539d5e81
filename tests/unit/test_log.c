/*
 * tests/unit/test_log.c: log lines as they stand in a file (src/base/log.c).
 *
 * The clock is stopped, so whole lines can be compared. JSON lines are read back with jansson: whatever tenants wrote,
 * a line stays one line and one document.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

#define NOON INT64_C(1769860800123456)
#define HOSTILE "a\nlevel=error \"q\" \\ \x1b[2J\xff\xc2\x9b\xe2\x80\xae"

static char path[64];
static struct buf got;

static void setup(void)
{
	int fd;

	memcpy(path, "/tmp/jobq-log-XXXXXX", sizeof "/tmp/jobq-log-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	close(fd);
	clock_set(1, 1, NOON);
}

static void teardown(void)
{
	unlink(path);
	buf_free(&got);
}

static const char *content(void)
{
	buf_reset(&got);
	ck_assert_int_eq(io_read_file(path, 1 << 24, &got), 0);
	return buf_str(&got);
}

__attribute__((format(printf, 1, 2))) static void expect(const char *format, ...)
{
	struct buf want = {0};
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&want, format, ap);
	va_end(ap);
	ck_assert_str_eq(content(), buf_str(&want));
	buf_free(&want);
}

static void to_file(enum log_format format, enum log_level level)
{
	ck_assert_int_eq(log_open(path, format, level), 0);
}

START_TEST(logfmt)
{
	to_file(LOG_F_LOGFMT, LOG_L_INFO);
	log_context("n1", "worker", "sms", 3);
	log_info("ready");
	log_warn("slow: %d ms", 5);
	log_debug("unseen");
	log_error("%s", HOSTILE);
	log_info("%s", "");
	expect("ts=2026-01-31T12:00:00.123Z level=info node=n1 role=worker queue=sms slot=3 pid=%d msg=ready\n"
	       "ts=2026-01-31T12:00:00.123Z level=warn node=n1 role=worker queue=sms slot=3 pid=%d msg=\"slow: 5 ms\"\n"
	       "ts=2026-01-31T12:00:00.123Z level=error node=n1 role=worker queue=sms slot=3 pid=%d "
	       "msg=\"a\\nlevel=error \\\"q\\\" \\\\ \\u001b[2J\xef\xbf\xbd\\u009b\\u202e\"\n"
	       "ts=2026-01-31T12:00:00.123Z level=info node=n1 role=worker queue=sms slot=3 pid=%d msg=\"\"\n",
	       getpid(), getpid(), getpid(), getpid());
}
END_TEST

START_TEST(context_may_be_empty)
{
	to_file(LOG_F_LOGFMT, LOG_L_DEBUG);
	log_debug("x");
	log_context("n", "master", NULL, -1);
	log_debug("y");
	expect("ts=2026-01-31T12:00:00.123Z level=debug pid=%d msg=x\n"
	       "ts=2026-01-31T12:00:00.123Z level=debug node=n role=master pid=%d msg=y\n",
	       getpid(), getpid());
}
END_TEST

START_TEST(levels)
{
	for (enum log_level level = LOG_L_ERROR; level <= LOG_L_DEBUG; level++) {
		to_file(LOG_F_LOGFMT, level);
		for (enum log_level each = LOG_L_ERROR; each <= LOG_L_DEBUG; each++)
			ck_assert_int_eq(log_enabled(each), each <= level);
	}
}
END_TEST

START_TEST(job_lines)
{
	struct log_job job = {.id = INT64_MAX, .queue = "sms", .tenant = "a b", .type = "", .outcome = "retry",
	                      .error = "500 = bad", .attempt = 2, .wait_ms = 1.5, .run_ms = NAN};

	to_file(LOG_F_LOGFMT, LOG_L_INFO);
	log_job(LOG_L_INFO, &job, "job");
	log_job(LOG_L_DEBUG, &job, "unseen");
	log_context(NULL, "worker", "sms", 0);
	job.run_ms = -1;
	job.wait_ms = -1;
	job.error = NULL;
	log_job(LOG_L_INFO, &job, "job");
	expect("ts=2026-01-31T12:00:00.123Z level=info pid=%d msg=job queue=sms job=9223372036854775807 tenant=\"a b\" attempt=2 "
	       "outcome=retry wait_ms=1.500 error=\"500 = bad\"\n"
	       "ts=2026-01-31T12:00:00.123Z level=info role=worker queue=sms slot=0 pid=%d msg=job job=9223372036854775807 "
	       "tenant=\"a b\" attempt=2 outcome=retry\n",
	       getpid(), getpid());
}
END_TEST

static json_t *line(const char **at)
{
	const char *end = strchr(*at, '\n');
	json_error_t err;
	json_t *doc;

	ck_assert_ptr_nonnull(end);
	ck_assert_int_le(end - *at + 1, 8192);
	doc = json_loadb(*at, (size_t)(end - *at), JSON_REJECT_DUPLICATES, &err);
	ck_assert_msg(doc != NULL, "%s: %.*s", err.text, (int)(end - *at), *at);
	*at = end + 1;
	return doc;
}

static const char *member(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text ? text : "(none)";
}

START_TEST(json)
{
	struct log_job job = {.id = 7, .queue = "sms", .tenant = HOSTILE, .outcome = "done", .run_ms = 2, .wait_ms = INFINITY};
	const char *at;
	json_t *doc;

	to_file(LOG_F_JSON, LOG_L_INFO);
	log_context("n\"1", "worker", NULL, 2);
	log_job(LOG_L_INFO, &job, "job");
	log_info("plain");
	at = content();
	doc = line(&at);
	ck_assert_str_eq(member(doc, "ts"), "2026-01-31T12:00:00.123Z");
	ck_assert_str_eq(member(doc, "node"), "n\"1");
	ck_assert_str_eq(member(doc, "job"), "7");
	ck_assert_str_eq(member(doc, "tenant"), "a\nlevel=error \"q\" \\ \x1b[2J\xef\xbf\xbd\xc2\x9b\xe2\x80\xae");
	ck_assert(json_integer_value(json_object_get(doc, "slot")) == 2);
	ck_assert(json_integer_value(json_object_get(doc, "pid")) == getpid());
	ck_assert_double_eq(json_real_value(json_object_get(doc, "run_ms")), 2);
	ck_assert_ptr_null(json_object_get(doc, "wait_ms"));
	json_decref(doc);
	doc = line(&at);
	ck_assert_str_eq(member(doc, "msg"), "plain");
	json_decref(doc);
	ck_assert_str_eq(at, "");
}
END_TEST

/* the longest texts of every kind: the line is clipped and stays whole */
START_TEST(clipped)
{
	static const char *const kinds[] = {"x", "\"", "\x01", "\xff", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xe2\x80\xae"};
	static char huge[40000];
	const char *at;

	to_file(_i ? LOG_F_JSON : LOG_F_LOGFMT, LOG_L_INFO);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		for (size_t shift = 0; shift < 8; shift++) {
			struct log_job job = {.id = 1, .tenant = huge, .error = huge, .outcome = "fail", .run_ms = 1};
			size_t n = strlen(kinds[i]);

			memset(huge, 'y', shift);
			for (size_t j = 0; j < 2000 + 1000 * shift; j++)
				memcpy(huge + shift + j * n, kinds[i], n + 1);
			log_info("%s", huge);
			log_job(LOG_L_INFO, &job, "job");
		}
	at = content();
	ck_assert(text_is_utf8(at, strlen(at)));
	for (int lines = 0; lines < 7 * 8 * 2; lines++) {
		const char *end = strchr(at, '\n');

		ck_assert_ptr_nonnull(end);
		ck_assert_int_le(end - at + 1, 8192);
		if (_i)
			json_decref(line(&at));
		else
			at = end + 1;
	}
	ck_assert_str_eq(at, "");
}
END_TEST

START_TEST(lost_lines_are_told)
{
	ck_assert_int_eq(log_open("/dev/full", LOG_F_LOGFMT, LOG_L_INFO), 0);
	errno = ENOTTY;
	log_info("nobody reads this");
	log_error("nor this");
	ck_assert_int_eq(errno, ENOTTY);
	ck_assert_uint_eq(log_lost(), 2);
	to_file(LOG_F_LOGFMT, LOG_L_INFO);
	log_info("a");
	log_info("b");
	expect("ts=2026-01-31T12:00:00.123Z level=info pid=%d msg=a\n"
	       "ts=2026-01-31T12:00:00.123Z level=warn pid=%d msg=\"2 log lines could not be written and are lost\"\n"
	       "ts=2026-01-31T12:00:00.123Z level=info pid=%d msg=b\n",
	       getpid(), getpid(), getpid());
	ck_assert_uint_eq(log_lost(), 2);
}
END_TEST

START_TEST(reopened_after_rotation)
{
	char moved[80];
	struct stat st;

	to_file(LOG_F_LOGFMT, LOG_L_INFO);
	log_info("old");
	ck_assert_int_gt(snprintf(moved, sizeof moved, "%s.1", path), 0);
	ck_assert_int_eq(rename(path, moved), 0);
	log_info("still old");
	ck_assert_int_eq(log_reopen(), 0);
	log_info("new");
	expect("ts=2026-01-31T12:00:00.123Z level=info pid=%d msg=new\n", getpid());
	ck_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == (0640 & ~umask(0)));
	ck_assert(fcntl(log_fd(), F_GETFD) & FD_CLOEXEC);
	unlink(moved);
}
END_TEST

START_TEST(a_bad_destination_changes_nothing)
{
	char long_path[5000];

	to_file(LOG_F_LOGFMT, LOG_L_INFO);
	ck_assert_int_eq(log_open("/nonexistent/log", LOG_F_JSON, LOG_L_DEBUG), -1);
	ck_assert_int_eq(errno, ENOENT);
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	ck_assert_int_eq(log_open(long_path, LOG_F_JSON, LOG_L_DEBUG), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	log_debug("unseen");
	log_info("here");
	expect("ts=2026-01-31T12:00:00.123Z level=info pid=%d msg=here\n", getpid());
	ck_assert_int_eq(log_open("stderr", LOG_F_LOGFMT, LOG_L_INFO), 0);
	ck_assert_int_eq(log_fd(), STDERR_FILENO);
	ck_assert_int_eq(log_reopen(), 0);
}
END_TEST

START_TEST(processes_do_not_mix)
{
	enum { WRITERS = 4, LINES = 300 };
	int lines = 0, status;

	to_file(LOG_F_JSON, LOG_L_INFO);
	for (int w = 0; w < WRITERS; w++)
		if (fork() == 0) {
			log_context("n", "worker", "q", w);
			for (int i = 0; i < LINES; i++)
				log_info("%0*d", 10 + i, i);
			_exit(0);
		}
	for (int w = 0; w < WRITERS; w++)
		ck_assert(wait(&status) > 0 && status == 0);
	for (const char *at = content(); *at != '\0'; lines++)
		json_decref(line(&at));
	ck_assert_int_eq(lines, WRITERS * LINES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, logfmt);
	tcase_add_test(tc, context_may_be_empty);
	tcase_add_test(tc, levels);
	tcase_add_test(tc, job_lines);
	tcase_add_test(tc, json);
	tcase_add_loop_test(tc, clipped, 0, 2);
	tcase_add_test(tc, lost_lines_are_told);
	tcase_add_test(tc, reopened_after_rotation);
	tcase_add_test(tc, a_bad_destination_changes_nothing);
	tcase_add_test(tc, processes_do_not_mix);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

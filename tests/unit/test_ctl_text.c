/*
 * unit_ctl_text: jobqctl's text: no line wider than asked for, whatever tenants call their queues; nothing of theirs reaches the
 * terminal as a control character; worst first.
 */
#include "config.h"

#include <check.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jobqctl/human.h"
#include "jobqctl/job_text.h"
#include "jobqctl/metrics_text.h"
#include "jobqctl/report_text.h"
#include "jobqctl/status_text.h"
#include "jobqctl/table.h"
#include "jobqctl/width.h"

static const char *const hostile[] = {
	"sms", "", "\x1b[2J\x1b[31mred", "two\nlines\tand a tab\r", "\xe2\x80\xae" "reversed\xe2\x80\xac", "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97"
	"\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97"
	"\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97",
	"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81",
	"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
	"a name that is so long that no terminal of eighty columns has room for it, with or without everything else that stands beside it",
	"oneverylongwordwithoutanyblankinitthatmustbecutsomewherebecauseeightycolumnsareeightycolumnsandnotonemoreeverywhere",
};
#define NHOSTILE (sizeof hostile / sizeof *hostile)

static void setup(void)
{
	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

/* every line: at most width columns by the C library's own count, and nothing that moves a cursor */
static void check_lines(const char *text, size_t width)
{
	char *copy = xstrdup(text), *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		wchar_t wide[4096];
		size_t n = mbstowcs(wide, line, 4096);
		ck_assert_msg(n < 4096, "not UTF-8: %s", line);
		int columns = wcswidth(wide, n);
		ck_assert_msg(columns >= 0, "a control character: %s", line);
		ck_assert_msg((size_t)columns <= width, "%d columns, not %zu: %s", columns, width, line);
	}
	free(copy);
}

static json_t *status_of(const char *name)
{
	return json_pack("{s:s,s:s,s:i,s:f, s:{s:s,s:i,s:b,s:s}, s:{s:s,s:s,s:b,s:i,s:s}, s:f,"
		"s:[{s:s,s:s,s:{s:i,s:i},s:I,s:I,s:I,s:I,s:f,s:I,s:I,s:f,s:{s:s,s:s,s:s,s:s},s:{s:s,s:f},s:s}], s:[{s:s,s:I,s:f}],"
		"s:[{s:s,s:b},{s:s,s:b}], s:[{s:s,s:s,s:s,s:i,s:i}],"
		"s:[{s:s,s:s,s:i,s:i,s:s,s:f,s:I,s:i,s:s,s:{s:s,s:n,s:i,s:s}}]}",
		"version", name, "node", name, "pid", 1, "uptime_s", 1e9, "config", "path", name, "generation", 1, "ok", 0, "error", name,
		"database", "state", "waiting", "target", name, "embedded", 1, "schema", 1, "last_error", name, "counts_age_s", 99.0,
		"queues", "name", name, "state", "crash-loop", "workers", "want", 256, "ready", 255,
		"pending", (json_int_t)INT64_MAX, "scheduled", (json_int_t)123456789, "in_flight", (json_int_t)99999, "held", (json_int_t)1234567,
		"oldest_pending_s", 1e300, "completed", (json_int_t)999999999999, "failed", (json_int_t)88888888, "throughput_per_s", 1e18,
		"pause", "by", name, "reason", name, "since", name, "until", name, "gate", "reason", name, "retry_in_s", 3e5, "last_error", name,
		"unserved", "name", name, "pending", (json_int_t)INT64_MAX, "oldest_pending_s", 5.0,
		"nodes", "name", name, "leader", 1, "name", name, "leader", 0,
		"alerts", "name", name, "queue", name, "since", name, "value", 1, "threshold", 2,
		"processes", "role", name, "queue", name, "slot", 1, "pid", 4194304, "state", "crash-loop", "uptime_s", 5.0, "rss_bytes",
		(json_int_t)INT64_MAX, "restarts", 1000000, "doing", name, "last_exit", "at", name, "code", "signal", 11, "doing", name);
}

START_TEST(status_fits_whatever_the_names)
{
	const char *name = hostile[_i];
	json_t *doc = status_of(name);

	ck_assert_ptr_nonnull(doc);
	for (size_t width = 40; width <= 132; width += 20) {
		struct buf text = {0};
		status_text_render(doc, name, width == 40 ? 80 : width, false, &text);
		check_lines(buf_str(&text), width == 40 ? 80 : width);
		ck_assert_ptr_null(strchr(buf_str(&text), '\x1b'));
		ck_assert_ptr_null(strstr(buf_str(&text), "\xe2\x80\xae"));
		buf_free(&text);
	}
	struct buf narrow = {0}; /* a window of a few columns: cut short, never torn */
	status_text_render(doc, name, 12, false, &narrow);
	check_lines(buf_str(&narrow), 12);
	buf_free(&narrow);
	json_decref(doc);
}
END_TEST

START_TEST(colour_only_when_asked_for)
{
	json_t *doc = status_of("sms");
	struct buf plain = {0}, color = {0};

	status_text_render(doc, NULL, 80, false, &plain);
	status_text_render(doc, NULL, 80, true, &color);
	ck_assert_ptr_null(strchr(buf_str(&plain), '\x1b'));
	ck_assert_ptr_nonnull(strstr(buf_str(&color), "\x1b[31mcrash-loop\x1b[0m"));
	buf_free(&plain);
	buf_free(&color);
	json_decref(doc);
}
END_TEST

START_TEST(status_of_nonsense_is_text)
{
	static const char *const documents[] = {"{}", "[]", "null", "{\"queues\":5,\"processes\":{},\"nodes\":\"x\"}",
		"{\"queues\":[1,null,[],{\"workers\":7,\"pause\":3,\"gate\":[]}],\"processes\":[null,{\"last_exit\":4}],\"unserved\":[0],\"alerts\":[0]}"};

	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		json_t *doc = json_loads(documents[i], JSON_DECODE_ANY, NULL);
		struct buf text = {0};
		status_text_render(doc, NULL, 80, false, &text);
		check_lines(buf_str(&text), 80);
		buf_free(&text);
		json_decref(doc);
	}
}
END_TEST

START_TEST(many_ready_workers_share_a_line)
{
	json_t *list = json_array();
	struct buf text = {0};

	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(json_array_append_new(list, json_pack("{s:s,s:s,s:i,s:i,s:s,s:f,s:i,s:i}", "role", "worker", "queue", i < 30 ? "sms" : "mail",
			"slot", i, "pid", 100 + i, "state", i == 7 ? "dead" : "ready", "uptime_s", (double)i, "rss_bytes", 1 << 20, "restarts", 1)), 0);
	json_t *doc = json_pack("{s:o}", "processes", list);
	status_text_render(doc, NULL, 80, false, &text);
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "29 workers sms"));
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "10 workers mail"));
	const char *dead = strstr(buf_str(&text), "worker sms/7");
	ck_assert_ptr_nonnull(dead);
	ck_assert(dead < strstr(buf_str(&text), "29 workers")); /* worst first */
	buf_free(&text);
	json_decref(doc);
}
END_TEST

static json_t *job_of(const char *name)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:s,s:s,s:n,s:n,s:s,s:f,s:s,s:s,s:{s:s}}", "id", "9223372036854775807", "queue", name,
		"type", name, "tenant_id", name, "user_id", name, "priority", "normal", "status", "completed", "retry_count", 3, "max_retries", 3,
		"run_at", "2023-11-14T22:13:20.000Z", "created_at", "2023-11-14T22:13:20.000Z", "started_at", "completed_at", "error_message", name,
		"progress", 0.1, "progress_note", name, "claimed_by", name, "payload", "k", name);
}

START_TEST(jobs_fit_whatever_the_names)
{
	json_t *job = job_of(hostile[_i]), *jobs = json_pack("[O,O]", job, job);
	struct buf text = {0};
	char err[512];

	ck_assert_int_eq(job_table(jobs, JOB_COLUMNS, INT64_C(1700000000000000), 80, false, &text, err, sizeof err), 0);
	check_lines(buf_str(&text), 80);
	buf_reset(&text);
	ck_assert_int_eq(job_table(jobs, "id,queue,type,tenant_id,user_id,status,run_at,created_at,error_message,claimed_by,progress_note", 0, 80,
		true, &text, err, sizeof err), 0);
	buf_reset(&text);
	job_fields(job, 80, false, &text);
	check_lines(buf_str(&text), 80);
	json_t *why = json_pack("{s:s,s:s,s:[{s:s,s:s,s:s}]}", "id", hostile[_i], "status", hostile[_i], "reasons", "code", hostile[_i], "detail",
		hostile[_i], "until", hostile[_i]);
	buf_reset(&text);
	job_why(why, 80, false, &text);
	check_lines(buf_str(&text), 80);
	buf_free(&text);
	json_decref(why);
	json_decref(jobs);
	json_decref(job);
}
END_TEST

static json_t *metrics_of(const char *name)
{
	json_t *queue = json_pack("{s:I,s:I,s:I,s:I,s:f,s:f,s:I,s:{s:i,s:i,s:i},s:{s:i,s:i,s:f,s:{s:I,s:I}}}", "batches", (json_int_t)INT64_MAX,
		"jobs", (json_int_t)999999999, "success", (json_int_t)999999999, "errors", (json_int_t)99999, "avgProcessingTime", 123456.7,
		"throughput", 12345.6, "rateExceededCount", (json_int_t)1234567, "batch", "size", 1000, "min", 100, "max", 1024,
		"buffer", "entries", 1, "max", 1, "utilization", 1.0, "flushes", "emergency", (json_int_t)INT64_MAX, "deadline", (json_int_t)INT64_MAX);
	json_t *doc = json_object();
	(void)json_object_set_new(doc, name, queue);
	(void)json_object_set_new(doc, "workspaceRateLimits", json_pack("{s:{s:{s:I,s:s}}}", name, name, "count", (json_int_t)INT64_MAX,
		"lastExceeded", "2023-11-14T22:13:20.000Z"));
	(void)json_object_set_new(doc, "since", json_string(name));
	return doc;
}

static json_t *workspace_of(const char *name)
{
	json_t *doc = json_object();

	(void)json_object_set_new(doc, name, json_pack("{s:I,s:s,s:[{s:s,s:I,s:s}]}", "count", (json_int_t)INT64_MAX, "lastExceeded",
		"2023-11-14T22:13:20.000Z", "details", "timestamp", "2023-11-14T22:13:20.000Z", "batchSize", (json_int_t)INT64_MAX, "errorMessage", name));
	(void)json_object_set_new(doc, "workspaceId", json_string(name));
	return doc;
}

START_TEST(metrics_fit_whatever_the_names)
{
	json_t *all = metrics_of(hostile[_i]), *one = workspace_of(hostile[_i]);
	struct buf text = {0};

	metrics_text(all, 80, false, &text);
	check_lines(buf_str(&text), 80);
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "EXCEEDED"));
	buf_reset(&text);
	metrics_text_tenant(one, 80, false, &text);
	check_lines(buf_str(&text), 80);
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "MESSAGE"));
	buf_free(&text);
	json_decref(one);
	json_decref(all);
}
END_TEST

static json_t *report_of(const char *name)
{
	json_t *queue = json_pack("{s:s,s:f,s:I,s:I,s:I, s:{s:{s:f,s:f,s:f,s:b},s:{s:f,s:f,s:f,s:b}}, s:{s:f,s:f,s:f,s:I}, s:{s:i,s:i,s:f},"
		"s:{s:f,s:f,s:s}, s:{s:f}, s:{s:I,s:f,s:f,s:s,s:f,s:{s:{s:I,s:s}}}, s:{s:i,s:i,s:i}, s:[{s:s,s:s,s:f,s:f,s:s}],"
		"s:{s:i,s:{s:f,s:f,s:s}}}", "state", name, "span_s", 3600.0, "jobs", (json_int_t)INT64_MAX, "errors", (json_int_t)INT64_MAX,
		"pending", (json_int_t)INT64_MAX, "targets", "batch_ms", "target", 1e300, "measured", 1e300, "p95", 1e300, "met", 0,
		"throughput_per_s", "target", 1e300, "measured", 1e300, "under_backlog", 1e300, "met", 1,
		"limit", "limit_per_s", 1e300, "effective_per_s", 1e300, "used", 1e300, "exceeded", (json_int_t)INT64_MAX,
		"workers", "want", 256, "ready", 255, "busy", 1.0, "capacity", "jobs_per_s", 1e300, "used", 1e300, "bound_by", name,
		"time", "active", 1.0, "buffer", "max", (json_int_t)INT64_MAX, "utilization", 1.0, "peak", 1.0, "state", name, "efficiency", 1.0,
		"flushes", name, "count", (json_int_t)INT64_MAX, "last", name, "batch", "size", 1024, "min", 1, "max", 1024,
		"decisions", "at", name, "what", name, "from", 1e300, "to", 1e300, "text", name,
		"trends", "minutes", 10, "jobs_per_s", "was", 1e300, "is", 1e300, "direction", name);
	ck_assert_ptr_nonnull(queue);
	json_t *queues = json_object();
	(void)json_object_set_new(queues, name, queue);
	return json_pack("{s:s,s:s,s:s,s:f,s:o}", "node", name, "version", name, "timestamp", name, "uptime_s", 1e9, "queues", queues);
}

START_TEST(reports_fit_whatever_the_names)
{
	json_t *doc = report_of(hostile[_i]);
	struct buf text = {0};

	report_text(doc, 80, false, &text);
	check_lines(buf_str(&text), 80);
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "throughput"));
	ck_assert_ptr_nonnull(strstr(buf_str(&text), "DECIDED"));
	buf_free(&text);
	json_decref(doc);
}
END_TEST

START_TEST(metrics_of_nonsense_are_text)
{
	static const char *const documents[] = {"{}", "[]", "null", "{\"sms\":5,\"workspaceRateLimits\":{\"a\":{\"sms\":7}}}",
		"{\"sms\":{\"buffer\":{\"flushes\":[]},\"details\":[1,{}]},\"since\":7,\"workspaceRateLimits\":[]}"};

	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		json_t *doc = json_loads(documents[i], JSON_DECODE_ANY, NULL);
		struct buf text = {0};
		metrics_text(doc, 80, false, &text);
		metrics_text_tenant(doc, 80, false, &text);
		report_text(doc, 80, false, &text);
		json_t *nested = json_pack("{s:{s:O}}", "queues", "sms", doc);
		report_text(nested, 80, false, &text);
		json_decref(nested);
		check_lines(buf_str(&text), 80);
		buf_free(&text);
		json_decref(doc);
	}
}
END_TEST

START_TEST(chosen_columns)
{
	json_t *jobs = json_pack("[o]", job_of("sms"));
	struct buf text = {0};
	char err[512];

	ck_assert_int_eq(job_table(jobs, "id,try,age,progress", INT64_C(1700000060000000), 0, false, &text, err, sizeof err), 0);
	ck_assert_str_eq(buf_str(&text), "                 ID TRY AGE PROGRESS\n9223372036854775807 3/3 60s      0.1\n");
	ck_assert_int_eq(job_table(jobs, "id,tenantid", 0, 0, false, &text, err, sizeof err), -1);
	ck_assert_ptr_nonnull(strstr(err, "did you mean \"tenant_id\"?"));
	ck_assert_int_eq(job_table(jobs, "", 0, 0, false, &text, err, sizeof err), -1);
	buf_free(&text);
	json_decref(jobs);
}
END_TEST

START_TEST(tables_shrink_then_drop)
{
	static const struct table_column columns[] = {{"A", false, 3}, {"B", false, 3}, {"N", true, 0}};
	struct table *table = table_new(columns, 3);
	struct buf text = {0};

	table_cell(table, "abcdefghij", TABLE_PLAIN);
	table_cell(table, "kl", TABLE_PLAIN);
	table_cell(table, "12345", TABLE_PLAIN);
	table_render(table, &text, 0, false);
	ck_assert_str_eq(buf_str(&text), "A          B      N\nabcdefghij kl 12345\n");
	buf_reset(&text);
	table_render(table, &text, 14, false);
	ck_assert_str_eq(buf_str(&text), "A     B      N\nabcd\xe2\x80\xa6 kl 12345\n");
	buf_reset(&text);
	table_render(table, &text, 10, false); /* the number has no room */
	ck_assert_str_eq(buf_str(&text), "A   B\nab\xe2\x80\xa6 kl\n");
	buf_reset(&text);
	table_render(table, &text, 2, false);
	ck_assert_str_eq(buf_str(&text), "A\na\xe2\x80\xa6\n");
	buf_free(&text);
	table_free(table);
}
END_TEST

START_TEST(widths)
{
	struct buf text = {0};
	const char *rest;

	ck_assert_uint_eq(width_of("abc"), 3);
	ck_assert_uint_eq(width_of("\xc3\xa4\xe6\xbc\xa2"), 3);
	ck_assert_uint_eq(width_add(&text, "\xe6\xbc\xa2\xe5\xad\x97", 3), 3); /* a wide one and the ellipsis */
	ck_assert_uint_eq(width_add(&text, "abc", 0), 0);
	ck_assert_uint_eq(width_line("one two three", 8, &rest), 7);
	ck_assert_str_eq(rest, "three");
	ck_assert_uint_eq(width_line("\xe6\xbc\xa2\xe5\xad\x97", 1, &rest), 3); /* always goes on */
	ck_assert_uint_gt(width_of("\xff\xc3"), 0); /* not UTF-8: no reading past the end */
	buf_free(&text);
}
END_TEST

START_TEST(numbers_for_people)
{
	static const struct { double s; const char *text; } ages[] = {{0, "0s"}, {0.4, "0.4s"}, {12, "12s"}, {99.6, "2m"}, {3600, "60m"},
		{7200, "2h"}, {3 * 86400.0, "3d"}, {-1, "-"}, {1e300, "-"}, {0.0 / 1.0, "0s"}};
	static const struct { int64_t n; const char *text; } counts[] = {{0, "0"}, {99999, "99999"}, {100000, "100k"}, {1234567, "1.2M"},
		{123456789, "123M"}, {INT64_C(12345678901), "12G"}, {-1, "-"}};
	char text[HUMAN_MAX];

	for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
		ck_assert_str_eq(human_age(text, ages[i].s), ages[i].text);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		ck_assert_str_eq(human_count(text, counts[i].n), counts[i].text);
	ck_assert_str_eq(human_bytes(text, 5 << 20), "5.0MB");
	ck_assert_str_eq(human_bytes(text, 12 << 10), "12kB");
	ck_assert_str_eq(human_rate(text, 48.53), "48.5");
	ck_assert_str_eq(human_rate(text, 1199.6), "1200");
	for (int64_t n = 1; n > 0 && n < INT64_MAX / 10; n = n * 10 - 1) {
		ck_assert_uint_le(strlen(human_count(text, n)), 8);
		ck_assert_uint_le(strlen(human_bytes(text, n)), 11);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_text");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_loop_test(all, status_fits_whatever_the_names, 0, (int)NHOSTILE);
	tcase_add_test(all, colour_only_when_asked_for);
	tcase_add_test(all, status_of_nonsense_is_text);
	tcase_add_test(all, many_ready_workers_share_a_line);
	tcase_add_loop_test(all, jobs_fit_whatever_the_names, 0, (int)NHOSTILE);
	tcase_add_loop_test(all, metrics_fit_whatever_the_names, 0, (int)NHOSTILE);
	tcase_add_loop_test(all, reports_fit_whatever_the_names, 0, (int)NHOSTILE);
	tcase_add_test(all, metrics_of_nonsense_are_text);
	tcase_add_test(all, chosen_columns);
	tcase_add_test(all, tables_shrink_then_drop);
	tcase_add_test(all, widths);
	tcase_add_test(all, numbers_for_people);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

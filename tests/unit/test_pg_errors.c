/*
 * test_pg_errors.c: classes of SQLSTATEs, what is told of a connection string, and what is added to it. Pure.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "pg/conn.h"
#include "pg/conninfo.h"

START_TEST(error_classes)
{
	static const struct {
		const char *state;
		enum pg_status status;
	} rows[] = {
		{ NULL, PG_LOST }, { "", PG_LOST }, { "08006", PG_LOST }, { "08P01", PG_DATA }, { "40003", PG_LOST }, { "00000", PG_OK },
		{ "40001", PG_TRANSIENT }, { "40P01", PG_TRANSIENT }, { "53100", PG_TRANSIENT }, { "53300", PG_TRANSIENT }, { "57P01", PG_TRANSIENT },
		{ "57014", PG_TRANSIENT }, { "55P03", PG_TRANSIENT }, { "25006", PG_TRANSIENT }, { "26000", PG_TRANSIENT }, { "42P05", PG_TRANSIENT },
		{ "58030", PG_TRANSIENT }, { "XX000", PG_TRANSIENT }, { "42P01", PG_SCHEMA }, { "42703", PG_SCHEMA }, { "42883", PG_SCHEMA },
		{ "42501", PG_SCHEMA }, { "3F000", PG_SCHEMA }, { "3D000", PG_SCHEMA }, { "28P01", PG_SCHEMA }, { "22023", PG_DATA }, { "22P02", PG_DATA },
		{ "23505", PG_DATA }, { "23514", PG_DATA }, { "22021", PG_DATA }, { "54000", PG_DATA }, { "0A000", PG_DATA }, { "P0001", PG_DATA }, { "ZZ999", PG_DATA },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(pg_error_class(rows[i].state) == rows[i].status, "%s is not %d", rows[i].state ? rows[i].state : "NULL", (int)rows[i].status);
}
END_TEST

START_TEST(targets_without_secrets)
{
	static const struct {
		const char *conninfo, *target;
	} rows[] = {
		{ "postgres://u:secret@h1:5432,h2/db?sslmode=require", "h1,h2/db" },
		{ "host=db.example dbname=jobs user=u password=secret", "db.example/jobs" },
		{ "host=/run/postgresql user=jobq", "/run/postgresql/jobq" },
		{ "dbname=jobs", "local/jobs" },
		{ "service=prod", "prod/" },
		{ "hostaddr=192.0.2.1 dbname=x", "192.0.2.1/x" },
		{ "postgres://u:se@cret@h1/db", "(bad connection string)" },
		{ "postgres://u:secret@h1:secret/db", "(bad connection string)" },
		{ "secret", "(bad connection string)" },
		{ "host=h secret dbname=x", "(bad connection string)" },
		{ "host=h dbname=secret password=secret", "h/***" },
		{ "host=h dbname='a\033[31m'", "h/a\\x1b[31m" },
	};
	char target[128];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		pg_target_text(rows[i].conninfo, target, sizeof target);
		ck_assert_str_eq(target, rows[i].target);
		ck_assert_ptr_null(strstr(target, "secret"));
	}
	pg_target_text("host=a-rather-long-name dbname=x", target, 8);
	ck_assert_uint_lt(strlen(target), 8);
}
END_TEST

static const char *value(const struct conninfo *ci, const char *key)
{
	for (size_t i = 0; i < ci->n; i++)
		if (strcmp(ci->keys[i], key) == 0)
			return ci->values[i];
	return NULL;
}

START_TEST(defaults_are_added)
{
	struct conninfo ci;
	char err[100];

	ck_assert(conninfo_parse(&ci, "host=a,b,c port=1,2,3 dbname=x", "jobqd claim", 0, err, sizeof err));
	ck_assert_str_eq(value(&ci, "target_session_attrs"), "read-write");
	ck_assert_str_eq(value(&ci, "client_encoding"), "UTF8");
	ck_assert_str_eq(value(&ci, "keepalives_idle"), "10");
	ck_assert_str_eq(value(&ci, "tcp_user_timeout"), "10000");
	ck_assert_str_eq(value(&ci, "application_name"), "jobqd claim");
	ck_assert_int_eq(ci.timeout_ns, 10 * NS_PER_S);
	ck_assert_ptr_null(ci.keys[ci.n]);
	conninfo_free(&ci);
}
END_TEST

START_TEST(what_the_user_says_stays)
{
	struct conninfo ci;
	char err[100];

	ck_assert(conninfo_parse(&ci, "postgres://h/x?target_session_attrs=any&keepalives_idle=99&application_name=mine&connect_timeout=1&tcp_user_timeout=5", "jobqd", 0, err, sizeof err));
	ck_assert_str_eq(value(&ci, "target_session_attrs"), "any");
	ck_assert_str_eq(value(&ci, "keepalives_idle"), "99");
	ck_assert_str_eq(value(&ci, "application_name"), "mine");
	ck_assert_str_eq(value(&ci, "tcp_user_timeout"), "5");
	ck_assert_int_eq(ci.timeout_ns, 2 * NS_PER_S);
	for (size_t i = 0; i < ci.n; i++)
		for (size_t k = i + 1; k < ci.n; k++)
			ck_assert_str_ne(ci.keys[i], ci.keys[k]);
	conninfo_free(&ci);
}
END_TEST

START_TEST(hosts_take_turns)
{
	static const char *const hosts[] = { "a,b,c", "b,c,a", "c,a,b", "a,b,c" };
	static const char *const ports[] = { "1,2,3", "2,3,1", "3,1,2", "1,2,3" };
	struct conninfo ci;
	char err[100];

	for (unsigned turn = 0; turn < 4; turn++) {
		ck_assert(conninfo_parse(&ci, "host=a,b,c port=1,2,3", "", turn, err, sizeof err));
		ck_assert_str_eq(value(&ci, "host"), hosts[turn]);
		ck_assert_str_eq(value(&ci, "port"), ports[turn]);
		conninfo_free(&ci);
		ck_assert(conninfo_parse(&ci, "host=a,b port=9", "", turn, err, sizeof err));
		ck_assert_str_eq(value(&ci, "host"), turn % 2 == 0 ? "a,b" : "b,a");
		ck_assert_str_eq(value(&ci, "port"), "9");
		conninfo_free(&ci);
	}
}
END_TEST

START_TEST(errors_do_not_quote)
{
	static const char *const bad[] = { "host=h hunter2", "postgres://u:hunter2@h:x y/db", "postgres://u:hun@ter2@h/db", "hunter2=x", "postgres://u:hunter2/x@h/db",
		"postgresql://u@x:12/hunter2@h/db" };
	struct conninfo ci;
	char err[200];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert(!conninfo_parse(&ci, bad[i], "", 0, err, sizeof err));
		ck_assert_ptr_null(strstr(err, "hunter2"));
		ck_assert_ptr_null(strstr(err, "ter2"));
		ck_assert_uint_eq(ci.n, 0);
	}
}
END_TEST

START_TEST(messages_are_masked)
{
	struct conninfo ci;
	char err[100], text[64] = "no: hunter2 and hunter2x, hunter";

	ck_assert(conninfo_parse(&ci, "host=h password=hunter2", "", 0, err, sizeof err));
	conninfo_mask(&ci, text);
	ck_assert_str_eq(text, "no: *** and ***x, hunter");
	conninfo_free(&ci);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pg_errors");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, error_classes);
	tcase_add_test(tc, targets_without_secrets);
	tcase_add_test(tc, defaults_are_added);
	tcase_add_test(tc, what_the_user_says_stays);
	tcase_add_test(tc, hosts_take_turns);
	tcase_add_test(tc, errors_do_not_quote);
	tcase_add_test(tc, messages_are_masked);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * test_pg_conn.c: one connection through its life, against a fake server on the same event loop: order of callbacks, what is
 * lost and what is not, statements prepared again, and being freed or reset inside a callback. Waits on conditions only.
 */
#include <check.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fake_pg.h"
#include "pg/conn.h"

static struct event_base *base;
static struct fake_pg *server;
static struct pg_conn *conn;
static char log_text[4096]; /* what was called back, in order */
static int readies, downs;

static void note(const char *word, const char *detail)
{
	size_t len = strlen(log_text);

	snprintf(log_text + len, sizeof log_text - len, "%s%s%s%s;", word, detail[0] != '\0' ? "(" : "", detail, detail[0] != '\0' ? ")" : "");
}

static void on_ready(void *arg, struct pg_conn *c)
{
	(void)arg;
	(void)c;
	readies++;
}

static void on_down(void *arg, struct pg_conn *c, const char *error)
{
	(void)arg;
	(void)c;
	ck_assert_str_ne(error, "");
	downs++;
	note("down", "");
}

static void on_notify(void *arg, struct pg_conn *c, const char *channel, const char *payload)
{
	(void)arg;
	(void)c;
	ck_assert_str_eq(channel, "jobq_wake");
	note("notify", payload);
}

static const struct pg_calls calls = { on_ready, on_down, on_notify };

static void on_done(void *arg, const struct pg_result *r)
{
	static const char *const names[] = { "ok", "lost", "transient", "schema", "data" };
	char text[64];

	snprintf(text, sizeof text, "%s %s", (const char *)arg, r->status == PG_OK ? PQgetvalue(r->res, 0, 0) : r->sqlstate);
	note(names[r->status], text);
	ck_assert_ptr_nonnull(r->error);
	ck_assert((r->error[0] == '\0') == (r->status == PG_OK));
}

static void free_inside(void *arg, const struct pg_result *r)
{
	on_done(arg, r);
	pg_conn_free(conn);
	conn = NULL;
}

static void reset_inside(void *arg, const struct pg_result *r)
{
	on_done(arg, r);
	pg_conn_reset(conn, "asked for");
	ck_assert(!pg_conn_ready(conn));
}

/* Runs the loop until the condition holds; a test that waits in vain is ended by check's own limit. */
#define UNTIL(condition) \
	while (!(condition)) \
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0)

static void connect_with(const char *extra, const char *const *setup, bool pooler)
{
	char *conninfo = xasprintf("host=%s user=u dbname=d password=hunter2 %s", fake_pg_dir(server), extra);
	const struct pg_opts opts = { .name = "test", .conninfo = conninfo, .setup = setup, .pooler = pooler };

	conn = pg_conn_new(base, &opts, &calls, NULL);
	free(conninfo);
	ck_assert_ptr_nonnull(conn);
}

static void start(void)
{
	connect_with("", NULL, false);
	ck_assert(!pg_conn_ready(conn));
	ck_assert_str_ne(pg_conn_error(conn), "");
	UNTIL(readies == 1);
	ck_assert(pg_conn_ready(conn));
	ck_assert_str_eq(pg_conn_error(conn), "");
}

static char tag[8][2] = { "1", "2", "3", "4", "5", "6", "7", "8" };

static void send_as(int i, const char *name, const char *sql, pg_done *done)
{
	struct pg_stmt stmt = { name, sql };

	ck_assert(pg_conn_send(conn, &stmt, NULL, true, done, tag[i - 1]));
}

static void send_(int i, const char *sql)
{
	send_as(i, sql, sql, on_done);
}

static void setup_(void)
{
	base = event_base_new();
	server = fake_pg_new(base);
	conn = NULL;
	readies = downs = 0;
	log_text[0] = '\0';
}

static void teardown(void)
{
	pg_conn_free(conn);
	fake_pg_free(server);
	event_base_free(base);
}

START_TEST(answers_come_in_order)
{
	struct pg_stmt echo = { "echo", "echo" };
	struct pg_params p = { 0 };

	start();
	pg_param_text(&p, "value");
	ck_assert(pg_conn_send(conn, &echo, &p, true, on_done, tag[0]));
	pg_params_free(&p); /* copied by now */
	send_(2, "select");
	ck_assert(pg_conn_exec(conn, "listen", on_done, tag[2]));
	ck_assert_str_eq(log_text, ""); /* never from inside the sending */
	ck_assert_uint_eq(pg_conn_pending(conn), 3);
	UNTIL(pg_conn_pending(conn) == 0);
	ck_assert_str_eq(log_text, "ok(1 value);ok(2 select);ok(3 listen);");
}
END_TEST

START_TEST(one_failing_leaves_its_neighbours)
{
	start();
	send_(1, "a");
	send_(2, "error");
	send_(3, "bad");
	send_(4, "b");
	UNTIL(pg_conn_pending(conn) == 0);
	ck_assert_str_eq(log_text, "ok(1 a);data(2 22012);schema(3 42P01);ok(4 b);");
	ck_assert_int_eq(downs, 0);
}
END_TEST

START_TEST(statements_are_prepared_once)
{
	start();
	for (int i = 0; i < 6; i++)
		send_(i + 1, i % 2 == 0 ? "a" : "b");
	UNTIL(pg_conn_pending(conn) == 0);
	ck_assert_int_eq(fake_pg_prepared(server), 2);
	ck_assert_str_eq(log_text, "ok(1 a);ok(2 b);ok(3 a);ok(4 b);ok(5 a);ok(6 b);");
}
END_TEST

START_TEST(a_failed_preparation_is_made_again)
{
	start();
	send_(1, "bad once");
	send_(2, "bad once"); /* sent before the failure is known */
	UNTIL(pg_conn_pending(conn) == 0);
	send_(3, "bad once");
	send_(4, "bad once");
	UNTIL(pg_conn_pending(conn) == 0);
	ck_assert_str_eq(log_text, "schema(1 42P01);transient(2 26000);ok(3 bad once);ok(4 bad once);");
	ck_assert_int_eq(fake_pg_prepared(server), 1);
}
END_TEST

START_TEST(a_stale_plan_is_made_again)
{
	start();
	send_(1, "stale");
	UNTIL(pg_conn_pending(conn) == 0);
	send_(2, "stale");
	UNTIL(pg_conn_pending(conn) == 0);
	send_(3, "a"); /* the fake forgives */
	UNTIL(pg_conn_pending(conn) == 0);
	ck_assert_str_eq(log_text, "ok(1 stale);transient(2 0A000);ok(3 a);");
	ck_assert_int_eq(fake_pg_prepared(server), 2);
}
END_TEST

START_TEST(a_pooler_gets_no_names)
{
	static const char *const setup[] = { "error in setup", NULL };

	connect_with("", setup, true);
	UNTIL(readies == 1);
	send_(1, "a");
	send_(2, "a");
	UNTIL(pg_conn_pending(conn) == 0);
	ck_assert_str_eq(log_text, "ok(1 a);ok(2 a);");
	ck_assert_int_eq(fake_pg_prepared(server), 0);
}
END_TEST

START_TEST(setup_must_succeed)
{
	static const char *const setup[] = { "set a", "error", "set b", NULL };

	connect_with("", setup, false);
	UNTIL(downs == 2); /* it tries again */
	ck_assert_int_eq(readies, 0);
	ck_assert_ptr_nonnull(strstr(pg_conn_error(conn), "setup"));
	ck_assert_ptr_nonnull(strstr(pg_conn_error(conn), "division by zero"));
	ck_assert(!pg_conn_exec(conn, "a", on_done, tag[0]));
}
END_TEST

START_TEST(a_lost_connection_loses_what_was_under_way)
{
	start();
	send_(1, "a");
	send_(2, "close");
	send_(3, "b");
	UNTIL(downs == 1);
	ck_assert_str_eq(log_text, "ok(1 a);lost(2 );lost(3 );down;");
	ck_assert(!pg_conn_ready(conn));
	ck_assert_uint_eq(pg_conn_pending(conn), 0);
	UNTIL(readies == 2);
	send_(4, "a"); /* prepared anew on the new connection */
	UNTIL(pg_conn_pending(conn) == 0);
	ck_assert_str_eq(log_text, "ok(1 a);lost(2 );lost(3 );down;ok(4 a);");
	ck_assert_int_eq(fake_pg_prepared(server), 3); /* b was never read */
}
END_TEST

START_TEST(an_answer_without_its_sync_point_is_lost)
{
	start();
	send_(1, "half");
	UNTIL(downs == 1);
	ck_assert_str_eq(log_text, "lost(1 );down;");
}
END_TEST

START_TEST(fatal_is_a_loss)
{
	start();
	send_(1, "fatal");
	UNTIL(downs == 1);
	ck_assert_str_eq(log_text, "lost(1 );down;");
	ck_assert_ptr_nonnull(strstr(pg_conn_error(conn), "administrator"));
	UNTIL(readies == 2);
}
END_TEST

START_TEST(a_standby_is_left)
{
	start();
	send_(1, "standby");
	send_(2, "hang");
	UNTIL(downs == 1);
	ck_assert_str_eq(log_text, "transient(1 25006);lost(2 );down;");
	UNTIL(readies == 2);
}
END_TEST

START_TEST(an_idle_connection_notices)
{
	start();
	fake_pg_drop(server);
	UNTIL(downs == 1);
	UNTIL(readies == 2);
	ck_assert_int_eq(fake_pg_connections(server), 2);
}
END_TEST

START_TEST(notifications)
{
	start();
	send_(1, "notify");
	UNTIL(strstr(log_text, "notify(") != NULL && pg_conn_pending(conn) == 0);
	ck_assert_ptr_nonnull(strstr(log_text, "notify(hint);"));
	ck_assert_ptr_nonnull(strstr(log_text, "ok(1 notify);"));
}
END_TEST

START_TEST(reset)
{
	start();
	send_(1, "hang");
	pg_conn_reset(conn, "no answer for a while");
	ck_assert(!pg_conn_ready(conn));
	ck_assert_str_eq(log_text, ""); /* callbacks come from the loop */
	UNTIL(readies == 2);
	ck_assert_str_eq(log_text, "lost(1 );down;");
}
END_TEST

START_TEST(reset_in_a_callback)
{
	start();
	send_as(1, "a", "a", reset_inside);
	send_(2, "b");
	UNTIL(readies == 2);
	ck_assert_str_eq(log_text, "ok(1 a);lost(2 );down;");
}
END_TEST

START_TEST(free_in_a_callback)
{
	start();
	send_as(1, "a", "a", free_inside);
	send_(2, "b");
	UNTIL(conn == NULL);
	ck_assert_str_eq(log_text, "ok(1 a);"); /* what was under way is not called */
	ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 0);
}
END_TEST

START_TEST(free_while_it_is_lost)
{
	start();
	send_as(1, "close", "close", free_inside);
	send_(2, "b");
	UNTIL(conn == NULL);
	ck_assert_str_eq(log_text, "lost(1 );");
	ck_assert_int_eq(downs, 0);
	ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 0);
}
END_TEST

static void on_more(void *arg)
{
	note("more", arg);
	ck_assert(pg_copy_put(conn, "1\n", 2));
}

START_TEST(a_copy_refused_in_the_middle_ends)
{
	start();
	ck_assert(pg_conn_copy(conn, "COPY t FROM STDIN", on_more, on_done, tag[0]));
	UNTIL(strcmp(log_text, "more(1);") == 0);
	for (int i = 0; i < 20; i++) /* its complaint arrives, and lies in libpq's buffer */
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	ck_assert(pg_copy_put(conn, "2\n", 2));
	pg_copy_end(conn, NULL);
	UNTIL(strcmp(log_text, "more(1);transient(1 53100);") == 0);
	send_(2, "again");
	UNTIL(strcmp(log_text, "more(1);transient(1 53100);ok(2 again);") == 0);
}
END_TEST

START_TEST(free_at_any_moment)
{
	for (int turns = 0; turns < 12; turns++) {
		connect_with("", NULL, false);
		for (int i = 0; i < turns; i++)
			ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
		pg_conn_free(conn);
	}
	conn = NULL;
	pg_conn_free(NULL);
}
END_TEST

START_TEST(a_silent_server_is_given_up)
{
	fake_pg_mute(server, true);
	connect_with("connect_timeout=2", NULL, false);
	UNTIL(fake_pg_connections(server) == 1);
	pg_conn_reset(conn, "the test does not wait for the timeout");
	UNTIL(downs == 1);
	fake_pg_mute(server, false);
	UNTIL(readies == 1);
}
END_TEST

START_TEST(another_host_takes_over)
{
	char *hosts = xasprintf("host=/nowhere,%s port=5432", fake_pg_dir(server));

	connect_with(hosts, NULL, false);
	free(hosts);
	UNTIL(readies == 1);
}
END_TEST

START_TEST(nobody_there)
{
	struct pg_opts opts = { .name = "test", .conninfo = "host=/nowhere dbname=d password=nowhere" };

	conn = pg_conn_new(base, &opts, &calls, NULL);
	UNTIL(downs == 2);
	ck_assert_ptr_null(strstr(pg_conn_error(conn), "nowhere")); /* it is the password as well */
	ck_assert_ptr_nonnull(strstr(pg_conn_error(conn), "No such file"));
	pg_conn_free(conn);
	opts.conninfo = "host=x hunter2";
	conn = pg_conn_new(base, &opts, &calls, NULL);
	UNTIL(downs == 3);
	ck_assert_ptr_null(strstr(pg_conn_error(conn), "hunter2"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { answers_come_in_order, one_failing_leaves_its_neighbours, statements_are_prepared_once,
		a_failed_preparation_is_made_again, a_stale_plan_is_made_again, a_pooler_gets_no_names, setup_must_succeed,
		a_lost_connection_loses_what_was_under_way, an_answer_without_its_sync_point_is_lost, fatal_is_a_loss, a_standby_is_left,
		an_idle_connection_notices, notifications, reset, reset_in_a_callback, free_in_a_callback, free_while_it_is_lost,
		a_copy_refused_in_the_middle_ends, free_at_any_moment, a_silent_server_is_given_up, another_host_takes_over, nobody_there };
	Suite *suite = suite_create("pg_conn");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	(void)signal(SIGPIPE, SIG_IGN); /* the fake writes to whoever left */
	tcase_add_checked_fixture(tc, setup_, teardown);
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

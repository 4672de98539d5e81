/* unit_conf_diff: what a reload changes, and what it does not. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_fixture.h"

static const char before[] = "[jobqd]\nlease = 30s\n[queue null]\nworkers = 2\n[queue sms]\ngateway_url = http://h/\ngateway_user = u\n"
			     "gateway_password = env:PW\n";

struct expect {
	const char *text;
	const char *restart;
	bool anything, dispatcher, all;
	enum conf_change queues[3];
};

#define SMS "[queue sms]\ngateway_url = http://h/\ngateway_user = u\ngateway_password = env:PW\n"

static const struct expect cases[] = {
	{"# moved\n[jobqd]\nlease = 30000ms # said otherwise\n\n[queue *]\nworkers = 2\n[queue null]\n" SMS "workers = 5", "", false, false, false,
		{CONF_SAME, CONF_SAME}},
	{"[jobqd]\nlease = 31s\n[queue null]\nworkers = 2\n" SMS, "", true, true, false, {CONF_SAME, CONF_SAME}},
	{"[jobqd]\nshutdown_timeout = 31s\n[queue null]\nworkers = 3\n" SMS, "", true, false, false, {CONF_SAME, CONF_SAME}},
	{"[jobqd]\nlog_level = debug\n[queue null]\nworkers = 2\n" SMS, "", true, false, true, {CONF_SAME, CONF_SAME}},
	{"[jobqd]\ndatabase = host=h\nnode = other\n[queue null]\nworkers = 2\n" SMS, "jobqd.database", true, false, false, {CONF_SAME, CONF_SAME}},
	{"[queue null]\nworkers = 2\nrate_limit = 5/s\n" SMS, "", true, true, false, {CONF_SAME, CONF_SAME}},
	{"[queue null]\nworkers = 2\n" SMS "from = me\n", "", true, false, false, {CONF_SAME, CONF_CHANGED}},
	{"[queue null]\nworkers = 2\n" SMS "on_uncertain = retry\n", "", true, true, false, {CONF_SAME, CONF_CHANGED}},
	{"[queue null]\nworkers = 2\nretry_backoff = linear 5s..1h\n" SMS, "", true, true, false, {CONF_SAME, CONF_SAME}},
	{"[queue null]\nworkers = 2\njob_timeout = 1min\n[queue sleep]\n" SMS, "", true, true, false, {CONF_CHANGED, CONF_ADDED, CONF_SAME}},
	{"[queue null]\nworkers = 2\n", "", true, true, false, {CONF_SAME}},
	{"[tenants]\nsource = a.b\n[queue null]\nworkers = 2\n" SMS, "", true, true, false, {CONF_SAME, CONF_SAME}},
	{"[queue null]\nworkers = 2\npreset = standard\n" SMS, "", true, true, false, {CONF_SAME, CONF_SAME}},
	{SMS "[queue null]\nworkers = 2\n", "", false, false, false, {CONF_SAME, CONF_SAME}},
};

static struct conf *load(const char *text, const char *password)
{
	char err[CONF_ERROR_MAX];
	struct conf *conf;

	fixture_env[0] = (char *)password;
	fixture_put("c.conf", "%s", text);
	conf = conf_load(fixture_path("c.conf"), fixture_environment(), err);
	ck_assert_msg(conf != NULL, "%s", err);
	return conf;
}

START_TEST(a_reload_changes_what_it_must)
{
	const struct expect *e = &cases[_i];
	struct conf *a = load(before, "PW=x"), *b = load(e->text, "PW=x");
	struct conf_diff diff;

	conf_diff_make(a, b, &diff);
	ck_assert_str_eq(diff.restart_key, e->restart);
	ck_assert_int_eq(diff.anything, e->anything);
	ck_assert_int_eq(diff.dispatcher, e->dispatcher);
	ck_assert_int_eq(diff.all, e->all);
	for (size_t i = 0; i < b->nqueues; i++)
		ck_assert_int_eq(diff.queues[i], e->queues[i]);
	conf_diff_free(&diff);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(a_new_secret_behind_the_same_reference_is_a_change)
{
	struct conf *a = load(before, "PW=x"), *b = load(before, "PW=y");
	struct conf_diff diff;

	conf_diff_make(a, b, &diff);
	ck_assert(diff.anything && !diff.dispatcher);
	ck_assert_int_eq(diff.queues[0], CONF_SAME);
	ck_assert_int_eq(diff.queues[1], CONF_CHANGED);
	conf_diff_free(&diff);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(a_pool_rolls_the_workers_that_use_it)
{
	static const char text[] = "[queue a]\nhandler = import\nallow_url = on\ntables = t\npool = %s\n[queue null]\n[pool p]\nmax = %d\n[pool q]\nmax = 9\n";
	struct conf_diff diff;
	char first[256], second[256];

	for (int i = 0; i < 3; i++) { /* nothing, another size, another pool of the old one's size */
		snprintf(first, sizeof first, text, "p", 9);
		snprintf(second, sizeof second, text, i == 2 ? "q" : "p", i == 1 ? 8 : 9);
		struct conf *a = load(first, "PW=x"), *b = load(second, "PW=x");
		conf_diff_make(a, b, &diff);
		ck_assert(diff.anything == (i > 0) && !diff.dispatcher);
		ck_assert_int_eq(diff.queues[0], i > 0 ? CONF_CHANGED : CONF_SAME);
		ck_assert_int_eq(diff.queues[1], CONF_SAME);
		conf_diff_free(&diff);
		conf_free(a);
		conf_free(b);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_diff");
	TCase *tc = tcase_create("diff");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, fixture_open, fixture_close);
	tcase_add_loop_test(tc, a_reload_changes_what_it_must, 0, sizeof cases / sizeof cases[0]);
	tcase_add_test(tc, a_pool_rolls_the_workers_that_use_it);
	tcase_add_test(tc, a_new_secret_behind_the_same_reference_is_a_change);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

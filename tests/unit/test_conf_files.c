/* unit_conf_files: the files that are made from the table are as the program makes them, and those that ship load. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "conf/manual.h"
#include "conf/table.h"
#include "conf_fixture.h"

static struct buf file, printed;

static void read_source(const char *name)
{
	const char *top = getenv("srcdir");
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/%s", top ? top : ".", name);

	ck_assert(n > 0 && (size_t)n < sizeof path);
	buf_reset(&file);
	ck_assert_msg(io_read_file(path, 1 << 20, &file) == 0, "cannot read %s", path);
}

static void print(void (*printer)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(out);
	printer(out);
	ck_assert_int_eq(fclose(out), 0);
	buf_reset(&printed);
	buf_add(&printed, text, len);
	free(text);
}

static void compare(const char *name, void (*printer)(FILE *out))
{
	read_source(name);
	print(printer);
	ck_assert_msg(file.len == printed.len && memcmp(file.data, printed.data, file.len) == 0,
		"%s is not what the table makes; run `make conf-generated` and look at the difference", name);
}

static void release(void)
{
	buf_free(&file);
	buf_free(&printed);
	fixture_close();
}

START_TEST(the_sample_is_what_the_table_makes)
{
	compare("etc/jobqd.conf", conf_print_sample);
}
END_TEST

START_TEST(the_manual_is_what_the_table_makes)
{
	compare("docs/jobqd.conf.5", conf_manual_print);
}
END_TEST

/* A handler that this version has knows the key. */
static bool has_owner(const struct conf_key *key)
{
	for (size_t i = 0; i < conf_nhandlers; i++)
		if (conf_handlers[i].now && conf_table_applies(key, conf_handlers[i].name))
			return true;
	return false;
}

START_TEST(every_key_stands_in_both)
{
	struct buf sample = {0};
	char word[128];

	print(conf_print_sample);
	buf_add(&sample, printed.data, printed.len);
	print(conf_manual_print);
	for (size_t i = 0; i < CONF_KEYS; i++) {
		int n = snprintf(word, sizeof word, "%s =", conf_table[i].name);
		bool expected = conf_table[i].now && has_owner(&conf_table[i]);

		ck_assert(n > 0 && (size_t)n < sizeof word);
		if (!expected)
			continue;
		ck_assert_msg(strstr(buf_str(&sample), word) != NULL, "no %s in the sample", conf_table[i].name);
		snprintf(word, sizeof word, "\\fB%s\\fR (", conf_table[i].name);
		ck_assert_msg(strstr(buf_str(&printed), word) != NULL, "no %s in the manual", conf_table[i].name);
	}
	buf_free(&sample);
}
END_TEST

START_TEST(the_sample_loads)
{
	struct conf *c;

	read_source("etc/jobqd.conf");
	c = fixture_load(buf_str(&file));
	ck_assert_uint_eq(c->nqueues, 1);
	ck_assert_str_eq(c->queues[0]->name, "sms");
	ck_assert_int_eq(c->queues[0]->k.rate_limit.count, 50);
	ck_assert_int_eq(c->queues[0]->k.rate_burst, 5);
	ck_assert_int_eq(c->queues[0]->k.driver, CONF_DRIVER_KANNEL);
	ck_assert_str_eq(c->queues[0]->k.gateway_url, "http://127.0.0.1:13013/cgi-bin/sendsms");
}
END_TEST

/* Queues that the sample shows, but whose handlers want more than defaults, or have one of their own for what all queues have. */
static const char *const needs[][2] = {
	{"[queue sync]", "tables = inventory\ntenant_column = store_id\njob_timeout = 5min"},
	{"[queue email]", "smtp_url = smtp://localhost"},
	{"[queue exec]", "command = /bin/cat"},
	{"[queue http]", "url = http://127.0.0.1/hook"},
	{"[queue import]", "tables = products\nimport_dir = /srv\njob_timeout = 1h\nbatch_size = 1\nbatch_min = 1\nbatch_adaptive = off"},
	{"[queue sql]", "function = shop.take"},
};

static const char *need(const char *line)
{
	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
		if (strcmp(line, needs[i][0]) == 0)
			return needs[i][1];
	return "";
}

/* What is commented out are the defaults: without the #, every line with a value loads and changes nothing. */
START_TEST(the_sample_tells_the_defaults)
{
	struct conf *plain, *full;
	struct conf_diff diff;
	struct buf text = {0};
	char err[CONF_ERROR_MAX];

	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
		buf_printf(&text, "%s\n%s\n", needs[i][0], needs[i][1]);
	read_source("etc/jobqd.conf");
	fixture_put("plain.conf", "%s\n[pool main]\n[queue null]\n[queue sleep]\n%s", buf_str(&file), buf_str(&text));
	buf_reset(&text);
	for (char *line = file.data, *next; line < file.data + file.len; line = next) {
		size_t len = strcspn(line, "\n");

		next = line + len + 1;
		line[len] = '\0';
		if (line[0] == '#' && line[1] != ' ' && line[1] != '\0' && line[len - 1] != '=' && strstr(line, "_dir =") == NULL)
			line++;
		buf_printf(&text, "%s\n%s\n", line, need(line));
	}
	fixture_put("full.conf", "%s", buf_str(&text));
	plain = conf_load(fixture_path("plain.conf"), fixture_environment(), err);
	ck_assert_msg(plain != NULL, "%s", err);
	full = conf_load(fixture_path("full.conf"), fixture_environment(), err);
	ck_assert_msg(full != NULL, "%s", err);
	ck_assert_uint_eq(full->nqueues, 3 + sizeof needs / sizeof needs[0]);
	conf_diff_make(plain, full, &diff);
	ck_assert(!diff.anything);
	conf_diff_free(&diff);
	conf_free(plain);
	conf_free(full);
	buf_free(&text);
}
END_TEST

START_TEST(the_minimal_configuration_loads)
{
	struct conf *c;

	read_source("etc/jobqd-minimal.conf");
	c = fixture_load(buf_str(&file));
	ck_assert_str_eq(c->jobqd.database, "embedded");
	ck_assert_uint_eq(c->nqueues, 1);
	ck_assert_str_eq(c->queues[0]->k.handler, "null");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_files");
	TCase *tc = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, fixture_open, release);
	tcase_add_test(tc, the_sample_is_what_the_table_makes);
	tcase_add_test(tc, the_manual_is_what_the_table_makes);
	tcase_add_test(tc, every_key_stands_in_both);
	tcase_add_test(tc, the_sample_loads);
	tcase_add_test(tc, the_sample_tells_the_defaults);
	tcase_add_test(tc, the_minimal_configuration_loads);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

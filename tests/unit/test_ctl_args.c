/*
 * unit_ctl_args: the command line by the table, jobs as JSON lines, and what is written from the table: help, completion,
 * manual. Paths are relative to the source tree (SOURCE_DIR).
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "jobqctl/args.h"
#include "jobqctl/completion.h"
#include "jobqctl/ctl.h"
#include "jobqctl/find.h"
#include "jobqctl/jobline.h"

static struct args args;
static char err[512];

/* splits at single blanks; '' stands for an empty word */
static int parse(const char *line)
{
	static char copy[512], *argv[64];
	int argc = 1;

	args_free(&args);
	(void)snprintf(copy, sizeof copy, "%s", line);
	argv[0] = copy;
	for (char *word = strtok(copy, " "); word != NULL && argc < 63; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
	argv[argc] = NULL;
	err[0] = '\0';
	return args_parse(&args, argc, argv, err, sizeof err);
}

static void sends(const char *want)
{
	char *text = json_dumps(args.sent, JSON_SORT_KEYS | JSON_COMPACT);

	ck_assert_str_eq(text, want);
	free(text);
}

static void refused(const char *line, const char *why)
{
	ck_assert_msg(parse(line) == -1, "%s was taken", line);
	ck_assert_msg(strstr(err, why) != NULL, "\"%s\" does not say \"%s\"", err, why);
}

START_TEST(options_go_where_the_table_says)
{
	ck_assert_int_eq(parse("jobs --queue sms --since 90s --limit=7 --tenant ''"), 0);
	sends("{\"limit\":7,\"queue\":\"sms\",\"since_s\":90.0,\"tenant\":\"\"}");
	ck_assert_int_eq(parse("--json pause sms --for 2h30m --reason x -s /run/x.sock"), 0);
	sends("{\"for_s\":9000.0,\"reason\":\"x\"}");
	ck_assert(args.json);
	ck_assert_str_eq(args.socket, "/run/x.sock");
	ck_assert_uint_eq(args.nwords, 1);
	ck_assert_str_eq(args.words[0], "sms");
	ck_assert_int_eq(parse("-c/etc/x.conf stop --now --wait 10s --json"), 0);
	sends("{\"now\":true}");
	ck_assert_str_eq(args.config, "/etc/x.conf");
	ck_assert_str_eq(args_value(&args, "wait"), "10s");
	ck_assert_ptr_null(args_value(&args, "nothing"));
	ck_assert_int_eq(parse("jobs -o id,queue"), 0);
	ck_assert_str_eq(args_value(&args, "columns"), "id,queue");
	ck_assert_int_eq(parse("cancel - --dry-run"), 0);
	ck_assert_str_eq(args.words[0], "-");
	ck_assert_int_eq(parse("enqueue sms -- -5"), 0);
	ck_assert_str_eq(args.words[1], "-5");
}
END_TEST

START_TEST(mistakes_are_told_with_the_nearest_name)
{
	refused("staus", "did you mean \"status\"?");
	refused("jobs --tennant x", "did you mean --tenant?");
	refused("jobs --queue", "--queue needs a value (Q)");
	refused("jobs --limit 0", "not a number above 0");
	refused("jobs --limit 12x", "not a number above 0");
	refused("jobs --since 5", "not a duration");
	refused("jobs --since 0", "not a duration");
	refused("jobs --queue a --queue b", "twice");
	refused("stop --now=1", "takes no value");
	refused("status -x", "unknown option -x");
	refused("--watch status", "stand after it");
	refused("jobs --queue \xff", "not UTF-8");
	refused("-s", "needs a path");
}
END_TEST

START_TEST(later_commands_are_known)
{
	ck_assert_int_eq(parse("work --max-jobs 10"), 0); /* main says that it is not in this version */
	ck_assert(!args.command->here);
	ck_assert_str_eq(args.command->verb, "work");
	ck_assert_ptr_null(command_find("hello")); /* of the socket only */
}
END_TEST

START_TEST(ids)
{
	ck_assert(ctl_is_id("1") && ctl_is_id("9223372036854775807"));
	ck_assert(!ctl_is_id("0") && !ctl_is_id("-1") && !ctl_is_id("") && !ctl_is_id("1x") && !ctl_is_id(" 1") && !ctl_is_id("+1"));
	ck_assert(!ctl_is_id("9223372036854775808") && !ctl_is_id("01"));
}
END_TEST

static void line_becomes(const char *line, json_t *defaults, const char *want)
{
	struct buf out = {0};

	ck_assert_msg(jobline_add(&out, line, strlen(line), defaults, err, sizeof err) == 0, "%s: %s", line, err);
	ck_assert_str_eq(buf_str(&out), want);
	json_t *again = json_loads(buf_str(&out), JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	ck_assert_ptr_nonnull(again);
	json_decref(again);
	buf_free(&out);
}

static void line_refused(const char *line, const char *why)
{
	struct buf out = {0};

	ck_assert_msg(jobline_add(&out, line, strlen(line), NULL, err, sizeof err) == -1, "%s was taken", line);
	ck_assert_msg(strstr(err, why) != NULL, "\"%s\" does not say \"%s\"", err, why);
	buf_free(&out);
}

START_TEST(lines_keep_their_text)
{
	json_t *defaults = json_pack("{s:s,s:s}", "queue", "sms", "tenant_id", "a\"b");

	line_becomes("{\"payload\":{\"price\":0.10,\"big\":12345678901234567890123,\"e\":1e2}}", defaults,
		"{\"queue\":\"sms\",\"tenant_id\":\"a\\\"b\",\"payload\":{\"price\":0.10,\"big\":12345678901234567890123,\"e\":1e2}}");
	line_becomes("  { }  ", defaults, "{\"queue\":\"sms\",\"tenant_id\":\"a\\\"b\" }  ");
	line_becomes("{\"queue\":\"mail\",\"tenant_id\":null}", defaults, "{\"queue\":\"mail\",\"tenant_id\":null}"); /* said is said */
	line_becomes("{\"queue\":\"x\"}", NULL, "{\"queue\":\"x\"}");
	json_decref(defaults);
}
END_TEST

START_TEST(wrong_lines_are_refused)
{
	line_refused("[1]", "not a JSON object");
	line_refused("5", "not a JSON object");
	line_refused("{\"payload\":}", "not JSON");
	line_refused("{} {}", "not JSON");
	line_refused("{\"payload\":\"\xff\"}", "not JSON");
	line_refused("{\"payload\":\"\\u0000\"}", "not JSON");
	line_refused("{\"paylaod\":{}}", "did you mean \"payload\"?");
	line_refused("{\"xyzzy\":{}}", "argument names of jobq.enqueue");
}
END_TEST

START_TEST(one_job_of_the_command_line)
{
	json_t *defaults = json_pack("{s:s}", "queue", "sms");
	struct buf out = {0};

	ck_assert_int_eq(jobline_single(&out, "{\"to\":1.50}", defaults, err, sizeof err), 0);
	ck_assert_str_eq(buf_str(&out), "{\"queue\":\"sms\",\"payload\":{\"to\":1.50}}");
	buf_reset(&out);
	ck_assert_int_eq(jobline_single(&out, NULL, defaults, err, sizeof err), 0);
	ck_assert_str_eq(buf_str(&out), "{\"queue\":\"sms\"}");
	ck_assert_int_eq(jobline_single(&out, "{\"to\":", defaults, err, sizeof err), -1);
	buf_free(&out);
	json_decref(defaults);
}
END_TEST

/* what a function prints, in memory the caller frees */
static char *printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(out);
	print(out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static void check_width(const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		bool path = memmem(text, len, "jobqd.conf", 10) != NULL; /* as long as the prefix that was configured */
		ck_assert_msg(len <= 80 || path, "wider than 80: %.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

START_TEST(help_fits)
{
	char *text = printed(command_list);

	check_width(text);
	ck_assert_ptr_nonnull(strstr(text, "\n  status "));
	ck_assert_ptr_null(strstr(text, "cron"));
	free(text);
	for (int id = 0; id < COMMAND_COUNT; id++) {
		size_t len;
		FILE *out = open_memstream(&text, &len);
		ck_assert_ptr_nonnull(out);
		command_help(command_of((enum command_id)id), out);
		ck_assert_int_eq(fclose(out), 0);
		check_width(text);
		free(text);
	}
}
END_TEST

START_TEST(committed_completion_is_this_one)
{
	struct buf file = {0};
	char *text = printed(completion_bash);

	ck_assert_int_eq(io_read_file(SOURCE_DIR "/contrib/completion/jobqctl", 1 << 20, &file), 0);
	ck_assert_msg(strcmp(buf_str(&file), text) == 0, "write it again: jobqctl --bash-completion > contrib/completion/jobqctl");
	buf_free(&file);
	free(text);
}
END_TEST

/* the manual writes - as \- in options */
static void check_manual(const char *manual, const char *before, const char *name, const char *what)
{
	char word[128];
	size_t at = strlen(before);

	memcpy(word, before, at);
	for (; *name != '\0' && at < sizeof word - 3; name++) {
		if (*name == '-')
			word[at++] = '\\';
		word[at++] = *name;
	}
	word[at] = '\0';
	ck_assert_msg(strstr(manual, word) != NULL, "jobqctl.1 does not have the %s %s", what, word);
}

START_TEST(the_manual_has_everything)
{
	struct buf file = {0};
	const struct option_def *all;
	size_t n = command_options(&all);

	ck_assert_int_eq(io_read_file(SOURCE_DIR "/docs/jobqctl.1", 1 << 20, &file), 0);
	for (int id = 0; id < COMMAND_COUNT; id++) {
		const struct command *command = command_of((enum command_id)id);
		if (command->here && command->help[0] != '\0')
			check_manual(buf_str(&file), "", command->verb, "command");
	}
	for (size_t i = 0; i < n; i++)
		check_manual(buf_str(&file), "\\-\\-", all[i].name, "option");
	buf_free(&file);
}
END_TEST

static void write_config(const char *path, const char *text)
{
	ck_assert_int_eq(io_write_file(path, text, strlen(text), 0600), 0);
}

START_TEST(the_socket_is_found)
{
	char path[64];
	char *found;

	(void)snprintf(path, sizeof path, "/tmp/unit-ctl-args-%ld.conf", (long)getpid());
	ck_assert_int_eq(unsetenv("JOBQ_SOCKET"), 0);
	ck_assert_int_eq(unsetenv("JOBQ_RUN_DIR"), 0);
	write_config(path, "[jobqd]\nrun_dir = /run/shop/\n");
	found = find_socket(NULL, path, err, sizeof err);
	ck_assert_str_eq(found, "/run/shop/jobqd.sock");
	free(found);
	write_config(path, "[jobqd]\nrun_dir = /run/shop # here\nno_such_key = 1\n[queue x]\nrun_dir = /wrong\n"); /* broken: still found */
	found = find_socket(NULL, path, err, sizeof err);
	ck_assert_str_eq(found, "/run/shop/jobqd.sock");
	free(found);
	ck_assert_int_eq(setenv("JOBQ_SOCKET", "/run/env.sock", 1), 0);
	found = find_socket(NULL, path, err, sizeof err); /* named is named */
	ck_assert_str_eq(found, "/run/shop/jobqd.sock");
	free(found);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_ptr_null(find_socket(NULL, path, err, sizeof err));
	found = find_socket(NULL, NULL, err, sizeof err);
	ck_assert_str_eq(found, "/run/env.sock");
	free(found);
	found = find_socket("x.sock", path, err, sizeof err);
	ck_assert_str_eq(found, "x.sock");
	free(found);
	found = find_run_dir("/run/jobq/jobqd.sock");
	ck_assert_str_eq(found, "/run/jobq");
	free(found);
	found = find_run_dir("jobqd.sock");
	ck_assert_str_eq(found, ".");
	free(found);
}
END_TEST

static void teardown(void)
{
	args_free(&args);
}

int main(void)
{
	Suite *suite = suite_create("ctl_args");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, NULL, teardown);
	tcase_add_test(all, options_go_where_the_table_says);
	tcase_add_test(all, mistakes_are_told_with_the_nearest_name);
	tcase_add_test(all, later_commands_are_known);
	tcase_add_test(all, ids);
	tcase_add_test(all, lines_keep_their_text);
	tcase_add_test(all, wrong_lines_are_refused);
	tcase_add_test(all, one_job_of_the_command_line);
	tcase_add_test(all, help_fits);
	tcase_add_test(all, committed_completion_is_this_one);
	tcase_add_test(all, the_manual_has_everything);
	tcase_add_test(all, the_socket_is_found);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

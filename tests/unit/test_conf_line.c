/* unit_conf_line: the grammar of one line, and that what is quoted is read back. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/line.h"

struct expect {
	const char *text;
	enum conf_line_kind kind;
	const char *name, *arg;
};

static const struct expect good[] = {
	{"", CONF_LINE_EMPTY, "", ""},
	{"  \t", CONF_LINE_EMPTY, "", ""},
	{"# [x]", CONF_LINE_EMPTY, "", ""},
	{"  ; a = b", CONF_LINE_EMPTY, "", ""},
	{"[jobqd]", CONF_LINE_SECTION, "jobqd", ""},
	{"  [ queue   sms ]  # text", CONF_LINE_SECTION, "queue", "sms"},
	{"[queue *] ; text", CONF_LINE_SECTION, "queue", "*"},
	{"[]", CONF_LINE_SECTION, "", ""},
	{"%include conf.d/*.conf", CONF_LINE_INCLUDE, "", "conf.d/*.conf"},
	{"%include\t\"a b\" # c", CONF_LINE_INCLUDE, "", "a b"},
	{"a=b", CONF_LINE_KEY, "a", "b"},
	{"  a  =  b c  ", CONF_LINE_KEY, "a", "b c"},
	{"a = b # c", CONF_LINE_KEY, "a", "b"},
	{"a = b\t; c", CONF_LINE_KEY, "a", "b"},
	{"a = b#c;d", CONF_LINE_KEY, "a", "b#c;d"},
	{"a =", CONF_LINE_KEY, "a", ""},
	{"a = # c", CONF_LINE_KEY, "a", ""},
	{"a =#c", CONF_LINE_KEY, "a", ""},
	{"a = b = c", CONF_LINE_KEY, "a", "b = c"},
	{"a = \"b # c\"", CONF_LINE_KEY, "a", "b # c"},
	{"a = \"b \\\"c\\\" \\\\ \\d\" ; e", CONF_LINE_KEY, "a", "b \"c\" \\ \\d"},
	{"a = \"\"", CONF_LINE_KEY, "a", ""},
	{"a = {\"t\": \"x # y\"} # c", CONF_LINE_KEY, "a", "{\"t\": \"x # y\"}"},
	{"a = {\"t\": \"\\\" ; \"} ; c", CONF_LINE_KEY, "a", "{\"t\": \"\\\" ; \"}"},
	{"a = 5\" pipe", CONF_LINE_KEY, "a", "5\" pipe"},
};

static const char *const wrong[] = {
	"[jobqd", "[jobqd] x", "jobqd", "= b", "%include", "%include ", "%include # x", "a = \"b", "a = \"b\" c", "a = \"b\\\"", "a = 5\" # x",
};

START_TEST(lines_are_read)
{
	const struct expect *e = &good[_i];
	char *text = xstrdup(e->text);
	struct conf_line line = conf_line_parse(text);

	ck_assert_msg(line.kind == e->kind, "%s: kind %d: %s", e->text, (int)line.kind, line.arg);
	ck_assert_str_eq(line.name, e->name);
	ck_assert_str_eq(line.arg, e->arg);
	free(text);
}
END_TEST

START_TEST(wrong_lines_say_why)
{
	char *text = xstrdup(wrong[_i]);
	struct conf_line line = conf_line_parse(text);

	ck_assert_msg(line.kind == CONF_LINE_BAD, "%s: kind %d", wrong[_i], (int)line.kind);
	ck_assert_uint_gt(strlen(line.arg), 10);
	free(text);
}
END_TEST

static const char *const values[] = {
	"", "a", "a b", " a", "a ", "\ta", "#", "a #", "a # b", ";", "a ; b", "a#b", "\"", "a\"", "a\"b", "\"a\"", "a \"# b\"",
	"{\"t\": \"{to}\"}", "a\\", "\\", "\"\\", "a \\\" # b", "a\\\"b # \"", "\xc3\xa4 # \xe2\x82\xac", "[x]", "%include x", "= a =",
};

START_TEST(quoted_values_are_read_back)
{
	struct buf buf = {0};
	struct conf_line line;

	buf_puts(&buf, "key = ");
	conf_line_quote(&buf, values[_i]);
	buf_puts(&buf, "  # \"origin\" # x");
	(void)buf_str(&buf);
	line = conf_line_parse(buf.data);
	ck_assert_msg(line.kind == CONF_LINE_KEY, "%s: %s", values[_i], line.arg);
	ck_assert_str_eq(line.arg, values[_i]);
	buf_free(&buf);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused)
{
	char longest[CONF_LINE_MAX + 1];

	memset(longest, 'a', sizeof longest);
	ck_assert_ptr_null(conf_line_problem(longest, CONF_LINE_MAX));
	ck_assert_str_eq(conf_line_problem(longest, CONF_LINE_MAX + 1), "is longer than 8192 bytes");
	ck_assert_ptr_null(conf_line_problem("a\t\xc3\xa4", 4));
	ck_assert_str_eq(conf_line_problem("a\0b", 3), "holds a NUL byte");
	ck_assert_str_eq(conf_line_problem("\xe4", 1), "is not UTF-8");
	ck_assert_str_eq(conf_line_problem("a\rb", 3), "holds a control character");
	ck_assert_str_eq(conf_line_problem("\x7f", 1), "holds a control character");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_line");
	TCase *tc = tcase_create("line");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, lines_are_read, 0, sizeof good / sizeof good[0]);
	tcase_add_loop_test(tc, wrong_lines_say_why, 0, sizeof wrong / sizeof wrong[0]);
	tcase_add_loop_test(tc, quoted_values_are_read_back, 0, sizeof values / sizeof values[0]);
	tcase_add_test(tc, bytes_that_are_no_text_are_refused);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

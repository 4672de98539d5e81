/* unit_argv: commands cut into words. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/argv.h"

static const struct { const char *text, *words; } good[] = { /* words joined by | */
	{"/bin/true", "/bin/true"},
	{"  /bin/echo \t a  b ", "/bin/echo|a|b"},
	{"/bin/echo 'a b' \"c d\" e\\ f", "/bin/echo|a b|c d|e f"},
	{"'/a b'/c\"d\"e", "/a b/cde"},
	{"/x '' \"\"", "/x||"},
	{"/x \"a\\\"b\\\\c\\d\" '\\'", "/x|a\"b\\c\\d|\\"},
	{"/x $HOME ~ * | ; > &", "/x|$HOME|~|*|||;|>|&"},
	{"a", "a"},
	{"ä ö", "ä|ö"},
};

START_TEST(words_are_cut)
{
	const char *why = NULL, *want = good[_i].words;
	char **words = argv_split(good[_i].text, &why);

	ck_assert_ptr_nonnull(words);
	for (char **w = words; *w != NULL; w++) {
		ck_assert_msg(strncmp(want, *w, strlen(*w)) == 0, "\"%s\" is not at the head of \"%s\"", *w, want);
		want += strlen(*w);
		ck_assert_int_eq(*want, w[1] == NULL ? '\0' : '|');
		want += w[1] != NULL;
	}
	free(words);
}
END_TEST

static const struct { const char *text, *why; } bad[] = {
	{"", "it is empty"}, {" \t ", "it is empty"}, {"/x 'a", "a single quote is not closed"}, {"/x \"a\\\"", "a double quote is not closed"},
	{"/x \\", "it ends with a backslash"},
};

START_TEST(nonsense_is_refused)
{
	const char *why = NULL;

	ck_assert_ptr_null(argv_split(bad[_i].text, &why));
	ck_assert_str_eq(why, bad[_i].why);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("argv");
	TCase *t = tcase_create("argv");

	tcase_add_loop_test(t, words_are_cut, 0, (int)(sizeof good / sizeof good[0]));
	tcase_add_loop_test(t, nonsense_is_refused, 0, (int)(sizeof bad / sizeof bad[0]));
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

/* unit_ident: names of tables, as people write them and as they may stand in a statement. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define Q63 "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"" \
	    "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""

static const struct {
	const char *text, *quoted; /* NULL: no name */
} cases[] = {
	{"jobq.tenants", "\"jobq\".\"tenants\""},
	{"Shop.STORES_2", "\"shop\".\"stores_2\""},
	{"_a$1.b$", "\"_a$1\".\"b$\""},
	{"\"Shop\".\"my \"\"stores\"\"; --\"", "\"Shop\".\"my \"\"stores\"\"; --\""},
	{"a.\"b.c\"", "\"a\".\"b.c\""},
	{"\"\xc3\xa4\".b", "\"\xc3\xa4\".\"b\""},
	{A63 "." A63, "\"" A63 "\".\"" A63 "\""},
	{"\"" Q63 "\".\"" Q63 "\"", "\"" Q63 "\".\"" Q63 "\""},
	{A63 "a.b", NULL}, {"a.\"" A63 "a\"", NULL}, {"", NULL}, {"tenants", NULL}, {".", NULL}, {"a.", NULL}, {".b", NULL}, {"a.b.c", NULL},
	{"a. b", NULL}, {"a .b", NULL}, {" a.b", NULL}, {"a.b ", NULL}, {"1a.b", NULL}, {"$a.b", NULL}, {"a-b.c", NULL}, {"a.b;", NULL},
	{"\"\".b", NULL}, {"\"a.b", NULL}, {"a.\"b", NULL}, {"a.\"b\"\"", NULL}, {"\"a\"x.b", NULL}, {"\xc3\xa4.b", NULL}, {"a'.b", NULL},
};

START_TEST(a_name_is_quoted_or_refused)
{
	char dst[IDENT_RELATION_MAX];

	ck_assert_int_eq(ident_relation(cases[_i].text, dst, sizeof dst), cases[_i].quoted != NULL);
	ck_assert_str_eq(dst, cases[_i].quoted ? cases[_i].quoted : "");
}
END_TEST

START_TEST(room_is_respected)
{
	char dst[16];

	memset(dst, 'x', sizeof dst);
	ck_assert(!ident_relation("ab.cd", dst, 9)); /* "ab"."cd" has 9 bytes and its end */
	ck_assert_str_eq(dst, "");
	ck_assert_int_eq(dst[9], 'x');
	ck_assert(ident_relation("ab.cd", dst, 10));
	ck_assert_str_eq(dst, "\"ab\".\"cd\"");
	dst[0] = 'x';
	ck_assert(!ident_relation("ab.cd", dst, 0));
	ck_assert_int_eq(dst[0], 'x');
}
END_TEST

START_TEST(any_name_can_be_quoted)
{
	struct buf sql = {0};

	ident_quote(&sql, "a\"; DROP TABLE b --");
	ident_quoten(&sql, "\"\"x", 2);
	ident_quote(&sql, "");
	ck_assert_str_eq(buf_str(&sql), "\"a\"\"; DROP TABLE b --\"" "\"\"\"\"\"\"" "\"\"");
	buf_free(&sql);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ident");
	TCase *tc = tcase_create("ident");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, a_name_is_quoted_or_refused, 0, sizeof cases / sizeof cases[0]);
	tcase_add_test(tc, room_is_respected);
	tcase_add_test(tc, any_name_can_be_quoted);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

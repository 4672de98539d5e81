/*
 * tests/unit/test_text.c: strangers' text made safe (src/base/text.c).
 *
 * Tables of bytes with what each must become; and laws that hold for any bytes and any size: the result is strict
 * UTF-8, terminated, and within its size.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define N(table) (sizeof(table) / sizeof(table)[0])
#define S(literal) (literal), sizeof(literal) - 1
#define FFFD "\xef\xbf\xbd"

static const struct { const char *text; size_t len; const char *clean; bool good; } utf8[] = {
	{S(""), "", true},
	{S("plain\n\t"), "plain\n\t", true},
	{S("\xc2\x80 \xc3\xa9 \xdf\xbf"), "\xc2\x80 \xc3\xa9 \xdf\xbf", true},
	{S("\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbf"), "\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbf", true},
	{S("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true},
	{S("\xed\x9f\xbf\xee\x80\x80"), "\xed\x9f\xbf\xee\x80\x80", true}, /* around the surrogates */
	{S("a\0b"), "ab", false},
	{S("\0"), "", false},
	{S("\xc0\x80"), FFFD FFFD, false},                          /* overlong NUL */
	{S("\xc0\xaf"), FFFD FFFD, false},                          /* overlong / */
	{S("\xc1\xbf"), FFFD FFFD, false},
	{S("\xe0\x80\xaf"), FFFD FFFD FFFD, false},
	{S("\xe0\x9f\xbf"), FFFD FFFD FFFD, false},
	{S("\xf0\x80\x80\xaf"), FFFD FFFD FFFD FFFD, false},
	{S("\xf0\x8f\xbf\xbf"), FFFD FFFD FFFD FFFD, false},
	{S("\xed\xa0\x80"), FFFD FFFD FFFD, false},                 /* surrogates */
	{S("\xed\xaf\xbf\xed\xbf\xbf"), FFFD FFFD FFFD FFFD FFFD FFFD, false},
	{S("\xf4\x90\x80\x80"), FFFD FFFD FFFD FFFD, false},        /* beyond U+10FFFF */
	{S("\xf5\x80\x80\x80"), FFFD FFFD FFFD FFFD, false},
	{S("\xfe\xff"), FFFD FFFD, false},
	{S("\x80x"), FFFD "x", false},                              /* a lone continuation */
	{S("\xc3"), FFFD, false},                                   /* cut short */
	{S("\xe2\x82"), FFFD, false},
	{S("\xf0\x9f\x98"), FFFD, false},
	{S("\xe2\x82z"), FFFD "z", false},
	{S("\xf0\x9f\xc3\xa9"), FFFD "\xc3\xa9", false},
	{S("\xc3(\xe9t\xe9)"), FFFD "(" FFFD "t" FFFD ")", false},  /* latin-1 */
};

START_TEST(utf8_and_clean)
{
	char dst[64], *dup;
	size_t n = text_clean(dst, sizeof dst, utf8[_i].text, utf8[_i].len);

	ck_assert_int_eq(text_is_utf8(utf8[_i].text, utf8[_i].len), utf8[_i].good);
	ck_assert_str_eq(dst, utf8[_i].clean);
	ck_assert_uint_eq(n, strlen(utf8[_i].clean));
	dup = text_clean_dup(utf8[_i].text, utf8[_i].len, 1000);
	ck_assert_str_eq(dup, utf8[_i].clean);
	free(dup);
}
END_TEST

/* from exactly sized memory, so that a sanitizer sees one byte too many */
START_TEST(truncated_at_every_byte)
{
	static const char all[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";

	for (size_t len = 0; len < sizeof all; len++) {
		char *exact = malloc(len ? len : 1), dst[64];
		bool whole = len <= 1 || len == 3 || len == 6 || len == 10 || len == 11;

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, all, len);
		ck_assert_msg(text_is_utf8(exact, len) == whole, "%zu", len);
		ck_assert_uint_le(text_clean(dst, sizeof dst, exact, len), len + 2);
		ck_assert(text_is_utf8(dst, strlen(dst)));
		free(exact);
	}
}
END_TEST

START_TEST(clipped_at_every_size)
{
	static const char all[] = "a\xc3\xa9\x1b\xe2\x82\xac\xff\xf0\x9f\x98\x80z";
	char full[64], dst[64];

	text_clean(full, sizeof full, all, sizeof all - 1);
	for (size_t size = 1; size <= sizeof dst; size++) {
		size_t n;

		memset(dst, 'Z', sizeof dst);
		n = text_clean(dst, size, all, sizeof all - 1);
		ck_assert_uint_lt(n, size);
		ck_assert(dst[n] == '\0' && text_is_utf8(dst, n) && memcmp(dst, full, n) == 0);
		ck_assert(size >= sizeof dst || dst[size] == 'Z');
		n = text_printable(dst, size, all, sizeof all - 1);
		ck_assert(n < size && dst[n] == '\0' && text_is_utf8(dst, n));
		ck_assert(n == 0 || dst[n - 1] != '\\');
	}
}
END_TEST

START_TEST(any_bytes)
{
	uint64_t seed = 42;

	for (int i = 0; i < 20000; i++) {
		char src[24], dst[40];
		size_t size;

		for (size_t j = 0; j < sizeof src; j++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			src[j] = (char)(seed >> 56 | (seed >> 40 & 0x80));
		}
		size = 1 + (size_t)(seed >> 20) % sizeof dst;
		ck_assert(text_is_utf8(dst, text_clean(dst, size, src, sizeof src)));
		ck_assert(text_is_utf8(dst, text_printable(dst, size, src, sizeof src)));
		for (const char *p = dst; *p != '\0'; p++)
			ck_assert((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
}
END_TEST

static const struct { const char *text; size_t len; const char *shown; } printable[] = {
	{S("plain \xc3\xa9 \xf0\x9f\x98\x80"), "plain \xc3\xa9 \xf0\x9f\x98\x80"},
	{S("a\nb\tc\rd"), "a\\nb\\tc\\x0dd"},
	{S("\x1b[2J\x1b]0;title\x07"), "\\x1b[2J\\x1b]0;title\\x07"},
	{S("\x7f\xc2\x9b" "31m"), "\\x7f\\x9b31m"},                      /* DEL; C1 CSI */
	{S("nul\0here"), "nul\\x00here"},
	{S("x\xe2\x80\xae" "fdp.exe\xe2\x80\xac"), "x\\u{202e}fdp.exe\\u{202c}"}, /* bidi override */
	{S("\xe2\x81\xa6\xe2\x81\xa9\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f"), "\\u{2066}\\u{2069}\\u{061c}\\u{200e}\\u{200f}"},
	{S("\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf"), "\\u{2028}\\u{2029}\\u{feff}"}, /* line separators, BOM */
	{S("\xff\x1b"), FFFD "\\x1b"},
	{S("\xe2\x80\x8d\xd7\x90"), "\xe2\x80\x8d\xd7\x90"},             /* joiner and Hebrew letters stay */
};

START_TEST(printable_shows)
{
	char dst[128];

	ck_assert_uint_eq(text_printable(dst, sizeof dst, printable[_i].text, printable[_i].len), strlen(printable[_i].shown));
	ck_assert_str_eq(dst, printable[_i].shown);
}
END_TEST

START_TEST(dup_clips)
{
	char *dup = text_clean_dup("\xff\xff\xff\xff", 4, 7);

	ck_assert_str_eq(dup, FFFD FFFD);
	free(dup);
	dup = text_clean_dup("abc", 3, 0);
	ck_assert_str_eq(dup, "");
	free(dup);
}
END_TEST

static const struct { const char *word, *nearest; } words[] = {
	{"emial", "email"}, {"smss", "sms"}, {"sms", "sms"}, {"bach_size", "batch_size"}, {"batch_sze", "batch_size"},
	{"wrokers", "workers"}, {"bufer_max_agee", "buffer_max_age"}, {"xyz", NULL}, {"", NULL}, {"s", NULL}, {"banana", NULL},
	{"sm", "sms"}, {"batchwxyzsize", NULL}, /* 4 edits */
};

START_TEST(nearest)
{
	static const char *const names[] = {"email", "sms", "batch_size", "batch_min", "workers", "buffer_max_age", ""};
	int i = text_nearest(words[_i].word, names, N(names));

	if (words[_i].nearest == NULL)
		ck_assert_int_eq(i, -1);
	else
		ck_assert_str_eq(i < 0 ? "(none)" : names[i], words[_i].nearest);
}
END_TEST

START_TEST(nearest_of_the_very_long)
{
	char word[5000];
	const char *names[] = {word, "sms"};

	memset(word, 'a', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	ck_assert_int_eq(text_nearest(word, names, 2), -1);
	ck_assert_int_eq(text_nearest("smss", names, 2), 1);
	ck_assert_int_eq(text_nearest("smss", names, 0), -1);
}
END_TEST

START_TEST(queue_names)
{
	static const char *const good[] = {"a", "sms", "a-b_c.d9", "systems",
	                                   "a23456789012345678901234567890123456789012345678901234567890123"};
	static const char *const bad[] = {"", "system", "Sms", "9a", "_a", ".a", "a b", "a/b", "a\n", "sms\xc3\xa9", "*",
	                                  "a234567890123456789012345678901234567890123456789012345678901234"};

	for (size_t i = 0; i < N(good); i++)
		ck_assert_msg(text_is_queue_name(good[i]), "%s", good[i]);
	for (size_t i = 0; i < N(bad); i++)
		ck_assert_msg(!text_is_queue_name(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(copies)
{
	char dst[4];

	ck_assert_uint_eq(text_copy(dst, sizeof dst, "ab"), 2);
	ck_assert_str_eq(dst, "ab");
	ck_assert_uint_eq(text_copy(dst, sizeof dst, "abcdef"), 3);
	ck_assert_str_eq(dst, "abc");
	ck_assert_uint_eq(text_copy(dst, 0, "x"), 0);
	ck_assert_str_eq(dst, "abc");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *tc = tcase_create("text");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, utf8_and_clean, 0, (int)N(utf8));
	tcase_add_test(tc, truncated_at_every_byte);
	tcase_add_test(tc, clipped_at_every_size);
	tcase_add_test(tc, any_bytes);
	tcase_add_loop_test(tc, printable_shows, 0, (int)N(printable));
	tcase_add_test(tc, dup_clips);
	tcase_add_loop_test(tc, nearest, 0, (int)N(words));
	tcase_add_test(tc, nearest_of_the_very_long);
	tcase_add_test(tc, queue_names);
	tcase_add_test(tc, copies);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

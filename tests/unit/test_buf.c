/*
 * tests/unit/test_buf.c: buffers, readers and memory (src/base/buf.c, src/base/mem.c).
 *
 * Readers work on memory of the exact size, so that the sanitizers see a byte read too far. Running out of memory must
 * end the process with the promised code.
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jobq/exit.h"

START_TEST(grows_and_keeps)
{
	struct buf b = {0};
	const char *kept;

	for (uint32_t i = 0; i < 10000; i++)
		buf_u32(&b, i);
	ck_assert_uint_eq(b.len, 40000);
	ck_assert_uint_ge(b.cap, b.len);
	for (uint32_t i = 0; i < 10000; i++)
		ck_assert(memcmp(b.data + i * 4, &i, 4) == 0);
	kept = b.data;
	buf_reset(&b);
	buf_reserve(&b, 40000);
	ck_assert_ptr_eq(b.data, kept); /* filled again without an allocation */
	buf_free(&b);
	ck_assert(b.data == NULL && b.len == 0 && b.cap == 0);
	buf_putc(&b, 'x');
	ck_assert_str_eq(buf_str(&b), "x");
	buf_free(&b);
}
END_TEST

START_TEST(texts)
{
	struct buf b = {0};
	char long_text[2000];

	ck_assert_str_eq(buf_str(&b), "");
	buf_add(&b, NULL, 0);
	buf_puts(&b, "");
	ck_assert_uint_eq(b.len, 0);
	memset(long_text, 'y', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	buf_printf(&b, "%d-%s", 7, "a");
	ck_assert_str_eq(buf_str(&b), "7-a");
	buf_printf(&b, "%s", long_text);
	ck_assert_uint_eq(b.len, 3 + sizeof long_text - 1);
	ck_assert_str_eq(buf_str(&b) + 3, long_text);
	for (size_t len = 0; len < 700; len++) { /* across every edge of the first sizes */
		struct buf c = {0};

		buf_printf(&c, "%.*s", (int)len, long_text);
		ck_assert_uint_eq(strlen(buf_str(&c)), len);
		buf_free(&c);
	}
	buf_free(&b);
}
END_TEST

START_TEST(drops)
{
	struct buf b = {0};

	buf_drop(&b, 0);
	buf_puts(&b, "abcdef");
	buf_drop(&b, 2);
	ck_assert_str_eq(buf_str(&b), "cdef");
	buf_drop(&b, 0);
	ck_assert_str_eq(buf_str(&b), "cdef");
	buf_drop(&b, 4);
	ck_assert_uint_eq(b.len, 0);
	buf_free(&b);
}
END_TEST

START_TEST(network_order)
{
	static const unsigned char want[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
	struct buf b = {0};

	buf_u16_be(&b, 0x0102);
	buf_u32_be(&b, 0x03040506);
	buf_u64_be(&b, UINT64_C(0x0708090a0b0c0d0e));
	ck_assert_uint_eq(b.len, sizeof want);
	ck_assert(memcmp(b.data, want, sizeof want) == 0);
	buf_free(&b);
}
END_TEST

static void fill(struct buf *b)
{
	buf_u8(b, 0xfe);
	buf_u16(b, 0xfedc);
	buf_u32(b, 0xfedcba98);
	buf_u64(b, UINT64_C(0xfedcba9876543210));
	buf_i64(b, INT64_MIN);
	buf_bytes(b, "hello", 5);
	buf_bytes(b, NULL, 0);
}

START_TEST(reads_what_was_written)
{
	struct buf b = {0};
	struct rd r;
	const char *p;
	size_t len;

	fill(&b);
	r = rd_of(b.data, b.len);
	ck_assert_uint_eq(rd_u8(&r), 0xfe);
	ck_assert_uint_eq(rd_u16(&r), 0xfedc);
	ck_assert_uint_eq(rd_u32(&r), 0xfedcba98);
	ck_assert(rd_u64(&r) == UINT64_C(0xfedcba9876543210));
	ck_assert(rd_i64(&r) == INT64_MIN);
	p = rd_bytes(&r, &len);
	ck_assert(len == 5 && memcmp(p, "hello", 5) == 0);
	(void)rd_bytes(&r, &len);
	ck_assert(len == 0 && !r.bad && rd_left(&r) == 0);
	ck_assert_uint_eq(rd_u8(&r), 0);
	ck_assert(r.bad);
	buf_free(&b);
}
END_TEST

START_TEST(short_at_every_byte)
{
	struct buf b = {0};

	fill(&b);
	for (size_t cut = 0; cut < b.len; cut++) {
		char *exact = xmalloc(cut);
		struct rd r;
		size_t len;

		memcpy(exact, b.data, cut);
		r = rd_of(exact, cut);
		(void)rd_u8(&r);
		(void)rd_u16(&r);
		(void)rd_u32(&r);
		(void)rd_u64(&r);
		(void)rd_i64(&r);
		(void)rd_bytes(&r, &len);
		ck_assert_ptr_nonnull(rd_bytes(&r, &len));
		ck_assert_msg(r.bad, "cut at %zu", cut);
		ck_assert(len == 0 && rd_left(&r) == 0 && rd_u64(&r) == 0);
		free(exact);
	}
	buf_free(&b);
}
END_TEST

START_TEST(bytes_that_lie)
{
	static const uint32_t lies[] = {4, 5, 0x7fffffff, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct buf b = {0};
		struct rd r;
		size_t len = 99;

		buf_u32(&b, lies[i]);
		buf_add(&b, "abc", 3);
		r = rd_of(b.data, b.len);
		ck_assert_str_eq(rd_bytes(&r, &len), "");
		ck_assert(len == 0 && r.bad);
		buf_free(&b);
	}
}
END_TEST

START_TEST(nothing_to_read)
{
	struct rd r = rd_of(NULL, 0);
	size_t len;

	ck_assert_uint_eq(rd_left(&r), 0);
	ck_assert(!r.bad);
	ck_assert_str_eq(rd_bytes(&r, &len), "");
	ck_assert(r.bad);
}
END_TEST

START_TEST(set_in_place)
{
	struct buf b = {0};

	buf_puts(&b, "abcdefgh");
	buf_set_u32(&b, 2, 0x7a7a7a7a);
	ck_assert_str_eq(buf_str(&b), "abzzzzgh");
	buf_set_u32(&b, 5, 0); /* would end beyond: nothing happens */
	buf_set_u32(&b, SIZE_MAX, 0);
	ck_assert_str_eq(buf_str(&b), "abzzzzgh");
	buf_free(&b);
}
END_TEST

START_TEST(memory)
{
	char *p = xcalloc(3, 5), *text;

	for (int i = 0; i < 15; i++)
		ck_assert_int_eq(p[i], 0);
	free(p);
	free(xmalloc(0));
	free(xcalloc(0, 7));
	p = xreallocarray(NULL, 2, 2);
	p = xreallocarray(p, 0, 2);
	ck_assert_ptr_nonnull(p);
	free(p);
	text = xstrdup("abc");
	ck_assert_str_eq(text, "abc");
	free(text);
	text = xstrndup("abc", 2);
	ck_assert_str_eq(text, "ab");
	free(text);
	text = xstrndup("abc", 9);
	ck_assert_str_eq(text, "abc");
	free(text);
	text = xasprintf("%d%%", 5);
	ck_assert_str_eq(text, "5%");
	free(text);
}
END_TEST

static volatile size_t huge = SIZE_MAX / 2; /* the compiler is not to know */

START_TEST(product_wraps)
{
	free(xreallocarray(NULL, huge, 4));
}
END_TEST

START_TEST(buffer_wraps)
{
	struct buf b = {0};

	buf_putc(&b, 'x');
	buf_reserve(&b, huge * 2 + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tc = tcase_create("buf");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, grows_and_keeps);
	tcase_add_test(tc, texts);
	tcase_add_test(tc, drops);
	tcase_add_test(tc, network_order);
	tcase_add_test(tc, reads_what_was_written);
	tcase_add_test(tc, short_at_every_byte);
	tcase_add_test(tc, bytes_that_lie);
	tcase_add_test(tc, nothing_to_read);
	tcase_add_test(tc, set_in_place);
	tcase_add_test(tc, memory);
	tcase_add_exit_test(tc, product_wraps, JOBQ_EXIT_INTERNAL);
	tcase_add_exit_test(tc, buffer_wraps, JOBQ_EXIT_INTERNAL);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

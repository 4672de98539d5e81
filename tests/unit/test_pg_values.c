/*
 * test_pg_values.c: parameters as PostgreSQL reads them on the wire, results as it writes them, and the embedded SQL. Pure.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "pg/conn.h"
#include "pg/migrate.h"
#include "pg/sql.h"

static struct pg_params p;

static void setup(void)
{
	pg_params_reset(&p);
}

static void teardown(void)
{
	pg_params_free(&p);
}

/* Parameter i is in binary and has exactly these bytes. */
#define binary_is(i, bytes) \
	do { \
		static const char want[] = bytes; \
		ck_assert_int_eq(p.format[i], 1); \
		ck_assert_int_eq(p.len[i], (int)sizeof want - 1); \
		ck_assert_mem_eq(p.data.data + p.at[i], want, sizeof want - 1); \
	} while (0)

START_TEST(scalars)
{
	pg_param_int4(&p, -2);
	pg_param_int8(&p, INT64_C(0x0102030405060708));
	pg_param_bool(&p, true);
	pg_param_null(&p);
	pg_param_text(&p, "a\xc3\xa9");
	pg_param_text(&p, NULL);
	pg_param_textn(&p, "abcdef", 3);
	pg_param_int8(&p, INT64_MIN);
	ck_assert_int_eq(p.n, 8);
	binary_is(0, "\xff\xff\xff\xfe");
	binary_is(1, "\x01\x02\x03\x04\x05\x06\x07\x08");
	binary_is(2, "\x01");
	ck_assert_int_eq(p.len[3], -1);
	ck_assert_int_eq(p.format[4], 0);
	ck_assert_int_eq(p.len[4], 3);
	ck_assert_str_eq(p.data.data + p.at[4], "a\xc3\xa9");
	ck_assert_int_eq(p.len[5], -1);
	ck_assert_str_eq(p.data.data + p.at[6], "abc"); /* libpq measures texts: there is a NUL behind */
	binary_is(7, "\x80\0\0\0\0\0\0\0");
}
END_TEST

START_TEST(arrays)
{
	pg_array_begin(&p, PG_INT8, 2);
	pg_array_int8(&p, 1);
	pg_array_int8(&p, -1);
	pg_array_end(&p);
	pg_array_begin(&p, PG_TEXT, 3);
	pg_array_text(&p, "x", 1);
	pg_array_text(&p, NULL, 0);
	pg_array_text(&p, "", 0);
	pg_array_end(&p);
	pg_array_begin(&p, PG_JSONB, 1);
	pg_array_jsonb(&p, "{}", 2);
	pg_array_end(&p);
	pg_array_begin(&p, PG_INT2, 1);
	pg_array_int2(&p, 5);
	pg_array_end(&p);
	pg_array_begin(&p, PG_INT4, 1);
	pg_array_int4(&p, 5);
	pg_array_end(&p);
	pg_array_begin(&p, PG_FLOAT8, 1);
	pg_array_float8(&p, 1.0);
	pg_array_end(&p);
	pg_array_begin(&p, PG_TID, 2);
	pg_array_tid(&p, INT64_C(0xfffffffeffff));
	pg_array_tid(&p, PG_NO_TID);
	pg_array_end(&p);
	binary_is(0, "\0\0\0\1" "\0\0\0\0" "\0\0\0\x14" "\0\0\0\2" "\0\0\0\1" "\0\0\0\x08" "\0\0\0\0\0\0\0\1" "\0\0\0\x08" "\xff\xff\xff\xff\xff\xff\xff\xff");
	binary_is(1, "\0\0\0\1" "\0\0\0\1" "\0\0\0\x19" "\0\0\0\3" "\0\0\0\1" "\0\0\0\1x" "\xff\xff\xff\xff" "\0\0\0\0");
	binary_is(2, "\0\0\0\1" "\0\0\0\0" "\0\0\x0e\xda" "\0\0\0\1" "\0\0\0\1" "\0\0\0\3\1{}");
	binary_is(3, "\0\0\0\1" "\0\0\0\0" "\0\0\0\x15" "\0\0\0\1" "\0\0\0\1" "\0\0\0\2\0\5");
	binary_is(4, "\0\0\0\1" "\0\0\0\0" "\0\0\0\x17" "\0\0\0\1" "\0\0\0\1" "\0\0\0\4\0\0\0\5");
	binary_is(5, "\0\0\0\1" "\0\0\0\0" "\0\0\x02\xbd" "\0\0\0\1" "\0\0\0\1" "\0\0\0\x08\x3f\xf0\0\0\0\0\0\0");
	binary_is(6, "\0\0\0\1" "\0\0\0\1" "\0\0\0\x1b" "\0\0\0\2" "\0\0\0\1" "\0\0\0\6\xff\xff\xff\xfe\xff\xff" "\xff\xff\xff\xff");
}
END_TEST

START_TEST(array_counts_what_it_holds)
{
	pg_array_begin(&p, PG_INT8, 0);
	pg_array_end(&p);
	pg_array_begin(&p, PG_INT8, 500); /* fewer than announced */
	pg_array_int8(&p, 1);
	pg_array_end(&p);
	pg_array_begin(&p, PG_INT8, 0); /* more than announced */
	for (int i = 0; i < 1000; i++)
		pg_array_int8(&p, i);
	pg_array_end(&p);
	pg_param_int4(&p, 7);
	binary_is(0, "\0\0\0\0" "\0\0\0\0" "\0\0\0\x14");
	binary_is(1, "\0\0\0\1" "\0\0\0\0" "\0\0\0\x14" "\0\0\0\1" "\0\0\0\1" "\0\0\0\x08" "\0\0\0\0\0\0\0\1");
	ck_assert_int_eq(p.len[2], 20 + 12 * 1000);
	binary_is(3, "\0\0\0\7");
}
END_TEST

START_TEST(nulls_do_not_leak_into_the_next_array)
{
	pg_array_begin(&p, PG_TEXT, 1);
	pg_array_text(&p, NULL, 0);
	pg_array_end(&p);
	pg_array_begin(&p, PG_TEXT, 1);
	pg_array_text(&p, "y", 1);
	pg_array_end(&p);
	binary_is(1, "\0\0\0\1" "\0\0\0\0" "\0\0\0\x19" "\0\0\0\1" "\0\0\0\1" "\0\0\0\1y");
}
END_TEST

START_TEST(memory_is_used_again)
{
	pg_param_text(&p, "something rather long, so that there is memory");
	size_t cap = p.data.cap;

	pg_params_reset(&p);
	ck_assert_int_eq(p.n, 0);
	pg_param_int4(&p, 1);
	ck_assert_uint_eq(p.data.cap, cap);
	ck_assert_uint_eq(p.at[0], 0);
}
END_TEST

START_TEST(too_many_parameters)
{
	for (int i = 0; i <= PG_PARAMS_MAX; i++)
		pg_param_null(&p);
}
END_TEST

/* A result of one row whose columns have these bytes; NULL for a NULL. */
static PGresult *row_of(size_t n, const char *const *values, const int *lens)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char name[] = "c";
	PGresAttDesc *attrs = calloc(n, sizeof *attrs);

	ck_assert_ptr_nonnull(attrs);
	for (size_t i = 0; i < n; i++) {
		attrs[i].name = name;
		attrs[i].format = 1;
	}
	ck_assert_int_eq(PQsetResultAttrs(res, (int)n, attrs), 1);
	free(attrs);
	for (size_t i = 0; i < n; i++) {
		char copy[64];

		if (values[i] != NULL)
			memcpy(copy, values[i], (size_t)lens[i]);
		ck_assert_int_eq(PQsetvalue(res, 0, (int)i, values[i] == NULL ? NULL : copy, values[i] == NULL ? -1 : lens[i]), 1);
	}
	return res;
}

START_TEST(results)
{
	const char *const values[] = { "\xff\xfe", "\0\0\1\0", "\0\0\0\1\0\0\0\0", "\1", "\x3f\xf8\0\0\0\0\0\0", "abc", "\1{\"a\":1}", NULL, "\xff\xff\xff\xfe\xff\xff" };
	const int lens[] = { 2, 4, 8, 1, 8, 3, 8, 0, 6 };
	PGresult *res = row_of(9, values, lens);
	size_t len = 99;

	ck_assert_int_eq(pg_get_int2(res, 0, 0), -2);
	ck_assert_int_eq(pg_get_int4(res, 0, 1), 256);
	ck_assert_int_eq(pg_get_int8(res, 0, 2), INT64_C(1) << 32);
	ck_assert(pg_get_bool(res, 0, 3));
	ck_assert(pg_get_float8(res, 0, 4) == 1.5);
	ck_assert_str_eq(pg_get_text(res, 0, 5, &len), "abc");
	ck_assert_uint_eq(len, 3);
	ck_assert_str_eq(pg_get_jsonb(res, 0, 6, &len), "{\"a\":1}");
	ck_assert_uint_eq(len, 7);
	ck_assert(pg_get_isnull(res, 0, 7) && !pg_get_isnull(res, 0, 6));
	ck_assert_int_eq(pg_get_tid(res, 0, 8), INT64_C(0xfffffffeffff));
	PQclear(res);
}
END_TEST

START_TEST(wrong_lengths_and_nulls_read_as_nothing)
{
	const char *const values[] = { "abc", NULL, "", "\2{}" };
	const int lens[] = { 3, 0, 0, 3 };
	PGresult *res = row_of(4, values, lens);
	size_t len;

	for (int col = 0; col < 4; col++) {
		ck_assert_int_eq(pg_get_int2(res, 0, col), 0);
		ck_assert_int_eq(pg_get_int4(res, 0, col), 0);
		ck_assert_int_eq(pg_get_int8(res, 0, col), 0);
		ck_assert(!pg_get_bool(res, 0, col));
		ck_assert(pg_get_float8(res, 0, col) == 0);
		ck_assert_int_eq(pg_get_timestamp_us(res, 0, col), 0);
		ck_assert_int_eq(pg_get_tid(res, 0, col), PG_NO_TID);
		ck_assert_str_eq(pg_get_jsonb(res, 0, col, &len), ""); /* the last: a version nobody knows */
		ck_assert_uint_eq(len, 0);
	}
	ck_assert_str_eq(pg_get_text(res, 0, 1, &len), "");
	ck_assert_uint_eq(len, 0);
	ck_assert_str_eq(pg_get_text(res, 0, 1, NULL), "");
	PQclear(res);
}
END_TEST

START_TEST(timestamps)
{
	const char *const values[] = { "\0\0\0\0\0\0\0\0", "\x7f\xff\xff\xff\xff\xff\xff\xff", "\x80\0\0\0\0\0\0\0", "\xff\xff\xff\xff\xff\xff\xff\xff" };
	const int lens[] = { 8, 8, 8, 8 };
	PGresult *res = row_of(4, values, lens);

	ck_assert_int_eq(pg_get_timestamp_us(res, 0, 0), INT64_C(946684800000000));
	ck_assert_int_eq(pg_get_timestamp_us(res, 0, 1), INT64_MAX); /* infinity */
	ck_assert_int_eq(pg_get_timestamp_us(res, 0, 2), INT64_MIN); /* -infinity */
	ck_assert_int_eq(pg_get_timestamp_us(res, 0, 3), INT64_C(946684799999999));
	PQclear(res);
}
END_TEST

START_TEST(embedded)
{
	ck_assert_uint_eq(pg_migration_count, MIGRATE_SCHEMA_VERSION);
	for (size_t i = 0; i < pg_migration_count; i++)
		ck_assert_int_eq(pg_migrations[i].number, (int)i + 1);
	ck_assert_str_eq(pg_migrations[0].name, "0001_schema");
	ck_assert_ptr_nonnull(strstr(pg_migrations[0].sql, "CREATE SCHEMA jobq;"));
	ck_assert_ptr_nonnull(strstr(pg_migrations[0].sql, "concat(queue, E'\\t', tenant_id")); /* backslashes and quotes as they stand in the file */
	ck_assert_ptr_nonnull(strstr(pg_roles_sql, "CREATE ROLE"));
	ck_assert_ptr_nonnull(strstr(pg_grants_sql, "GRANT"));
	ck_assert_int_ne(strncmp(pg_sql("claim"), "--", 2), 0); /* the comment at the head is not sent */
	ck_assert_ptr_nonnull(strstr(pg_sql("claim"), "SKIP LOCKED"));
}
END_TEST

START_TEST(no_such_statement)
{
	(void)pg_sql("no_such_statement");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pg_values");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, scalars);
	tcase_add_test(tc, arrays);
	tcase_add_test(tc, array_counts_what_it_holds);
	tcase_add_test(tc, nulls_do_not_leak_into_the_next_array);
	tcase_add_test(tc, memory_is_used_again);
	tcase_add_test_raise_signal(tc, too_many_parameters, SIGABRT);
	tcase_add_test(tc, results);
	tcase_add_test(tc, wrong_lengths_and_nulls_read_as_nothing);
	tcase_add_test(tc, timestamps);
	tcase_add_test(tc, embedded);
	tcase_add_test_raise_signal(tc, no_such_statement, SIGABRT);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

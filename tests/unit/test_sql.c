/* The pure parts of the handler sql: the statement that calls a function, what SQLSTATEs mean, what rows say of jobs. */
#include "config.h"

#include <check.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "handlers/sql_law.h"
#include "handlers/sql_said.h"

START_TEST(statements)
{
	static const char *const bad[] = {"", "f", ".f", "s.", "a.b.c", ".", "s.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
	struct buf out = {0};

	ck_assert(sql_statement("shop.take", &out));
	ck_assert_ptr_nonnull(strstr(buf_str(&out), " FROM \"shop\".\"take\"($1::pg_catalog.jsonb) AS o"));
	buf_reset(&out);
	ck_assert(sql_statement("My \"Shop\".f(); DROP TABLE x --", &out));
	ck_assert_ptr_nonnull(strstr(buf_str(&out), " FROM \"My \"\"Shop\"\"\".\"f(); DROP TABLE x --\"($1"));
	buf_reset(&out);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert(!sql_statement(bad[i], &out));
		ck_assert_uint_eq(out.len, 0);
	}
	buf_free(&out);
}
END_TEST

START_TEST(verdicts)
{
	static const struct {
		const char *state;
		bool inside;
		enum sql_verdict verdict;
	} cases[] = {
		{"", false, SQL_LOST}, {NULL, false, SQL_LOST}, {"08006", false, SQL_LOST}, {"08P01", true, SQL_RETRY}, {"40003", false, SQL_LOST},
		{"40001", true, SQL_AGAIN}, {"40P01", true, SQL_AGAIN}, {"57014", true, SQL_RETRY}, {"57P01", true, SQL_AWAY},
		{"53100", true, SQL_AWAY}, {"53200", true, SQL_RETRY}, {"53400", true, SQL_RETRY}, {"58P01", true, SQL_RETRY}, {"58030", true, SQL_AWAY}, {"25006", false, SQL_AWAY}, {"22P02", true, SQL_FAIL}, {"23505", true, SQL_FAIL},
		{"P0001", true, SQL_RETRY}, {"XX000", true, SQL_RETRY}, {"55P03", true, SQL_RETRY}, {"54000", false, SQL_RETRY},
		{"42883", false, SQL_REFUSED}, {"42883", true, SQL_RETRY}, {"42501", false, SQL_REFUSED}, {"3F000", false, SQL_REFUSED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_msg(sql_verdict(cases[i].state, cases[i].inside) == cases[i].verdict, "%s", cases[i].state);
}
END_TEST

/* of the worker, for dialect.c: no job is written here */
const char *jobq_idempotency_key(const struct jobq_job *job)
{
	(void)job;
	return "";
}

/* ---- rows ---- */

static struct jobq_job jobs[] = {{.id = 7}, {.id = 8}, {.id = 9}};
static struct jobq_job *const asked[] = {&jobs[0], &jobs[1], NULL, &jobs[2]};
static struct dialect_outcome said[4];

static PGresult *rows_begin(void)
{
	static char name[] = "c";
	PGresAttDesc columns[5];
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	for (size_t i = 0; i < 5; i++)
		columns[i] = (PGresAttDesc){.name = name, .format = 1};
	ck_assert_int_eq(PQsetResultAttrs(res, 5, columns), 1);
	return res;
}

static void put(PGresult *res, int row, int col, const void *value, int len)
{
	char copy[256];

	ck_assert_int_lt(len, (int)sizeof copy);
	if (len >= 0)
		memcpy(copy, value, (size_t)len);
	ck_assert_int_eq(PQsetvalue(res, row, col, len >= 0 ? copy : NULL, len), 1);
}

static void put_int8(PGresult *res, int row, int col, int64_t v)
{
	uint64_t net = htobe64((uint64_t)v);

	put(res, row, col, &net, 8);
}

static void put_row(PGresult *res, int64_t id, const char *outcome, const char *jsonb, const char *error, int64_t after_ms)
{
	int row = PQntuples(res);

	put_int8(res, row, 0, id);
	put(res, row, 1, outcome, outcome == NULL ? -1 : (int)strlen(outcome));
	put(res, row, 2, jsonb, jsonb == NULL ? -1 : (int)strlen(jsonb));
	put(res, row, 3, error, error == NULL ? -1 : (int)strlen(error));
	if (after_ms == INT64_MIN)
		put(res, row, 4, NULL, -1);
	else
		put_int8(res, row, 4, after_ms);
}

static const char *read_row(int64_t id, const char *outcome)
{
	PGresult *res = rows_begin();

	put_row(res, id, outcome, NULL, NULL, INT64_MIN);
	const char *wrong = sql_said_read(res, asked, said, 4);
	PQclear(res);
	return wrong;
}

START_TEST(outcomes)
{
	PGresult *res = rows_begin();

	put_row(res, 9, "snooze", NULL, "busy", 1500);
	put_row(res, 7, "done", "\x01{\"a\": 1}", NULL, INT64_MIN);
	ck_assert_ptr_null(sql_said_read(res, asked, said, 4));
	PQclear(res);
	ck_assert_int_eq(said[0].o.kind, OUTCOME_DONE);
	ck_assert_str_eq(said[0].o.result, "{\"a\": 1}");
	ck_assert_uint_eq(said[0].o.result_len, 8);
	ck_assert_ptr_null(said[0].o.error);
	ck_assert_int_eq(said[0].o.after_ns, -1);
	ck_assert_int_eq(said[1].o.kind, OUTCOME_RETRY);
	ck_assert_str_eq(said[1].o.error, "the function said nothing of this job");
	ck_assert_int_eq(said[3].o.kind, OUTCOME_SNOOZE);
	ck_assert_str_eq(said[3].o.error, "busy");
	ck_assert_int_eq(said[3].o.after_ns, INT64_C(1500000000));
	ck_assert_ptr_null(said[3].o.result);
	for (size_t i = 0; i < 4; i++)
		sql_said_free(&said[i]);
}
END_TEST

START_TEST(bad_rows)
{
	PGresult *res = rows_begin();

	ck_assert_ptr_nonnull(strstr(read_row(6, "done"), "not called with"));
	ck_assert_ptr_nonnull(strstr(read_row(7, "ok"), "an outcome that is not one of"));
	ck_assert_ptr_nonnull(strstr(read_row(7, NULL), "an outcome that is not one of"));
	put_row(res, 8, "done", NULL, NULL, INT64_MIN);
	put_row(res, 8, "fail", NULL, NULL, -5);
	ck_assert_ptr_nonnull(strstr(sql_said_read(res, asked, said, 4), "two rows"));
	PQclear(res);
	for (size_t i = 0; i < 4; i++)
		sql_said_free(&said[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sql");
	TCase *t = tcase_create("sql");
	SRunner *r = srunner_create(s);

	tcase_add_test(t, statements);
	tcase_add_test(t, verdicts);
	tcase_add_test(t, outcomes);
	tcase_add_test(t, bad_rows);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

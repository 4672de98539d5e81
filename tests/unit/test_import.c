/*
 * unit_import: the pure parts of the import handler: rows out of bytes, however the bytes are cut; payloads; plans and their SQL.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "handlers/import_plan.h"
#include "handlers/import_spec.h"
#include "handlers/import_split.h"
#include "jobq/handler.h"

/* the worker's services, which nothing here calls */
void jobq_admit(struct jobq_job *job, jobq_go *go) { (void)job; (void)go; }
void jobq_end(struct jobq_job *job, const struct jobq_outcome *o) { (void)job; (void)o; }
void jobq_end_error(struct jobq_job *job, enum jobq_outcome_kind kind, int64_t after_ns, const char *format, ...)
{
	(void)job;
	(void)kind;
	(void)after_ns;
	(void)format;
}
void jobq_progress(struct jobq_job *job, double percent, const char *note) { (void)job; (void)percent; (void)note; }
void jobq_gate(struct jobq_job *job, int64_t retry_ns, const char *reason) { (void)job; (void)retry_ns; (void)reason; }
const char *jobq_idempotency_key(const struct jobq_job *job) { (void)job; return ""; }

/* ---- rows ---- */

static struct buf seen; /* "line:fields:text|", "line!reason|", "line!!reason|" */

static void on_row(void *arg, const struct import_row *r)
{
	(void)arg;
	buf_printf(&seen, "%lld:%zu:%.*s|", (long long)r->line, r->fields, (int)r->len, r->text);
}

static void on_bad(void *arg, const struct import_row *r, const char *reason)
{
	(void)arg;
	ck_assert_uint_le(r->len, 1000);
	buf_printf(&seen, "%lld!%s|", (long long)r->line, reason);
}

static void on_broken(void *arg, int64_t line, const char *reason)
{
	(void)arg;
	buf_printf(&seen, "%lld!!%s|", (long long)line, reason);
}

static const struct import_split_calls calls = {on_row, on_bad, on_broken};

static const char *split(const char *data, size_t len, bool csv, size_t max, size_t piece)
{
	struct import_split s;

	buf_reset(&seen);
	import_split_open(&s, csv, ',', max, &calls, NULL);
	for (size_t at = 0; at < len; at += piece)
		import_split_feed(&s, data + at, len - at < piece ? len - at : piece);
	import_split_end(&s);
	import_split_close(&s);
	return buf_str(&seen);
}

struct split_case {
	const char *data;
	size_t len;
	const char *rows;
};
#define CASE(data, rows) {data, sizeof(data) - 1, rows}

static const struct split_case csv_cases[] = {
	CASE("", ""),
	CASE("\n\r\n\n", ""),
	CASE("a,b\nc,d\n", "1:2:a,b|2:2:c,d|"),
	CASE("a,b\r\n\r\nc,d", "1:2:a,b|3:2:c,d|"),
	CASE("\xef\xbb\xbf" "a\nb", "1:1:a|2:1:b|"),
	CASE("\xef\xbb\xbf", ""),
	CASE("ab", "1:1:ab|"),
	CASE("\"x\ny\",1\nz,2\n", "1:2:\"x\ny\",1|3:2:z,2|"),
	CASE("\"a\"\"b,\",c\n", "1:2:\"a\"\"b,\",c|"),
	CASE("a\"b,c\"d,e\n", "1:2:a\"b,c\"d,e|"),
	CASE("1,5\" pipe\n2,6\" pipe\n3\n", "1!goes over a line's end in a quote that opens in the middle of a field|3:1:3|"),
	CASE("1, \"two\nlines\"\"\n\"\n2\n", "1:2:1, \"two\nlines\"\"\n\"|4:1:2|"),
	CASE("a\rb\nc\n", "1!holds a carriage return outside quotes that ends no line|2:1:c|"),
	CASE("\"a\rb\"\n", "1:1:\"a\rb\"|"),
	CASE("a\r\r\nb", "1!holds a carriage return outside quotes that ends no line|2:1:b|"),
	CASE("a\0b\nc\n", "1!holds a NUL byte|2:1:c|"),
	CASE("\xe4\n\xc3\xa4\n\xed\xa0\x80\n", "1!is not UTF-8|2:1:\xc3\xa4|3!is not UTF-8|"),
	CASE("a\n\"b\nc\n", "1:1:a|2!!a quote is opened and never closed|"),
	CASE(",,\n", "1:3:,,|"),
	CASE("\\.\n", "1:1:\\.|"),
};

START_TEST(csv_rows_do_not_depend_on_the_pieces)
{
	const struct split_case *c = &csv_cases[_i];

	for (size_t piece = 1; piece <= c->len + 1; piece++)
		ck_assert_str_eq(split(c->data, c->len, true, 1000, piece), c->rows);
}
END_TEST

START_TEST(lines_know_no_quotes)
{
	static const char data[] = "{\"a\":\"x,y\"}\r\n \t\n\"open\n\xff\n";

	for (size_t piece = 1; piece < sizeof data; piece++)
		ck_assert_str_eq(split(data, sizeof data - 1, false, 1000, piece), "1:1:{\"a\":\"x,y\"}|3:1:\"open|4!is not UTF-8|");
}
END_TEST

START_TEST(long_rows_are_bounded)
{
	struct buf data = {0};
	static const size_t pieces[] = {1, 7, 999, 4096, 100000};

	buf_puts(&data, "a\n");
	for (int i = 0; i < 50000; i++)
		buf_putc(&data, 'x');
	buf_puts(&data, "\nb\n\"q");
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct import_split s;

		ck_assert_str_eq(split(data.data, data.len, true, 3000, pieces[i]),
			"1:1:a|2!longer than max_row_bytes|3:1:b|4!!a quote is opened and never closed|");
		buf_reset(&seen);
		import_split_open(&s, true, ',', 3000, &calls, NULL);
		for (size_t at = 0; at < 20000; at++)
			import_split_feed(&s, data.data + 2, 1);
		ck_assert_uint_lt(s.b.cap, 10000); /* however long the row is */
		import_split_close(&s);
	}
	buf_reset(&data);
	for (int i = 0; i < 2000; i++)
		buf_puts(&data, i == 0 ? "\"open\n" : "line\n");
	ck_assert_str_eq(split(data.data, data.len, true, 3000, 512),
		"1!!longer than max_row_bytes, over several lines: a quote that is never closed?|");
	buf_free(&data);
}
END_TEST

START_TEST(fields_lose_their_quotes)
{
	static const char row[] = "a,\"b \"\"c\"\", d\",,\"\",x\"y\"z";
	static const char *const expected[] = {"a", "b \"c\", d", "", "", "xyz"};
	size_t n;
	char **fields = import_spec_fields(row, sizeof row - 1, ',', 10, &n);

	ck_assert_uint_eq(n, 5);
	for (size_t i = 0; i < n; i++)
		ck_assert_str_eq(fields[i], expected[i]);
	free(fields);
	fields = import_spec_fields("a,b,c,d", 7, ',', 2, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(fields[1], "b");
	free(fields);
}
END_TEST

/* ---- payloads ---- */

static struct import_spec *spec_of(const char *payload)
{
	char err[256] = "";
	struct import_spec *s = import_spec_read(payload, strlen(payload), "products, Shop.\"My, Table\"", "store", err, sizeof err);

	ck_assert_msg(s != NULL, "%s", err);
	return s;
}

START_TEST(payloads_have_defaults)
{
	struct import_spec *s = spec_of("{\"source\":\"a.csv\",\"table\":\"Products\",\"key\":[\"sku\"]}");

	ck_assert_str_eq(s->table, "\"public\".\"products\"");
	ck_assert(!s->jsonl && !s->url && s->header && !s->collect && s->delimiter == ',' && s->conflict == IMPORT_UPDATE && s->nkey == 1);
	import_spec_free(s);
	s = spec_of("{\"source\":\"a.JSONL\",\"table\":\"shop.\\\"My, Table\\\"\",\"bad_rows\":\"collect\"}");
	ck_assert_str_eq(s->table, "\"shop\".\"My, Table\"");
	ck_assert(s->jsonl && !s->header && s->collect && s->conflict == IMPORT_REFUSE);
	import_spec_free(s);
	s = spec_of("{\"source\":\"https://h/a\",\"table\":\"products\",\"columns\":[\"a\",null,\"b\"],\"on_conflict\":\"ignore\",\"delimiter\":\"\\t\"}");
	ck_assert(s->url && !s->header && s->n == 3 && s->columns[1].table == NULL && s->conflict == IMPORT_IGNORE && s->delimiter == '\t');
	import_spec_free(s);
}
END_TEST

/* ---- plans ---- */

#define COLUMN(name, type, fixed) {(char *)(name), (char *)(type), fixed}
static struct import_table_column columns[] = {COLUMN("store", "text", false), COLUMN("sku", "text", false), COLUMN("pri\"ce", "numeric", false),
	COLUMN("made", "integer", true)};
static const struct import_table table = {.n = 4, .columns = columns};

static const char *plan_error(const char *payload, char *const *names, size_t n, const char *tenant)
{
	static char err[256];
	struct import_spec *s = spec_of(payload);
	struct import_plan plan;

	err[0] = '\0';
	bool good = import_plan_make(&plan, s, &table, names, n, tenant, err, sizeof err);
	ck_assert(good == (err[0] == '\0'));
	import_plan_free(&plan);
	import_spec_free(s);
	return err;
}

#define PAYLOAD(more) "{\"source\":\"a.csv\",\"table\":\"products\",\"key\":[\"store\",\"sku\"]" more "}"

START_TEST(what_does_not_fit_is_named)
{
	char *good[] = {(char *)"sku", (char *)"store", (char *)"pri\"ce"}, *made[] = {(char *)"sku", (char *)"made"}, *twice[] = {(char *)"sku", (char *)"sku"};
	char *near[] = {(char *)"skuu"}, *store[] = {(char *)"store"};

	ck_assert_str_eq(plan_error(PAYLOAD(""), good, 3, "store"), "");
	ck_assert_ptr_nonnull(strstr(plan_error(PAYLOAD(""), made, 2, "store"), "generated"));
	ck_assert_ptr_nonnull(strstr(plan_error(PAYLOAD(""), twice, 2, "store"), "twice"));
	ck_assert_ptr_nonnull(strstr(plan_error(PAYLOAD(",\"columns\":{\"sku\":\"sku\"}"), twice, 2, "store"), "has the column \"sku\" twice"));
	ck_assert_ptr_nonnull(strstr(plan_error(PAYLOAD(""), near, 1, "store"), "did you mean \"sku\"?"));
	ck_assert_ptr_nonnull(strstr(plan_error(PAYLOAD(""), store, 1, "store"), "key's column \"sku\""));
	ck_assert_ptr_nonnull(strstr(plan_error(PAYLOAD(""), good, 3, "shop"), "has no column \"shop\""));
	ck_assert_ptr_nonnull(strstr(plan_error(PAYLOAD(",\"columns\":{\"x\":\"sku\"}"), good, 3, "store"), "the file has no column \"x\""));
}
END_TEST

START_TEST(statements_hold_names_and_numbers_alone)
{
	struct import_spec *s = spec_of(PAYLOAD(",\"columns\":{\"P\":\"pri\\\"ce\",\"S\":\"sku\"}"));
	char *names[] = {(char *)"S", (char *)"'; DROP", (char *)"P"}, err[256];
	const struct import_range all = {.all = true}, part = {.first = 5, .last = 9};
	struct import_plan plan;
	struct buf sql = {0};

	ck_assert_msg(import_plan_make(&plan, s, &table, names, 3, "store", err, sizeof err), "%s", err);
	ck_assert_uint_eq(plan.nfile, 3);
	ck_assert(!plan.guard);
	import_plan_stage(&plan, &sql);
	ck_assert_str_eq(buf_str(&sql), "CREATE TEMPORARY TABLE jobq_import (line bigint NOT NULL, c1 text, c2 text, c3 text) ON COMMIT DROP");
	buf_reset(&sql);
	import_plan_merge(&plan, &all, false, &sql);
	ck_assert_str_eq(buf_str(&sql), "WITH merged AS (INSERT INTO \"public\".\"products\" AS t (\"store\", \"pri\"\"ce\", \"sku\") "
		"SELECT $1::text::text, s.c3::numeric, s.c1::text FROM pg_temp.jobq_import s "
		"ON CONFLICT (\"store\", \"sku\") DO UPDATE SET \"pri\"\"ce\" = excluded.\"pri\"\"ce\" RETURNING (t.xmax = 0) AS inserted) "
		"SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged");
	buf_reset(&sql);
	import_plan_merge(&plan, &part, true, &sql);
	ck_assert_ptr_nonnull(strstr(buf_str(&sql), "DISTINCT ON (v0, v2, CASE WHEN v0 IS NULL OR v2 IS NULL THEN l END)"));
	ck_assert_ptr_nonnull(strstr(buf_str(&sql), "WHERE line BETWEEN $2::bigint AND $3::bigint"));
	buf_free(&sql);
	import_plan_free(&plan);
	import_spec_free(s);
}
END_TEST

static void forget(void)
{
	buf_free(&seen);
}

int main(void)
{
	Suite *s = suite_create("import");
	TCase *t = tcase_create("pure");

	tcase_add_checked_fixture(t, NULL, forget);
	tcase_add_loop_test(t, csv_rows_do_not_depend_on_the_pieces, 0, sizeof csv_cases / sizeof csv_cases[0]);
	tcase_add_test(t, lines_know_no_quotes);
	tcase_add_test(t, long_rows_are_bounded);
	tcase_add_test(t, fields_lose_their_quotes);
	tcase_add_test(t, payloads_have_defaults);
	tcase_add_test(t, what_does_not_fit_is_named);
	tcase_add_test(t, statements_hold_names_and_numbers_alone);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

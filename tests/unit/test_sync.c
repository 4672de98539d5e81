/* tests/unit/test_sync.c: the pure parts of the sync handler: payloads, answers, and what of a table takes part. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "handlers/sync_page.h"
#include "handlers/sync_plan.h"
#include "handlers/sync_spec.h"

static const struct sync_rules rules = {.tables = "inventory, shop.prices", .tenant_column = "store_id", .allow_hosts = "", .allow_private = false};

#define BASE "\"url\":\"https://a.example/i\",\"direction\":\"pull\",\"table\":\"inventory\",\"key\":[\"sku\"]"
#define PUSH "\"direction\":\"push\",\"table\":\"inventory\",\"key\":[\"sku\"]"

static const struct { const char *payload, *wrong; } payloads[] = {
	{"{" BASE "}", NULL},
	{"{" BASE ",\"version\":\"rev\",\"items\":\"data.list\",\"next\":\"links.next\"}", NULL},
	{"{" BASE ",\"cursor\":\"meta.cursor\",\"cursor_param\":\"after\"}", NULL},
	{"{" BASE ",\"page\":\"page\",\"columns\":{\"id\":\"sku\",\"stock.free\":\"quantity\"}}", NULL},
	{"{" BASE ",\"full\":true}", NULL},
	{"{\"url\":\"https://a.example/i\"," PUSH "}", NULL},
	{"{\"url\":\"https://a.example/i/{sku}?v={rev}\"," PUSH ",\"method\":\"POST\",\"size\":1000}", NULL},
	{"[]", "not a JSON object"}, {"7", "not a JSON object"}, {"{}", "direction"}, {"{" BASE ",\"colums\":{}}", "did you mean \"columns\""},
	{"{\"url\":7," PUSH "}", "\"url\" is not a text"}, {"{" PUSH "}", "\"url\""}, {"{\"url\":\"file:///etc/passwd\"," PUSH "}", "neither http"},
	{"{\"url\":\"http://10.0.0.1/\"," PUSH "}", "not public"}, {"{\"url\":\"http://u:p@a.example/\"," PUSH "}", "password"},
	{"{\"url\":\"https://{sku}.example/\"," PUSH "}", "path or query"}, {"{\"url\":\"https://a.example/{sku}\",\"direction\":\"pull\"}", ""},
	{"{\"url\":\"https://a.example/i\",\"direction\":\"sideways\"}", "neither \"pull\" nor"},
	{"{\"url\":\"https://a.example/i\",\"direction\":\"pull\",\"table\":\"users\",\"key\":[\"sku\"]}", "not one that this queue may sync"},
	{"{\"url\":\"https://a.example/i\",\"direction\":\"pull\",\"table\":\"a; DROP TABLE b\",\"key\":[\"sku\"]}", "not the name of a table"},
	{"{\"url\":\"https://a.example/i\",\"direction\":\"pull\",\"table\":\"inventory\"}", "\"key\""},
	{"{\"url\":\"https://a.example/i\",\"direction\":\"pull\",\"table\":\"inventory\",\"key\":[]}", "\"key\""},
	{"{\"url\":\"https://a.example/i\",\"direction\":\"pull\",\"table\":\"inventory\",\"key\":[7]}", "\"key\""},
	{"{\"url\":\"https://a.example/i\",\"direction\":\"pull\",\"table\":\"inventory\",\"key\":[\"store_id\"]}", "nothing but the tenant"},
	{"{" BASE ",\"columns\":{\"tenant\":\"store_id\",\"sku\":\"sku\"}}", "always the job's tenant"},
	{"{" BASE ",\"columns\":{\"q\":\"quantity\"}}", "which is in the key"}, {"{" BASE ",\"columns\":{\"a\":\"sku\",\"b\":\"sku\"}}", "named twice"},
	{"{" BASE ",\"columns\":{\"a\":7}}", "does not name a column"}, {"{" BASE ",\"columns\":{}}", "\"columns\""},
	{"{" BASE ",\"version\":\"rev\",\"columns\":{\"sku\":\"sku\"}}", "which is the version"},
	{"{" BASE ",\"page\":\"p\",\"cursor\":\"c\"}", "only one"}, {"{" BASE ",\"next\":\"n\",\"cursor\":\"c\"}", "only one"},
	{"{" BASE ",\"size\":0}", "\"size\""}, {"{" BASE ",\"size\":1001}", "\"size\""}, {"{" BASE ",\"method\":\"DELETE\"}", "\"method\""},
	{"{" BASE ",\"full\":\"yes\"}", "\"full\""},
};

static struct sync_spec *spec_of(const char *payload)
{
	char err[512] = "";
	struct sync_spec *s = sync_spec_read(payload, strlen(payload), &rules, err, sizeof err);

	ck_assert_msg(s != NULL, "%s: %s", payload, err);
	return s;
}

START_TEST(payloads_are_checked)
{
	char err[512] = "";
	struct sync_spec *s = sync_spec_read(payloads[_i].payload, strlen(payloads[_i].payload), &rules, err, sizeof err);

	ck_assert_msg((s != NULL) == (payloads[_i].wrong == NULL), "%s: %s", payloads[_i].payload, err);
	if (s == NULL)
		ck_assert_msg(strstr(err, payloads[_i].wrong) != NULL, "%s: %s", payloads[_i].payload, err);
	sync_spec_free(s);
}
END_TEST

START_TEST(hosts_may_be_limited)
{
	struct sync_rules r = rules;
	char err[512];
	static const char payload[] = "{" BASE "}";

	r.allow_hosts = "*.b.example";
	ck_assert_ptr_null(sync_spec_read(payload, sizeof payload - 1, &r, err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "allow_hosts"));
	r.allow_hosts = "*.b.example a.example";
	struct sync_spec *s = sync_spec_read(payload, sizeof payload - 1, &r, err, sizeof err);
	ck_assert_ptr_nonnull(s);
	ck_assert_str_eq(s->table, "\"public\".\"inventory\"");
	sync_spec_free(s);
}
END_TEST

START_TEST(a_source_is_what_the_position_means)
{
	static const char *const same[] = {"{" BASE "}", "{" BASE ",\"full\":true,\"size\":7}", "{\"key\":[\"sku\"],\"table\":\"inventory\",\"direction\":\"pull\",\"url\":\"https://a.example/i\"}"};
	struct buf first = {0}, other = {0};

	for (size_t i = 0; i < 3; i++) {
		struct sync_spec *s = spec_of(same[i]);
		buf_reset(&other);
		sync_spec_source(s, i == 0 ? &first : &other);
		ck_assert(i == 0 || strcmp(buf_str(&first), buf_str(&other)) == 0);
		sync_spec_free(s);
	}
	struct sync_spec *s = spec_of("{" BASE ",\"version\":\"rev\"}");
	buf_reset(&other);
	sync_spec_source(s, &other);
	ck_assert_str_ne(buf_str(&first), buf_str(&other));
	sync_spec_free(s);
	buf_free(&first);
	buf_free(&other);
}
END_TEST

static void url_of(const char *row, const char *want)
{
	struct sync_spec *s = spec_of("{\"url\":\"https://a.example/i/{sku}?v={rev}\"," PUSH "}");
	json_t *o = json_loads(row, 0, NULL);
	char *url = sync_spec_url(s, o);

	ck_assert_pstr_eq(url, want);
	free(url);
	json_decref(o);
	sync_spec_free(s);
}

START_TEST(a_row_makes_a_url)
{
	url_of("{\"sku\":\"A 1/x\",\"rev\":7}", "https://a.example/i/A%201%2Fx?v=7");
	url_of("{\"sku\":\"\",\"rev\":7}", NULL);
	url_of("{\"sku\":\"..\",\"rev\":7}", NULL);
	url_of("{\"sku\":\"A\"}", NULL);
	url_of("{\"sku\":\"A\",\"rev\":null}", NULL);
	url_of("{\"sku\":\"A\",\"rev\":\"&admin=1\"}", "https://a.example/i/A?v=%26admin%3D1");
}
END_TEST

static void table_make(struct sync_table *t, const struct sync_spec *s)
{
	static const char *const names[] = {"store_id", "sku", "quantity", "rev", "total"};
	char err[256];

	*t = (struct sync_table){.n = 5, .columns = xcalloc(5, sizeof *t->columns)};
	for (size_t i = 0; i < 5; i++)
		t->columns[i] = (struct sync_column){.name = xstrdup(names[i]), .type = xstrdup("text"), .fixed = i == 4};
	ck_assert_msg(sync_table_fit(t, s, "store_id", err, sizeof err), "%s", err);
}

static const struct { const char *keys, *body, *link, *wrong; size_t items, groups; const char *next; } pages[] = {
	{"", "{\"items\":[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"b\",\"quantity\":2}]}", NULL, NULL, 2, 1, NULL},
	{"", "[{\"sku\":\"a\"}]", "<https://a.example/i?p=2>; rel=\"next\"", NULL, 1, 1, "https://a.example/i?p=2"},
	{"", "[]", "</p1>; rel=prev, </p3>; title=x; rel=next", NULL, 0, 0, "/p3"},
	{"", "{\"items\":[],\"next\":\"/n\"}", NULL, NULL, 0, 0, "/n"},
	{"", "{\"items\":[],\"next\":null}", "", NULL, 0, 0, NULL},
	{"", "{\"items\":[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"b\"},{\"sku\":\"c\",\"quantity\":null},{\"sku\":\"d\",\"other\":1}]}", NULL, NULL, 4, 2, NULL},
	{"", "{\"items\":[{\"sku\":\"a\",\"store_id\":\"other\",\"total\":7}]}", NULL, NULL, 1, 1, NULL},
	{",\"items\":\"d.l\",\"cursor\":\"m.c\"", "{\"d\":{\"l\":[{\"sku\":1}]},\"m\":{\"c\":77}}", NULL, NULL, 1, 1, "77"},
	{",\"cursor\":\"c\"", "{\"items\":[],\"c\":{}}", "</p3>; rel=next", NULL, 0, 0, NULL},
	{",\"page\":\"p\"", "{\"items\":[{\"sku\":\"a\"}],\"next\":\"/n\"}", NULL, NULL, 1, 1, NULL},
	{",\"columns\":{\"id\":\"sku\",\"s.q\":\"quantity\"}", "{\"items\":[{\"id\":\"a\",\"s\":{\"q\":1}},{\"id\":\"b\",\"s\":7}]}", NULL, NULL, 2, 2, NULL},
	{"", "[{\"sku\":123456789012345678901234567890}]", NULL, NULL, 1, 1, NULL},
	{"", "not JSON", NULL, "not JSON", 0, 0, NULL}, {"", "", NULL, "not JSON", 0, 0, NULL}, {"", "{}", NULL, "no list of items at items", 0, 0, NULL},
	{"", "{\"items\":{}}", NULL, "no list", 0, 0, NULL}, {"", "7", NULL, "JSON", 0, 0, NULL}, {"", "{\"items\":[7]}", NULL, "item 1 is not an object", 0, 0, NULL},
	{"", "{\"items\":[{\"sku\":\"a\"},{}]}", NULL, "item 2 has no key", 0, 0, NULL}, {"", "{\"items\":[{\"sku\":null}]}", NULL, "has no key", 0, 0, NULL},
	{"", "{\"items\":[{\"sku\":[1]}]}", NULL, "neither text nor number", 0, 0, NULL}, {"", "{\"items\":[{\"sku\":\"a\\u0000b\"}]}", NULL, "not JSON", 0, 0, NULL},
};

START_TEST(a_page_is_read)
{
	char *payload = xasprintf("{" BASE "%s}", pages[_i].keys), err[512] = "";
	struct sync_spec *s = spec_of(payload);
	struct sync_table t;
	struct sync_page p;

	table_make(&t, s);
	bool good = sync_page_read(&p, s, &t, pages[_i].body, strlen(pages[_i].body), pages[_i].link, err, sizeof err);
	ck_assert_msg(good == (pages[_i].wrong == NULL), "%s: %s", pages[_i].body, err);
	if (good) {
		ck_assert_uint_eq(p.items, pages[_i].items);
		ck_assert_uint_eq(p.ngroups, pages[_i].groups);
		ck_assert_pstr_eq(p.next, pages[_i].next);
		for (size_t i = 0; i < p.ngroups; i++)
			ck_assert(p.groups[i].has[1] && !p.groups[i].has[0] && !p.groups[i].has[4]); /* the key; never the tenant or what is generated */
	} else {
		ck_assert_msg(strstr(err, pages[_i].wrong) != NULL, "%s: %s", pages[_i].body, err);
	}
	sync_page_free(&p);
	sync_table_free(&t);
	sync_spec_free(s);
	free(payload);
}
END_TEST

START_TEST(a_table_has_to_fit)
{
	static const struct { const char *payload, *tenant, *wrong; } tables[] = {
		{"{" BASE "}", "shop", "no column \"shop\""}, {"{" BASE ",\"version\":\"revv\"}", "store_id", "did you mean \"rev\""},
		{"{" BASE ",\"columns\":{\"a\":\"sku\",\"b\":\"quantitty\"}}", "store_id", "did you mean \"quantity\""},
	};

	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		struct sync_spec *plain = spec_of("{" BASE "}"), *s = spec_of(tables[i].payload);
		struct sync_table t;
		char err[512] = "";

		table_make(&t, plain);
		ck_assert(!sync_table_fit(&t, s, tables[i].tenant, err, sizeof err));
		ck_assert_msg(strstr(err, tables[i].wrong) != NULL, "%s", err);
		sync_table_free(&t);
		sync_spec_free(s);
		sync_spec_free(plain);
	}
}
END_TEST

START_TEST(rows_are_told_apart)
{
	static const char body[] = "{\"items\":[{\"sku\":\"a\",\"outcome\":\"done\"},{\"sku\":\"b\",\"error\":\"no\"},{\"sku\":7},{\"sku\":\"d\",\"outcome\":\"fail\"},"
		"{\"sku\":\"e\",\"outcome\":\"retry\"},{\"sku\":\"f\",\"outcome\":\"maybe\"},7,{\"x\":1}]}";
	static const struct { const char *item; enum sync_said said; } rows[] = {
		{"{\"sku\":\"a\"}", SYNC_TAKEN}, {"{\"sku\":\"b\"}", SYNC_REFUSED}, {"{\"sku\":\"7\"}", SYNC_TAKEN}, {"{\"sku\":\"d\"}", SYNC_REFUSED},
		{"{\"sku\":\"e\"}", SYNC_AGAIN}, {"{\"sku\":\"f\"}", SYNC_AGAIN}, {"{\"sku\":\"g\"}", SYNC_AGAIN},
	};
	struct sync_spec *s = spec_of("{\"url\":\"https://a.example/i\"," PUSH "}");
	json_t *doc;
	const char *error;
	const json_t *list = sync_page_outcomes(s, body, sizeof body - 1, &doc);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		json_t *item = json_loads(rows[i].item, 0, NULL);
		ck_assert_msg(sync_page_outcome(s, list, item, &error) == rows[i].said, "%s", rows[i].item);
		json_decref(item);
	}
	json_decref(doc);
	ck_assert_ptr_null(sync_page_outcomes(s, "{}", 2, &doc));
	json_decref(doc);
	ck_assert_ptr_null(sync_page_outcomes(s, "", 0, &doc));
	json_decref(doc);
	sync_spec_free(s);
}
END_TEST

START_TEST(names_are_quoted)
{
	struct sync_spec *s = spec_of("{" BASE ",\"version\":\"rev\"}");
	struct sync_table t;
	struct sync_page p;
	struct buf sql = {0};
	char err[256];
	static const char body[] = "[{\"sku\":\"a\",\"quantity\":1,\"rev\":1}]";

	table_make(&t, s);
	ck_assert(sync_page_read(&p, s, &t, body, sizeof body - 1, NULL, err, sizeof err));
	sync_plan_merge(&t, s, &p.groups[0], &sql);
	ck_assert_ptr_nonnull(strstr(buf_str(&sql), "INSERT INTO \"public\".\"inventory\" AS t (\"store_id\", \"sku\", \"quantity\", \"rev\")"));
	ck_assert_ptr_nonnull(strstr(buf_str(&sql), "ON CONFLICT (\"store_id\", \"sku\") DO UPDATE SET \"quantity\" = excluded.\"quantity\""));
	ck_assert_ptr_nonnull(strstr(buf_str(&sql), "excluded.\"rev\" >= t.\"rev\""));
	ck_assert_ptr_null(strstr(buf_str(&sql), "\"store_id\" = excluded"));
	buf_free(&sql);
	sync_page_free(&p);
	sync_table_free(&t);
	sync_spec_free(s);
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof table[0]))

int main(void)
{
	Suite *suite = suite_create("sync");
	TCase *tc = tcase_create("pure");
	SRunner *runner = srunner_create(suite);

	LOOP(tc, payloads_are_checked, payloads);
	tcase_add_test(tc, hosts_may_be_limited);
	tcase_add_test(tc, a_source_is_what_the_position_means);
	tcase_add_test(tc, a_row_makes_a_url);
	LOOP(tc, a_page_is_read, pages);
	tcase_add_test(tc, a_table_has_to_fit);
	tcase_add_test(tc, rows_are_told_apart);
	tcase_add_test(tc, names_are_quoted);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

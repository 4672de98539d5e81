/*
 * tests/unit/test_sms.c: what a text message may be, how templates are filled, what an HTTP answer means. All pure.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "handlers/gsm.h"
#include "handlers/law.h"
#include "handlers/sms_message.h"
#include "handlers/template.h"

static struct gsm_size measure(const char *text)
{
	return gsm_measure(text, strlen(text));
}

START_TEST(gsm_knows_its_alphabet)
{
	ck_assert(measure("hello @ $ _ 1").gsm7);
	ck_assert(measure("£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\n\r").gsm7);
	ck_assert(!measure("back`tick").gsm7);
	ck_assert(!measure("ç").gsm7); /* only the capital is there */
	ck_assert(!measure("ё").gsm7);
	ck_assert(!measure("😀").gsm7);
	ck_assert(!measure("\t").gsm7);
}
END_TEST

START_TEST(gsm_counts_segments)
{
	char text[512];

	memset(text, 'a', sizeof text);
	ck_assert_uint_eq(gsm_measure(text, 0).segments, 0);
	ck_assert_uint_eq(gsm_measure(text, 160).segments, 1);
	ck_assert_uint_eq(gsm_measure(text, 161).segments, 2);
	ck_assert_uint_eq(gsm_measure(text, 306).segments, 2);
	ck_assert_uint_eq(gsm_measure(text, 307).segments, 3);
	ck_assert_uint_eq(measure("€[").units, 4);    /* escapes take two septets */
	ck_assert_uint_eq(measure("日😀").units, 3);  /* a surrogate pair is two units */
	text[70] = '\0';
	memcpy(text, "日", 3);
	ck_assert_uint_eq(measure(text).segments, 1); /* 68 units */
	memset(text, 'a', 74);
	memcpy(text, "日", 3);
	text[74] = '\0';
	ck_assert_uint_eq(measure(text).segments, 2); /* 72 */
}
END_TEST

static const struct { const char *payload, *want; } messages[] = {
	{"{\"to\":\"+358401234567\",\"text\":\"x\"}", NULL},
	{"{\"to\":[\"+358401234567\"],\"text\":\"x\",\"from\":null}", NULL},
	{"{\"to\":\"+12345678\",\"text\":\"x\",\"from\":\"Shop\",\"campaign\":7}", NULL},
	{"{\"to\":[\"+358401234567\",\"+358401234568\"],\"text\":\"x\"}", "one job a recipient"},
	{"{\"to\":[],\"text\":\"x\"}", "one job a recipient"},
	{"{\"to\":7,\"text\":\"x\"}", "\"to\" is missing"},
	{"{\"text\":\"x\"}", "\"to\" is missing"},
	{"{\"to\":\"358401234567\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"+0401234567\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"+1234567\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"+1234567890123456\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"+35840 1234567\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"+358401234567\\r\\nX-Kannel-To: +1\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"+\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"\",\"text\":\"x\"}", "E.164"},
	{"{\"to\":\"+358401234567\"}", "\"text\" is missing"},
	{"{\"to\":\"+358401234567\",\"text\":\"\"}", "\"text\" is empty"},
	{"{\"to\":\"+358401234567\",\"text\":[\"x\"]}", "\"text\" is missing"},
	{"{\"to\":\"+358401234567\",\"text\":\"x\",\"from\":5}", "\"from\" is no string"},
	{"{\"to\":\"+358401234567\",\"text\":\"x\",\"from\":\"a\\nb\"}", "control character"},
	{"[]", "not an object"},
	{"\"+358401234567\"", "not an object"},
};

START_TEST(message_is_checked)
{
	struct sms_message m;
	char err[256] = "";
	const char *payload = messages[_i].payload, *want = messages[_i].want;
	bool good = sms_message_read(&m, payload, strlen(payload), "jobq", err, sizeof err);

	if (want != NULL) {
		ck_assert_msg(!good && strstr(err, want) != NULL, "%s: %s", payload, good ? "accepted" : err);
		return;
	}
	ck_assert_msg(good, "%s: %s", payload, err);
	ck_assert_str_eq(m.text, "x");
	ck_assert_str_eq(m.from, strstr(payload, "Shop") != NULL ? "Shop" : "jobq");
	sms_message_free(&m);
}
END_TEST

START_TEST(message_has_a_longest_text)
{
	struct sms_message m;
	char err[256] = "";
	size_t most = 255 * 153;
	char *payload = malloc(most + 100);

	for (size_t extra = 0; extra < 2; extra++) {
		int n = sprintf(payload, "{\"to\":\"+358401234567\",\"text\":\"");
		memset(payload + n, 'a', most + extra);
		strcpy(payload + n + most + extra, "\"}");
		bool good = sms_message_read(&m, payload, strlen(payload), "", err, sizeof err);
		ck_assert_msg(good == (extra == 0), "%zu more: %s", extra, err);
		if (good)
			sms_message_free(&m);
	}
	free(payload);
}
END_TEST

static const json_t *lookup(void *arg, const char *name)
{
	return json_object_get(arg, name);
}

/* What comes out, in memory the caller frees; or "missing NAME". */
static char *render(const char *template, enum template_form form, json_t *values)
{
	struct template *t = template_parse(template);
	struct buf out = {0};
	char missing[32];

	if (!template_render(t, form, lookup, values, &out, missing, sizeof missing)) {
		buf_reset(&out);
		buf_printf(&out, "missing %s", missing);
	}
	char *text = strdup(buf_str(&out));
	buf_free(&out);
	template_free(t);
	return text;
}

static const struct { const char *template; enum template_form form; const char *want; } templates[] = {
	{"", TEMPLATE_JSON, ""},
	{"{\"to\":\"{to}\"}", TEMPLATE_JSON, "{\"to\":\"+1\"}"},
	{"{\"text\":\"{text}\",\"n\":{n},\"x\":{}}", TEMPLATE_JSON, "{\"text\":\"a\\\"b\\\\\\n{to} \\u0001\",\"n\":7,\"x\":{}}"},
	{"{to}{to}", TEMPLATE_JSON, "+1+1"},
	{"{{to}}", TEMPLATE_JSON, "{+1}"},
	{"{ to } {to {", TEMPLATE_JSON, "{ to } {to {"},
	{"o={o} l={l} t={t}", TEMPLATE_JSON, "o={\"a\":[1,null]} l=[\"{to}\"] t=true"},
	{"Bearer {to}", TEMPLATE_PLAIN, "Bearer +1"},
	{"{text}", TEMPLATE_PLAIN, "a\"b\\\n{to} \x01"},
	{"{to} {nobody}", TEMPLATE_JSON, "missing nobody"},
};

START_TEST(template_is_filled)
{
	json_t *values = json_pack("{s:s, s:s, s:i, s:{s:[i,n]}, s:[s], s:b}", "to", "+1", "text", "a\"b\\\n{to} \x01", "n", 7, "o", "a",
		1, "l", "{to}", "t", 1);
	char *got = render(templates[_i].template, templates[_i].form, values);

	ck_assert_str_eq(got, templates[_i].want);
	free(got);
	json_decref(values);
}
END_TEST

static const struct { long status; int64_t retry_after_s; enum law_verdict verdict; int64_t after_s; } laws[] = {
	{200, -1, LAW_ACCEPTED, -1}, {202, -1, LAW_ACCEPTED, -1}, {204, -1, LAW_ACCEPTED, -1},
	{408, -1, LAW_SNOOZE, -1}, {425, -1, LAW_SNOOZE, -1}, {429, -1, LAW_SNOOZE, -1}, {429, 7, LAW_SNOOZE, 7}, {429, 0, LAW_SNOOZE, -1},
	{401, -1, LAW_GATE, 5}, {403, -1, LAW_GATE, 5}, {407, -1, LAW_GATE, 5},
	{400, -1, LAW_FAIL, -1}, {404, -1, LAW_FAIL, -1}, {413, 5, LAW_FAIL, -1}, {422, -1, LAW_FAIL, -1}, {499, -1, LAW_FAIL, -1},
	{301, -1, LAW_FAIL, -1}, {302, -1, LAW_FAIL, -1},
	{500, -1, LAW_RETRY, -1}, {500, 9, LAW_RETRY, -1}, {503, -1, LAW_RETRY, -1}, {503, 9, LAW_SNOOZE, 9},
	{502, -1, LAW_UNCERTAIN, -1}, {504, 3, LAW_UNCERTAIN, -1}, {501, -1, LAW_UNCERTAIN, -1}, {599, -1, LAW_UNCERTAIN, -1},
	{100, -1, LAW_UNCERTAIN, -1}, {999, -1, LAW_UNCERTAIN, -1},
};

START_TEST(law_of_answers)
{
	struct law_pace pace = {0};
	int64_t after = laws[_i].retry_after_s < 0 ? -1 : laws[_i].retry_after_s * NS_PER_S;
	struct http_reply reply = {.reach = HTTP_ANSWERED, .status = laws[_i].status, .retry_after_ns = after};
	struct law law = law_judge(&reply, &pace, 1000 * NS_PER_S);

	ck_assert_int_eq(law.verdict, laws[_i].verdict);
	ck_assert_int_eq(law.after_ns, laws[_i].after_s < 0 ? -1 : laws[_i].after_s * NS_PER_S);
}
END_TEST

START_TEST(law_tells_of_the_receiver)
{
	static const struct { long status; enum jobq_cause cause; } causes[] = {
		{200, JOBQ_CAUSE_NONE}, {400, JOBQ_CAUSE_NONE}, {401, JOBQ_CAUSE_NONE}, {408, JOBQ_CAUSE_DOWN}, {425, JOBQ_CAUSE_NONE},
		{429, JOBQ_CAUSE_REFUSED}, {500, JOBQ_CAUSE_DOWN}, {502, JOBQ_CAUSE_DOWN}, {503, JOBQ_CAUSE_DOWN}, {504, JOBQ_CAUSE_DOWN},
	};
	struct law_pace pace = {0};

	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
		struct http_reply reply = {.reach = HTTP_ANSWERED, .status = causes[i].status, .retry_after_ns = -1};
		ck_assert_msg(law_judge(&reply, &pace, 0).cause == causes[i].cause, "%ld", causes[i].status);
	}
}
END_TEST

START_TEST(law_without_an_answer)
{
	struct law_pace pace = {0};
	struct http_reply reply = {.reach = HTTP_NOT_SENT, .retry_after_ns = -1, .error = "refused"};

	ck_assert_int_eq(law_judge(&reply, &pace, 0).verdict, LAW_RETRY);
	ck_assert_int_eq(law_judge(&reply, &pace, 0).cause, JOBQ_CAUSE_UNREACHED);
	reply.reach = HTTP_UNANSWERED;
	ck_assert_int_eq(law_judge(&reply, &pace, 0).cause, JOBQ_CAUSE_DOWN);
	ck_assert_int_eq(law_judge(&reply, &pace, 0).verdict, LAW_UNCERTAIN);
}
END_TEST

START_TEST(law_waits_grow_and_start_afresh)
{
	static const int64_t want[] = {5, 10, 20, 40, 80, 160, 300, 300};
	struct law_pace pace = {0};
	struct http_reply reply = {.reach = HTTP_ANSWERED, .status = 401, .retry_after_ns = -1};
	int64_t now = 0;

	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		int64_t wait = law_judge(&reply, &pace, now).after_ns;
		ck_assert_int_eq(wait, want[i] * NS_PER_S);
		ck_assert_int_eq(law_judge(&reply, &pace, now).after_ns, wait); /* its neighbour in flight: the same step */
		now += wait;
	}
	law_accepted(&pace);
	ck_assert_int_eq(law_judge(&reply, &pace, now).after_ns, 5 * NS_PER_S);
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof table[0]))

int main(void)
{
	Suite *suite = suite_create("sms");
	TCase *tc = tcase_create("pure");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(tc, gsm_knows_its_alphabet);
	tcase_add_test(tc, gsm_counts_segments);
	LOOP(tc, message_is_checked, messages);
	tcase_add_test(tc, message_has_a_longest_text);
	LOOP(tc, template_is_filled, templates);
	LOOP(tc, law_of_answers, laws);
	tcase_add_test(tc, law_tells_of_the_receiver);
	tcase_add_test(tc, law_without_an_answer);
	tcase_add_test(tc, law_waits_grow_and_start_afresh);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

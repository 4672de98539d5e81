/*
 * tests/unit/test_webhook.c: the pure parts of the web hook: signatures, job objects, and what answers mean.
 *
 * The signature's numbers are the example of the Standard Webhooks specification; its own library checks ours in
 * tests/integration/test_http_handler.py.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "handlers/dialect.h"
#include "handlers/headers.h"
#include "handlers/webhook_answer.h"
#include "handlers/webhook_sign.h"

const char *jobq_idempotency_key(const struct jobq_job *job)
{
	static char key[64];

	ck_assert_int_gt(snprintf(key, sizeof key, "9f1c2d3e-%lld", (long long)job->id), 0);
	return key;
}

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static void sign(const char *secret, struct buf *out)
{
	static const char body[] = "{\"test\": 2432232314}";
	struct webhook_keys keys;
	const char *wrong = webhook_keys_read(&keys, secret);

	ck_assert_msg(wrong == NULL, "%s", wrong);
	webhook_sign(&keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body, sizeof body - 1, out);
	webhook_keys_wipe(&keys);
	ck_assert_uint_eq(keys.n, 0);
}

START_TEST(the_signature_is_that_of_the_specification)
{
	struct buf out = {0};

	sign(SECRET, &out);
	ck_assert_str_eq(buf_str(&out), SIGNATURE);
	buf_reset(&out);
	sign("  MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\t", &out); /* without the prefix */
	ck_assert_str_eq(buf_str(&out), SIGNATURE);
	buf_reset(&out);
	sign(SECRET " whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), SIGNATURE " v1,"));
	buf_free(&out);
}
END_TEST

static const struct { const char *text, *wrong; size_t n; } secrets[] = {
	{"", NULL, 0}, {" ", NULL, 0}, {SECRET, NULL, 1}, {SECRET " " SECRET, NULL, 2}, {SECRET " " SECRET " " SECRET, "more than two", 0},
	{"whsec_", "base64", 0}, {"whsec_c2hvcnQ=", "base64", 0}, {"a password that is no base64", "base64", 0}, {"whsec_!!!!KQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64", 0},
	{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, 1}, /* without its padding */
	{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", NULL, 1}, /* 64 bytes */
	{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "base64", 0},
	{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "base64", 0},
};

START_TEST(secrets_are_checked)
{
	struct webhook_keys keys;
	const char *wrong = webhook_keys_read(&keys, secrets[_i].text);

	ck_assert_msg((wrong == NULL) == (secrets[_i].wrong == NULL), "%s: %s", secrets[_i].text, wrong);
	if (wrong == NULL)
		ck_assert_uint_eq(keys.n, secrets[_i].n);
	else
		ck_assert_ptr_nonnull(strstr(wrong, secrets[_i].wrong));
}
END_TEST

START_TEST(a_job_becomes_an_object)
{
	struct buf out = {0};
	struct jobq_job job = {.id = 18231, .token = 7, .type = "resize", .tenant = "a\"\n", .user_id = "", .payload = "{\"n\":12345678901234567890}",
		.payload_len = 26, .priority = 2, .attempt = 1, .max_retries = 3, .deadline_us = INT64_C(1769860800123000)};

	dialect_put_job(&out, &job, "thumbs");
	ck_assert_str_eq(buf_str(&out), "{\"v\":1,\"id\":\"18231\",\"queue\":\"thumbs\",\"type\":\"resize\",\"tenant_id\":\"a\\\"\\n\",\"user_id\":null,"
		"\"priority\":\"high\",\"attempt\":1,\"max_retries\":3,\"deadline\":\"2026-01-31T12:00:00.123Z\",\"idempotency_key\":\"9f1c2d3e-18231\","
		"\"claim_token\":\"7\",\"payload\":{\"n\":12345678901234567890}}");
	buf_free(&out);
}
END_TEST

static const struct { const char *text, *wrong; enum jobq_outcome_kind kind; int64_t after_s; const char *error, *result; } outcomes[] = {
	{"{\"outcome\":\"done\"}", NULL, OUTCOME_DONE, -1, "", NULL},
	{"{\"outcome\":\"done\",\"result\":{\"a\":[1]},\"x\":1}", NULL, OUTCOME_DONE, -1, "", "{\"a\":[1]}"},
	{"{\"outcome\":\"done\",\"result\":7}", NULL, OUTCOME_DONE, -1, "", "7"},
	{"{\"outcome\":\"done\",\"result\":null}", NULL, OUTCOME_DONE, -1, "", NULL},
	{"{\"outcome\":\"retry\",\"error\":\"busy\",\"after\":\"30s\"}", NULL, OUTCOME_RETRY, 30, "busy", NULL},
	{"{\"outcome\":\"snooze\",\"after\":\"1000d\"}", NULL, OUTCOME_SNOOZE, 30 * 86400, "", NULL},
	{"{\"outcome\":\"fail\",\"error\":\"no\"}", NULL, OUTCOME_FAIL, -1, "no", NULL},
	{"{\"outcome\":\"uncertain\",\"error\":7}", NULL, OUTCOME_UNCERTAIN, -1, "", NULL},
	{"{\"outcome\":\"committed\"}", NULL, OUTCOME_COMMITTED, -1, "", NULL},
	{"{}", "outcome", 0, 0, NULL, NULL}, {"{\"outcome\":\"ok\"}", "outcome", 0, 0, NULL, NULL}, {"{\"outcome\":1}", "outcome", 0, 0, NULL, NULL},
	{"[]", "outcome", 0, 0, NULL, NULL}, {"{\"outcome\":\"cancelled\"}", "outcome", 0, 0, NULL, NULL},
	{"{\"outcome\":\"retry\",\"after\":30}", "after", 0, 0, NULL, NULL}, {"{\"outcome\":\"retry\",\"after\":\"soon\"}", "after", 0, 0, NULL, NULL},
};

START_TEST(an_outcome_is_read)
{
	json_t *in = json_loads(outcomes[_i].text, 0, NULL);
	struct dialect_outcome d;
	const char *wrong = dialect_read_outcome(in, &d);

	ck_assert_msg((wrong == NULL) == (outcomes[_i].wrong == NULL), "%s: %s", outcomes[_i].text, wrong);
	if (wrong != NULL) {
		ck_assert_ptr_nonnull(strstr(wrong, outcomes[_i].wrong));
	} else {
		ck_assert_int_eq(d.o.kind, outcomes[_i].kind);
		ck_assert_int_eq(d.o.after_ns, outcomes[_i].after_s < 0 ? -1 : outcomes[_i].after_s * NS_PER_S);
		ck_assert_str_eq(d.o.error == NULL ? "" : d.o.error, outcomes[_i].error);
		ck_assert_pstr_eq(d.result, outcomes[_i].result);
	}
	free(d.result);
	json_decref(in);
}
END_TEST

static const struct { const char *text; int64_t id; } ids[] = {
	{"{\"id\":\"7\"}", 7}, {"{\"id\":7}", 7}, {"{\"id\":\"9223372036854775807\"}", INT64_MAX}, {"{\"id\":\"9223372036854775808\"}", -1},
	{"{\"id\":\"\"}", -1}, {"{\"id\":\"7x\"}", -1}, {"{\"id\":\"-7\"}", -1}, {"{\"id\":7.0}", -1}, {"{}", -1}, {"[]", -1},
};

START_TEST(an_id_is_read)
{
	json_t *in = json_loads(ids[_i].text, 0, NULL);

	ck_assert_int_eq(dialect_id(in), ids[_i].id);
	json_decref(in);
}
END_TEST

static const struct {
	long status;
	int64_t retry_after_s;
	const char *body;
	enum jobq_outcome_kind kind; /* of all; COUNT: the document tells */
	int64_t after_s;
	enum jobq_cause cause;
	const char *why;
} answers[] = {
	{200, -1, "", OUTCOME_DONE, -1, JOBQ_CAUSE_NONE, ""}, {202, -1, " \r\n", OUTCOME_DONE, -1, JOBQ_CAUSE_NONE, ""},
	{204, -1, "", OUTCOME_DONE, -1, JOBQ_CAUSE_NONE, ""}, {200, -1, "{\"jobs\":[]}", OUTCOME_COUNT, -1, JOBQ_CAUSE_NONE, ""},
	{200, -1, "ok", OUTCOME_RETRY, -1, JOBQ_CAUSE_NONE, "not in JSON"}, {200, -1, "{\"ok\":true}", OUTCOME_RETRY, -1, JOBQ_CAUSE_NONE, "without a list"},
	{200, -1, "{\"jobs\":{}}", OUTCOME_RETRY, -1, JOBQ_CAUSE_NONE, "without a list"}, {200, -1, "[", OUTCOME_RETRY, -1, JOBQ_CAUSE_NONE, "not in JSON"},
	{301, -1, "", OUTCOME_FAIL, -1, JOBQ_CAUSE_NONE, "redirects are not followed"}, {400, -1, "no\n", OUTCOME_FAIL, -1, JOBQ_CAUSE_NONE, "answered 400: no"},
	{401, -1, "", OUTCOME_FAIL, -1, JOBQ_CAUSE_NONE, "401"}, {404, -1, "", OUTCOME_FAIL, -1, JOBQ_CAUSE_NONE, "404"}, {410, -1, "", OUTCOME_FAIL, -1, JOBQ_CAUSE_NONE, "410"},
	{408, -1, "", OUTCOME_RETRY, -1, JOBQ_CAUSE_DOWN, "408"}, {429, 7, "", OUTCOME_SNOOZE, 7, JOBQ_CAUSE_REFUSED, "429"},
	{429, -1, "", OUTCOME_SNOOZE, -1, JOBQ_CAUSE_REFUSED, "429"}, {500, -1, "", OUTCOME_RETRY, -1, JOBQ_CAUSE_DOWN, "500"}, {500, 7, "", OUTCOME_RETRY, -1, JOBQ_CAUSE_DOWN, "500"},
	{503, -1, "", OUTCOME_RETRY, -1, JOBQ_CAUSE_DOWN, "503"}, {503, 7, "", OUTCOME_SNOOZE, 7, JOBQ_CAUSE_DOWN, "503"}, {599, -1, "", OUTCOME_RETRY, -1, JOBQ_CAUSE_DOWN, "599"},
};

START_TEST(an_answer_is_judged)
{
	struct webhook_answer a;
	const struct http_reply reply = {.reach = HTTP_ANSWERED, .status = answers[_i].status, .body = answers[_i].body, .body_len = strlen(answers[_i].body),
		.retry_after_ns = answers[_i].retry_after_s < 0 ? -1 : answers[_i].retry_after_s * NS_PER_S};

	webhook_answer_read(&a, &reply);
	ck_assert_msg((a.document != NULL) == (answers[_i].kind == OUTCOME_COUNT), "%ld %s", answers[_i].status, answers[_i].body);
	if (a.document == NULL)
		ck_assert_int_eq(a.all.kind, answers[_i].kind);
	ck_assert_int_eq(a.all.after_ns, answers[_i].after_s < 0 ? -1 : answers[_i].after_s * NS_PER_S);
	ck_assert_int_eq(a.cause, answers[_i].cause);
	ck_assert_msg(strstr(buf_str(&a.why), answers[_i].why) != NULL, "%s", buf_str(&a.why));
	ck_assert_int_eq(a.why.len == 0, answers[_i].why[0] == '\0');
	webhook_answer_free(&a);
}
END_TEST

START_TEST(no_answer_is_judged)
{
	struct webhook_answer a;
	struct http_reply reply = {.reach = HTTP_NOT_SENT, .retry_after_ns = -1, .error = "refused"};

	for (int i = 0; i < 2; i++) {
		webhook_answer_read(&a, &reply);
		ck_assert_int_eq(a.all.kind, OUTCOME_RETRY);
		ck_assert_int_eq(a.cause, i == 0 ? JOBQ_CAUSE_UNREACHED : JOBQ_CAUSE_DOWN);
		ck_assert(!a.gate);
		webhook_answer_free(&a);
		reply.reach = HTTP_UNANSWERED;
	}
	reply.reach = HTTP_NOT_SENT;
	reply.not_public = true;
	webhook_answer_read(&a, &reply);
	ck_assert_int_eq(a.all.kind, OUTCOME_SNOOZE);
	ck_assert_int_gt(a.all.after_ns, 0);
	ck_assert(a.gate);
	ck_assert_ptr_nonnull(strstr(buf_str(&a.why), "allow_private"));
	webhook_answer_free(&a);
}
END_TEST

START_TEST(a_document_speaks_of_each)
{
	static const char body[] = "{\"jobs\":[7,{\"id\":\"9\",\"outcome\":\"done\"},{\"id\":\"1\",\"outcome\":\"fail\",\"error\":\"no\"},{\"id\":\"1\",\"outcome\":\"done\"},"
		"{\"id\":2,\"outcome\":\"done\"},{\"id\":\"3\",\"outcome\":\"?\"}]}";
	static const int64_t jobs[] = {1, 2, 3, 4};
	static const enum jobq_outcome_kind want[] = {OUTCOME_FAIL, OUTCOME_DONE};
	struct webhook_answer a;
	struct dialect_outcome d;
	const json_t *said[4];
	const struct http_reply reply = {.reach = HTTP_ANSWERED, .status = 200, .body = body, .body_len = sizeof body - 1, .retry_after_ns = -1};

	webhook_answer_read(&a, &reply);
	webhook_answer_find(&a, jobs, 4, said);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_ptr_null(webhook_answer_of(said[i], &d));
		ck_assert_int_eq(d.o.kind, want[i]);
		free(d.result);
	}
	ck_assert_ptr_nonnull(strstr(webhook_answer_of(said[2], &d), "outcome"));
	ck_assert_ptr_nonnull(strstr(webhook_answer_of(said[3], &d), "does not name"));
	webhook_answer_free(&a);
}
END_TEST

START_TEST(configured_headers_are_read)
{
	static const char *const wrong[] = {"nocolon", ": x", "a b: c", "X: a\x01", "X: ok\nbad"};
	struct headers *h = headers_parse("X-Key: \t s3cret \nAccept:\nAuthorization: Bearer a:b");

	ck_assert_ptr_nonnull(h);
	ck_assert(headers_has(h, "x-key") && headers_has(h, "ACCEPT") && !headers_has(h, "X"));
	headers_free(h);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_ptr_null(headers_parse(wrong[i]));
	headers_free(NULL);
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof table[0]))

int main(void)
{
	Suite *suite = suite_create("webhook");
	TCase *tc = tcase_create("pure");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(tc, the_signature_is_that_of_the_specification);
	LOOP(tc, secrets_are_checked, secrets);
	tcase_add_test(tc, a_job_becomes_an_object);
	LOOP(tc, an_outcome_is_read, outcomes);
	LOOP(tc, an_id_is_read, ids);
	LOOP(tc, an_answer_is_judged, answers);
	tcase_add_test(tc, no_answer_is_judged);
	tcase_add_test(tc, a_document_speaks_of_each);
	tcase_add_test(tc, configured_headers_are_read);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

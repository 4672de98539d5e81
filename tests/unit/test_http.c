/*
 * tests/unit/test_http.c: the sms handler, its drivers and the HTTP client, against a real TCP server of many manners.
 *
 * Server, handler and the little worker that lends it its services share one event loop. The server reads whole requests,
 * keeps the last one, and answers as the test says: with given bytes, by hanging up, by a reset, or not at all.
 */
#include "config.h"

#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "jobq/handler.h"

enum manner { ANSWER, ANSWER_AND_CLOSE, HANG_UP, RESET, SILENCE };

static struct event_base *base;
static struct evconnlistener *listener;
static struct {
	enum manner manner;
	const char *answer;
	char *huge;
	unsigned connections, requests;
	char last[8192];
	struct bufferevent *open[16];
	unsigned short port;
} server;

static struct conf_queue queue;
static const struct jobq_handler *sms;
static void *state;

struct result {
	bool ended;
	enum jobq_outcome_kind kind;
	int64_t after_ns;
	char error[1024], text[1024];
};
static struct result results[16];
static struct jobq_job jobs[16];
static unsigned gates;
static char gate_reason[256];

/* --- the little worker */

void jobq_admit(struct jobq_job *job, jobq_go *go)
{
	go(state, job);
}

void jobq_end(struct jobq_job *job, const struct jobq_outcome *o)
{
	struct result *r = &results[job - jobs];

	ck_assert(!r->ended);
	*r = (struct result){.ended = true, .kind = o->kind, .after_ns = o->after_ns};
	memcpy(r->error, o->error == NULL ? "" : o->error, o->error_len < 1023 ? o->error_len : 1023);
	memcpy(r->text, o->result == NULL ? "" : o->result, o->result_len < 1023 ? o->result_len : 1023);
}

void jobq_end_error(struct jobq_job *job, enum jobq_outcome_kind kind, int64_t after_ns, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	ck_assert_int_ge(vsnprintf(text, sizeof text, format, ap), 0);
	va_end(ap);
	struct jobq_outcome o = {.kind = kind, .after_ns = after_ns, .error = text, .error_len = strlen(text)};
	jobq_end(job, &o);
}

void jobq_progress(struct jobq_job *job, double percent, const char *note)
{
	(void)job;
	(void)percent;
	(void)note;
}

void jobq_gate(struct jobq_job *job, int64_t retry_ns, const char *reason)
{
	(void)job;
	ck_assert_int_gt(retry_ns, 0);
	gates++;
	ck_assert_int_ge(snprintf(gate_reason, sizeof gate_reason, "%s", reason), 0);
}

bool jobq_program(struct worker *worker, pid_t leader, bool runs)
{
	ck_abort_msg("a program %p %ld %d", (void *)worker, (long)leader, runs);
	return false;
}

const char *jobq_idempotency_key(const struct jobq_job *job)
{
	static char key[64];

	ck_assert_int_gt(snprintf(key, sizeof key, "9f1c2d3e-%lld", (long long)job->id), 0);
	return key;
}

/* --- the server */

static void hang_up(struct bufferevent *bev, bool reset)
{
	struct linger now = {1, 0};

	for (size_t i = 0; i < 16; i++)
		if (server.open[i] == bev)
			server.open[i] = NULL;
	if (reset)
		ck_assert_int_eq(setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	bufferevent_free(bev);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	(void)arg;
	hang_up(bev, false);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	hang_up(bev, false);
}

static void respond(struct bufferevent *bev)
{
	server.requests++;
	if (server.manner == HANG_UP || server.manner == RESET) {
		hang_up(bev, server.manner == RESET);
	} else if (server.manner != SILENCE) {
		ck_assert_int_eq(bufferevent_write(bev, server.answer, strlen(server.answer)), 0);
		if (server.manner == ANSWER_AND_CLOSE)
			bufferevent_setcb(bev, NULL, on_written, on_end, NULL);
	}
}

static void on_bytes(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len = evbuffer_get_length(in);
	char text[8192];

	(void)arg;
	ck_assert_uint_lt(len, sizeof text);
	ck_assert_int_eq(evbuffer_copyout(in, text, len), (int)len);
	text[len] = '\0';
	const char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
	if (body == NULL || length == NULL || strlen(body + 4) < strtoul(length + 16, NULL, 10))
		return;
	memcpy(server.last, text, len + 1);
	ck_assert_int_eq(evbuffer_drain(in, len), 0);
	respond(bev);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)l;
	(void)from;
	(void)len;
	(void)arg;
	server.connections++;
	for (size_t i = 0; i < 16; i++)
		if (server.open[i] == NULL) {
			server.open[i] = bev;
			break;
		}
	bufferevent_setcb(bev, on_bytes, NULL, on_end, NULL);
	ck_assert_int_eq(bufferevent_enable(bev, EV_READ | EV_WRITE), 0);
}

static void setup(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;

	base = event_base_new();
	memset(&server, 0, sizeof server);
	memset(results, 0, sizeof results);
	gates = 0;
	listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 8, (struct sockaddr *)&at, sizeof at);
	ck_assert_ptr_nonnull(listener);
	ck_assert_int_eq(getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&at, &len), 0);
	server.port = ntohs(at.sin_port);
	server.answer = "HTTP/1.1 202 Accepted\r\nContent-Length: 24\r\n\r\n0: Accepted for delivery";
	queue = (struct conf_queue){.name = "sms", .k = {.handler = "sms", .driver = CONF_DRIVER_KANNEL, .gateway_user = "tester",
		.gateway_password = "s3cret", .from = "jobq", .body = "", .headers = "", .response_id = "", .max_connections = 4}};
	queue.k.gateway_url = xasprintf("http://127.0.0.1:%u/cgi-bin/sendsms", server.port);
	sms = jobq_handler_find("sms");
}

static void open_handler(void)
{
	char err[256] = "";
	struct jobq_env env = {.base = base, .queue = &queue, .user_agent = "jobq/test"};

	ck_assert_msg(sms->open(&env, &state, err, sizeof err) == 0, "%s", err);
}

static void teardown(void)
{
	sms->close(state);
	for (size_t i = 0; i < 16; i++)
		if (server.open[i] != NULL)
			bufferevent_free(server.open[i]);
	if (listener != NULL)
		evconnlistener_free(listener);
	event_base_free(base);
	free((void *)(uintptr_t)queue.k.gateway_url);
	free(server.huge);
}

/* Job n with that payload is given to the handler. */
static void begin(unsigned n, const char *payload)
{
	struct jobq_job *list[1] = {&jobs[n]};
	struct jobq_batch batch = {.id = n, .count = 1, .jobs = list};

	results[n] = (struct result){0};
	jobs[n] = (struct jobq_job){.id = 100 + n, .type = "otp", .tenant = "acme", .user_id = "", .payload = payload,
		.payload_len = strlen(payload), .attempt = 2, .batch = &batch};
	sms->run(state, &batch);
}

static const struct result *finish(unsigned n)
{
	while (!results[n].ended)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	return &results[n];
}

#define HELLO "{\"to\":\"+358401234567\",\"text\":\"hei\"}"

static const struct result *send_one(const char *payload)
{
	begin(0, payload);
	return finish(0);
}

static void expect(const char *part)
{
	ck_assert_msg(strstr(server.last, part) != NULL, "\"%s\" is not in the request:\n%s", part, server.last);
}

START_TEST(kannel_accepts)
{
	open_handler();
	const struct result *r = send_one("{\"to\":[\"+358401234567\"],\"text\":\"äö {x}\\n\"}");
	ck_assert_int_eq(r->kind, OUTCOME_DONE);
	ck_assert_str_eq(r->text, "{\"response\":\"0: Accepted for delivery\",\"ref\":\"9f1c2d3e-100\"}");
	expect("POST /cgi-bin/sendsms HTTP/1.1\r\n"); /* no password in the URL */
	expect("X-Kannel-Username: tester\r\n");
	expect("X-Kannel-Password: s3cret\r\n");
	expect("X-Kannel-From: jobq\r\n");
	expect("X-Kannel-To: +358401234567\r\n");
	expect("X-Kannel-BInfo: 9f1c2d3e-100\r\n");
	expect("X-Kannel-Coding: 0\r\n");
	expect("Content-Type: text/plain; charset=UTF-8\r\n");
	expect("\r\n\r\näö {x}\n");
	(void)send_one("{\"to\":\"+358401234567\",\"text\":\"日本\",\"from\":\"Shop\"}");
	expect("X-Kannel-Coding: 2\r\n");
	expect("X-Kannel-From: Shop\r\n");
	ck_assert_uint_eq(server.connections, 1); /* kept */
	ck_assert_uint_eq(server.requests, 2);
}
END_TEST

static const struct {
	const char *answer;
	enum jobq_outcome_kind kind;
	int64_t after_s; /* -1 none */
	unsigned gates;
	const char *error;
} answers[] = {
	{"HTTP/1.1 202 Accepted\r\nContent-Length: 28\r\n\r\n3: Queued for later delivery", OUTCOME_DONE, -1, 0, ""},
	{"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello", OUTCOME_UNCERTAIN, -1, 0, "is it Kannel?"},
	{"HTTP/1.1 204 No Content\r\n\r\n", OUTCOME_UNCERTAIN, -1, 0, "is it Kannel?"},
	{"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nno \x1b[1m\xff\r\n", OUTCOME_FAIL, -1, 0, "the gateway answered 400: no \x1b[1m"},
	{"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", OUTCOME_FAIL, -1, 0, "redirects are not followed"},
	{"HTTP/1.1 403 Forbidden\r\nContent-Length: 32\r\n\r\nAuthorization failed for sendsms\n", OUTCOME_SNOOZE, 5, 1, "403"},
	{"HTTP/1.1 403 Forbidden\r\nContent-Length: 31\r\n\r\nNot routable. Do not try again.", OUTCOME_FAIL, -1, 0, "Not routable"},
	{"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", OUTCOME_SNOOZE, 5, 1, "401"},
	{"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", OUTCOME_SNOOZE, 7, 0, "429"},
	{"HTTP/1.1 429 Slow\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n", OUTCOME_SNOOZE, 3600, 0, "429"},
	{"HTTP/1.1 429 Slow\r\nRetry-After: tomorrow\r\nContent-Length: 0\r\n\r\n", OUTCOME_SNOOZE, -1, 0, "429"},
	{"HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n", OUTCOME_SNOOZE, -1, 0, "429"},
	{"HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 34\r\n\r\nTemporal failure, try again later.", OUTCOME_SNOOZE, 9, 0, "Temporal"},
	{"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", OUTCOME_RETRY, -1, 0, "the gateway answered 500"},
	{"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", OUTCOME_UNCERTAIN, -1, 0, "502"},
	{"HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n", OUTCOME_UNCERTAIN, -1, 0, "504"},
	{"complete garbage\r\n\r\n", OUTCOME_UNCERTAIN, -1, 0, "did not answer"},
	{"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n0: Acc", OUTCOME_UNCERTAIN, -1, 0, "did not answer"},
	{"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\nno su", OUTCOME_FAIL, -1, 0, "400"}, /* refused, though cut short */
	{"HTTP/1.1 202", OUTCOME_UNCERTAIN, -1, 0, "did not answer"},
};

START_TEST(the_law_of_answers)
{
	open_handler();
	server.manner = ANSWER_AND_CLOSE;
	server.answer = answers[_i].answer;
	const struct result *r = send_one(HELLO);
	ck_assert_msg(r->kind == answers[_i].kind, "%s: outcome %d, %s", answers[_i].answer, (int)r->kind, r->error);
	ck_assert_int_eq(r->after_ns, answers[_i].after_s < 0 ? -1 : answers[_i].after_s * NS_PER_S);
	ck_assert_msg(strstr(r->error, answers[_i].error) != NULL, "%s", r->error);
	ck_assert_uint_eq(gates, answers[_i].gates);
	ck_assert_uint_eq(server.requests, 1);
}
END_TEST

START_TEST(a_date_to_retry_after)
{
	char answer[256], date[64];
	time_t at = (time_t)(clock_real_us() / US_PER_S) + 30;
	struct tm tm;

	open_handler();
	ck_assert_uint_gt(strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm)), 0);
	ck_assert_int_gt(snprintf(answer, sizeof answer, "HTTP/1.1 429 Slow\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date), 0);
	server.answer = answer;
	const struct result *r = send_one(HELLO);
	ck_assert_int_eq(r->kind, OUTCOME_SNOOZE);
	ck_assert_int_gt(r->after_ns, 20 * NS_PER_S);
	ck_assert_int_le(r->after_ns, 30 * NS_PER_S);
}
END_TEST

START_TEST(sent_and_unanswered_is_uncertain)
{
	open_handler();
	server.manner = _i == 0 ? HANG_UP : RESET;
	ck_assert_int_eq(send_one(HELLO)->kind, OUTCOME_UNCERTAIN);
	ck_assert_uint_eq(server.requests, 1);
}
END_TEST

START_TEST(a_dead_kept_connection_is_not_asked_twice)
{
	open_handler();
	ck_assert_int_eq(send_one(HELLO)->kind, OUTCOME_DONE);
	server.manner = _i == 0 ? HANG_UP : RESET; /* what libcurl would answer by sending again */
	ck_assert_int_eq(send_one(HELLO)->kind, OUTCOME_UNCERTAIN);
	ck_assert_uint_eq(server.requests, 2);
	server.manner = ANSWER;
	ck_assert_int_eq(send_one(HELLO)->kind, OUTCOME_DONE); /* and the client is well */
	ck_assert_uint_eq(server.requests, 3);
}
END_TEST

START_TEST(an_idle_connection_that_closed_is_no_matter)
{
	open_handler();
	server.manner = ANSWER_AND_CLOSE;
	for (unsigned n = 1; n <= 5; n++) {
		ck_assert_int_eq(send_one(HELLO)->kind, OUTCOME_DONE);
		for (bool gone = false; !gone;) { /* until the server has hung up */
			ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 0);
			gone = true;
			for (size_t i = 0; i < 16; i++)
				gone = gone && server.open[i] == NULL;
		}
		ck_assert_uint_eq(server.requests, n);
	}
	ck_assert_uint_eq(server.connections, 5);
}
END_TEST

START_TEST(nobody_listens)
{
	open_handler();
	evconnlistener_free(listener);
	listener = NULL;
	const struct result *r = send_one(HELLO);
	ck_assert_int_eq(r->kind, OUTCOME_RETRY);
	ck_assert_int_eq(r->after_ns, -1);
	ck_assert_ptr_nonnull(strstr(r->error, "cannot be reached"));
}
END_TEST

START_TEST(a_huge_answer_is_cut)
{
	static const char *const heads[] = {
		"HTTP/1.1 400 Bad\r\nContent-Length: 10000000\r\n\r\nno. ", "HTTP/1.1 202 Ok\r\nContent-Length: 10000000\r\n\r\n0: ok, ",
	};
	server.huge = malloc(1000000);
	memset(server.huge, 'x', 999999);
	server.huge[999999] = '\0';
	memcpy(server.huge, heads[_i], strlen(heads[_i]));
	server.answer = server.huge;
	open_handler();
	const struct result *r = send_one(HELLO);
	ck_assert_int_eq(r->kind, _i == 0 ? OUTCOME_FAIL : OUTCOME_DONE);
	ck_assert_uint_lt(strlen(r->error), 700);
}
END_TEST

START_TEST(stopped_after_it_was_sent)
{
	open_handler();
	server.manner = SILENCE;
	begin(0, HELLO);
	begin(1, HELLO);
	while (server.requests < 2)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	sms->stop(state, &jobs[0], JOBQ_STOP_CANCEL); /* too late: its answer decides */
	ck_assert(!results[0].ended);
	sms->stop(state, &jobs[0], JOBQ_STOP_TIMEOUT);
	ck_assert_int_eq(results[0].kind, OUTCOME_UNCERTAIN);
	sms->stop(state, &jobs[1], JOBQ_STOP_TIMEOUT);
	ck_assert_int_eq(results[1].kind, OUTCOME_UNCERTAIN);
	server.manner = ANSWER;
	ck_assert_int_eq(send_one(HELLO)->kind, OUTCOME_DONE);
}
END_TEST

START_TEST(stopped_before_it_was_sent)
{
	open_handler();
	begin(0, HELLO); /* the loop has not turned: nothing has left */
	sms->stop(state, &jobs[0], JOBQ_STOP_CANCEL);
	ck_assert_int_eq(results[0].kind, OUTCOME_CANCELLED);
	begin(1, HELLO);
	sms->stop(state, &jobs[1], JOBQ_STOP_TIMEOUT);
	ck_assert_int_eq(results[1].kind, OUTCOME_RETRY);
	ck_assert_uint_eq(server.requests, 0);
}
END_TEST

static void json_queue(void)
{
	queue.k.driver = CONF_DRIVER_JSON;
	queue.k.body = "{\"dest\":\"{to}\",\"msg\":\"{text}\",\"src\":\"{from}\",\"n\":{campaign.n},\"t\":\"{tenant}/{attempt}\"}";
	queue.k.headers = "X-Key: {gateway_password}\nX-Tag: {tag}\n";
	queue.k.gateway_user = "";
	queue.k.response_id = "messages.0.id";
	open_handler();
}

#define JSON_JOB "{\"to\":\"+358401234567\",\"text\":\"a\\\"b{to}\",\"campaign\":{\"n\":7},\"tag\":\"x y\"}"

START_TEST(json_fills_its_templates)
{
	json_queue();
	server.answer = "HTTP/1.1 201 Created\r\nContent-Length: 31\r\n\r\n{\"messages\":[{\"id\":\"m-17\"},{}]}";
	const struct result *r = send_one(JSON_JOB);
	ck_assert_msg(r->kind == OUTCOME_DONE, "%s", r->error);
	ck_assert_str_eq(r->text, "{\"ref\":\"9f1c2d3e-100\",\"status\":201,\"message_id\":\"m-17\"}");
	expect("{\"dest\":\"+358401234567\",\"msg\":\"a\\\"b{to}\",\"src\":\"jobq\",\"n\":7,\"t\":\"acme/2\"}");
	expect("Content-Type: application/json\r\n");
	expect("Idempotency-Key: 9f1c2d3e-100\r\n");
	expect("X-Key: s3cret\r\n");
	expect("X-Tag: x y\r\n");
	ck_assert_ptr_null(strstr(server.last, "Authorization"));
}
END_TEST

static const struct { const char *payload, *answer; enum jobq_outcome_kind kind; const char *error; } json_cases[] = {
	{JSON_JOB, "HTTP/1.1 200 Ok\r\nContent-Length: 2\r\n\r\n{}", OUTCOME_UNCERTAIN, "without messages.0.id"},
	{JSON_JOB, "HTTP/1.1 200 Ok\r\nContent-Length: 7\r\n\r\n<html/>", OUTCOME_UNCERTAIN, "without messages.0.id"},
	{"{\"to\":\"+358401234567\",\"text\":\"x\",\"tag\":\"t\"}", "", OUTCOME_FAIL, "no \"campaign.n\", which the body needs"},
	{"{\"to\":\"+358401234567\",\"text\":\"x\",\"campaign\":{\"n\":1}}", "", OUTCOME_FAIL, "no \"tag\", which the header X-Tag needs"},
	{"{\"to\":\"+358401234567\",\"text\":\"x\",\"campaign\":{\"n\":1},\"tag\":\"a\\r\\nX-Evil: 1\"}", "", OUTCOME_FAIL, "control character"},
	{"{\"to\":\"0401234567\",\"text\":\"x\"}", "", OUTCOME_FAIL, "E.164"},
};

START_TEST(json_refuses)
{
	json_queue();
	server.answer = json_cases[_i].answer;
	const struct result *r = send_one(json_cases[_i].payload);
	ck_assert_int_eq(r->kind, json_cases[_i].kind);
	ck_assert_msg(strstr(r->error, json_cases[_i].error) != NULL, "%s", r->error);
	ck_assert_uint_eq(server.requests, json_cases[_i].kind == OUTCOME_UNCERTAIN ? 1 : 0);
}
END_TEST

START_TEST(json_with_basic_authentication)
{
	queue.k.driver = CONF_DRIVER_JSON;
	queue.k.body = "{}";
	open_handler();
	ck_assert_str_eq(send_one(HELLO)->text, "{\"ref\":\"9f1c2d3e-100\",\"status\":202}");
	expect("Authorization: Basic dGVzdGVyOnMzY3JldA==\r\n");
}
END_TEST

START_TEST(configurations_that_cannot_work)
{
	char err[256] = "";
	struct jobq_env env = {.base = base, .queue = &queue, .user_agent = "jobq/test"};

	queue.k.gateway_user = "";
	ck_assert_int_eq(sms->open(&env, &state, err, sizeof err), -1);
	ck_assert_ptr_nonnull(strstr(err, "gateway_user is not set"));
	queue.k.gateway_user = "x";
	queue.k.gateway_password = "s3cret\n";
	ck_assert_int_eq(sms->open(&env, &state, err, sizeof err), -1);
	ck_assert_ptr_nonnull(strstr(err, "gateway_password holds"));
	ck_assert_ptr_null(strstr(err, "s3cret"));
	queue.k.driver = CONF_DRIVER_JSON;
	ck_assert_int_eq(sms->open(&env, &state, err, sizeof err), -1);
	ck_assert_ptr_nonnull(strstr(err, "body is not set"));
	queue.k.body = "{}";
	queue.k.headers = "no colon here";
	ck_assert_int_eq(sms->open(&env, &state, err, sizeof err), -1);
	ck_assert_ptr_nonnull(strstr(err, "headers: each must be"));
	queue.k.headers = "";
	open_handler();
}
END_TEST

#define LOOP(tc, test, n) tcase_add_loop_test(tc, test, 0, (int)(n))
#define COUNT(table) (sizeof table / sizeof table[0])

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *tc = tcase_create("server");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, kannel_accepts);
	LOOP(tc, the_law_of_answers, COUNT(answers));
	tcase_add_test(tc, a_date_to_retry_after);
	LOOP(tc, sent_and_unanswered_is_uncertain, 2);
	LOOP(tc, a_dead_kept_connection_is_not_asked_twice, 2);
	tcase_add_test(tc, an_idle_connection_that_closed_is_no_matter);
	tcase_add_test(tc, nobody_listens);
	LOOP(tc, a_huge_answer_is_cut, 2);
	tcase_add_test(tc, stopped_after_it_was_sent);
	tcase_add_test(tc, stopped_before_it_was_sent);
	tcase_add_test(tc, json_fills_its_templates);
	LOOP(tc, json_refuses, COUNT(json_cases));
	tcase_add_test(tc, json_with_basic_authentication);
	tcase_add_test(tc, configurations_that_cannot_work);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * handlers/sms.c: text messages through an HTTP gateway.
 *
 * Runs in a worker. Owns one `struct sending` a begun job and the HTTP client. A job goes: payload checked, admitted, put into a
 * request by the queue's driver, sent; the answer is judged by law.c and the driver. As many jobs are begun as there are
 * connections, so a token of the rate limit is taken when its request can really leave.
 *
 * Invariant: one job is one request is one outcome. A request that left and has no usable answer is `uncertain`, also when the job
 * is stopped; one that has not left is retried. The reference is the same on every attempt. Numbers and texts never reach a log.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "handlers/gsm.h"
#include "handlers/http.h"
#include "handlers/law.h"
#include "handlers/payload.h"
#include "handlers/registry.h"
#include "handlers/sms_driver.h"
#include "handlers/sms_message.h"
#include "jobq/handler.h"

#define ANSWER_SHOWN 512 /* bytes of a refusal's text that go into the error */

struct sms {
	const struct conf_queue *queue;
	const struct sms_driver *driver;
	void *driver_state;
	struct http *http;
	struct law_pace pace;
};

struct sending {
	struct sms *sms;
	struct jobq_job *job;
	struct http_call *call;
	char *ref;
};

static void sms_close(void *state)
{
	struct sms *s = state;

	if (s->driver->close != NULL && s->driver_state != NULL)
		s->driver->close(s->driver_state);
	if (s->http != NULL)
		http_free(s->http);
	free(s);
}

static int sms_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	struct sms *s = xcalloc(1, sizeof *s);
	const struct conf_queue *q = env->queue;

	s->queue = q;
	s->driver = q->k.driver == CONF_DRIVER_JSON ? &sms_json : &sms_kannel;
	int n = q->k.gateway_url[0] != '\0' ? 0 : snprintf(err, errlen, "gateway_url is not set");
	if (n == 0 && s->driver->open(q, &s->driver_state, err, errlen) != 0)
		n = 1;
	if (n == 0 && (s->http = http_new(env->base, (size_t)q->k.max_connections, env->user_agent, err, errlen)) == NULL)
		n = 1;
	if (n == 0) {
		*state = s;
		return 0;
	}
	sms_close(s);
	return -1;
}

static size_t sms_width(void *state)
{
	const struct sms *s = state;

	return (size_t)s->queue->k.max_connections;
}

static void sms_end(struct sending *one, struct jobq_outcome o, const char *error, size_t len)
{
	o.error = error;
	o.error_len = len;
	jobq_end(one->job, &o);
	free(one->ref);
	free(one);
}

static void sms_accepted(struct sending *one, const struct http_reply *reply)
{
	char err[256] = "";
	json_t *result = one->sms->driver->accept(one->sms->driver_state, reply, one->ref, err, sizeof err);

	if (result == NULL) {
		sms_end(one, (struct jobq_outcome){.kind = OUTCOME_UNCERTAIN, .after_ns = -1}, err, strlen(err));
		return;
	}
	law_accepted(&one->sms->pace);
	char *text = json_dumps(result, JSON_COMPACT);
	if (text == NULL)
		mem_exhausted(0);
	struct jobq_outcome o = {.kind = OUTCOME_DONE, .after_ns = -1, .result = text, .result_len = strlen(text)};
	jobq_end(one->job, &o);
	free(text);
	json_decref(result);
	free(one->ref);
	free(one);
}

/* What was wrong, in the receiver's own words as far as they are fit to be read. */
static void sms_reason(const struct http_reply *reply, struct buf *out)
{
	char shown[ANSWER_SHOWN];

	if (reply->reach != HTTP_ANSWERED) {
		buf_printf(out, "%s: %s", reply->reach == HTTP_NOT_SENT ? "the gateway cannot be reached" : "the gateway did not answer",
			reply->error);
		return;
	}
	size_t len = text_clean(shown, sizeof shown, reply->body, reply->body_len);
	while (len > 0 && (shown[len - 1] == '\n' || shown[len - 1] == '\r' || shown[len - 1] == ' '))
		shown[--len] = '\0';
	buf_printf(out, "the gateway answered %ld%s%s%s", reply->status, len > 0 ? ": " : "", shown,
		reply->status >= 300 && reply->status < 400 ? " (redirects are not followed: correct gateway_url)" : "");
}

static void sms_done(void *arg, const struct http_reply *reply)
{
	static const enum jobq_outcome_kind kinds[] = {
		[LAW_RETRY] = OUTCOME_RETRY, [LAW_FAIL] = OUTCOME_FAIL, [LAW_SNOOZE] = OUTCOME_SNOOZE,
		[LAW_UNCERTAIN] = OUTCOME_UNCERTAIN, [LAW_GATE] = OUTCOME_SNOOZE,
	};
	struct sending *one = arg;
	struct sms *s = one->sms;
	struct buf why = {0};
	struct law law = {.verdict = LAW_FAIL, .after_ns = -1};

	if (s->driver->own_fault == NULL || reply->reach != HTTP_ANSWERED || !s->driver->own_fault(reply))
		law = law_judge(reply, &s->pace, clock_mono_ns());
	if (law.verdict == LAW_ACCEPTED) {
		sms_accepted(one, reply);
		return;
	}
	sms_reason(reply, &why);
	if (law.verdict == LAW_GATE)
		jobq_gate(one->job, law.after_ns, buf_str(&why));
	sms_end(one, (struct jobq_outcome){.kind = kinds[law.verdict], .cause = law.cause, .after_ns = law.after_ns}, buf_str(&why), why.len);
	buf_free(&why);
}

/* Sends it; false with the reason in err: it cannot be made into a request. */
static bool sms_send(struct sending *one, const struct sms_message *m, char *err, size_t errlen)
{
	struct sms *s = one->sms;
	struct buf body = {0};
	struct http_request r = {.url = s->queue->k.gateway_url, .done = sms_done, .arg = one};

	if (s->driver->build(s->driver_state, m, one->job, one->ref, &r, &body, err, errlen)) {
		r.body = buf_str(&body);
		r.body_len = body.len;
		one->call = http_send(s->http, &r, err, errlen);
	}
	http_request_drop(&r);
	buf_free(&body);
	return one->call != NULL;
}

static void sms_go(void *state, struct jobq_job *job)
{
	struct sms *s = state;
	struct sms_message m;
	char err[256] = "";
	struct sending *one = xcalloc(1, sizeof *one);

	one->sms = s;
	one->job = job;
	one->ref = xstrdup(jobq_idempotency_key(job));
	job->data = one;
	bool good = sms_message_read(&m, job->payload, job->payload_len, s->queue->k.from, err, sizeof err);
	bool sent = good && sms_send(one, &m, err, sizeof err);
	if (good)
		sms_message_free(&m);
	if (!sent)
		sms_end(one, (struct jobq_outcome){.kind = OUTCOME_FAIL, .after_ns = -1}, err, strlen(err));
}

static bool sms_can(const void *state, const struct jobq_job *job, char *err, size_t errlen)
{
	const struct sms *s = state;
	struct sms_message m;
	bool good = sms_message_read(&m, job->payload, job->payload_len, s->queue->k.from, err, errlen);

	if (good)
		sms_message_free(&m);
	return good;
}

static void sms_run(void *state, struct jobq_batch *batch)
{
	payload_admit(state, batch, sms_can, sms_go);
}

static void sms_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	static const char sent[] = "stopped before the gateway answered: the message may have been sent";
	static const char unsent[] = "stopped before the request could be sent";
	struct sending *one = job->data;

	(void)state;
	if (why == JOBQ_STOP_CANCEL && !http_unsent(one->call))
		return; /* it is on its way: its answer decides */
	struct jobq_outcome o = {.kind = OUTCOME_CANCELLED, .after_ns = -1};
	bool left = http_stop(one->call) == HTTP_UNANSWERED;
	if (why == JOBQ_STOP_TIMEOUT) {
		o.kind = left ? OUTCOME_UNCERTAIN : OUTCOME_RETRY;
		o.cause = JOBQ_CAUSE_DOWN;
	}
	sms_end(one, o, left ? sent : unsent, left ? sizeof sent - 1 : sizeof unsent - 1);
}

/* Segments, when the queue's limits count them. A message with none is refused anyway. */
static int64_t sms_cost(void *state, const struct jobq_job *job)
{
	const struct sms *s = state;
	struct sms_message m;
	char err[256];

	if (s->queue->k.rate_unit != CONF_RATE_UNIT_SEGMENTS || !sms_message_read(&m, job->payload, job->payload_len, s->queue->k.from, err, sizeof err))
		return 1;
	int64_t segments = (int64_t)gsm_measure(m.text, m.text_len).segments;
	sms_message_free(&m);
	return segments;
}

const struct jobq_handler handler_sms = {
	.name = "sms", .flags = JOBQ_HANDLER_OUTSIDE | JOBQ_HANDLER_OVERLAP,
	.open = sms_open, .run = sms_run, .stop = sms_stop, .close = sms_close, .width = sms_width, .cost = sms_cost,
};

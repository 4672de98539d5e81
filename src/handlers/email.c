/*
 * handlers/email.c: mail over SMTP.
 *
 * Runs in a worker. Owns one `struct sending` a begun job and the SMTP client. A job goes: payload checked, admitted, made into a
 * message, sent to the recipients that do not have it yet; replies are judged by email_verdict.c, and what is known of each recipient
 * goes into the job's result by email_record.c. As many jobs are begun as there are connections, so a token of the rate limit is taken
 * when its message can really leave.
 *
 * Invariant: a recipient that has taken the message is not sent it again by a later attempt, and a message whose last byte left
 * without an answer is `uncertain`. Message-ID and Date are the same on every attempt. Addresses never reach a log or an error.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "handlers/email_kept.h"
#include "handlers/email_mime.h"
#include "handlers/email_record.h"
#include "handlers/email_verdict.h"
#include "handlers/law.h"
#include "handlers/registry.h"
#include "handlers/smtp.h"
#include "jobq/handler.h"

#define CROWD_NS NS_PER_S /* the rest of too many recipients goes after this */

struct email {
	const struct conf_queue *queue;
	struct smtp *smtp;
	struct law_pace pace;
	struct email_kept kept;
};

struct sending {
	struct email *email;
	struct jobq_job *job;
	struct smtp_call *call;
	struct email_message message;
	struct email_record record;
	struct smtp_rcpt *rcpts;
	size_t nrcpts;
	char *message_id;
};

static void email_close(void *state)
{
	struct email *e = state;

	if (e->smtp != NULL)
		smtp_free(e->smtp);
	email_kept_free(&e->kept);
	free(e);
	email_mime_end();
}

static bool email_from(const char *from, char *err, size_t errlen)
{
	struct email_address a;
	const char *wrong = *from == '\0' ? NULL : email_address_read(&a, from, strlen(from));

	if (*from != '\0' && wrong == NULL)
		email_address_free(&a);
	return wrong == NULL || snprintf(err, errlen, "the queue's key from %s", wrong) < 0;
}

static int email_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	static const enum smtp_tls tls[] = {
		[CONF_SMTP_TLS_REQUIRE] = SMTP_TLS_REQUIRE, [CONF_SMTP_TLS_TRY] = SMTP_TLS_TRY, [CONF_SMTP_TLS_OFF] = SMTP_TLS_OFF};
	const struct conf_queue_keys *k = &env->queue->k;
	const struct smtp_server server = {
		.url = k->smtp_url, .user = k->smtp_user, .password = k->smtp_password, .tls = tls[k->smtp_tls],
		.connections = (size_t)k->max_connections, .messages = (size_t)k->max_messages_per_connection};
	struct email *e = xcalloc(1, sizeof *e);

	email_mime_start();
	email_kept_start(&e->kept);
	e->queue = env->queue;
	if (email_from(k->from, err, errlen))
		e->smtp = smtp_new(env->base, &server, err, errlen);
	if (e->smtp != NULL) {
		*state = e;
		return 0;
	}
	email_close(e);
	return -1;
}

static size_t email_width(void *state)
{
	const struct email *e = state;

	return (size_t)e->queue->k.max_connections;
}

static int64_t email_cost(void *state, const struct jobq_job *job)
{
	(void)state;
	return (int64_t)email_message_count(job->payload, job->payload_len);
}

static void email_free(struct sending *one)
{
	email_message_free(&one->message);
	email_record_free(&one->record);
	free(one->rcpts);
	free(one->message_id);
	free(one);
}

/* ---- the end of a job ---- */

/* `error` is taken over; addresses in it are not for logs. `reply`: of a job that is done. */
static void email_end(struct sending *one, struct jobq_outcome o, struct buf *error, const char *reply)
{
	bool over = o.kind == OUTCOME_DONE || o.kind == OUTCOME_FAIL;
	char *result = email_record_result(&one->record, one->message_id, reply, over);
	char *why = error->len > 0 ? xstrndup(error->data, error->len) : NULL;

	if (why != NULL)
		smtp_reply_redact(why);
	o.error = why;
	o.error_len = why == NULL ? 0 : strlen(why);
	o.result = result;
	o.result_len = result == NULL ? 0 : strlen(result);
	jobq_end(one->job, &o);
	free(why);
	free(result);
	buf_free(error);
	email_free(one);
}

static void email_reason(struct buf *why, const struct smtp_report *r, const struct email_verdict *v, size_t n)
{
	static const char *const refused[] = {
		[SMTP_CONNECT] = "the mail server turned us away", [SMTP_MAIL] = "the mail server refused the sender",
		[SMTP_RCPT] = "the mail server refused the recipients", [SMTP_DATA] = "the mail server refused the message",
		[SMTP_END] = "the mail server refused the message"};
	static const char *const lost[] = {
		[SMTP_CONNECT] = "the mail server cannot be reached", [SMTP_MAIL] = "the mail server went away before the message was sent",
		[SMTP_RCPT] = "the mail server went away before the message was sent",
		[SMTP_DATA] = "the mail server went away before the message was sent",
		[SMTP_END] = "the mail server did not answer to the whole message: it may have been sent"};
	bool own = v->first != NULL && (r->stage == SMTP_RCPT || r->code / 100 == 2);

	if (own)
		buf_printf(why, "%zu of %zu recipients refused: %s", v->of[EMAIL_DEFERRED] + v->of[EMAIL_REJECTED], n, v->first->text);
	else
		buf_printf(why, "%s: %s", r->code >= 400 ? refused[r->stage] : lost[r->stage], r->text == NULL ? "no reason" : r->text);
}

/* Writes down what is final. On the last try, what is put off is final too if somebody has the message: the job is done, not failed. */
static void email_note(struct sending *one, const struct smtp_report *r, bool last)
{
	for (size_t i = 0; i < one->nrcpts; i++) {
		const struct smtp_rcpt *rcpt = &one->rcpts[i];
		enum email_fate fate = email_verdict_fate(r, rcpt);
		const char *reply = rcpt->code >= 400 ? rcpt->text : r->text == NULL ? "" : r->text;
		if (fate == EMAIL_DELIVERED)
			email_record_accept(&one->record, rcpt->address);
		else if (fate == EMAIL_REJECTED || (fate == EMAIL_DEFERRED && last))
			email_record_reject(&one->record, rcpt->address, reply);
	}
}

static enum jobq_outcome_kind email_kind(const struct sending *one, const struct email_verdict *v, bool last)
{
	if (v->gate)
		return OUTCOME_SNOOZE;
	if (v->of[EMAIL_UNKNOWN] > 0)
		return OUTCOME_UNCERTAIN;
	if (v->of[EMAIL_DEFERRED] > 0 && v->crowd)
		return OUTCOME_SNOOZE;
	if (v->of[EMAIL_DEFERRED] > 0 && !last)
		return OUTCOME_RETRY;
	return email_record_any(&one->record) ? OUTCOME_DONE : OUTCOME_FAIL;
}

static void email_done(void *arg, const struct smtp_report *r)
{
	struct sending *one = arg;
	struct email *e = one->email;
	struct email_verdict v = email_verdict(r, one->rcpts, one->nrcpts);
	struct buf why = {0};
	struct jobq_outcome o = {.cause = v.cause, .after_ns = -1};
	bool some = v.of[EMAIL_DELIVERED] > 0 || email_record_any(&one->record);
	bool last = some && !v.crowd && one->job->attempt > one->job->max_retries;

	if (!v.gate)
		email_note(one, r, last);
	o.kind = email_kind(one, &v, last);
	if (v.of[EMAIL_DELIVERED] > 0)
		law_accepted(&e->pace);
	if (o.kind != OUTCOME_DONE)
		email_reason(&why, r, &v, one->nrcpts);
	if (v.gate) {
		char *reason = xstrndup(why.data, why.len);
		smtp_reply_redact(reason);
		o.after_ns = law_gate_ns(&e->pace, clock_mono_ns());
		jobq_gate(one->job, o.after_ns, reason);
		free(reason);
	} else if (o.kind == OUTCOME_SNOOZE) {
		o.after_ns = CROWD_NS;
	}
	email_end(one, o, &why, o.kind == OUTCOME_DONE ? r->text : NULL);
}

/* ---- its beginning ---- */

static char *email_message_id(const struct email_message *m, const char *key)
{
	return xasprintf("<%s%s>", key, strrchr(m->from.address, '@'));
}

/* EMAIL_GOT: it is on its way, or there is nobody left to send it to. */
static enum email_got email_send(struct sending *one, const char *key, char *err, size_t errlen)
{
	struct email *e = one->email;
	size_t id_len = strlen(one->message_id);
	char *id = xstrndup(one->message_id + 1, id_len - 2);
	const struct email_stamp stamp = {.key = key, .message_id = id, .date_us = one->job->created_us};
	struct smtp_mail mail = {.from = one->message.from.address, .done = email_done, .arg = one};
	enum email_got got = email_mime_build(&one->message, &stamp, e->queue->k.attachment_dir, &mail.data, err, errlen);

	free(id);
	if (got == EMAIL_GOT) {
		mail.rcpts = one->rcpts;
		mail.nrcpts = one->nrcpts;
		one->call = smtp_send(e->smtp, &mail);
	}
	buf_free(&mail.data);
	return got;
}

static void email_begin(struct sending *one)
{
	struct jobq_job *job = one->job;
	char *key = xstrdup(jobq_idempotency_key(job)), err[256] = "";
	enum email_got got = EMAIL_GOT;

	one->message_id = email_message_id(&one->message, key);
	email_record_open(&one->record, job->result, job->result_len, job->payload, job->payload_len);
	one->rcpts = email_record_rest(&one->record, &one->message, &one->nrcpts);
	if (one->nrcpts > 0)
		got = email_send(one, key, err, sizeof err);
	free(key);
	if (one->nrcpts == 0 || got != EMAIL_GOT) {
		struct buf why = {0};
		buf_puts(&why, one->nrcpts > 0 ? err : "every recipient has refused it before");
		bool done = one->nrcpts == 0 && email_record_any(&one->record);
		struct jobq_outcome o = {.kind = done ? OUTCOME_DONE : got == EMAIL_LATER ? OUTCOME_RETRY : OUTCOME_FAIL, .after_ns = -1};
		if (done)
			buf_reset(&why);
		email_end(one, o, &why, NULL);
	}
}

static void email_go(void *state, struct jobq_job *job)
{
	struct email *e = state;
	struct sending *one = xcalloc(1, sizeof *one);
	char err[256];

	one->email = e;
	one->job = job;
	job->data = one;
	if (email_kept_take(&e->kept, job, &one->message)
		|| email_message_read(&one->message, job->payload, job->payload_len, e->queue->k.from, err, sizeof err)) {
		email_begin(one);
		return;
	}
	free(one);
	jobq_end_error(job, OUTCOME_FAIL, -1, "%s", err);
}

static void email_run(void *state, struct jobq_batch *batch)
{
	struct email *e = state;
	struct email_message m;
	char err[256];

	for (size_t i = 0; i < batch->count; i++) {
		struct jobq_job *job = batch->jobs[i];
		if (email_message_read(&m, job->payload, job->payload_len, e->queue->k.from, err, sizeof err)) {
			email_kept_put(&e->kept, job, &m);
			jobq_admit(job, email_go);
		} else {
			jobq_end_error(job, OUTCOME_FAIL, -1, "%s", err);
		}
	}
}

static void email_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	struct sending *one = job->data;
	struct buf error = {0};
	struct jobq_outcome o = {.after_ns = -1};

	(void)state;
	if (why == JOBQ_STOP_CANCEL && !smtp_unsent(one->call))
		return; /* it is on its way: its answer decides */
	if (smtp_stop(one->call)) {
		o.kind = why == JOBQ_STOP_CANCEL ? OUTCOME_CANCELLED : OUTCOME_RETRY;
		buf_puts(&error, "stopped before the message was sent");
	} else {
		o.kind = OUTCOME_UNCERTAIN;
		buf_puts(&error, "stopped before the mail server answered: the message may have been sent");
	}
	o.cause = why == JOBQ_STOP_TIMEOUT ? JOBQ_CAUSE_DOWN : JOBQ_CAUSE_NONE;
	email_end(one, o, &error, NULL);
}

const struct jobq_handler handler_email = {
	.name = "email", .flags = JOBQ_HANDLER_OUTSIDE | JOBQ_HANDLER_OVERLAP,
	.open = email_open, .run = email_run, .stop = email_stop, .close = email_close, .width = email_width, .cost = email_cost,
};

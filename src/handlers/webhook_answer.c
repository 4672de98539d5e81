/*
 * handlers/webhook_answer.c: what the answer to a web hook's request means for the jobs that were in it.
 *
 * Pure; runs in workers. A receiver gets a job once or more, always under the same idempotency key, so a request without a usable answer
 * is repeated: 408, 5xx, no connection, no answer. 204 and an empty 2xx: all done. A 2xx with a body speaks of each job, and whom it does
 * not name, or names without a clear outcome, is tried again. 429, and 503 with Retry-After: not now, and no try is burnt. Everything
 * else, redirects too, fails. An address that may not be called closes the gate: that is for the operator to mend.
 */
#include "config.h"

#include "handlers/webhook_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define ANSWER_SHOWN 512 /* bytes of a refusal's text that go into the error */
#define NOT_PUBLIC_NS (10 * NS_PER_S)

static void webhook_reason(const struct http_reply *reply, struct buf *why)
{
	char shown[ANSWER_SHOWN];
	size_t len = text_clean(shown, sizeof shown, reply->body, reply->body_len);

	while (len > 0 && (shown[len - 1] == '\n' || shown[len - 1] == '\r' || shown[len - 1] == ' '))
		shown[--len] = '\0';
	buf_printf(why, "the web hook answered %ld%s%s%s", reply->status, len > 0 ? ": " : "", shown,
		reply->status >= 300 && reply->status < 400 ? " (redirects are not followed: correct url)" : "");
}

static void webhook_unanswered(struct webhook_answer *a, const struct http_reply *reply)
{
	a->all.kind = OUTCOME_RETRY;
	if (reply->not_public) {
		a->all.kind = OUTCOME_SNOOZE;
		a->all.after_ns = NOT_PUBLIC_NS;
		a->gate = true;
		buf_printf(&a->why, "%s: set allow_private = on if the web hook is in a private network", reply->error);
		return;
	}
	buf_printf(&a->why, "%s: %s", reply->reach == HTTP_NOT_SENT ? "the web hook cannot be reached" : "the web hook did not answer",
		reply->error);
}

static bool webhook_blank(const struct http_reply *reply)
{
	for (size_t i = 0; i < reply->body_len; i++)
		if (strchr(" \t\r\n", reply->body[i]) == NULL || reply->body[i] == '\0')
			return false;
	return true;
}

static void webhook_accepted(struct webhook_answer *a, const struct http_reply *reply)
{
	json_error_t error;

	a->all.kind = OUTCOME_DONE;
	if (!reply->cut && (reply->status == 204 || webhook_blank(reply)))
		return;
	if (!reply->cut)
		a->document = json_loadb(reply->body, reply->body_len, 0, &error);
	if (a->document != NULL && json_is_array(json_object_get(a->document, "jobs")))
		return;
	a->all.kind = OUTCOME_RETRY;
	if (reply->cut)
		buf_printf(&a->why, "the web hook answered %ld with a body over %zu bytes", reply->status, reply->body_len);
	else if (a->document == NULL)
		buf_printf(&a->why, "the web hook answered %ld, but not in JSON: %.200s at byte %d (answer 204, or {\"jobs\": [...]})",
			reply->status, error.text, error.position);
	else
		buf_printf(&a->why, "the web hook answered %ld without a list \"jobs\" (answer 204, or {\"jobs\": [...]})", reply->status);
	json_decref(a->document);
	a->document = NULL;
}

static void webhook_refused(struct webhook_answer *a, const struct http_reply *reply)
{
	webhook_reason(reply, &a->why);
	if (reply->status == 429 || (reply->status == 503 && reply->retry_after_ns >= 0)) {
		a->all.kind = OUTCOME_SNOOZE;
		a->all.after_ns = law_snooze(reply);
	} else {
		a->all.kind = reply->status == 408 || reply->status >= 500 ? OUTCOME_RETRY : OUTCOME_FAIL;
	}
}

void webhook_answer_read(struct webhook_answer *a, const struct http_reply *reply)
{
	*a = (struct webhook_answer){.all.after_ns = -1, .cause = reply->not_public ? JOBQ_CAUSE_NONE : law_cause(reply)};
	if (reply->reach != HTTP_ANSWERED) {
		webhook_unanswered(a, reply);
	} else if (reply->status >= 200 && reply->status < 300) {
		webhook_accepted(a, reply);
	} else {
		webhook_refused(a, reply);
	}
}

void webhook_answer_find(const struct webhook_answer *a, const int64_t *ids, size_t n, const json_t **said)
{
	const json_t *jobs = json_object_get(a->document, "jobs");

	for (size_t i = 0; i < n; i++)
		said[i] = NULL;
	for (size_t at = 0; at < json_array_size(jobs); at++) {
		const json_t *one = json_array_get(jobs, at);
		int64_t id = dialect_id(one);
		for (size_t i = 0; id >= 0 && i < n; i++)
			if (ids[i] == id && said[i] == NULL)
				said[i] = one;
	}
}

const char *webhook_answer_of(const json_t *said, struct dialect_outcome *out)
{
	if (said != NULL)
		return dialect_read_outcome(said, out);
	*out = (struct dialect_outcome){.o.after_ns = -1};
	return "does not name this job";
}

void webhook_answer_free(struct webhook_answer *a)
{
	json_decref(a->document);
	buf_free(&a->why);
}

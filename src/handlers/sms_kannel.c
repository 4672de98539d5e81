/*
 * handlers/sms_kannel.c: Kannel's sendsms, by POST: the text is the body, all else is in X-Kannel headers.
 *
 * Runs in workers; owns nothing. POST, because a URL with a password ends up in logs. Kannel takes our reference as its
 * billing information (X-Kannel-BInfo), and writes it into its access log beside each message (BINF); it gives no message
 * id and does not deduplicate. Accepted is 202 with "0: Accepted for delivery" or "3: Queued for later delivery". Texts go as
 * UTF-8, with coding 2 (UCS-2) when GSM 03.38 does not have their characters: Kannel would send ? for them.
 *
 * One 403 is no refusal of us: "Not routable" speaks of the recipient alone.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "handlers/sms_driver.h"

#define RESPONSE_MAX 200

static int sms_kannel_open(const struct conf_queue *queue, void **state, char *err, size_t errlen)
{
	struct http_request r = {0};
	const char *user = queue->k.gateway_user, *password = queue->k.gateway_password, *from = queue->k.from, *wrong = NULL;

	if (user[0] == '\0')
		wrong = "gateway_user is not set: Kannel's sendsms needs the user of a sendsms-user group";
	else if (!http_header(&r, "X-Kannel-Username", user, strlen(user)))
		wrong = "gateway_user holds a control character";
	else if (!http_header(&r, "X-Kannel-Password", password, strlen(password)))
		wrong = "gateway_password holds a control character (a line break at the end of its file?)";
	else if (!http_header(&r, "X-Kannel-From", from, strlen(from)))
		wrong = "from holds a control character";
	http_request_drop(&r);
	*state = (void *)(uintptr_t)queue; /* read only */
	if (wrong == NULL)
		return 0;
	if (snprintf(err, errlen, "%s", wrong) < 0)
		err[0] = '\0';
	return -1;
}

static bool sms_kannel_build(void *state, const struct sms_message *m, const struct jobq_job *job, const char *ref,
	struct http_request *r, struct buf *body, char *err, size_t errlen)
{
	const struct conf_queue *q = state;
	const struct { const char *name, *value; size_t len; } headers[] = {
		{"X-Kannel-Username", q->k.gateway_user, strlen(q->k.gateway_user)},
		{"X-Kannel-Password", q->k.gateway_password, strlen(q->k.gateway_password)},
		{"X-Kannel-From", m->from, m->from_len},
		{"X-Kannel-To", m->to, strlen(m->to)},
		{"X-Kannel-BInfo", ref, strlen(ref)},
		{"X-Kannel-Coding", m->gsm7 ? "0" : "2", 1},
		{"Content-Type", "text/plain; charset=UTF-8", strlen("text/plain; charset=UTF-8")},
	};

	(void)job;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		if (headers[i].len == 0) /* no sender: Kannel's default */
			continue;
		if (!http_header(r, headers[i].name, headers[i].value, headers[i].len)) {
			if (snprintf(err, errlen, "%s would hold a control character", headers[i].name) < 0)
				err[0] = '\0';
			return false;
		}
	}
	buf_add(body, m->text, m->text_len);
	return true;
}

static json_t *sms_kannel_accept(void *state, const struct http_reply *reply, const char *ref, char *err, size_t errlen)
{
	(void)state;
	if (strncmp(reply->body, "0:", 2) != 0 && strncmp(reply->body, "3:", 2) != 0) {
		if (snprintf(err, errlen, "the gateway answered %ld, but with neither \"0:\" nor \"3:\": is it Kannel?", reply->status) < 0)
			err[0] = '\0';
		return NULL;
	}
	size_t len = strcspn(reply->body, "\r\n");
	json_t *text = json_stringn(reply->body, len > RESPONSE_MAX ? RESPONSE_MAX : len);
	if (text == NULL) /* not UTF-8 behind the number: the number is what counts */
		text = json_stringn(reply->body, 2);
	return json_pack("{s:o, s:s}", "response", text, "ref", ref);
}

static bool sms_kannel_own_fault(const struct http_reply *reply)
{
	return reply->status == 403 && strncmp(reply->body, "Not routable", strlen("Not routable")) == 0;
}

const struct sms_driver sms_kannel = {
	.open = sms_kannel_open, .build = sms_kannel_build, .accept = sms_kannel_accept, .own_fault = sms_kannel_own_fault,
};

/*
 * handlers/sms_json.c: gateways that take a JSON document by POST: the queue's `body` and `headers` are templates.
 *
 * Runs in workers. Owns the parsed templates. Names: {ref} our reference, the same on every attempt; {id}, {tenant}, {type},
 * {attempt} of the job; {gateway_user}, {gateway_password}, so that secrets stay in their own keys; {to}, {from}, {text}, checked;
 * and any other field of the payload, also {a.b} of objects in it. A field that the payload does not have fails the job.
 * Content-Type and Idempotency-Key (our reference) are sent unless `headers` has them. With gateway_user the request carries
 * Basic authentication. Accepted is any 2xx; if response_id is set, only with that id in the answer: it becomes message_id.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "handlers/sms_driver.h"
#include "handlers/template.h"

#define RESPONSE_MAX 200

struct header {
	char *name;
	struct template *value;
};

struct json_driver {
	const struct conf_queue *queue;
	struct template *body;
	struct header *headers;
	size_t n;
	bool content_type, idempotency_key; /* the configuration has its own */
	json_t *user, *password;
};

struct fields { /* of one message, for its templates */
	const struct json_driver *driver;
	const struct sms_message *message;
	json_t *own; /* names that are not the payload's */
};

static void sms_json_close(void *state)
{
	struct json_driver *d = state;

	for (size_t i = 0; i < d->n; i++) {
		free(d->headers[i].name);
		template_free(d->headers[i].value);
	}
	free(d->headers);
	template_free(d->body);
	json_decref(d->user);
	json_decref(d->password);
	free(d);
}

/* "Name: value"; false: it is none */
static bool sms_json_header(struct json_driver *d, const char *line, size_t len)
{
	char *copy = xstrndup(line, len), *colon = strchr(copy, ':');
	size_t name = colon == NULL ? 0 : (size_t)(colon - copy);
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	if (name == 0 || strspn(copy, token) != name) {
		free(copy);
		return false;
	}
	d->headers = xreallocarray(d->headers, d->n + 1, sizeof *d->headers);
	d->headers[d->n++] = (struct header){xstrndup(copy, name), template_parse(colon + 1 + strspn(colon + 1, " \t"))};
	d->content_type = d->content_type || strncasecmp(copy, "Content-Type:", sizeof "Content-Type:" - 1) == 0;
	d->idempotency_key = d->idempotency_key || strncasecmp(copy, "Idempotency-Key:", sizeof "Idempotency-Key:" - 1) == 0;
	free(copy);
	return true;
}

static int sms_json_open(const struct conf_queue *queue, void **state, char *err, size_t errlen)
{
	struct json_driver *d = xcalloc(1, sizeof *d);

	d->queue = queue;
	d->body = template_parse(queue->k.body);
	d->user = json_string(queue->k.gateway_user);
	d->password = json_string(queue->k.gateway_password);
	int n = queue->k.body[0] != '\0' ? 0 : snprintf(err, errlen, "body is not set: the json driver needs a template to post");
	if (n == 0 && (d->user == NULL || d->password == NULL))
		n = snprintf(err, errlen, "gateway_user or gateway_password is not valid UTF-8");
	for (const char *line = queue->k.headers; n == 0 && *line != '\0';) {
		size_t len = strcspn(line, "\n");
		if (len > 0 && !sms_json_header(d, line, len)) /* its text may be a secret */
			n = snprintf(err, errlen, "headers: each must be \"Name: value\"");
		line += len + (line[len] == '\n');
	}
	if (n == 0) {
		*state = d;
		return 0;
	}
	sms_json_close(d);
	return -1;
}

/* A field of the payload; "a.b" descends into objects, unless a field has that very name. */
static const json_t *sms_json_field(const json_t *in, const char *name)
{
	const json_t *v = json_object_get(in, name);
	const char *dot = strchr(name, '.');

	while (v == NULL && dot != NULL) {
		const json_t *part = json_object_getn(in, name, (size_t)(dot - name));
		if (part == NULL)
			return NULL;
		in = part;
		name = dot + 1;
		dot = strchr(name, '.');
		v = json_object_get(in, name);
	}
	return v;
}

static const json_t *sms_json_value(void *arg, const char *name)
{
	const struct fields *f = arg;
	const json_t *v = json_object_get(f->own, name);

	if (v == NULL && strcmp(name, "gateway_user") == 0)
		v = f->driver->user;
	if (v == NULL && strcmp(name, "gateway_password") == 0)
		v = f->driver->password;
	return v != NULL ? v : sms_json_field(f->message->payload, name);
}

static bool sms_json_put_headers(const struct json_driver *d, struct fields *f, struct http_request *r, char *err, size_t errlen)
{
	struct buf value = {0};
	char missing[64];
	bool good = true;

	for (size_t i = 0; good && i < d->n; i++) {
		int n = 0;
		buf_reset(&value);
		if (!template_render(d->headers[i].value, TEMPLATE_PLAIN, sms_json_value, f, &value, missing, sizeof missing))
			n = snprintf(err, errlen, "the payload has no \"%s\", which the header %s needs", missing, d->headers[i].name);
		else if (!http_header(r, d->headers[i].name, buf_str(&value), value.len))
			n = snprintf(err, errlen, "the header %s would hold a control character", d->headers[i].name);
		good = n == 0;
	}
	buf_free(&value);
	return good;
}

static bool sms_json_render(const struct json_driver *d, struct fields *f, const char *ref, struct http_request *r,
	struct buf *body, char *err, size_t errlen)
{
	char missing[64];

	if (!sms_json_put_headers(d, f, r, err, errlen))
		return false;
	if (!template_render(d->body, TEMPLATE_JSON, sms_json_value, f, body, missing, sizeof missing)) {
		if (snprintf(err, errlen, "the payload has no \"%s\", which the body needs", missing) < 0)
			err[0] = '\0';
		return false;
	}
	if ((!d->content_type && !http_header(r, "Content-Type", "application/json", strlen("application/json")))
		|| (!d->idempotency_key && !http_header(r, "Idempotency-Key", ref, strlen(ref)))) {
		if (snprintf(err, errlen, "the reference holds a control character") < 0)
			err[0] = '\0';
		return false;
	}
	if (d->queue->k.gateway_user[0] != '\0') {
		r->user = d->queue->k.gateway_user;
		r->password = d->queue->k.gateway_password;
	}
	return true;
}

static bool sms_json_build(void *state, const struct sms_message *m, const struct jobq_job *job, const char *ref,
	struct http_request *r, struct buf *body, char *err, size_t errlen)
{
	struct fields f = {.driver = state, .message = m};
	char id[24];

	if (snprintf(id, sizeof id, "%lld", (long long)job->id) < 0)
		return false;
	f.own = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "ref", ref, "id", id, "tenant", job->tenant, "type", job->type,
		"attempt", job->attempt, "to", m->to, "from", m->from, "text", m->text);
	if (f.own == NULL) {
		if (snprintf(err, errlen, "tenant, type or sender is not valid UTF-8") < 0)
			err[0] = '\0';
		return false;
	}
	bool good = sms_json_render(state, &f, ref, r, body, err, errlen);
	json_decref(f.own);
	return good;
}

/* "messages.0.id" in the answer; NULL if it is not there, or neither text nor number */
static const json_t *sms_json_find(const json_t *in, const char *path)
{
	while (in != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");
		char *end;
		if (json_is_array(in)) {
			unsigned long index = strtoul(path, &end, 10);
			in = end == path + len && len > 0 ? json_array_get(in, index) : NULL;
		} else {
			in = json_object_getn(in, path, len);
		}
		path += len + (path[len] == '.');
	}
	return json_is_string(in) || json_is_number(in) ? in : NULL;
}

static json_t *sms_json_accept(void *state, const struct http_reply *reply, const char *ref, char *err, size_t errlen)
{
	const struct json_driver *d = state;
	const char *path = d->queue->k.response_id;

	if (path[0] == '\0')
		return json_pack("{s:s, s:i}", "ref", ref, "status", (int)reply->status);
	json_t *answer = json_loadb(reply->body, reply->body_len, 0, NULL);
	const json_t *id = sms_json_find(answer, path);
	json_t *result = NULL;
	if (id == NULL && snprintf(err, errlen, "the gateway answered %ld, but without %s", reply->status, path) < 0)
		err[0] = '\0';
	if (id != NULL)
		result = json_pack("{s:s, s:i, s:O}", "ref", ref, "status", (int)reply->status, "message_id", id);
	json_decref(answer);
	return result;
}

const struct sms_driver sms_json = {
	.open = sms_json_open, .close = sms_json_close, .build = sms_json_build, .accept = sms_json_accept,
};

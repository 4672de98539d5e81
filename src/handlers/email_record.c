/*
 * handlers/email_record.c: who has the message already.
 *
 * Pure; runs in workers. Some recipients may take a message that others put off, so an attempt leaves in the job's result whom it
 * need not be sent to again: {"accepted": [...], "rejected": [...], "of": hash}. The next attempt sends to the rest. A result that is
 * not of this payload, or not ours, counts for nothing. Sizes: at most EMAIL_RECIPIENTS_MAX addresses and clipped replies, well under
 * what a result may hold, since a record that were dropped would send mail twice.
 */
#include "config.h"

#include "handlers/email_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define REPLY_MAX 160 /* bytes of a refusal that are kept for each recipient */
#define HASH_SIZE 17

static void email_record_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		mem_exhausted(0);
}

static void email_record_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		mem_exhausted(0);
}

/* FNV-1a of the payload: it only has to tell a payload from the one that took its place */
static const char *email_record_hash(const struct email_record *r, char text[HASH_SIZE])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < r->payload_len; i++)
		h = (h ^ (unsigned char)r->payload[i]) * UINT64_C(0x100000001b3);
	if (snprintf(text, HASH_SIZE, "%016" PRIx64, h) < 0)
		text[0] = '\0';
	return text;
}

static json_t *email_record_array(const json_t *from, const char *key, bool take)
{
	json_t *there = take ? json_object_get(from, key) : NULL;
	json_t *array = json_is_array(there) ? json_incref(there) : json_array();

	if (array == NULL)
		mem_exhausted(0);
	return array;
}

void email_record_open(struct email_record *r, const char *result, size_t result_len, const char *payload, size_t payload_len)
{
	json_t *was = result_len == 0 ? NULL : json_loadb(result, result_len, 0, NULL);
	const char *of = json_string_value(json_object_get(was, "of"));
	char mine[HASH_SIZE];

	r->payload = payload;
	r->payload_len = payload_len;
	bool ours = of != NULL && strcmp(of, email_record_hash(r, mine)) == 0;
	r->accepted = email_record_array(was, "accepted", ours);
	r->rejected = email_record_array(was, "rejected", ours);
	json_decref(was);
}

void email_record_free(struct email_record *r)
{
	json_decref(r->accepted);
	json_decref(r->rejected);
}

static bool email_record_has(const struct email_record *r, const char *address)
{
	const json_t *v;
	size_t i;

	json_array_foreach(r->accepted, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), address) == 0)
			return true;
	json_array_foreach(r->rejected, i, v) {
		const char *to = json_string_value(json_object_get(v, "to"));
		if (to != NULL && strcmp(to, address) == 0)
			return true;
	}
	return false;
}

static void email_record_more(const struct email_record *r, const struct email_addresses *list, struct smtp_rcpt *rest, size_t *n)
{
	for (size_t i = 0; i < list->n; i++) {
		bool there = email_record_has(r, list->of[i].address);
		for (size_t k = 0; k < *n && !there; k++)
			there = strcmp(rest[k].address, list->of[i].address) == 0;
		if (!there)
			rest[(*n)++].address = list->of[i].address;
	}
}

struct smtp_rcpt *email_record_rest(const struct email_record *r, const struct email_message *m, size_t *n)
{
	struct smtp_rcpt *rest = xcalloc(m->to.n + m->cc.n + m->bcc.n, sizeof *rest);

	*n = 0;
	email_record_more(r, &m->to, rest, n);
	email_record_more(r, &m->cc, rest, n);
	email_record_more(r, &m->bcc, rest, n);
	return rest;
}

void email_record_accept(struct email_record *r, const char *address)
{
	email_record_append(r->accepted, json_string(address));
}

void email_record_reject(struct email_record *r, const char *address, const char *reply)
{
	char clipped[REPLY_MAX];
	json_t *one = json_object();

	if (one == NULL)
		mem_exhausted(0);
	(void)text_clean(clipped, sizeof clipped, reply, strlen(reply));
	email_record_put(one, "to", json_string(address));
	email_record_put(one, "reply", json_string(clipped));
	email_record_append(r->rejected, one);
}

bool email_record_any(const struct email_record *r)
{
	return json_array_size(r->accepted) > 0;
}

char *email_record_result(const struct email_record *r, const char *message_id, const char *reply, bool over)
{
	json_t *result = json_object();
	char hash[HASH_SIZE];

	if (result == NULL)
		mem_exhausted(0);
	if (!over && json_array_size(r->accepted) + json_array_size(r->rejected) == 0) {
		json_decref(result);
		return NULL;
	}
	email_record_put(result, "message_id", json_string(message_id));
	if (reply != NULL)
		email_record_put(result, "reply", json_string(reply));
	if (!over) {
		email_record_put(result, "of", json_string(email_record_hash(r, hash)));
		email_record_put(result, "accepted", json_incref(r->accepted));
	}
	if (json_array_size(r->rejected) > 0)
		email_record_put(result, "rejected", json_incref(r->rejected));
	char *text = json_dumps(result, JSON_COMPACT);
	if (text == NULL)
		mem_exhausted(0);
	json_decref(result);
	return text;
}

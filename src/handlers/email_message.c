/*
 * handlers/email_message.c: what an email job must be.
 *
 * Pure; runs in workers, before a job's admission. {"to": [...], "cc", "bcc", "from", "reply_to", "subject", "text", "html",
 * "headers": {...}, "attachments": [...]}; `to`, `cc`, `bcc`, `reply_to` may be one string or a list. What passes here can be put into
 * headers and envelopes: no CR, LF, NUL or other control character in any of them, and no header that the handler writes itself.
 * Numbers are bounded, so that what is known of the recipients fits into a result. Reasons name the field, never what it holds.
 */
#include "config.h"

#include "handlers/email_message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define HEADERS_MAX 50u
#define HEADER_NAME_MAX 70u
#define HEADER_MAX 4000u      /* bytes of one value */
#define WORD_MAX 900u         /* a line of a message has at most 998, and folds between words only */
#define ATTACHMENTS_MAX 50u
#define FILENAME_MAX_LEN 200u

struct complaint { char *text; size_t size; };

static bool complain(const struct complaint *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool complain(const struct complaint *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(c->text, c->size, format, ap) < 0)
		c->text[0] = '\0';
	va_end(ap);
	return false;
}

static json_t *email_message_field(const struct email_message *m, const char *name)
{
	json_t *v = json_object_get(m->payload, name);

	return json_is_null(v) ? NULL : v;
}

/* ---- addresses ---- */

static bool email_message_address(struct email_address *a, const json_t *v, const char *name, size_t i, const struct complaint *c)
{
	if (!json_is_string(v))
		return complain(c, "\"%s\" holds something that is no string (number %zu)", name, i + 1);
	const char *wrong = email_address_read(a, json_string_value(v), json_string_length(v));
	return wrong == NULL ? true : complain(c, "\"%s\": number %zu %s", name, i + 1, wrong);
}

static bool email_message_list(const struct email_message *m, const char *name, struct email_addresses *list, const struct complaint *c)
{
	const json_t *v = email_message_field(m, name);
	size_t n = v == NULL ? 0 : json_is_array(v) ? json_array_size(v) : 1;

	if (v != NULL && !json_is_array(v) && !json_is_string(v))
		return complain(c, "\"%s\" is neither a string nor a list", name);
	if (n > EMAIL_RECIPIENTS_MAX)
		return complain(c, "\"%s\" has more than %u addresses: use several jobs", name, EMAIL_RECIPIENTS_MAX);
	list->of = n == 0 ? NULL : xcalloc(n, sizeof *list->of);
	for (size_t i = 0; i < n; i++) {
		if (!email_message_address(&list->of[i], json_is_array(v) ? json_array_get(v, i) : v, name, i, c))
			return false;
		list->n++;
	}
	return true;
}

static bool email_message_from(struct email_message *m, const char *from, const struct complaint *c)
{
	const json_t *v = email_message_field(m, "from");

	if (v != NULL)
		return email_message_address(&m->from, v, "from", 0, c);
	if (*from == '\0')
		return complain(c, "\"from\" is missing, and the queue has none");
	const char *wrong = email_address_read(&m->from, from, strlen(from));
	return wrong == NULL ? true : complain(c, "the queue's key from %s", wrong);
}

static bool email_message_addresses(struct email_message *m, const char *from, const struct complaint *c)
{
	if (!email_message_list(m, "to", &m->to, c) || !email_message_list(m, "cc", &m->cc, c) || !email_message_list(m, "bcc", &m->bcc, c)
		|| !email_message_list(m, "reply_to", &m->reply_to, c) || !email_message_from(m, from, c))
		return false;
	size_t n = m->to.n + m->cc.n + m->bcc.n;
	if (n == 0)
		return complain(c, "there is no recipient in \"to\", \"cc\" or \"bcc\"");
	return n <= EMAIL_RECIPIENTS_MAX ? true : complain(c, "there are more than %u recipients: use several jobs", EMAIL_RECIPIENTS_MAX);
}

/* ---- texts ---- */

static bool email_message_text(const struct email_message *m, const char *name, struct email_text *text, const struct complaint *c)
{
	const json_t *v = email_message_field(m, name);

	if (v == NULL)
		return true;
	if (!json_is_string(v))
		return complain(c, "\"%s\" is no string", name);
	*text = (struct email_text){json_string_value(v), json_string_length(v)};
	return memchr(text->text, '\0', text->len) == NULL ? true : complain(c, "\"%s\" holds a NUL", name);
}

/* A value that stands in a header: the fault, or NULL. */
static const char *email_message_value_wrong(const char *text, size_t len)
{
	const char *wrong = email_text_wrong(text, len);

	if (wrong == NULL && len > HEADER_MAX)
		wrong = "is over 4000 bytes long";
	for (size_t at = 0; wrong == NULL && at < len; at += strcspn(text + at, " ") + 1)
		if (strcspn(text + at, " ") > WORD_MAX)
			wrong = "holds a word of over 900 bytes, which no line of a message has room for";
	return wrong;
}

static bool email_message_texts(struct email_message *m, const struct complaint *c)
{
	if (!email_message_text(m, "subject", &m->subject, c) || !email_message_text(m, "text", &m->text, c)
		|| !email_message_text(m, "html", &m->html, c))
		return false;
	const char *wrong = m->subject.text == NULL ? NULL : email_message_value_wrong(m->subject.text, m->subject.len);
	if (wrong != NULL)
		return complain(c, "\"subject\" %s", wrong);
	return m->text.text != NULL || m->html.text != NULL ? true : complain(c, "there is neither \"text\" nor \"html\"");
}

/* ---- headers ---- */

static bool email_message_own(const char *name)
{
	static const char *const own[] = {"From", "To", "Cc", "Bcc", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Sender",
		"Return-Path", "Received"};

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (strcasecmp(name, own[i]) == 0)
			return true;
	return strncasecmp(name, "Content-", 8) == 0 || strncasecmp(name, "Resent-", 7) == 0;
}

static bool email_message_header(const char *name, const json_t *v, const struct complaint *c)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t len = strlen(name);

	if (len == 0 || len > HEADER_NAME_MAX || strspn(name, token) != len)
		return complain(c, "\"headers\" has a name that is not of letters, digits, - and _, at most 70 of them");
	if (email_message_own(name))
		return complain(c, "\"headers\" has %s, which is not to be set there", name);
	if (!json_is_string(v))
		return complain(c, "the header %s is no string", name);
	const char *wrong = email_message_value_wrong(json_string_value(v), json_string_length(v));
	return wrong == NULL ? true : complain(c, "the header %s %s", name, wrong);
}

static bool email_message_headers(struct email_message *m, const struct complaint *c)
{
	const char *name;
	json_t *v;

	m->headers = email_message_field(m, "headers");
	if (m->headers == NULL)
		return true;
	if (!json_is_object(m->headers))
		return complain(c, "\"headers\" is no object");
	if (json_object_size(m->headers) > HEADERS_MAX)
		return complain(c, "\"headers\" has more than %u of them", HEADERS_MAX);
	json_object_foreach(m->headers, name, v)
		if (!email_message_header(name, v, c))
			return false;
	return true;
}

/* ---- attachments ---- */

static bool email_message_content_type(const char *text, size_t len)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+";
	size_t type = strspn(text, token), subtype = text[type] == '/' ? strspn(text + type + 1, token) : 0;

	return type > 0 && subtype > 0 && type + 1 + subtype == len && len <= 127 && strncasecmp(text, "multipart/", 10) != 0
		&& strncasecmp(text, "message/", 8) != 0;
}

static bool email_message_string(const json_t *a, const char *name, const char **text, size_t *len)
{
	const json_t *v = json_object_get(a, name);

	*text = NULL;
	*len = 0;
	if (v == NULL || json_is_null(v))
		return true;
	*text = json_string_value(v);
	*len = json_string_length(v);
	return *text != NULL;
}

static bool email_message_attachment(const json_t *a, size_t i, const struct complaint *c)
{
	const char *name, *type, *data, *file;
	size_t name_len, type_len, data_len, file_len;

	if (!json_is_object(a))
		return complain(c, "attachment %zu is no object", i);
	if (!email_message_string(a, "filename", &name, &name_len) || !email_message_string(a, "content_type", &type, &type_len)
		|| !email_message_string(a, "data_base64", &data, &data_len) || !email_message_string(a, "file", &file, &file_len))
		return complain(c, "attachment %zu: filename, content_type, data_base64 or file is no string", i);
	if ((data == NULL) == (file == NULL))
		return complain(c, "attachment %zu: it needs one of \"data_base64\" and \"file\"", i);
	const char *wrong = name == NULL ? NULL : name_len > FILENAME_MAX_LEN ? "is over 200 bytes long" : email_text_wrong(name, name_len);
	if (wrong != NULL)
		return complain(c, "attachment %zu: its filename %s", i, wrong);
	if (type != NULL && !email_message_content_type(type, type_len))
		return complain(c, "attachment %zu: its content_type is not type/subtype, or is multipart or message", i);
	if (file != NULL && (file_len == 0 || memchr(file, '\0', file_len) != NULL))
		return complain(c, "attachment %zu: its file is no path", i);
	return true;
}

static bool email_message_attachments(struct email_message *m, const struct complaint *c)
{
	m->attachments = email_message_field(m, "attachments");
	if (m->attachments == NULL)
		return true;
	if (!json_is_array(m->attachments))
		return complain(c, "\"attachments\" is no list");
	if (json_array_size(m->attachments) > ATTACHMENTS_MAX)
		return complain(c, "there are more than %u attachments", ATTACHMENTS_MAX);
	for (size_t i = 0; i < json_array_size(m->attachments); i++)
		if (!email_message_attachment(json_array_get(m->attachments, i), i + 1, c))
			return false;
	return true;
}

/* ---- */

bool email_message_read(struct email_message *m, const char *payload, size_t len, const char *from, char *err, size_t errlen)
{
	const struct complaint c = {err, errlen};

	*m = (struct email_message){.payload = json_loadb(payload, len, JSON_ALLOW_NUL, NULL)};
	bool good = json_is_object(m->payload) ? true : complain(&c, "the payload is not an object");
	if (good && email_message_addresses(m, from, &c) && email_message_texts(m, &c) && email_message_headers(m, &c)
		&& email_message_attachments(m, &c))
		return true;
	email_message_free(m);
	return false;
}

static void email_message_free_list(struct email_addresses *list)
{
	for (size_t i = 0; i < list->n; i++)
		email_address_free(&list->of[i]);
	free(list->of);
}

void email_message_free(struct email_message *m)
{
	email_message_free_list(&m->to);
	email_message_free_list(&m->cc);
	email_message_free_list(&m->bcc);
	email_message_free_list(&m->reply_to);
	email_address_free(&m->from);
	json_decref(m->payload);
	*m = (struct email_message){0};
}

size_t email_message_count(const char *payload, size_t len)
{
	static const char *const lists[] = {"to", "cc", "bcc"};
	json_t *p = json_loadb(payload, len, JSON_ALLOW_NUL, NULL);
	size_t n = 0;

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		const json_t *v = json_object_get(p, lists[i]);
		n += json_is_array(v) ? json_array_size(v) : json_is_string(v);
	}
	json_decref(p);
	return n < 1 ? 1 : n > EMAIL_RECIPIENTS_MAX ? EMAIL_RECIPIENTS_MAX : n;
}

/*
 * handlers/email_mime.c: the message as it goes over the wire, by gmime.
 *
 * Runs in workers. Owns nothing between two messages. What gmime is given was checked by email_message.c, so it only has to encode:
 * names and headers by RFC 2047, texts as UTF-8 in 7 bits (quoted-printable or base64 where needed), attachments in base64. Bcc is in the
 * envelope alone. Nothing in a message is drawn by lot: date, id and boundaries come from the job, so that every attempt sends the same
 * bytes. A boundary holds "=_", which no encoded text can. Lone CRs become line ends: a server must see no other line than we do.
 */
#include "config.h"

#include "handlers/email_mime.h"

#include <gmime/gmime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "handlers/smtp_data.h"

void email_mime_start(void)
{
	g_mime_init();
}

void email_mime_end(void)
{
	g_mime_shutdown();
}

/* ---- parts ---- */

static void email_mime_content(GMimePart *part, const char *data, size_t len)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(data, len);
	GMimeDataWrapper *content = g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);

	g_mime_part_set_content(part, content);
	g_object_unref(content);
	g_object_unref(stream);
}

/* CRLF and lone CR become LF. */
static char *email_mime_lines(const struct email_text *text, size_t *len)
{
	char *copy = xmalloc(text->len + 1), *to = copy;

	for (size_t i = 0; i < text->len; i++) {
		if (text->text[i] != '\r')
			*to++ = text->text[i];
		else if (i + 1 == text->len || text->text[i + 1] != '\n')
			*to++ = '\n';
	}
	*len = (size_t)(to - copy);
	return copy;
}

static GMimeObject *email_mime_text(const struct email_text *text, const char *subtype)
{
	GMimePart *part = g_mime_part_new_with_type("text", subtype);
	size_t len;
	char *lines = email_mime_lines(text, &len);

	g_mime_object_set_content_type_parameter(GMIME_OBJECT(part), "charset", "utf-8");
	email_mime_content(part, lines, len);
	free(lines);
	g_mime_part_set_content_encoding(part, g_mime_part_get_best_content_encoding(part, GMIME_ENCODING_CONSTRAINT_7BIT));
	return GMIME_OBJECT(part);
}

/* Takes over `first`; NULL makes a multipart without it. */
static GMimeMultipart *email_mime_multipart(const char *subtype, const struct email_stamp *stamp, int number, GMimeObject *first)
{
	GMimeMultipart *multipart = g_mime_multipart_new_with_subtype(subtype);
	char *boundary = xasprintf("=_%.60s-%d", stamp->key, number);

	g_mime_multipart_set_boundary(multipart, boundary);
	free(boundary);
	g_mime_multipart_add(multipart, first);
	g_object_unref(first);
	return multipart;
}

static void email_mime_add(GMimeMultipart *multipart, GMimeObject *part)
{
	g_mime_multipart_add(multipart, part);
	g_object_unref(part);
}

static GMimeObject *email_mime_texts(const struct email_message *m, const struct email_stamp *stamp)
{
	GMimeMultipart *both;

	if (m->html.text == NULL)
		return email_mime_text(&m->text, "plain");
	if (m->text.text == NULL)
		return email_mime_text(&m->html, "html");
	both = email_mime_multipart("alternative", stamp, 2, email_mime_text(&m->text, "plain"));
	email_mime_add(both, email_mime_text(&m->html, "html"));
	return GMIME_OBJECT(both);
}

/* ---- attachments ---- */

static GMimeObject *email_mime_attached(const json_t *a, const struct buf *data)
{
	const char *filename = json_string_value(json_object_get(a, "filename"));
	const char *type = json_string_value(json_object_get(a, "content_type"));
	char *owned = xstrdup(type == NULL ? "application/octet-stream" : type), *slash = strchr(owned, '/');

	*slash = '\0';
	GMimePart *part = g_mime_part_new_with_type(owned, slash + 1);
	free(owned);
	email_mime_content(part, data->data, data->len);
	g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64);
	g_mime_object_set_disposition(GMIME_OBJECT(part), GMIME_DISPOSITION_ATTACHMENT);
	if (filename != NULL && *filename != '\0')
		g_mime_part_set_filename(part, filename);
	return GMIME_OBJECT(part);
}

static enum email_got email_mime_get(const json_t *a, const char *dir, size_t room, struct buf *data, char *err, size_t errlen)
{
	const json_t *text = json_object_get(a, "data_base64");

	if (json_is_string(text))
		return email_file_base64(json_string_value(text), json_string_length(text), room, data, err, errlen);
	return email_file_read(dir, json_string_value(json_object_get(a, "file")), room, data, err, errlen);
}

static enum email_got email_mime_attach(GMimeMultipart *mixed, const json_t *attachments, const char *dir, char *err, size_t errlen)
{
	size_t room = EMAIL_ATTACHED_MAX;
	enum email_got got = EMAIL_GOT;
	char why[200];

	for (size_t i = 0; i < json_array_size(attachments) && got == EMAIL_GOT; i++) {
		const json_t *a = json_array_get(attachments, i);
		struct buf data = {0};
		got = email_mime_get(a, dir, room, &data, why, sizeof why);
		room -= data.len;
		if (got == EMAIL_GOT)
			email_mime_add(mixed, email_mime_attached(a, &data));
		else if (snprintf(err, errlen, "attachment %zu: %s", i + 1, why) < 0)
			err[0] = '\0';
		buf_free(&data);
	}
	return got;
}

static enum email_got email_mime_body(GMimeObject **body, const struct email_message *m, const struct email_stamp *stamp,
	const char *dir, char *err, size_t errlen)
{
	enum email_got got = EMAIL_GOT;

	*body = email_mime_texts(m, stamp);
	if (json_array_size(m->attachments) > 0) {
		GMimeMultipart *mixed = email_mime_multipart("mixed", stamp, 1, *body);
		got = email_mime_attach(mixed, m->attachments, dir, err, errlen);
		*body = GMIME_OBJECT(mixed);
	}
	return got;
}

/* ---- headers ---- */

/* Takes over `folded`, a whole header that gmime has broken into lines. */
static void email_mime_line(struct buf *head, char *folded)
{
	buf_puts(head, folded);
	g_free(folded);
}

/* An address is ASCII and has no spaces: only the names are encoded, or quoted. */
static void email_mime_addresses(struct buf *head, const char *name, const struct email_addresses *list)
{
	struct buf line = {0};

	buf_printf(&line, "%s:", name);
	for (size_t i = 0; i < list->n; i++) {
		const struct email_address *a = &list->of[i];
		char *phrase = a->name == NULL || *a->name == '\0' ? NULL : g_mime_utils_header_encode_phrase(NULL, a->name, "utf-8");
		buf_puts(&line, i == 0 ? " " : ", ");
		if (phrase == NULL)
			buf_puts(&line, a->address);
		else
			buf_printf(&line, "%s <%s>", phrase, a->address);
		g_free(phrase);
	}
	if (list->n > 0)
		email_mime_line(head, g_mime_utils_unstructured_header_fold(NULL, NULL, buf_str(&line)));
	buf_free(&line);
}

static void email_mime_words(struct buf *head, const char *name, const char *value)
{
	struct buf line = {0};
	char *encoded = g_mime_utils_header_encode_text(NULL, value, "utf-8");

	buf_printf(&line, "%s: %s", name, encoded);
	g_free(encoded);
	email_mime_line(head, g_mime_utils_unstructured_header_fold(NULL, NULL, buf_str(&line)));
	buf_free(&line);
}

static void email_mime_date(struct buf *head, int64_t us)
{
	GDateTime *date = g_date_time_new_from_unix_utc(us / 1000000);

	if (date == NULL) /* no year of ours */
		return;
	char *text = g_mime_utils_header_format_date(date);
	buf_printf(head, "Date: %s\n", text);
	g_free(text);
	g_date_time_unref(date);
}

/* Written by themselves, by gmime's own encoders: its message object would make and drop some thirty objects for them. */
static void email_mime_headers(struct buf *head, const struct email_message *m, const struct email_stamp *stamp)
{
	const struct email_addresses from = {1, (struct email_address *)(uintptr_t)&m->from};
	const char *name;
	json_t *value;

	email_mime_date(head, stamp->date_us);
	email_mime_addresses(head, "From", &from);
	email_mime_addresses(head, "Reply-To", &m->reply_to);
	if (m->subject.text != NULL)
		email_mime_words(head, "Subject", m->subject.text);
	email_mime_addresses(head, "To", &m->to);
	email_mime_addresses(head, "Cc", &m->cc);
	buf_printf(head, "Message-Id: <%s>\n", stamp->message_id);
	json_object_foreach(m->headers, name, value)
		email_mime_words(head, name, json_string_value(value));
	buf_puts(head, "MIME-Version: 1.0\n");
}

/* ---- */

static void email_mime_write(const struct buf *head, GMimeObject *body, struct buf *out)
{
	GMimeStream *stream = g_mime_stream_mem_new();

	if (g_mime_stream_write(stream, head->data, head->len) < 0 || g_mime_object_write_to_stream(body, NULL, stream) < 0)
		mem_exhausted(0); /* memory takes all bytes that there is room for */
	const GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
	smtp_data_add(out, (const char *)bytes->data, bytes->len);
	g_object_unref(stream);
}

enum email_got email_mime_build(const struct email_message *m, const struct email_stamp *stamp, const char *attachment_dir,
	struct buf *out, char *err, size_t errlen)
{
	GMimeObject *body;
	enum email_got got = email_mime_body(&body, m, stamp, attachment_dir, err, errlen);

	if (got == EMAIL_GOT) {
		struct buf head = {0};
		email_mime_headers(&head, m, stamp);
		email_mime_write(&head, body, out);
		buf_free(&head);
	}
	g_object_unref(body);
	return got;
}

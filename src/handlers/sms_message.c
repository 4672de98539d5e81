/*
 * handlers/sms_message.c: what an sms job must be: {"to": "+358...", "from": "...", "text": "..."}.
 *
 * Pure; runs in workers, before a job's admission. One job is one message to one recipient, so that its outcome is one; `to` may
 * be a list of one. What passes here can be put into headers and bodies: the number is digits, the sender has no control
 * characters, the text is valid UTF-8 and no longer than a phone can put together. Other fields are left to templates.
 */
#include "config.h"

#include "handlers/sms_message.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "handlers/gsm.h"

#define FROM_MAX 64u

/* + and 8 to 15 digits, the first not 0 */
static bool sms_message_e164(const char *number, size_t len)
{
	size_t digits = strspn(number, "+0123456789") == len && len > 1 ? strspn(number + 1, "0123456789") : 0;

	return number[0] == '+' && digits == len - 1 && digits >= 8 && digits <= 15 && number[1] != '0';
}

static const char *sms_message_to(struct sms_message *m)
{
	const json_t *to = json_object_get(m->payload, "to");

	if (json_is_array(to) && json_array_size(to) != 1)
		return "\"to\" is a list, but not of exactly one number: enqueue one job a recipient";
	if (json_is_array(to))
		to = json_array_get(to, 0);
	if (!json_is_string(to))
		return "\"to\" is missing or is no string";
	m->to = json_string_value(to);
	if (!sms_message_e164(m->to, json_string_length(to)))
		return "\"to\" is not an E.164 number: + and 8 to 15 digits, the first not 0";
	return NULL;
}

static const char *sms_message_from(struct sms_message *m)
{
	const json_t *from = json_object_get(m->payload, "from");

	if (from == NULL || json_is_null(from)) {
		m->from_len = strlen(m->from); /* the queue's */
		return NULL;
	}
	if (!json_is_string(from))
		return "\"from\" is no string";
	m->from = json_string_value(from);
	m->from_len = json_string_length(from);
	if (m->from_len > FROM_MAX)
		return "\"from\" is over 64 bytes long";
	for (size_t i = 0; i < m->from_len; i++)
		if ((unsigned char)m->from[i] < 0x20 || m->from[i] == 0x7f)
			return "\"from\" holds a control character";
	return NULL;
}

static const char *sms_message_text(struct sms_message *m)
{
	const json_t *text = json_object_get(m->payload, "text");

	if (!json_is_string(text))
		return "\"text\" is missing or is no string";
	m->text = json_string_value(text);
	m->text_len = json_string_length(text);
	if (m->text_len == 0)
		return "\"text\" is empty";
	if (!text_is_utf8(m->text, m->text_len))
		return "\"text\" is not valid UTF-8 without NUL";
	struct gsm_size size = gsm_measure(m->text, m->text_len);
	if (size.segments > GSM_SEGMENTS_MAX)
		return "\"text\" is too long: it would take more than 255 messages";
	m->gsm7 = size.gsm7;
	return NULL;
}

bool sms_message_read(struct sms_message *m, const char *payload, size_t len, const char *from, char *err, size_t errlen)
{
	const char *wrong = NULL;

	*m = (struct sms_message){.from = from};
	m->payload = json_loadb(payload, len, 0, NULL);
	if (!json_is_object(m->payload))
		wrong = "the payload is not an object";
	if (wrong == NULL)
		wrong = sms_message_to(m);
	if (wrong == NULL)
		wrong = sms_message_from(m);
	if (wrong == NULL)
		wrong = sms_message_text(m);
	if (wrong == NULL)
		return true;
	(void)text_copy(err, errlen, wrong);
	sms_message_free(m);
	return false;
}

void sms_message_free(struct sms_message *m)
{
	json_decref(m->payload);
	m->payload = NULL;
}

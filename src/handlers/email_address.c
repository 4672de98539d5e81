/*
 * handlers/email_address.c: mail addresses as people write them in a payload.
 *
 * Pure; runs in workers. One text is one address, with or without a name: no lists, groups or comments, so nothing that a lenient
 * parser might find in it can become a second recipient. What passes can be put between the angle brackets of an envelope and, with its
 * name encoded, into a header: the address is ASCII of RFC 5321's dot-string and domain, the name has no control characters. Fails by
 * naming the fault, never the address.
 */
#include "config.h"

#include "handlers/email_address.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const char atoms[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.";
static const char labels[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
static const char literals[] = "abcdefABCDEF0123456789.:IPv"; /* [192.0.2.1], [IPv6:2001:db8::1] */

static bool email_address_of(const char *text, size_t len, const char *set)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0' || strchr(set, text[i]) == NULL)
			return false;
	return len > 0;
}

static bool email_address_domain(const char *domain, size_t len)
{
	if (len > 2 && domain[0] == '[' && domain[len - 1] == ']')
		return email_address_of(domain + 1, len - 2, literals);
	if (!email_address_of(domain, len, labels) || domain[0] == '.' || domain[len - 1] == '.')
		return false;
	for (size_t i = 1; i < len; i++)
		if (domain[i] == '.' && domain[i - 1] == '.')
			return false;
	return true;
}

static const char *email_address_wrong(const char *address, size_t len)
{
	const char *at = memchr(address, '@', len);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)address[i] >= 0x80)
			return "has an address that is not ASCII (write an international domain in its xn-- form)";
	if (at == NULL)
		return "holds no @";
	if (len > EMAIL_ADDRESS_MAX || at - address > 64)
		return "has an address that is too long";
	if (!email_address_of(address, (size_t)(at - address), atoms) || !email_address_domain(at + 1, len - (size_t)(at - address) - 1))
		return "is no mail address: local@domain or Name <local@domain>, one alone";
	return NULL;
}

const char *email_text_wrong(const char *text, size_t len)
{
	if (!text_is_utf8(text, len))
		return "is not valid UTF-8 without NUL";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return "holds a control character";
	return NULL;
}

static void email_address_trim(const char **text, size_t *len)
{
	while (*len > 0 && (*text)[0] == ' ') {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && (*text)[*len - 1] == ' ')
		(*len)--;
}

/* A name in quotes loses them, and the backslashes inside. */
static char *email_address_name(const char *text, size_t len)
{
	bool quoted = len >= 2 && text[0] == '"' && text[len - 1] == '"';
	char *name = xmalloc(len + 1), *to = name;
	const char *end = text + len - quoted;

	for (const char *at = text + quoted; at < end; at++) {
		if (quoted && *at == '\\' && at + 1 < end)
			at++;
		*to++ = *at;
	}
	*to = '\0';
	return name;
}

const char *email_address_read(struct email_address *a, const char *text, size_t len)
{
	const char *name = text, *wrong = email_text_wrong(text, len);
	size_t name_len = 0;

	*a = (struct email_address){0};
	if (wrong != NULL)
		return wrong;
	email_address_trim(&text, &len);
	if (len > 0 && text[len - 1] == '>') {
		const char *open = memrchr(text, '<', len);
		if (open == NULL)
			return "has a > without <";
		name = text;
		name_len = (size_t)(open - text);
		len -= name_len + 2;
		text = open + 1;
		email_address_trim(&name, &name_len);
	}
	wrong = name_len > EMAIL_NAME_MAX ? "has a name of over 200 bytes" : email_address_wrong(text, len);
	if (wrong != NULL)
		return wrong;
	a->address = xstrndup(text, len);
	a->name = name_len > 0 ? email_address_name(name, name_len) : NULL;
	return NULL;
}

void email_address_free(struct email_address *a)
{
	free(a->name);
	free(a->address);
	*a = (struct email_address){0};
}

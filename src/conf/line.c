/*
 * conf/line.c: the grammar of one line (see line.h).
 *
 * Pure; runs where a configuration is read. Owns nothing: it cuts the line in place. Invariant: what conf_line_quote writes,
 * conf_line_parse reads back, also with a comment behind it. What it cannot read is a BAD line with the reason.
 */
#include "config.h"

#include "conf/line.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define BLANK " \t"

static struct conf_line bad(const char *why)
{
	return (struct conf_line){.kind = CONF_LINE_BAD, .name = "", .arg = why};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, BLANK);
	len = strlen(text);
	while (len > 0 && is_blank(text[len - 1]))
		text[--len] = '\0';
	return text;
}

static bool is_rest_empty(const char *rest)
{
	rest += strspn(rest, BLANK);
	return *rest == '\0' || *rest == '#' || *rest == ';';
}

/* Where the comment of an unquoted value begins (or its end). *open: a quotation that never ends hides a comment. */
static size_t raw_length(const char *value, bool *open)
{
	bool quoted = false, hidden = false;
	size_t i;

	for (i = 0; value[i] != '\0'; i++) {
		bool comment = (value[i] == '#' || value[i] == ';') && (i == 0 || is_blank(value[i - 1]));

		if (value[i] == '"' && (i == 0 || value[i - 1] != '\\'))
			quoted = !quoted;
		if (comment && !quoted)
			break;
		hidden = hidden || comment;
	}
	*open = quoted && hidden;
	return i;
}

/* A value that begins with a double quote; text points behind it. NULL: it does not end, or something follows. */
static const char *unquote(char *text)
{
	char *from = text, *to = text;

	while (*from != '"') {
		if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		if (*from == '\0')
			return NULL;
		*to++ = *from++;
	}
	if (!is_rest_empty(from + 1))
		return NULL;
	*to = '\0';
	return text;
}

/* NULL with the reason in *why */
static const char *value_of(char *text, const char **why)
{
	bool open;

	text += strspn(text, BLANK);
	if (*text == '"') {
		const char *value = unquote(text + 1);

		if (value == NULL)
			*why = "the quoted value does not end with a double quote (inside it write \\\" for one)";
		return value;
	}
	text[raw_length(text, &open)] = '\0';
	if (open) {
		*why = "a double quote without its twin stands before what may be a comment; put the whole value in double quotes";
		return NULL;
	}
	return trim(text);
}

static struct conf_line section(char *text)
{
	char *end = strchr(text, ']'), *name, *arg;

	if (end == NULL || !is_rest_empty(end + 1))
		return bad("a section is written [name] or [kind name]");
	*end = '\0';
	name = trim(text);
	arg = name + strcspn(name, BLANK);
	if (*arg != '\0')
		*arg++ = '\0';
	return (struct conf_line){.kind = CONF_LINE_SECTION, .name = name, .arg = trim(arg)};
}

struct conf_line conf_line_parse(char *text)
{
	static const char include[] = "%include";
	const char *why = NULL, *value;
	char *equals;

	text = trim(text);
	if (is_rest_empty(text))
		return (struct conf_line){.kind = CONF_LINE_EMPTY, .name = "", .arg = ""};
	if (*text == '[')
		return section(text + 1);
	if (strncmp(text, include, sizeof include - 1) == 0 && is_blank(text[sizeof include - 1])) {
		value = value_of(text + sizeof include, &why);
		if (value != NULL && *value == '\0')
			why = "%include needs a file name or pattern";
		return why ? bad(why) : (struct conf_line){.kind = CONF_LINE_INCLUDE, .name = "", .arg = value};
	}
	equals = strchr(text, '=');
	if (equals == NULL || equals == text)
		return bad("expected `key = value`, `[section]`, `%include FILE` or a comment");
	*equals = '\0';
	value = value_of(equals + 1, &why);
	if (value == NULL)
		return bad(why);
	return (struct conf_line){.kind = CONF_LINE_KEY, .name = trim(text), .arg = value};
}

const char *conf_line_problem(const char *text, size_t len)
{
	if (len > CONF_LINE_MAX)
		return "is longer than 8192 bytes";
	if (memchr(text, '\0', len) != NULL)
		return "holds a NUL byte";
	if (!text_is_utf8(text, len))
		return "is not UTF-8";
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
			return "holds a control character";
	return NULL;
}

void conf_line_quote(struct buf *out, const char *value)
{
	struct buf probe = {0};
	size_t len = strlen(value);
	bool open, plain;

	buf_puts(&probe, value);
	buf_puts(&probe, "  #");
	plain = len == 0 || (value[0] != '"' && !is_blank(value[0]) && !is_blank(value[len - 1]) &&
	                     raw_length(buf_str(&probe), &open) == len + 2 && !open);
	if (plain) {
		buf_add(out, value, len);
	} else {
		buf_putc(out, '"');
		for (size_t i = 0; i < len; i++) {
			if (value[i] == '"' || value[i] == '\\')
				buf_putc(out, '\\');
			buf_putc(out, value[i]);
		}
		buf_putc(out, '"');
	}
	buf_free(&probe);
}

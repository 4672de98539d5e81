/*
 * base/ident.c: names of tables, from people to statements (see ident.h).
 *
 * Pure; runs where a configuration is checked and where a statement is made. Owns nothing. Invariant: what ident_relation writes is
 * two quoted identifiers with a dot between them, whatever the text holds, so it can be put into a statement; a text that is
 * not exactly a name is refused and leaves dst empty. What ident_quote appends is one identifier, and cannot end early.
 */
#include "config.h"

#include "base/ident.h"

#include <string.h>

#define PART_MAX 63 /* bytes of an identifier of PostgreSQL */

struct out {
	char *dst;
	size_t size, len;
};

static void put(struct out *out, char c)
{
	if (out->len < out->size)
		out->dst[out->len] = c;
	out->len++;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Behind the opening quote; moves behind the closing one. */
static bool quoted(const char **at, struct out *out)
{
	size_t n = 0;

	for (;; (*at)++, n++) {
		if (**at == '\0')
			return false;
		if (**at == '"' && *++*at != '"')
			return n > 0 && n <= PART_MAX;
		if (**at == '"')
			put(out, '"');
		put(out, **at);
	}
}

static bool plain(const char **at, struct out *out)
{
	size_t n = 0;

	for (; is_letter(**at) || (n > 0 && ((**at >= '0' && **at <= '9') || **at == '$')); (*at)++, n++)
		put(out, **at >= 'A' && **at <= 'Z' ? (char)(**at - 'A' + 'a') : **at);
	return n > 0 && n <= PART_MAX;
}

static bool part(const char **at, struct out *out)
{
	bool good;

	put(out, '"');
	if (**at == '"') {
		(*at)++;
		good = quoted(at, out);
	} else {
		good = plain(at, out);
	}
	put(out, '"');
	return good;
}

bool ident_relation(const char *text, char *dst, size_t size)
{
	struct out out = {.dst = dst, .size = size};
	bool good = part(&text, &out) && *text == '.';

	if (good) {
		put(&out, *text++);
		good = part(&text, &out) && *text == '\0';
	}
	put(&out, '\0');
	if (!good || out.len > size) {
		if (size > 0)
			dst[0] = '\0';
		return false;
	}
	return true;
}

void ident_quoten(struct buf *sql, const char *name, size_t len)
{
	buf_putc(sql, '"');
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '"')
			buf_putc(sql, '"');
		buf_putc(sql, name[i]);
	}
	buf_putc(sql, '"');
}

void ident_quote(struct buf *sql, const char *name)
{
	ident_quoten(sql, name, strlen(name));
}

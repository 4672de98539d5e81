/*
 * jobqctl/width.c: how wide a text is on a terminal, and how to cut it.
 *
 * Pure. A character is as wide as wcwidth says; one that it does not know counts 1. Marks that take no room of their own
 * are kept up to two a character and dropped beyond, so that no name can pile up hundreds of them. Never cuts inside a
 * character.
 */
#include "config.h"

#include "jobqctl/width.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "base/text.h"

#define MARKS_MAX 2u
#define ELLIPSIS "\xe2\x80\xa6"

struct glyph {
	size_t bytes, columns;
};

/* the next character of valid UTF-8; marks: how many that take no room came just before */
static struct glyph next(const char *text, size_t *marks)
{
	unsigned char first = (unsigned char)text[0];
	size_t bytes = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t code = bytes == 1 ? first : first & (0x7fu >> bytes);

	for (size_t i = 1; i < bytes; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80) /* not UTF-8 after all */
			return (struct glyph){.bytes = i, .columns = 1};
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	int columns = wcwidth((wchar_t)code);
	*marks = columns == 0 ? *marks + 1 : 0;
	return (struct glyph){.bytes = bytes, .columns = columns < 0 ? 1 : (size_t)columns};
}

size_t width_of(const char *text)
{
	size_t columns = 0, marks = 0;

	while (*text != '\0') {
		struct glyph g = next(text, &marks);
		columns += g.columns;
		text += g.bytes;
	}
	return columns;
}

size_t width_add(struct buf *out, const char *text, size_t width)
{
	bool cut = width_of(text) > width;
	size_t room = cut ? (width > 0 ? width - 1 : 0) : width, columns = 0, marks = 0;

	while (*text != '\0') {
		struct glyph g = next(text, &marks);
		if (columns + g.columns > room)
			break;
		if (marks <= MARKS_MAX)
			buf_add(out, text, g.bytes);
		columns += g.columns;
		text += g.bytes;
	}
	if (cut && width > 0) {
		buf_puts(out, ELLIPSIS);
		columns++;
	}
	return columns;
}

size_t width_line(const char *text, size_t width, const char **rest)
{
	size_t at = 0, columns = 0, marks = 0, blank = 0;

	while (text[at] != '\0') {
		struct glyph g = next(text + at, &marks);
		if (columns + g.columns > width && at > 0) {
			at = blank > 0 ? blank : at;
			break;
		}
		if (text[at] == ' ')
			blank = at;
		columns += g.columns;
		at += g.bytes;
	}
	*rest = text + at + strspn(text + at, " ");
	return at;
}

void width_printable(struct buf *out, const char *text)
{
	size_t len = strlen(text), room = len * 10 + 1; /* the longest escape of one byte has 8 */

	buf_reserve(out, room);
	out->len += text_printable(out->data + out->len, room, text, len);
}

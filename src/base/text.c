/*
 * base/text.c: strangers' text made safe, and the nearest name for a misspelt one (see text.h).
 *
 * Pure; runs in every process. Owns nothing. Invariant: what text_clean and text_printable write is strict UTF-8, NUL
 * terminated, within `size` bytes, and never ends inside a character or an escape. They cannot fail: bytes that make
 * no sense become U+FFFD, one for each maximal run that a decoder would stop at.
 */
#include "config.h"

#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define WORD_MAX 64u               /* longer words are nobody's typing error */
#define DISTANCE_MAX 3u

/* How many bytes follow the first one of a sequence; the limits of the second byte keep out overlong forms,
 * surrogates and what lies beyond U+10FFFF. -1: no character begins so. */
static int follow(unsigned char first, unsigned char *low, unsigned char *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (first < 0x80)
		return 0;
	if (first < 0xc2 || first > 0xf4)
		return -1;
	if (first < 0xe0)
		return 1;
	if (first < 0xf0) {
		*low = first == 0xe0 ? 0xa0 : 0x80;
		*high = first == 0xed ? 0x9f : 0xbf;
		return 2;
	}
	*low = first == 0xf0 ? 0x90 : 0x80;
	*high = first == 0xf4 ? 0x8f : 0xbf;
	return 3;
}

/* As text_char; *bad is the number of bytes to skip when it returns 0. */
static size_t decode(const char *text, size_t left, uint32_t *code, size_t *bad)
{
	static const unsigned char mask[] = {0x7f, 0x1f, 0x0f, 0x07};
	const unsigned char *p = (const unsigned char *)text;
	unsigned char low, high;
	int more = follow(p[0], &low, &high);

	*bad = 1;
	if (more < 0)
		return 0;
	*code = p[0] & mask[more];
	for (size_t i = 1; i <= (size_t)more; i++) {
		if (i >= left || p[i] < low || p[i] > high) {
			*bad = i;
			return 0;
		}
		*code = *code << 6 | (p[i] & 0x3fu);
		low = 0x80;
		high = 0xbf;
	}
	return (size_t)more + 1;
}

size_t text_char(const char *p, size_t left, uint32_t *code)
{
	size_t bad;

	return decode(p, left, code, &bad);
}

bool text_is_control(uint32_t code)
{
	if (code < 0x20 || (code >= 0x7f && code <= 0x9f))
		return true;
	return code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

bool text_is_utf8(const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t code;
		size_t n = text_char(text + i, len - i, &code);

		if (n == 0 || code == 0)
			return false;
		i += n;
	}
	return true;
}

/* The escape of a control character, NUL terminated; returns its length. */
static size_t escape(char dst[16], uint32_t code)
{
	int n;

	if (code == '\n' || code == '\t')
		n = snprintf(dst, 16, "\\%c", code == '\n' ? 'n' : 't');
	else if (code < 0x100)
		n = snprintf(dst, 16, "\\x%02x", (unsigned)code);
	else
		n = snprintf(dst, 16, "\\u{%04x}", (unsigned)code);
	return n > 0 ? (size_t)n : 0;
}

static size_t copy(char *dst, size_t size, const char *src, size_t len, bool printable)
{
	size_t out = 0;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < len;) {
		const char *piece = src + i;
		char esc[16];
		uint32_t code = 0;
		size_t bad, n = decode(piece, len - i, &code, &bad), put = n;

		i += n ? n : bad;
		if (n == 0) {
			piece = REPLACEMENT;
			put = sizeof REPLACEMENT - 1;
		} else if (printable && text_is_control(code)) {
			put = escape(esc, code);
			piece = esc;
		} else if (code == 0) {
			continue;
		}
		if (put > size - 1 - out)
			break;
		memcpy(dst + out, piece, put);
		out += put;
	}
	dst[out] = '\0';
	return out;
}

size_t text_clean(char *dst, size_t size, const char *src, size_t len)
{
	return copy(dst, size, src, len, false);
}

size_t text_printable(char *dst, size_t size, const char *src, size_t len)
{
	return copy(dst, size, src, len, true);
}

char *text_clean_dup(const char *src, size_t len, size_t max)
{
	size_t size = len > max / 3 ? max : len * 3; /* a bad byte becomes three */
	char *dst = xmalloc(size + 1);

	text_clean(dst, size + 1, src, len);
	return dst;
}

/* Edit distance with neighbours swapped as one edit; both at most WORD_MAX long. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= nb; j++)
		above[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[nb];
}

int text_nearest(const char *word, const char *const *names, size_t n)
{
	size_t len = strnlen(word, WORD_MAX + 1), best = DISTANCE_MAX + 1;
	int found = -1;

	if (len > WORD_MAX)
		return -1;
	for (size_t i = 0; i < n && i < INT32_MAX; i++) {
		size_t size = strnlen(names[i], WORD_MAX + 1), d;

		if (size > WORD_MAX)
			continue;
		d = distance(word, len, names[i], size);
		if (d < best && 2 * d < (len > size ? len : size)) {
			best = d;
			found = (int)i;
		}
	}
	return found;
}

bool text_is_queue_name(const char *name)
{
	static const char more[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strnlen(name, 64);

	return len >= 1 && len <= 63 && name[0] >= 'a' && name[0] <= 'z' && strspn(name, more) == len &&
	       strcmp(name, "system") != 0;
}

size_t text_copy(char *dst, size_t size, const char *src)
{
	size_t len;

	if (size == 0)
		return 0;
	len = strnlen(src, size - 1);
	memcpy(dst, src, len);
	dst[len] = '\0';
	return len;
}

/*
 * handlers/gsm.c: does a text fit the default alphabet of GSM 03.38 (3GPP TS 23.038, 6.2.1), and in how many messages?
 *
 * Pure; runs in workers. A message carries 140 octets: 160 septets or 70 UTF-16 units alone, 153 or 67 when it is one of
 * several. Characters of the extension table take two septets.
 */
#include "config.h"

#include "handlers/gsm.h"

#include <stdint.h>

/* What the basic table holds beyond ASCII. */
static const uint16_t gsm_basic[] = {
	0xa3, 0xa5, 0xe8, 0xe9, 0xf9, 0xec, 0xf2, 0xc7, 0xd8, 0xf8, 0xc5, 0xe5, 0x394, 0x3a6, 0x393, 0x39b, 0x3a9, 0x3a0, 0x3a8,
	0x3a3, 0x398, 0x39e, 0xc6, 0xe6, 0xdf, 0xc9, 0xa4, 0xa1, 0xc4, 0xd6, 0xd1, 0xdc, 0xa7, 0xbf, 0xe4, 0xf6, 0xf1, 0xfc, 0xe0,
};

/* Septets of a character, 0 if the alphabet does not have it. */
static unsigned gsm_septets(uint32_t c)
{
	switch (c) {
	case '^': case '{': case '}': case '\\': case '[': case ']': case '~': case '|': case '\f': case 0x20ac:
		return 2;
	case '`': case 0x7f:
		return 0;
	default:
		break;
	}
	if (c < 0x80)
		return c >= 0x20 || c == '\n' || c == '\r';
	for (size_t i = 0; i < sizeof gsm_basic / sizeof gsm_basic[0]; i++)
		if (gsm_basic[i] == c)
			return 1;
	return 0;
}

static uint32_t gsm_next(const char **at)
{
	const unsigned char *p = (const unsigned char *)*at;
	unsigned more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
	uint32_t c = more == 0 ? *p : *p & (0x3fu >> more);

	for (unsigned i = 1; i <= more; i++)
		c = (c << 6) | (p[i] & 0x3fu);
	*at += more + 1;
	return c;
}

struct gsm_size gsm_measure(const char *utf8, size_t len)
{
	struct gsm_size size = {.gsm7 = true};
	size_t septets = 0, utf16 = 0;

	for (const char *at = utf8, *end = utf8 + len; at < end;) {
		uint32_t c = gsm_next(&at);
		unsigned n = gsm_septets(c);
		size.gsm7 = size.gsm7 && n > 0;
		septets += n;
		utf16 += c > 0xffff ? 2 : 1;
	}
	size_t one = size.gsm7 ? 160 : 70, part = size.gsm7 ? 153 : 67;
	size.units = size.gsm7 ? septets : utf16;
	size.segments = size.units <= one ? size.units > 0 : (size.units + part - 1) / part;
	return size;
}

/*
 * handlers/smtp_data.c: a message as it goes over the wire after DATA (RFC 5321, 4.5.2).
 *
 * Pure; runs in workers. Owns nothing. CRLF, LF and CR alone are each one line's end, whichever a text uses, and all go out as CRLF: a
 * server that sees lines where we see none could be made to take the rest of a text for commands. A line that begins with a dot gets
 * another one. Invariant: the bytes CRLF . CRLF stand in what is written once, at its end. Fails as mem.h does.
 */
#include "config.h"

#include "handlers/smtp_data.h"

#include <string.h>

static void smtp_data_line(struct buf *out, const char *line, size_t len)
{
	if (len > 0 && line[0] == '.')
		buf_putc(out, '.');
	buf_add(out, line, len);
	buf_add(out, "\r\n", 2);
}

void smtp_data_add(struct buf *out, const char *text, size_t len)
{
	const char *at = text, *end = text + len;

	buf_reserve(out, len + len / 16 + 16);
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at)), *stop = lf == NULL ? end : lf;
		const char *cr = memchr(at, '\r', (size_t)(stop - at));
		if (cr != NULL)
			stop = cr;
		smtp_data_line(out, at, (size_t)(stop - at));
		at = cr != NULL && cr + 1 == lf ? lf + 1 : stop + (stop < end);
	}
	buf_puts(out, ".\r\n");
}

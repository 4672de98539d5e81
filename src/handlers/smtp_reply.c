/*
 * handlers/smtp_reply.c: replies of an SMTP server (RFC 5321, 4.2), out of whatever bytes come.
 *
 * Pure; runs in workers. The server is a stranger: lines and the number of lines are bounded, codes are checked, and what is kept of
 * the text is printable. A line ends with LF; a CR before it is dropped. Invariant: text is NUL terminated, and a reply is whole
 * only with its last line's LF. Fails by saying that this is not SMTP.
 */
#include "config.h"

#include "handlers/smtp_reply.h"

#include <string.h>

#include "base/text.h"

#define LINES_MAX 256u

static int smtp_reply_digit(char c, char low, char high)
{
	return c >= low && c <= high ? c - '0' : -1;
}

/* "250-text", "250 text" or "250": the code, or -1. */
static int smtp_reply_code(const char *line, size_t len)
{
	if (len < 3)
		return -1;
	int a = smtp_reply_digit(line[0], '2', '5'), b = smtp_reply_digit(line[1], '0', '9'), c = smtp_reply_digit(line[2], '0', '9');

	if (a < 0 || b < 0 || c < 0 || (len > 3 && line[3] != ' ' && line[3] != '-'))
		return -1;
	return a * 100 + b * 10 + c;
}

static void smtp_reply_keep(struct smtp_reply *r, const char *text, size_t len)
{
	if (r->len > 0 && r->len + 1 < sizeof r->text)
		r->text[r->len++] = ' ';
	r->len += text_printable(r->text + r->len, sizeof r->text - r->len, text, len);
}

static enum smtp_fed smtp_reply_line(struct smtp_reply *r)
{
	size_t len = r->line_len;

	if (len > 0 && r->line[len - 1] == '\r')
		len--;
	int code = smtp_reply_code(r->line, len);
	bool more = len > 3 && r->line[3] == '-';
	if (code < 0 || (r->lines > 0 && code != r->code) || ++r->lines > LINES_MAX)
		return SMTP_FED_BROKEN;
	r->code = code;
	if (r->lines == 1)
		smtp_reply_keep(r, r->line, 3);
	if (len > 4)
		smtp_reply_keep(r, r->line + 4, len - 4);
	r->line_len = 0;
	r->whole = !more;
	return more ? SMTP_FED_MORE : SMTP_FED_WHOLE;
}

enum smtp_fed smtp_reply_feed(struct smtp_reply *r, const char *data, size_t len, size_t *used)
{
	enum smtp_fed fed = SMTP_FED_MORE;

	*used = 0;
	if (r->whole) {
		r->whole = false;
		r->len = r->line_len = r->lines = 0;
		r->text[0] = '\0';
	}
	while (*used < len && fed == SMTP_FED_MORE) {
		const char *at = data + *used, *end = memchr(at, '\n', len - *used);
		size_t n = end == NULL ? len - *used : (size_t)(end - at);
		if (n > sizeof r->line - r->line_len)
			return SMTP_FED_BROKEN;
		memcpy(r->line + r->line_len, at, n);
		r->line_len += n;
		*used += n + (end != NULL);
		if (end != NULL)
			fed = smtp_reply_line(r);
	}
	return fed;
}

static bool smtp_reply_in_address(char c)
{
	return c != '\0' && strchr(" \t<>()[],;:\"'", c) == NULL;
}

void smtp_reply_redact(char *text)
{
	static const char mark[] = "*";
	char *at = text;

	while ((at = strchr(at, '@')) != NULL) {
		char *from = at, *to = at + 1;
		while (from > text && smtp_reply_in_address(from[-1]))
			from--;
		while (smtp_reply_in_address(*to))
			to++;
		*from = mark[0]; /* at least the @ was there */
		memmove(from + 1, to, strlen(to) + 1);
		at = from + 1;
	}
}

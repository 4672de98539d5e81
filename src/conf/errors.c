/*
 * conf/errors.c: the list of problems that conf_load hands back (see errors.h).
 *
 * Pure; runs where a configuration is read. Writes into the caller's buffer alone. Invariant: whole lines only, each
 * "where: what", made printable, none twice in a row, and the last one says how many found no room. Secrets are never given
 * to it. Cannot fail.
 */
#include "config.h"

#include "conf/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define LINE_SIZE 512
#define TAIL 32 /* kept for "(and N more)" */

struct conf_errors conf_errors_into(char *text, size_t size)
{
	text[0] = '\0';
	return (struct conf_errors){.text = text, .size = size};
}

static void tell_dropped(struct conf_errors *e)
{
	if (snprintf(e->text + e->len, e->size - e->len, "%s(and %zu more)", e->len ? "\n" : "", e->dropped) < 0)
		e->text[e->len] = '\0';
}

static bool is_last(const struct conf_errors *e, const char *line, size_t len)
{
	size_t at = e->len - len;

	return e->count > 0 && e->dropped == 0 && e->len >= len && memcmp(e->text + at, line, len) == 0 && (at == 0 || e->text[at - 1] == '\n');
}

void conf_errors_add(struct conf_errors *errors, const char *where, const char *format, ...)
{
	char raw[LINE_SIZE], line[LINE_SIZE];
	va_list ap;
	int head = snprintf(raw, sizeof raw, "%s: ", where);
	size_t len = head < 0 ? 0 : (size_t)head;

	if (len >= sizeof raw)
		len = sizeof raw - 1;
	va_start(ap, format);
	if (vsnprintf(raw + len, sizeof raw - len, format, ap) < 0)
		raw[len] = '\0';
	va_end(ap);
	len = text_printable(line, sizeof line, raw, strlen(raw));
	if (is_last(errors, line, len)) /* one setting for many queues */
		return;

	errors->count++;
	if (errors->dropped > 0 || errors->len + 1 + len + TAIL > errors->size) {
		errors->dropped++;
		tell_dropped(errors);
		return;
	}
	if (errors->len > 0)
		errors->text[errors->len++] = '\n';
	memcpy(errors->text + errors->len, line, len + 1);
	errors->len += len;
}

/*
 * conf/keep.c: texts that live as long as a configuration (see keep.h).
 *
 * Pure; runs where a configuration is read. Owns its texts until conf_keep_free, which wipes them. Invariant: a text never
 * moves, so the configuration may point at it. Out of memory ends the process (base/mem.h).
 */
#include "config.h"

#include "conf/keep.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct conf_kept {
	SLIST_ENTRY(conf_kept) next;
	size_t len;
	char text[];
};

const char *conf_keep_text(struct conf_keep *keep, const char *text, size_t len)
{
	struct conf_kept *kept = xmalloc(sizeof *kept + len + 1);

	kept->len = len;
	memcpy(kept->text, text, len);
	kept->text[len] = '\0';
	SLIST_INSERT_HEAD(keep, kept, next);
	return kept->text;
}

const char *conf_keep_printf(struct conf_keep *keep, const char *format, ...)
{
	struct buf buf = {0};
	const char *text;
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&buf, format, ap);
	va_end(ap);
	text = conf_keep_text(keep, buf_str(&buf), buf.len);
	if (buf.data != NULL)
		explicit_bzero(buf.data, buf.len);
	buf_free(&buf);
	return text;
}

void conf_keep_free(struct conf_keep *keep)
{
	struct conf_kept *kept;

	while ((kept = SLIST_FIRST(keep)) != NULL) {
		SLIST_REMOVE_HEAD(keep, next);
		explicit_bzero(kept->text, kept->len);
		free(kept);
	}
}

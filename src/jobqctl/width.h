/* jobqctl/width.h: text measured in columns of a terminal. Pure; needs LC_CTYPE of a UTF-8 locale for wide characters. */
#ifndef JOBQ_JOBQCTL_WIDTH_H
#define JOBQ_JOBQCTL_WIDTH_H

#include <stddef.h>

#include "base/buf.h"

/* Both take printable UTF-8 (text_printable made it). */
size_t width_of(const char *text);
size_t width_add(struct buf *out, const char *text, size_t width); /* at most width columns, cut with an ellipsis; returns its columns */
/* As many whole words of text as fit into width columns (at least one character); returns their bytes, *next skips the blanks after. */
size_t width_line(const char *text, size_t width, const char **next);
void width_printable(struct buf *out, const char *text); /* text_printable of any length, appended */

#endif

/* jobqctl/status_text.h: the status document as one screen of text. Pure. */
#ifndef JOBQ_JOBQCTL_STATUS_TEXT_H
#define JOBQ_JOBQCTL_STATUS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* No line is wider than width. note: a warning for the top, or NULL. */
void status_text_render(const json_t *doc, const char *note, size_t width, bool color, struct buf *out);

#endif

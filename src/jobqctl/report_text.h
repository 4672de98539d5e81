/* jobqctl/report_text.h: the report document as text. Pure. */
#ifndef JOBQ_JOBQCTL_REPORT_TEXT_H
#define JOBQ_JOBQCTL_REPORT_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

void report_text(json_t *doc, size_t width, bool color, struct buf *out); /* a paragraph a queue */

#endif

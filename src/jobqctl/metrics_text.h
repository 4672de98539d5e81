/* jobqctl/metrics_text.h: the metrics documents as text. Pure. */
#ifndef JOBQ_JOBQCTL_METRICS_TEXT_H
#define JOBQ_JOBQCTL_METRICS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Queues, flushes, the worst tenants. */
void metrics_text(json_t *doc, size_t width, bool color, struct buf *out);
void metrics_text_tenant(json_t *doc, size_t width, bool color, struct buf *out); /* one tenant's: counts, and the last details */

#endif

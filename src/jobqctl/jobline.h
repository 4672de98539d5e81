/* jobqctl/jobline.h: one job as a JSON object, checked, its text kept as it was written. Pure. */
#ifndef JOBQ_JOBQCTL_JOBLINE_H
#define JOBQ_JOBQCTL_JOBLINE_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Appends the object `line` to out, with those of `defaults` that it does not have itself put in front. 0, or -1 with the
 * reason in err: no JSON, no object, a key that jobq.enqueue does not know.
 */
int jobline_add(struct buf *out, const char *line, size_t len, json_t *defaults, char *err, size_t errlen);
/* {"queue"… from defaults, "payload": payload}; payload is any JSON text, NULL = none. */
int jobline_single(struct buf *out, const char *payload, json_t *defaults, char *err, size_t errlen);

#endif

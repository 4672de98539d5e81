/* jobqctl/status_processes.h: the processes of the status document as text. Private to status_text.c. */
#ifndef JOBQ_JOBQCTL_STATUS_PROCESSES_H
#define JOBQ_JOBQCTL_STATUS_PROCESSES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

void status_processes(const json_t *doc, size_t width, bool color, struct buf *out);

#endif

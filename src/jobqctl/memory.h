/* jobqctl/memory.h: a document from shared memory, when the daemon does not answer. */
#ifndef JOBQ_JOBQCTL_MEMORY_H
#define JOBQ_JOBQCTL_MEMORY_H

#include <jansson.h>
#include <stddef.h>

#include "jobqctl/ctl.h"
#include "shm/seg.h"

typedef json_t *memory_document(const struct shm *shm); /* a new reference; NULL = out of memory */

/* Maps the segment of the daemon behind ctl's socket, read-only, for the call. NULL with the reason in err. */
json_t *memory_read(const struct ctl *ctl, memory_document *make, char *err, size_t errlen);

#endif

/*
 * shm/status.h: the status document (docs: interfaces, `jobqctl status --json`) from the segment alone; no SQL, no locks.
 * The master answers `status` with it; jobqctl uses it on a read-only mapping when the master does not answer.
 */
#ifndef JOBQ_SHM_STATUS_H
#define JOBQ_SHM_STATUS_H

#include <jansson.h>
#include "shm/seg.h"

json_t *shm_status_json(const struct shm *shm); /* a new reference; queues worst first */

#endif

/*
 * shm/report.h: the report: performance against the targets, use of limits, workers, time and buffer, trends, and what was decided
 * and why; from the segment alone. The master answers `report` with it and writes it to the log; jobqctl uses it on a
 * read-only mapping when the master does not answer. docs/protocol.md has the document.
 */
#ifndef JOBQ_SHM_REPORT_H
#define JOBQ_SHM_REPORT_H

#include <jansson.h>
#include "shm/seg.h"

json_t *shm_report_json(const struct shm *shm); /* a new reference; NULL = out of memory */

#endif

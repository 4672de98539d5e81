/*
 * shm/metrics.h: the metrics of every queue (docs: interfaces, `GET /api/metrics`) from the segment alone; no SQL, no locks.
 *
 * What is told is counted from the last reset: the counters themselves never go back. The dispatcher adds who exceeded limits
 * and answers `metrics` with it; jobqctl uses it on a read-only mapping when nobody answers.
 */
#ifndef JOBQ_SHM_METRICS_H
#define JOBQ_SHM_METRICS_H

#include <jansson.h>
#include "shm/seg.h"

/* A new reference. workspaces: of workspaceRateLimits, stolen; NULL = not known: null. */
json_t *shm_metrics_json(const struct shm *shm, json_t *workspaces);
void shm_metrics_reset(struct shm_queue *queue, int64_t now_real_us); /* dispatcher: from now on */
double shm_metrics_round(double value);                               /* to a thousandth: what people read */

#endif

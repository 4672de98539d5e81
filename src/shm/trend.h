/* shm/trend.h: the ring of minutes of a queue. The dispatcher writes, anyone reads; an entry overtaken while it was read is
 * dropped. The oldest that a reader gets is an hour old. */
#ifndef JOBQ_SHM_TREND_H
#define JOBQ_SHM_TREND_H

#include "jobq/shm.h"
#include <stdbool.h>
#include <stddef.h>

struct trend { /* as struct shm_trend */
	int64_t at_mono_ns;
	uint64_t completed, errors, sent, exceeded, batches, busy_us, active_s, backlog_s, backlog_jobs, pending;
	uint32_t buffer_peak;
};

void shm_trend_push(struct shm_queue *queue, int64_t now_mono_ns, uint32_t buffer_peak);
int64_t shm_trend_last_ns(const struct shm_queue *queue); /* INT64_MIN / 2 = none yet */
void shm_trend_now(const struct shm_queue *queue, int64_t now_mono_ns, struct trend *out); /* the sums as they stand */
/* Oldest first, at most max of the newest; returns how many. */
size_t shm_trend_read(const struct shm_queue *queue, struct trend *out, size_t max);

#endif

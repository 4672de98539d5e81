/* shm/report_part.h: private to report*.c: the minutes of a queue, and what is made of them. */
#ifndef JOBQ_SHM_REPORT_PART_H
#define JOBQ_SHM_REPORT_PART_H

#include <jansson.h>
#include <stddef.h>

#include "shm/trend.h"

struct report_span { /* what happened between two entries of the ring */
	double s, jobs, tries, sent, errors, exceeded, batches, busy_s, active_s, backlog_s, backlog_jobs;
};

struct report_minutes { /* entries, oldest first; the last one is now */
	struct trend t[SHM_TRENDS + 1];
	size_t n;
	int64_t real_minus_mono_us;
	double worker_slots; /* batches that the queue's workers may run at a time */
};

struct report_span report_span(const struct trend *from, const struct trend *to);
double report_busy(const struct report_span *span, double worker_slots); /* 0..1 of the time of its workers; at most 1 */
json_t *report_minutes_json(const struct report_minutes *m);             /* oldest first */
json_t *report_trends_json(const struct report_minutes *m);              /* the newest minutes against those before */
json_t *report_decisions_json(const struct shm_queue *queue);            /* newest first */

#endif

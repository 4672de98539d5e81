/* shm/decision.h: the ring of decisions of a queue. The dispatcher writes, anyone reads; an entry that was overtaken while it was
 * read is dropped, never shown torn. */
#ifndef JOBQ_SHM_DECISION_H
#define JOBQ_SHM_DECISION_H

#include <stdbool.h>

#include "jobq/shm.h"

struct decision {
	int64_t at_mono_ns, at_real_us;
	uint32_t what;        /* enum shm_tuned */
	uint32_t reason;      /* enum tune_reason of queue/tuner.h: a row of tbl/tunings.def */
	double from, to;      /* in the unit of `what` */
	int64_t run_ns;       /* batch_size: a batch of the size `from` took that long; 0 = not measured */
	double score;         /* batch_size: jobs a second of one worker at `from` */
};

void shm_decision_push(struct shm_queue *queue, const struct decision *decision);
/* The i-th newest, 0 = the newest. false: behind the last that is kept, or overtaken meanwhile. */
bool shm_decision_read(const struct shm_queue *queue, uint64_t i, struct decision *out);
const char *shm_tuned_name(uint32_t what);    /* "batch_size" */
const char *shm_tuned_unit(uint32_t what);    /* "jobs" */
const char *shm_tuned_text(uint32_t what);    /* "batch size" */
const char *shm_tuning_name(uint32_t reason); /* "slow" */
const char *shm_tuning_text(uint32_t reason); /* "batches take longer than their target" */

#endif

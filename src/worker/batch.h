/* worker/batch.h: batches, from their frame to the end of their last job. */
#ifndef JOBQ_WORKER_BATCH_H
#define JOBQ_WORKER_BATCH_H

#include "base/buf.h"
#include "worker/worker.h"

bool batch_receive(struct worker *w, struct rd *body); /* false: a broken frame, nothing of it was taken */
void batch_start(struct worker *w);                    /* as many as may run now */
void batch_job_begun(struct job *job);                 /* or it ended without having begun */
void batch_job_ended(struct job *job, enum jobq_outcome_kind kind, int64_t now_ns);
/* Of so many batches or jobs in flight, what the receiver bears at a time now (flight_milli): >= 1. */
size_t batch_in_flight(const struct worker *w, size_t most);
void batch_give_back(struct worker *w);                /* all that wait for their turn go back unstarted */
void batch_sweep(struct worker *w);                    /* frees the finished ones; no handler is on the stack */
void batch_close(struct worker *w);                    /* frees all of them */

#endif

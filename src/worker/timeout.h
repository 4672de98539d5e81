/* worker/timeout.h: job_timeout, from each job's own begin mark. */
#ifndef JOBQ_WORKER_TIMEOUT_H
#define JOBQ_WORKER_TIMEOUT_H

#include "worker/worker.h"

int timeout_open(struct worker *w); /* -1: no event could be made */
void timeout_close(struct worker *w);
void timeout_watch(struct worker *w);    /* a job has begun */
void timeout_stop_all(struct worker *w); /* the worker's own time is over: every begun job is to stop now */

#endif

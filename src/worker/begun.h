/* worker/begun.h: tells the dispatcher which jobs under a tenant's or a tier's limit have begun. */
#ifndef JOBQ_WORKER_BEGUN_H
#define JOBQ_WORKER_BEGUN_H

#include "worker/worker.h"

void begun_note(struct worker *w, const struct job *job); /* it has taken job->cost units of its limits */
void begun_flush(struct worker *w);  /* what was noted, in one frame, if there is a dispatcher */
void begun_forget(struct worker *w); /* a new connection: the dispatcher reads the slot instead */

#endif

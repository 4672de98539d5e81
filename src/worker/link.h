/* worker/link.h: the connection to the dispatcher, lost and found again. */
#ifndef JOBQ_WORKER_LINK_H
#define JOBQ_WORKER_LINK_H

#include "worker/worker.h"

int link_open(struct worker *w); /* -1: no event could be made; a dispatcher that is not there is no error */
void link_close(struct worker *w);
void link_tell_drain(struct worker *w); /* now, and again to each new dispatcher */
void link_progress(struct worker *w, const struct job *job, double percent, const char *note);
void link_gate(struct worker *w, int64_t retry_ns, const char *reason);

#endif

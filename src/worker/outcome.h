/* worker/outcome.h: outcomes, kept until the dispatcher says that they are committed. */
#ifndef JOBQ_WORKER_OUTCOME_H
#define JOBQ_WORKER_OUTCOME_H

#include "base/buf.h"
#include "worker/worker.h"

void outcome_open(struct worker *w);
void outcome_close(struct worker *w);
struct record *outcome_find(struct worker *w, int64_t id, int64_t token);
struct record *outcome_add(struct worker *w, struct job *job, bool alone); /* a record and its entry in the slot */
void outcome_forget(struct worker *w, struct record *r);                   /* record and entry are free again */
void outcome_set(struct worker *w, struct record *r, const struct jobq_outcome *o, int64_t begun_ns, int64_t ended_ns);
void outcome_flush(struct worker *w);  /* what is unsent, in as few frames as can be, if there is a dispatcher */
void outcome_resend(struct worker *w); /* a new connection: nothing counts as sent */
bool outcome_full(const struct worker *w); /* so much is kept that no further job may begin */
bool outcome_ack(struct worker *w, struct rd *body); /* false: a broken frame */

#endif

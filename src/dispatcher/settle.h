/*
 * dispatcher/settle.h: the answers to a round's statements (write.h), job by job; see settle.c. Runs in the dispatcher.
 */
#ifndef JOBQ_DISPATCHER_SETTLE_H
#define JOBQ_DISPATCHER_SETTLE_H

#include "dispatcher/write.h"

/* The statement returned the ids that it wrote: those jobs are settled and freed. One that is to be written later stays in the round. Returns
 * the jobs that it did not find, to be looked for in the history (KIND_VERIFY); may be empty; the caller's to free. call->jobs is sorted by id. */
struct call *settle_written(struct call *call, const PGresult *res);
/* Pairs that no statement found: written by an earlier try whose answer was lost, or by the handler, or not ours any more. All are settled, but
 * those whose handler may not be done yet: these are fates again. */
void settle_verified(struct call *call, const PGresult *res);

#endif

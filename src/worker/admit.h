/* worker/admit.h: the door through which every job passes before its effect, and the one through which it leaves. */
#ifndef JOBQ_WORKER_ADMIT_H
#define JOBQ_WORKER_ADMIT_H

#include "worker/worker.h"

int admit_open(struct worker *w); /* -1: no event could be made */
void admit_close(struct worker *w);
void admit_pump(struct worker *w);      /* lets in, from the head of the line, whoever may begin now */
void admit_give_back(struct worker *w); /* all that wait at the door go back unstarted */
void admit_cancel(struct job *job);     /* a job that may not have begun: CANCELLED now, or as soon as its handler asks to begin */
void admit_end(struct job *job, enum jobq_outcome_kind kind, const char *reason); /* the worker's own verdict on an unbegun job */
void admit_leave(struct job *job, const struct jobq_outcome *o);                  /* any outcome, from any state but ENDED */

#endif

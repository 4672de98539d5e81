/* worker/drain.h: how a worker comes to its end. */
#ifndef JOBQ_WORKER_DRAIN_H
#define JOBQ_WORKER_DRAIN_H

#include "worker/worker.h"

int drain_open(struct worker *w); /* signals and lifeline; -1: an event could not be made */
void drain_close(struct worker *w);
void drain_begin(struct worker *w, enum drain why); /* a stronger reason replaces a weaker one */
void drain_turn(struct worker *w);                  /* ends the loop when nothing is left */

#endif

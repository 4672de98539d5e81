/* worker/pool.h: the connections of this worker's handler. */
#ifndef JOBQ_WORKER_POOL_H
#define JOBQ_WORKER_POOL_H

#include "worker/worker.h"

void pool_open(struct worker *w); /* sets w->connections when the queue has a pool */
void pool_close(struct worker *w);

#endif

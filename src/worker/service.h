/* worker/service.h: the worker's side of jobq/handler.h, which declares the services themselves. */
#ifndef JOBQ_WORKER_SERVICE_H
#define JOBQ_WORKER_SERVICE_H

#include "worker/worker.h"

void service_open(struct worker *w);

#endif

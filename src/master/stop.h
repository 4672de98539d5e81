/* master/stop.h: the way to the end: workers, dispatcher, PostgreSQL. */
#ifndef JOBQ_MASTER_STOP_H
#define JOBQ_MASTER_STOP_H

#include <stdbool.h>

struct master;

void master_stop_begin(struct master *m, bool now); /* again with now: hurry up */
void master_stop_step(struct master *m);            /* from master_step; ends with PHASE_GONE */

#endif

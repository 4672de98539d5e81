/* master/pool.h: the table of connection pools in shared memory. */
#ifndef JOBQ_MASTER_POOL_H
#define JOBQ_MASTER_POOL_H

struct master;

void master_pool_sync(struct master *m); /* at the start and after a reload, before workers are forked */

#endif

/* master/dump.h: SIGUSR2: the master's state into the log. */
#ifndef JOBQ_MASTER_DUMP_H
#define JOBQ_MASTER_DUMP_H

struct master;

void master_dump(const struct master *m);

#endif

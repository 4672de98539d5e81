/* master/signal.h: the master's signals. Their table, with the command that does the same, is in signal.c. */
#ifndef JOBQ_MASTER_SIGNAL_H
#define JOBQ_MASTER_SIGNAL_H

struct master;

int master_signal_open(struct master *m);    /* 0, or -1 */
void master_signal_close(struct master *m);
void master_signal_child(struct master *m);  /* in a fork: no events, default actions */

#endif

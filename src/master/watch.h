/* master/watch.h: looks after the living. */
#ifndef JOBQ_MASTER_WATCH_H
#define JOBQ_MASTER_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct master;

void master_watch(struct master *m);                 /* every step; what is slow, once a second */
bool master_watch_starting(const struct master *m);  /* a child is on its way to ready: look often */
int64_t master_watch_rss(pid_t pid);                 /* resident bytes; 0 = unknown */

#endif

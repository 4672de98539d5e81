/* master/link.h: the socketpair to the dispatcher: JSON lines both ways. At most one at a time. */
#ifndef JOBQ_MASTER_LINK_H
#define JOBQ_MASTER_LINK_H

#include <jansson.h>
#include <stdbool.h>

struct master;

void master_link_open(struct master *m, int fd);   /* takes fd; sends what waits for a dispatcher */
void master_link_close(struct master *m);          /* it died: its last lines are still read */
void master_link_child(struct master *m);          /* in a fork: drop the master's end */
bool master_link_send(struct master *m, const json_t *message); /* false: no dispatcher, or it does not read */

#endif

/* master/spawn.h: forks a child into a slot. */
#ifndef JOBQ_MASTER_SPAWN_H
#define JOBQ_MASTER_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct master;
struct seat;

/* Only from master_step, never from an event callback. replacement: it becomes seat->next. False: no slot or no fork; the
 * seat is due again later. */
bool master_spawn_seat(struct master *m, struct seat *seat, bool replacement);
void master_spawn_due(struct master *m);          /* every empty seat whose time has come */
int64_t master_spawn_next_ns(const struct master *m); /* mono: when the next one is due; INT64_MAX = none waits */
/* fork(2) for a child of any kind: in the child nothing of the master's is left, and signals are as children want them. */
pid_t master_spawn_fork(struct master *m);
void master_spawn_helper(void); /* in such a child: die with the master, obey its signals */
_Noreturn void master_spawn_leave(int code);      /* how every fork of the master ends */

#endif

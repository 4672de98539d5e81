/* master/slot.h: slots of shared memory: taking one for a seat, filling its fields, freeing the dead. */
#ifndef JOBQ_MASTER_SLOT_H
#define JOBQ_MASTER_SLOT_H

#include <stdbool.h>
#include <stdint.h>

struct master;
struct obituary;
struct proc;
struct seat;
struct shm_slot;

uint32_t master_slot_take(struct master *m, const struct seat *seat); /* SLOT_NONE = none is free */
void master_slot_prepare(struct master *m, uint32_t index, const struct seat *seat); /* before the fork: a new generation, starting */
void master_slot_bury(struct master *m, const struct proc *proc, const struct obituary *o); /* reaped: dead, and why */
void master_slot_own(struct master *m, uint32_t index, uint32_t role); /* one that no seat fills: the master's, PostgreSQL's */
void master_slot_obituary(struct shm_slot *slot, const struct obituary *o);
void master_slot_tidy(struct master *m); /* dead → crash-loop or free, when nothing is held in it */
bool master_slot_empty(const struct shm_slot *slot); /* no job stands in its table of held ones */

#endif

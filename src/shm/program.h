/*
 * shm/program.h: the programs that a worker has started, in its slot. The worker writes; the master reads when it has reaped it.
 *
 * A program is noted before it runs, with its start time: by then the number of its process group may be another's.
 */
#ifndef JOBQ_SHM_PROGRAM_H
#define JOBQ_SHM_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "jobq/shm.h"

bool shm_program_note(struct shm_slot *slot, pid_t leader); /* false: SHM_PROGRAMS are noted already */
void shm_program_forget(struct shm_slot *slot, pid_t leader);
/* SIGKILL to the groups of all that are noted; the notes go. Returns how many there were. Its worker is dead and reaped. */
unsigned shm_program_kill(struct shm_slot *slot);
void shm_program_clear(struct shm_slot *slot);

#endif

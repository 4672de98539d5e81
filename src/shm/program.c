/*
 * shm/program.c: the programs that a worker has started, in its slot (see program.h).
 *
 * Runs in workers, which alone write the notes of their slot while they live, and in the master, which reads and clears them
 * once it has reaped the worker. Invariant: a note's start time is written before its group, and read after it.
 *
 * Whose is a group whose number stands here? If its leader is there, its start time tells. If the leader is gone, the number
 * is either free (the kill finds nobody) or still this group's: a number is not given away while a group bears it.
 */
#include "config.h"

#include "shm/program.h"

#include <signal.h>

#include "base/proc.h"

bool shm_program_note(struct shm_slot *slot, pid_t leader)
{
	struct proc_seen seen;

	for (uint32_t i = 0; i < SHM_PROGRAMS; i++) {
		struct shm_program *note = &slot->programs[i];

		if (atomic_load(&note->group) != 0)
			continue;
		atomic_store(&note->start, proc_look(leader, &seen) ? seen.start : 0);
		atomic_store(&note->group, (uint32_t)leader);
		return true;
	}
	return false;
}

void shm_program_forget(struct shm_slot *slot, pid_t leader)
{
	for (uint32_t i = 0; i < SHM_PROGRAMS; i++)
		if (atomic_load(&slot->programs[i].group) == (uint32_t)leader)
			atomic_store(&slot->programs[i].group, 0);
}

static bool program_is_another(pid_t group, uint64_t start)
{
	struct proc_seen seen;

	return start != 0 && proc_look(group, &seen) && seen.start != start;
}

unsigned shm_program_kill(struct shm_slot *slot)
{
	unsigned killed = 0;

	for (uint32_t i = 0; i < SHM_PROGRAMS; i++) {
		struct shm_program *note = &slot->programs[i];
		uint32_t group = atomic_load(&note->group);

		if (group > 1 && group <= INT32_MAX && !program_is_another((pid_t)group, atomic_load(&note->start))
			&& kill(-(pid_t)group, SIGKILL) == 0) /* ESRCH: gone already, what we wanted */
			killed++;
		atomic_store(&note->group, 0);
	}
	return killed;
}

void shm_program_clear(struct shm_slot *slot)
{
	for (uint32_t i = 0; i < SHM_PROGRAMS; i++)
		atomic_store(&slot->programs[i].group, 0);
}

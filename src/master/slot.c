/*
 * master/slot.c: who gets which slot of shared memory.
 *
 * Runs in the master, which alone writes these fields (state apart, where the child says READY and DRAINING of itself).
 * A slot is given away again only when nobody lives in it and its table of held jobs is empty: the dispatcher empties the
 * table of a dead slot once it has released those jobs, and until then the dead one's last words stay readable. So a
 * restart takes another slot rather than wait. generation grows with each use: a pid alone names nobody.
 */
#include "config.h"

#include "master/slot.h"

#include <stddef.h>

#include "base/clock.h"
#include "master/master.h"
#include "shm/cell.h"
#include "shm/held.h"
#include "shm/program.h"
#include "shm/seg.h"

#define SEEN_DEAD_NS (1 * NS_PER_S) /* the dispatcher looks for dead slots: time to see that it is one */

bool master_slot_empty(const struct shm_slot *slot)
{
	struct held held;

	for (uint32_t i = 0; i < SHM_HELD; i++)
		if (shm_held_read(slot, i, &held))
			return false;
	return true;
}

/* the seat that waits with its last death shown in this slot */
static const struct seat *mourner(const struct master *m, uint32_t index)
{
	const struct seat *seat;

	TAILQ_FOREACH(seat, &m->seats, link)
		if (seat->grave == index)
			return seat;
	return NULL;
}

static bool usable(const struct master *m, uint32_t index)
{
	const struct shm_slot *slot = shm_slot_at(m->shm, index);

	return m->procs[index].pid == 0 && (atomic_load(&slot->state) == PROC_FREE || master_slot_empty(slot));
}

uint32_t master_slot_take(struct master *m, const struct seat *seat)
{
	if (seat->role == ROLE_DISPATCHER)
		return m->procs[SLOT_DISPATCHER].pid == 0 ? SLOT_DISPATCHER : SLOT_NONE;
	if (seat->grave != SLOT_NONE && usable(m, seat->grave))
		return seat->grave;
	for (uint32_t i = SLOT_WORKERS; i < m->shm->nslots; i++)
		if (m->procs[i].pid == 0 && atomic_load(&shm_slot_at(m->shm, i)->state) == PROC_FREE)
			return i;
	for (uint32_t i = SLOT_WORKERS; i < m->shm->nslots; i++)
		if (usable(m, i) && mourner(m, i) == NULL)
			return i;
	return SLOT_NONE;
}

void master_slot_obituary(struct shm_slot *slot, const struct obituary *o)
{
	atomic_store(&slot->exit_code, o->code);
	atomic_store(&slot->exit_signal, o->signal);
	shm_cell_set(&slot->exit_doing, o->doing);
	atomic_store(&slot->exit_real_us, o->real_us);
}

void master_slot_own(struct master *m, uint32_t index, uint32_t role)
{
	struct shm_slot *slot = shm_slot_at(m->shm, index);

	atomic_store(&slot->role, role);
	atomic_store(&slot->queue, SHM_NO_QUEUE);
	atomic_store(&slot->number, 0);
	atomic_fetch_add(&slot->generation, 1);
}

void master_slot_prepare(struct master *m, uint32_t index, const struct seat *seat)
{
	struct shm_slot *slot = shm_slot_at(m->shm, index);
	int64_t now = clock_mono_ns();

	atomic_store(&slot->role, (uint32_t)seat->role);
	atomic_store(&slot->queue, seat->queue);
	atomic_store(&slot->number, seat->number);
	atomic_store(&slot->pid, 0);
	atomic_fetch_add(&slot->generation, 1); /* from here on a kill posted for the last one misses */
	atomic_store(&slot->config_generation, seat->config_generation);
	atomic_store(&slot->restarts, seat->restarts);
	atomic_store(&slot->started_mono_ns, now);
	atomic_store(&slot->rss_bytes, 0);
	master_slot_obituary(slot, &seat->last);
	shm_cell_set(&slot->doing, "");
	atomic_store(&slot->beat_mono_ns, now);
	atomic_store(&slot->worked, 0);
	shm_program_clear(slot);
	atomic_store(&slot->state, PROC_STARTING);
}

void master_slot_bury(struct master *m, const struct proc *proc, const struct obituary *o)
{
	struct shm_slot *slot = shm_slot_at(m->shm, proc->slot);

	master_slot_obituary(slot, o);
	atomic_store(&slot->rss_bytes, 0);
	atomic_store(&slot->state, PROC_DEAD); /* last: from here on the dispatcher may empty its table */
}

void master_slot_tidy(struct master *m)
{
	for (uint32_t i = SLOT_DISPATCHER; i < m->shm->nslots; i++) {
		struct shm_slot *slot = shm_slot_at(m->shm, i);
		uint32_t state = atomic_load(&slot->state);

		if (m->procs[i].pid != 0 || state == PROC_FREE || !master_slot_empty(slot))
			continue;
		const struct seat *seat = mourner(m, i);
		uint32_t wanted = seat == NULL ? PROC_FREE : PROC_DEAD;
		if (seat != NULL && seat->backoff.hold != MASTER_HOLD_NONE && clock_mono_ns() - m->procs[i].died_ns >= SEEN_DEAD_NS)
			wanted = PROC_CRASH_LOOP;
		if (wanted != state)
			atomic_store(&slot->state, wanted);
	}
}

/*
 * shm/held.c: the table of jobs that a worker holds, in its slot.
 *
 * The worker of the slot writes it; dispatcher and master read it, above all after the worker's death: what stands BEGUN
 * was under way, what stands QUEUED never started. The master alone clears it, when nobody lives in the slot.
 *
 * Invariant: an entry is filled before its state leaves FREE, and nothing but its state changes until it is FREE again.
 * Everything here is sequentially consistent, because a worker that writes an entry and then looks at
 * global->dispatcher_generation, and a dispatcher that is younger than that generation and then reads the entries, must
 * not both miss the other (docs/shm.md). Fails only by being full: -1.
 */
#include "config.h"

#include "shm/held.h"

#include <stddef.h>

int shm_held_add(struct shm_slot *slot, uint32_t *hint, int64_t id, int64_t token, bool alone)
{
	for (uint32_t n = 0; n < SHM_HELD; n++) {
		uint32_t index = (*hint + n) % SHM_HELD;
		struct shm_held *entry = &slot->held[index];
		if (atomic_load_explicit(&entry->state, memory_order_relaxed) != HELD_FREE)
			continue;
		atomic_store(&entry->id, id);
		atomic_store(&entry->token, token);
		atomic_store(&entry->begun_mono_ns, 0);
		atomic_store(&entry->alone, alone ? 1u : 0u);
		atomic_store(&entry->state, HELD_QUEUED);
		*hint = (index + 1u) % SHM_HELD;
		return (int)index;
	}
	return -1;
}

static struct shm_held *held_at(struct shm_slot *slot, int index)
{
	return index >= 0 && (uint32_t)index < SHM_HELD ? &slot->held[index] : NULL;
}

void shm_held_begin(struct shm_slot *slot, int index, int64_t now_mono_ns)
{
	struct shm_held *entry = held_at(slot, index);

	if (entry == NULL)
		return;
	atomic_store(&entry->begun_mono_ns, now_mono_ns);
	atomic_store(&entry->state, HELD_BEGUN);
}

void shm_held_ended(struct shm_slot *slot, int index)
{
	struct shm_held *entry = held_at(slot, index);

	if (entry != NULL)
		atomic_store(&entry->state, HELD_ENDED);
}

void shm_held_drop(struct shm_slot *slot, int index)
{
	struct shm_held *entry = held_at(slot, index);

	if (entry != NULL)
		atomic_store(&entry->state, HELD_FREE);
}

bool shm_held_read(const struct shm_slot *slot, uint32_t index, struct held *out)
{
	if (index >= SHM_HELD)
		return false;
	const struct shm_held *entry = &slot->held[index];

	for (;;) {
		int64_t id = atomic_load(&entry->id), token = atomic_load(&entry->token);
		out->begun_mono_ns = atomic_load(&entry->begun_mono_ns);
		out->alone = atomic_load(&entry->alone) != 0;
		out->state = atomic_load(&entry->state);
		if (out->state == HELD_FREE || out->state > HELD_ENDED)
			return false;
		out->id = atomic_load(&entry->id);
		out->token = atomic_load(&entry->token);
		if (out->id == id && out->token == token)
			return true;
	}
}

void shm_held_clear(struct shm_slot *slot)
{
	for (uint32_t i = 0; i < SHM_HELD; i++)
		atomic_store(&slot->held[i].state, HELD_FREE);
}

/* shm/held.h: the jobs that a worker holds, in its slot. The worker writes; dispatcher and master read, also after its death.
 * Order: entries are written (sequentially consistent) before the dispatcher's generation is looked at again, see docs/shm.md. */
#ifndef JOBQ_SHM_HELD_H
#define JOBQ_SHM_HELD_H

#include "jobq/shm.h"
#include <stdbool.h>

int shm_held_add(struct shm_slot *slot, uint32_t *hint, int64_t id, int64_t token, bool alone); /* entry index, -1 when full */
void shm_held_begin(struct shm_slot *slot, int index, int64_t now_mono_ns);
void shm_held_ended(struct shm_slot *slot, int index);
void shm_held_drop(struct shm_slot *slot, int index);
/* Entry `index` as one piece, though its worker may be reusing it: false when it is free (or out of range). */
struct held {
	int64_t id, token, begun_mono_ns; /* begun: 0 = never */
	uint32_t state;                   /* enum shm_held_state, never HELD_FREE */
	bool alone;
};
bool shm_held_read(const struct shm_slot *slot, uint32_t index, struct held *out);
void shm_held_clear(struct shm_slot *slot); /* the master, before it forks into the slot again AND the dispatcher has seen the death (see shm.md) */

#endif

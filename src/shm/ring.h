/* shm/ring.h: the ring of batch samples in a worker's slot. The worker writes, anyone reads; an entry that was overtaken
 * while it was read is dropped, never shown torn. */
#ifndef JOBQ_SHM_RING_H
#define JOBQ_SHM_RING_H

#include "jobq/shm.h"
#include <stdbool.h>

struct sample {
	int64_t end_mono_ns, run_ns;
	uint64_t batch_id;
	uint32_t jobs, done, retried, failed, snoozed;
};

void shm_ring_push(struct shm_slot *slot, const struct sample *sample);
/* Next sample at or after *cursor; moves the cursor (and skips what was overwritten). false = nothing new. */
bool shm_ring_next(const struct shm_slot *slot, uint64_t *cursor, struct sample *out);

#endif

/*
 * shm/ring.c: the ring of batch samples in a worker's slot.
 *
 * The worker of the slot writes, everyone else reads. `sample_head` counts all samples ever written; entry i stands at
 * i % SHM_SAMPLES. The writer fills the entry at head, then raises head. While it fills entry h, what stood there (h -
 * SHM_SAMPLES) is torn; so a reader, after its copy, looks at head again and believes entry c only while head < c +
 * SHM_SAMPLES. A worker killed inside a write leaves head where it was: its half-written sample does not exist.
 *
 * Invariant: what shm_ring_next gives was written by one push. Fails by dropping: a slow reader skips the overwritten.
 */
#include "config.h"

#include "shm/ring.h"

#include "base/fault.h"

_Static_assert((SHM_SAMPLES & (SHM_SAMPLES - 1u)) == 0, "a power of two");

void shm_ring_push(struct shm_slot *slot, const struct sample *sample)
{
	uint64_t head = atomic_load_explicit(&slot->sample_head, memory_order_relaxed);
	struct shm_sample *entry = &slot->samples[head % SHM_SAMPLES];

	atomic_thread_fence(memory_order_release); /* head stands before the first word below changes */
	atomic_store_explicit(&entry->end_mono_ns, sample->end_mono_ns, memory_order_relaxed);
	atomic_store_explicit(&entry->run_ns, sample->run_ns, memory_order_relaxed);
	atomic_store_explicit(&entry->batch_id, sample->batch_id, memory_order_relaxed);
	(void)FAULT(in_shm_write);
	atomic_store_explicit(&entry->jobs, sample->jobs, memory_order_relaxed);
	atomic_store_explicit(&entry->done, sample->done, memory_order_relaxed);
	atomic_store_explicit(&entry->retried, sample->retried, memory_order_relaxed);
	atomic_store_explicit(&entry->failed, sample->failed, memory_order_relaxed);
	atomic_store_explicit(&entry->snoozed, sample->snoozed, memory_order_relaxed);
	atomic_store_explicit(&slot->sample_head, head + 1, memory_order_release);
}

static void ring_copy(const struct shm_sample *entry, struct sample *out)
{
	out->end_mono_ns = atomic_load_explicit(&entry->end_mono_ns, memory_order_relaxed);
	out->run_ns = atomic_load_explicit(&entry->run_ns, memory_order_relaxed);
	out->batch_id = atomic_load_explicit(&entry->batch_id, memory_order_relaxed);
	out->jobs = atomic_load_explicit(&entry->jobs, memory_order_relaxed);
	out->done = atomic_load_explicit(&entry->done, memory_order_relaxed);
	out->retried = atomic_load_explicit(&entry->retried, memory_order_relaxed);
	out->failed = atomic_load_explicit(&entry->failed, memory_order_relaxed);
	out->snoozed = atomic_load_explicit(&entry->snoozed, memory_order_relaxed);
}

bool shm_ring_next(const struct shm_slot *slot, uint64_t *cursor, struct sample *out)
{
	for (;;) {
		uint64_t head = atomic_load_explicit(&slot->sample_head, memory_order_acquire);
		if (*cursor >= head) {
			*cursor = head; /* ahead of it: the segment is a new one */
			return false;
		}
		if (head - *cursor >= SHM_SAMPLES) /* the one at head - SHM_SAMPLES may be under the pen */
			*cursor = head - SHM_SAMPLES + 1;
		ring_copy(&slot->samples[*cursor % SHM_SAMPLES], out);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&slot->sample_head, memory_order_relaxed) - *cursor < SHM_SAMPLES) {
			(*cursor)++;
			return true;
		}
	}
}

/*
 * shm/decision.c: the ring of what a queue's dispatcher changed by itself, with the reasons.
 *
 * The dispatcher writes, everyone else reads. `decided` counts all decisions ever made; entry i stands at i % SHM_DECISIONS. The
 * order of words is that of the sample ring (shm/ring.c): while entry n is filled, what stood there (n - SHM_DECISIONS) is torn, so
 * a reader looks at `decided` again after its copy. A dispatcher killed inside a write leaves `decided` where it was; its successor
 * fills the same entry. Invariant: what shm_decision_read gives was written by one push. Fails by saying false.
 */
#include "config.h"

#include "shm/decision.h"

_Static_assert((SHM_DECISIONS & (SHM_DECISIONS - 1u)) == 0, "a power of two");

#define TUNED_X(name, unit, text) {#name, unit, text},
static const struct { const char *name, *unit, *text; } tuned[] = {
#include "tbl/tuned.def"
};
#undef TUNED_X
#define TUNE_X(name, text) {#name, text},
static const struct { const char *name, *text; } tunings[] = {
#include "tbl/tunings.def"
};
#undef TUNE_X

#define TUNINGS (sizeof tunings / sizeof *tunings)

const char *shm_tuned_name(uint32_t what)
{
	return what < SHM_TUNED_COUNT ? tuned[what].name : "?";
}

const char *shm_tuned_unit(uint32_t what)
{
	return what < SHM_TUNED_COUNT ? tuned[what].unit : "?";
}

const char *shm_tuned_text(uint32_t what)
{
	return what < SHM_TUNED_COUNT ? tuned[what].text : "?";
}

const char *shm_tuning_name(uint32_t reason)
{
	return reason < TUNINGS ? tunings[reason].name : "?";
}

const char *shm_tuning_text(uint32_t reason)
{
	return reason < TUNINGS ? tunings[reason].text : "?";
}

static int64_t milli(double value)
{
	return value > 9e15 ? INT64_C(9000000000000000000) : (int64_t)(value * 1000 + (value < 0 ? -0.5 : 0.5));
}

void shm_decision_push(struct shm_queue *queue, const struct decision *decision)
{
	uint64_t n = atomic_load_explicit(&queue->decided, memory_order_relaxed);
	struct shm_decision *entry = &queue->decisions[n % SHM_DECISIONS];

	atomic_thread_fence(memory_order_release); /* `decided` stands before the first word below changes */
	atomic_store_explicit(&entry->at_mono_ns, decision->at_mono_ns, memory_order_relaxed);
	atomic_store_explicit(&entry->at_real_us, decision->at_real_us, memory_order_relaxed);
	atomic_store_explicit(&entry->from_milli, milli(decision->from), memory_order_relaxed);
	atomic_store_explicit(&entry->to_milli, milli(decision->to), memory_order_relaxed);
	atomic_store_explicit(&entry->run_ns, decision->run_ns, memory_order_relaxed);
	atomic_store_explicit(&entry->score_milli, (uint64_t)milli(decision->score), memory_order_relaxed);
	atomic_store_explicit(&entry->what, decision->what, memory_order_relaxed);
	atomic_store_explicit(&entry->reason, decision->reason, memory_order_relaxed);
	atomic_store_explicit(&queue->decided, n + 1, memory_order_release);
}

bool shm_decision_read(const struct shm_queue *queue, uint64_t i, struct decision *out)
{
	uint64_t head = atomic_load_explicit(&queue->decided, memory_order_acquire);

	if (i >= head || i >= SHM_DECISIONS - 1) /* the oldest of all may be under the pen */
		return false;
	const struct shm_decision *entry = &queue->decisions[(head - 1 - i) % SHM_DECISIONS];
	out->at_mono_ns = atomic_load_explicit(&entry->at_mono_ns, memory_order_relaxed);
	out->at_real_us = atomic_load_explicit(&entry->at_real_us, memory_order_relaxed);
	out->from = (double)atomic_load_explicit(&entry->from_milli, memory_order_relaxed) / 1000;
	out->to = (double)atomic_load_explicit(&entry->to_milli, memory_order_relaxed) / 1000;
	out->run_ns = atomic_load_explicit(&entry->run_ns, memory_order_relaxed);
	out->score = (double)atomic_load_explicit(&entry->score_milli, memory_order_relaxed) / 1000;
	out->what = atomic_load_explicit(&entry->what, memory_order_relaxed);
	out->reason = atomic_load_explicit(&entry->reason, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&queue->decided, memory_order_relaxed) - (head - 1 - i) < SHM_DECISIONS;
}

/*
 * shm/limit.c: rate limits in shared memory: queue/gcra.h on one atomic word.
 *
 * Workers take, at the moment of sending; the dispatcher sets. tat is the only word in the segment with several writers:
 * it changes by compare-and-swap alone, so every unit is taken once whoever dies in between, and a process killed between
 * its take and its sending costs one unit, never an extra one.
 *
 * Invariant: over all processes no window holds more than rate * time + burst units. Setting a new rate keeps what is
 * owed, in units; setting the same one changes nothing (a reload gives no fresh burst). Fails in no way.
 */
#include "config.h"

#include "shm/limit.h"

#include "base/clock.h"
#include "queue/gcra.h"

void shm_limit_set(struct shm_limit *limit, struct rate rate, int64_t burst)
{
	int64_t interval = gcra_interval(rate.count, rate.period_ns);
	int64_t old = atomic_load(&limit->interval_ns);

	atomic_store(&limit->burst_ns, gcra_span(burst < 1 ? 1 : burst, interval));
	if (interval == old)
		return;
	atomic_store(&limit->interval_ns, interval);
	int64_t now = clock_mono_ns(), tat = atomic_load(&limit->tat_ns), scaled;
	do
		scaled = gcra_rescale(tat, now, old, interval);
	while (!atomic_compare_exchange_weak(&limit->tat_ns, &tat, scaled));
}

int64_t shm_limit_take(struct shm_limit *limit, int64_t cost, int64_t now_mono_ns)
{
	int64_t interval = atomic_load_explicit(&limit->interval_ns, memory_order_relaxed);
	int64_t burst = atomic_load_explicit(&limit->burst_ns, memory_order_relaxed);
	int64_t tat = atomic_load_explicit(&limit->tat_ns, memory_order_relaxed), taken, wait;

	do {
		taken = tat;
		wait = gcra_take(&taken, now_mono_ns, interval, burst, cost);
		if (wait > 0 || taken == tat)
			return wait;
	} while (!atomic_compare_exchange_weak_explicit(&limit->tat_ns, &tat, taken, memory_order_acq_rel, memory_order_relaxed));
	return 0;
}

int64_t shm_limit_wait(const struct shm_limit *limit, int64_t now_mono_ns)
{
	return gcra_wait(atomic_load_explicit(&limit->tat_ns, memory_order_relaxed), now_mono_ns,
		atomic_load_explicit(&limit->interval_ns, memory_order_relaxed),
		atomic_load_explicit(&limit->burst_ns, memory_order_relaxed), 1);
}

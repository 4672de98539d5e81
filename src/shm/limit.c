/*
 * shm/limit.c: rate limits in shared memory: queue/gcra.h on one atomic word.
 *
 * Workers take, at the moment of sending; the dispatcher sets. tat is the only word in the segment with several writers:
 * it changes by compare-and-swap alone, so every unit is taken once whoever dies in between, and a process killed between
 * its take and its sending costs one unit, never an extra one.
 *
 * Invariant: over all processes no window holds more than rate * time + burst units. Setting a new law keeps what may
 * go at once, in units; setting the same one changes nothing (a reload gives no fresh burst). Of several limits all are taken or none:
 * what was taken before one refused is given back, which only makes the others too careful for that moment. The law (interval, burst,
 * until) is read as one: until is LIMIT_CHANGING while it is written, and read again afterwards. Fails in no way.
 */
#include "config.h"

#include "shm/limit.h"

#include <stdbool.h>

#include "base/clock.h"
#include "queue/gcra.h"

#define LIMIT_CHANGING INT64_MIN
#define CLOSED_NS (5 * NS_PER_MS) /* a limit without a law looks again so often */

struct law {
	int64_t interval, burst;
	bool open;
};

/* A law that is being changed, or has ended, lets nothing through. */
static struct law limit_law(const struct shm_limit *limit, int64_t now_ns)
{
	int64_t until = atomic_load(&limit->until_ns);
	struct law law = {.interval = atomic_load(&limit->interval_ns), .burst = atomic_load(&limit->burst_ns)};

	law.open = until != LIMIT_CHANGING && (until == 0 || now_ns < until) && atomic_load(&limit->until_ns) == until;
	return law;
}

/* tat under a new law: the units that may go at once stay the same, but for those beyond the new burst. */
static int64_t limit_rescaled(int64_t tat, int64_t now, const struct law *old, const struct law *fresh)
{
	if (old->interval <= 0 || fresh->interval <= 0)
		return tat;
	int64_t slack = old->burst - gcra_ahead(tat, now); /* ns; negative: owed by a take dearer than the burst */
	__extension__ typedef __int128 wide;
	wide scaled = (wide)slack * fresh->interval / old->interval;
	int64_t kept = scaled > fresh->burst ? fresh->burst : scaled < -GCRA_MAX ? -GCRA_MAX : (int64_t)scaled;
	return gcra_add(now, fresh->burst - kept);
}

void shm_limit_set_until(struct shm_limit *limit, int64_t interval_ns, int64_t burst_ns, int64_t until_ns)
{
	const struct law fresh = {.interval = interval_ns, .burst = burst_ns};
	const struct law old = {.interval = atomic_load(&limit->interval_ns), .burst = atomic_load(&limit->burst_ns)};

	if (fresh.interval == old.interval && fresh.burst == old.burst) {
		atomic_store(&limit->until_ns, until_ns);
		return;
	}
	atomic_store(&limit->until_ns, LIMIT_CHANGING);
	atomic_store(&limit->interval_ns, interval_ns);
	atomic_store(&limit->burst_ns, burst_ns);
	int64_t now = clock_mono_ns(), tat = atomic_load(&limit->tat_ns), scaled;
	do
		scaled = limit_rescaled(tat, now, &old, &fresh);
	while (!atomic_compare_exchange_weak(&limit->tat_ns, &tat, scaled));
	atomic_store(&limit->until_ns, until_ns);
}

void shm_limit_drain(struct shm_limit *limit, double units)
{
	int64_t interval = atomic_load(&limit->interval_ns), burst = atomic_load(&limit->burst_ns);
	double kept = units * (double)interval;
	int64_t least = gcra_add(clock_mono_ns(), burst - (kept >= (double)burst ? burst : kept <= 0 ? 0 : (int64_t)kept));

	if (atomic_load(&limit->tat_ns) < least)
		atomic_store(&limit->tat_ns, least);
}

void shm_limit_set(struct shm_limit *limit, struct rate rate, int64_t burst)
{
	int64_t interval = gcra_interval(rate.count, rate.period_ns);

	shm_limit_set_until(limit, interval, gcra_span(burst < 1 ? 1 : burst, interval), 0);
}

int64_t shm_limit_take(struct shm_limit *limit, int64_t cost, int64_t now_mono_ns)
{
	struct law law = limit_law(limit, now_mono_ns);
	int64_t tat = atomic_load_explicit(&limit->tat_ns, memory_order_relaxed), taken, wait;

	if (!law.open)
		return CLOSED_NS;
	do {
		taken = tat;
		wait = gcra_take(&taken, now_mono_ns, law.interval, law.burst, cost);
		if (wait > 0 || taken == tat)
			return wait;
	} while (!atomic_compare_exchange_weak_explicit(&limit->tat_ns, &tat, taken, memory_order_acq_rel, memory_order_relaxed));
	return 0;
}

/* What was just taken and not used. tat was max(tat, now) then, so it cannot fall behind what it would be without the take. */
static void limit_give(struct shm_limit *limit, int64_t cost)
{
	(void)atomic_fetch_sub(&limit->tat_ns, gcra_span(cost, atomic_load(&limit->interval_ns)));
}

int64_t shm_limit_take_all(struct shm_limit *const limits[], size_t n, int64_t cost, int64_t now_mono_ns)
{
	int64_t wait = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t own = shm_limit_wait_for(limits[i], cost, now_mono_ns);
		wait = own > wait ? own : wait;
	}
	for (size_t i = 0; i < n && wait == 0; i++) {
		wait = shm_limit_take(limits[i], cost, now_mono_ns);
		for (size_t j = 0; j < i && wait > 0; j++)
			limit_give(limits[j], cost);
	}
	return wait;
}

int64_t shm_limit_wait_for(const struct shm_limit *limit, int64_t cost, int64_t now_mono_ns)
{
	struct law law = limit_law(limit, now_mono_ns);

	return law.open ? gcra_wait(atomic_load_explicit(&limit->tat_ns, memory_order_relaxed), now_mono_ns, law.interval, law.burst, cost) : CLOSED_NS;
}

int64_t shm_limit_wait(const struct shm_limit *limit, int64_t now_mono_ns)
{
	return shm_limit_wait_for(limit, 1, now_mono_ns);
}

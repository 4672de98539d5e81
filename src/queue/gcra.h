/*
 * queue/gcra.h: the law of a rate limit, GCRA (ITU-T I.371), in whole nanoseconds. Pure; shm/limit.c makes it atomic.
 *
 * One number, the theoretical arrival time `tat`: when everything taken so far would be paid for at one unit an interval.
 * A take of `cost` moves it on by cost * interval, and is allowed while tat stays within `burst` ns of now. Hence, for takes
 * of cost <= burst / interval, any window of T ns holds at most T / interval + burst / interval units, for ever: the
 * schedule is kept by tat and not by the caller's wake-ups, so lateness neither adds up nor is made good twice.
 * A take dearer than the whole burst would never fit: it goes when all is paid, and leaves its debt to those after it.
 *
 * Rounding: interval = period / count rounded UP to a nanosecond, so a limit is never exceeded, and at worst missed by
 * count / period ns: exact for 50/s and 1000000/s, 3e-12 too slow for 7/15min, 0.05% for 1500000/s. All sums saturate.
 */
#ifndef JOBQ_QUEUE_GCRA_H
#define JOBQ_QUEUE_GCRA_H

#include <stdbool.h>
#include <stdint.h>

#define GCRA_MAX (INT64_MAX / 4) /* no span is longer: 73 years */

static inline int64_t gcra_add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? INT64_MAX : INT64_MIN) : sum;
}

/* how far tat lies ahead of now, never negative */
static inline int64_t gcra_ahead(int64_t tat, int64_t now)
{
	int64_t ahead;

	if (tat <= now)
		return 0;
	return __builtin_sub_overflow(tat, now, &ahead) ? INT64_MAX : ahead;
}

/* n intervals, at most GCRA_MAX; n and interval >= 0 */
static inline int64_t gcra_span(int64_t n, int64_t interval)
{
	int64_t span;

	return __builtin_mul_overflow(n, interval, &span) || span > GCRA_MAX ? GCRA_MAX : span;
}

/* ns a unit of count / period_ns, rounded up; 0 = no limit (count <= 0) */
static inline int64_t gcra_interval(int64_t count, int64_t period_ns)
{
	if (count <= 0 || period_ns <= 0)
		return 0;
	return period_ns / count + (period_ns % count != 0);
}

/* ns to wait until `cost` units may be taken; 0 = now */
static inline int64_t gcra_wait(int64_t tat, int64_t now, int64_t interval, int64_t burst, int64_t cost)
{
	int64_t need = gcra_span(cost, interval);

	if (interval <= 0 || cost <= 0)
		return 0;
	if (need > burst)
		need = burst;
	int64_t wait = gcra_add(gcra_ahead(tat, now), need - burst);
	return wait > 0 ? wait : 0;
}

/* Takes `cost` units and returns 0, or takes nothing and returns the ns to wait. interval 0 = no limit. */
static inline int64_t gcra_take(int64_t *tat, int64_t now, int64_t interval, int64_t burst, int64_t cost)
{
	int64_t wait = gcra_wait(*tat, now, interval, burst, cost);

	if (wait == 0 && interval > 0 && cost > 0)
		*tat = gcra_add(*tat > now ? *tat : now, gcra_span(cost, interval));
	return wait;
}

/* tat when the interval changes: what is owed stays the same number of units */
static inline int64_t gcra_rescale(int64_t tat, int64_t now, int64_t old_interval, int64_t interval)
{
	if (tat <= now || old_interval <= 0 || interval <= 0)
		return tat;
	__extension__ typedef __int128 wide;
	wide owed = (wide)gcra_ahead(tat, now) * interval / old_interval;
	return gcra_add(now, owed > GCRA_MAX ? GCRA_MAX : (int64_t)owed);
}

#endif

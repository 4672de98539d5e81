/*
 * base/clock.h: the four clocks, each with one purpose. A test may set any of them.
 *
 * mono  CLOCK_MONOTONIC, ns: intervals, timers, begin marks in shared memory (the same in every process)
 * boot  CLOCK_BOOTTIME, ns: the lease's deadline (goes on through suspend, so a lease cannot outlive a nap)
 * real  CLOCK_REALTIME, us since 1970: logs and what people read; never for intervals
 * The database's time decides run_at and leases; it never comes from here.
 */
#ifndef JOBQ_BASE_CLOCK_H
#define JOBQ_BASE_CLOCK_H

#include <stdint.h>
#include <stddef.h>
#include <sys/time.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)
#define US_PER_S  INT64_C(1000000)

int64_t clock_mono_ns(void);
int64_t clock_boot_ns(void);
int64_t clock_real_us(void);

/* Test seam: clocks stand still at these values until set again; clock_unset() returns to the kernel's. */
void clock_set(int64_t mono_ns, int64_t boot_ns, int64_t real_us);
void clock_unset(void);

/* "2026-01-31T12:00:00.123Z" into dst (at least 25 bytes); returns dst. */
char *clock_rfc3339(char *dst, size_t size, int64_t real_us);
struct timeval clock_timeval(int64_t ns); /* for libevent timers; negative becomes 0 */

#endif

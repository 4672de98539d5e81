/*
 * queue/retry.h: when a failed job is tried again. Pure.
 *
 * fixed: first; linear: first * n; exponential: first * 2^(n-1); each at most max, n = failures so far (1 = the first).
 * Jitter: uniformly in [delay/2, delay] for exponential ("equal jitter"), +-10% for the others, so that jobs that failed
 * together do not come back together. `random` is uniform over all 64-bit values.
 */
#ifndef JOBQ_QUEUE_RETRY_H
#define JOBQ_QUEUE_RETRY_H

#include <stdint.h>
#include "base/units.h"

int64_t retry_delay_ns(struct backoff backoff, int failures, uint64_t random);

#endif

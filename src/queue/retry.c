/*
 * queue/retry.c: the backoff of a job; see retry.h. Pure, runs in the dispatcher, cannot fail: every sum saturates at the
 * configured maximum.
 */
#include "config.h"

#include "queue/retry.h"

static int64_t plain_delay(struct backoff backoff, int failures)
{
	int64_t n = failures < 1 ? 1 : failures;
	int64_t delay = backoff.first_ns;
	if (backoff.kind == BACKOFF_LINEAR)
		return delay > backoff.max_ns / n ? backoff.max_ns : delay * n;
	if (backoff.kind == BACKOFF_EXPONENTIAL)
		for (; n > 1; n--) {
			if (delay > backoff.max_ns / 2)
				return backoff.max_ns;
			delay *= 2;
		}
	return delay > backoff.max_ns ? backoff.max_ns : delay;
}

static int64_t spread(int64_t low, int64_t width, uint64_t random)
{
	return width <= 0 ? low : low + (int64_t)(random % ((uint64_t)width + 1));
}

int64_t retry_delay_ns(struct backoff backoff, int failures, uint64_t random)
{
	int64_t delay = plain_delay(backoff, failures);
	if (backoff.kind == BACKOFF_EXPONENTIAL)
		return spread(delay / 2, delay - delay / 2, random);
	return spread(delay - delay / 10, delay / 5, random);
}

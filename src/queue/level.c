/*
 * queue/level.c: max-min fairness by weight; see level.h.
 *
 * Runs in the dispatcher. Pure, owns nothing, cannot fail. Sums are doubles: wants are counts of jobs, far below 2^53.
 */
#include "config.h"

#include "queue/level.h"

#include <stdlib.h>

static int modest_first(const void *left, const void *right)
{
	const struct level_want *a = left, *b = right;
	double x = (double)a->want * b->weight, y = (double)b->want * a->weight;

	return (x > y) - (x < y);
}

size_t level_above(struct level_want *wants, size_t n, int64_t capacity)
{
	double left = capacity > 0 ? (double)capacity : 0.0, weights = 0.0;

	qsort(wants, n, sizeof *wants, modest_first);
	for (size_t i = 0; i < n; i++)
		weights += wants[i].weight;
	for (size_t i = 0; i < n; i++) {
		double share = left * wants[i].weight / weights;
		if ((double)wants[i].want > share)
			return n - i; /* the others want more for their weight */
		left -= (double)wants[i].want;
		weights -= wants[i].weight;
	}
	return 0;
}

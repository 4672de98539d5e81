/*
 * queue/level.h: who takes more than a fair share when there is not enough for all: max-min fairness by weight.
 *
 * Pure. Of `capacity` units each gets what it wants or weight * level, whichever is less, so that the sum is the capacity: what
 * the modest leave goes to the others. Those who want more than weight * level are above their share. When the wants exceed the
 * capacity at least one is; when they do not, nobody is and the level is infinite. O(n log n).
 */
#ifndef JOBQ_QUEUE_LEVEL_H
#define JOBQ_QUEUE_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct level_want {
	int64_t want;    /* >= 0 */
	uint32_t weight; /* >= 1 */
	void *who;       /* the caller's */
};

/* Sorts the wants, the most modest for its weight first; those above their fair share are the last ones: returns how many. */
size_t level_above(struct level_want *wants, size_t n, int64_t capacity);

#endif

/* dispatcher/pace.h: the pace of a queue: the word of its rate limit in shared memory, which pace.c alone writes. */
#ifndef JOBQ_DISPATCHER_PACE_H
#define JOBQ_DISPATCHER_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct queue;

struct pace {
	int64_t interval_ns, burst;   /* configured: ns a unit, 0 = no limit; units */
	bool sliced;                  /* the limit is held together with other nodes */
	int64_t slice_interval_ns, slice_burst_ns, slice_until_ns;
	int64_t in_force_ns;          /* ns a unit; 0 = no limit */
};

void pace_start(struct queue *queue);
/* This node's part of the limit: so many ns a unit and ns of burst, until until_ns (mono; 0 = no end); then, or with interval_ns 0,
 * nothing may go before the next slice. */
void pace_slice(struct queue *queue, int64_t interval_ns, int64_t burst_ns, int64_t until_ns);
void pace_whole(struct queue *queue); /* the limit is this node's alone */
void pace_apply(struct queue *queue); /* the receiver bears more, or less, than before */
double pace_per_s(const struct queue *queue); /* in force; 0 = no limit */

#endif

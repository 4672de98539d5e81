/*
 * queue/flow.h: how many jobs a second end lately, known within some 20 ms of a beginning and of an end.
 *
 * Pure; used by the dispatcher, one a queue. Ends are counted in windows of at least FLOW_WINDOW_NS; each window counts by its length
 * against FLOW_MEMORY_NS, so that a window of that length or more is all that is remembered. A rate is never told higher than the
 * silence since the last window bears out: one more end than there were, over that time.
 */
#ifndef JOBQ_QUEUE_FLOW_H
#define JOBQ_QUEUE_FLOW_H

#include <stdint.h>

#define FLOW_WINDOW_NS INT64_C(20000000)
#define FLOW_MEMORY_NS INT64_C(200000000)

struct flow { /* all zero: nothing has ended yet */
	int64_t since_ns;   /* monotonic: the window's beginning */
	uint64_t ended;     /* in it */
	double per_s;       /* of the windows before */
};

void flow_add(struct flow *f, int64_t now_ns); /* one has ended */
double flow_per_s(const struct flow *f, int64_t now_ns);

#endif

/*
 * queue/flow.c: the rate of ends, smoothed by windows; see flow.h. Runs in the dispatcher, owns its struct alone. Invariant: per_s is
 * zero or more. Cannot fail.
 */
#include "config.h"

#include "queue/flow.h"

#define SECOND_NS 1e9

void flow_add(struct flow *f, int64_t now_ns)
{
	int64_t span = now_ns - f->since_ns;

	if (span >= FLOW_WINDOW_NS) {
		double rate = (double)f->ended * SECOND_NS / (double)span;
		double weight = span < FLOW_MEMORY_NS ? (double)span / (double)FLOW_MEMORY_NS : 1;
		f->per_s += weight * (rate - f->per_s);
		f->since_ns = now_ns;
		f->ended = 0;
	}
	f->ended++;
}

double flow_per_s(const struct flow *f, int64_t now_ns)
{
	int64_t span = now_ns - f->since_ns;
	double most = span < FLOW_WINDOW_NS ? f->per_s : (double)(f->ended + 1) * SECOND_NS / (double)span;

	return f->per_s < most ? f->per_s : most;
}

/*
 * queue/rate.c: cutting and raising; see rate.h for the law. Runs in the dispatcher, owns its struct alone. Invariant: floor <=
 * effective <= ceiling while there is a rate. Cannot fail.
 */
#include "config.h"

#include "queue/rate.h"

#include "base/clock.h"

#define CUT_REFUSED 0.7
#define CUT_LATENCY 0.85
#define RAISE 0.05
#define RAISE_NEAR 0.005
#define NEAR 0.9
#define LATENCY_TIMES 2.0
#define LATENCY_LEAST_NS (20.0 * (double)NS_PER_MS) /* a rise below that is noise */
#define LATENCY_SEEN 16u

void rate_init(struct rate *r, double limit_per_s, int64_t now_ns)
{
	*r = (struct rate){.limit = limit_per_s, .effective = limit_per_s, .ceiling = limit_per_s, .raised_ns = now_ns,
		.cut_ns = now_ns - RATE_CALM_NS};
}

void rate_set_limit(struct rate *r, double limit_per_s)
{
	bool was_full = r->effective >= r->ceiling;
	r->limit = r->ceiling = limit_per_s;
	if (was_full || limit_per_s <= 0 || r->effective > limit_per_s)
		r->effective = limit_per_s;
}

static bool cut(struct rate *r, double factor, double sent_per_s, int64_t now_ns)
{
	if (now_ns - r->cut_ns < RATE_HOLD_NS)
		return false;
	if (r->effective <= 0) {
		if (sent_per_s <= 0)
			return false;
		r->effective = r->ceiling = sent_per_s;
	}
	double least = r->ceiling * RATE_FLOOR, before = r->effective;
	r->refused_at = before;
	r->effective = before * factor > least ? before * factor : least;
	r->cut_ns = now_ns;
	r->cuts++;
	return r->effective < before;
}

bool rate_refused(struct rate *r, double sent_per_s, int64_t now_ns)
{
	return cut(r, CUT_REFUSED, sent_per_s, now_ns);
}

/* The base follows down at once and up slowly, so that it forgets a receiver that has become slower for good. */
bool rate_latency(struct rate *r, int64_t took_ns, double sent_per_s, int64_t now_ns)
{
	double took = (double)took_ns;
	r->recent_ns += (took - r->recent_ns) / (r->seen < 8 ? r->seen + 1 : 8);
	r->base_ns += (took - r->base_ns) / (r->seen < LATENCY_SEEN ? r->seen + 1 : took < r->base_ns ? 8 : 1024);
	if (r->seen++ < LATENCY_SEEN)
		return false;
	if (r->recent_ns < r->base_ns * LATENCY_TIMES || r->recent_ns - r->base_ns < LATENCY_LEAST_NS)
		return false;
	return cut(r, CUT_LATENCY, sent_per_s, now_ns);
}

bool rate_second(struct rate *r, int64_t now_ns)
{
	if (r->effective <= 0 || now_ns - r->raised_ns < NS_PER_S * 9 / 10 || now_ns - r->cut_ns < RATE_CALM_NS)
		return false;
	r->raised_ns = now_ns;
	if (r->limit > 0 && r->effective >= r->limit)
		return false;
	bool near = r->refused_at > 0 && r->effective >= NEAR * r->refused_at;
	r->effective += r->ceiling * (near ? RAISE_NEAR : RAISE);
	if (r->limit > 0 && r->effective > r->limit)
		r->effective = r->limit;
	if (r->limit <= 0 && r->effective > 2 * r->ceiling)
		r->effective = r->ceiling = 0;
	r->raises++;
	return true;
}

int64_t rate_interval_ns(const struct rate *r)
{
	return r->effective > 0 ? (int64_t)((double)NS_PER_S / r->effective + 0.999999) : 0;
}

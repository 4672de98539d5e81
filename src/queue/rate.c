/*
 * queue/rate.c: cutting and raising; see rate.h for the law. Runs in the dispatcher, owns its struct alone. Invariant: floor <=
 * effective <= ceiling while there is a rate. Cannot fail.
 */
#include "config.h"

#include "queue/rate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define CUT_REFUSED 0.7
#define CUT_WEAK 0.85
#define RAISE 0.05
#define RAISE_NEAR 0.005
#define NEAR 0.9
#define LATENCY_TIMES 2.0
#define LATENCY_LEAST_NS (20.0 * (double)NS_PER_MS) /* a rise below that is noise */
#define BASE_OVER 1024u
#define RATE_LEAST 2.0 /* a second: below it a limit is not worth finding */
#define TURN_NS (NS_PER_S * 9 / 10) /* a second, called by a timer that may be early */

void rate_init(struct rate_state *r, double limit_per_s, int64_t now_ns)
{
	*r = (struct rate_state){.limit = limit_per_s, .effective = limit_per_s, .ceiling = limit_per_s, .raised_ns = now_ns,
		.cut_ns = now_ns - RATE_CALM_NS, .halved_ns = now_ns};
}

void rate_set_limit(struct rate_state *r, double limit_per_s)
{
	bool was_full = r->effective >= r->ceiling;
	r->limit = r->ceiling = limit_per_s;
	if (was_full || limit_per_s <= 0 || r->effective > limit_per_s)
		r->effective = limit_per_s;
}

void rate_resume(struct rate_state *r, double effective_per_s, int64_t now_ns)
{
	if (effective_per_s <= 0 || (r->limit > 0 && effective_per_s >= r->limit))
		return;
	r->effective = effective_per_s;
	if (r->limit <= 0)
		r->ceiling = effective_per_s;
	r->cut_ns = now_ns;
}

static bool cut(struct rate_state *r, double factor, double least, int64_t now_ns)
{
	double before = r->effective, to = before * factor > least ? before * factor : least;
	if (now_ns - r->cut_ns < RATE_HOLD_NS || to >= before)
		return false;
	r->refused_at = before;
	r->effective = to;
	r->cut_ns = now_ns;
	r->fresh = 0;
	r->cuts++;
	return true;
}

void rate_accepted(struct rate_state *r)
{
	r->accepted += 1;
}

static bool too_many(const struct rate_state *r, double of)
{
	return of > 0 && of * RATE_SHARE >= r->accepted + r->refused + r->failed;
}

bool rate_refused(struct rate_state *r, int64_t now_ns)
{
	r->refused += 1;
	return r->effective > 0 && too_many(r, r->refused) && cut(r, CUT_REFUSED, r->ceiling * RATE_FLOOR, now_ns);
}

bool rate_failed(struct rate_state *r, int64_t now_ns)
{
	r->failed += 1;
	return r->effective > 0 && too_many(r, r->failed) && cut(r, CUT_WEAK, r->ceiling * RATE_WEAK_FLOOR, now_ns);
}

/* Before the halving the counts are those of this second and half of what was before: twice what is sent in a second. */
static bool find_rate(struct rate_state *r, int64_t now_ns)
{
	double sent = (r->accepted + r->refused) / 2;
	if (r->effective > 0 || sent < RATE_LEAST || !too_many(r, r->refused))
		return false;
	r->effective = r->ceiling = sent;
	return cut(r, CUT_REFUSED, 0, now_ns);
}

/* The first place in sorted[n] that is not below value. */
static uint32_t place_of(const int64_t *sorted, uint32_t n, int64_t value)
{
	uint32_t at = 0;
	while (at < n && sorted[at] < value)
		at++;
	return at;
}

/* Of the last requests, this one included: it takes the place of the oldest. */
static double median_with(struct rate_state *r, int64_t took_ns)
{
	int64_t *oldest = &r->recent_ns[r->turn % RATE_RECENT], *sorted = r->sorted_ns;
	uint32_t n = r->turn;
	if (r->turn >= RATE_RECENT) {
		uint32_t gone = place_of(sorted, RATE_RECENT, *oldest);
		n = RATE_RECENT - 1;
		memmove(sorted + gone, sorted + gone + 1, (n - gone) * sizeof *sorted);
	}
	uint32_t at = place_of(sorted, n, took_ns);
	memmove(sorted + at + 1, sorted + at, (n - at) * sizeof *sorted);
	sorted[at] = *oldest = took_ns;
	r->turn = r->turn + 1 == 2 * RATE_RECENT ? RATE_RECENT : r->turn + 1;
	return (double)sorted[(n + 1) / 2];
}

bool rate_latency(struct rate_state *r, int64_t took_ns, int64_t now_ns)
{
	double recent_ns = median_with(r, took_ns);
	r->base_ns += (recent_ns - r->base_ns) / (r->seen < BASE_OVER ? r->seen + 1 : BASE_OVER);
	if (r->seen < BASE_OVER)
		r->seen++;
	if (++r->fresh < RATE_LATENCY_SEEN || r->effective <= 0)
		return false;
	if (recent_ns < r->base_ns * LATENCY_TIMES || recent_ns - r->base_ns < LATENCY_LEAST_NS)
		return false;
	return cut(r, CUT_WEAK, r->ceiling * RATE_WEAK_FLOOR, now_ns);
}

bool rate_second(struct rate_state *r, int64_t now_ns)
{
	if (now_ns - r->halved_ns >= TURN_NS) {
		bool found = find_rate(r, now_ns);
		r->halved_ns = now_ns;
		r->accepted /= 2;
		r->refused /= 2;
		r->failed /= 2;
		if (found)
			return true;
	}
	if (r->effective <= 0 || now_ns - r->raised_ns < TURN_NS || now_ns - r->cut_ns < RATE_CALM_NS)
		return false;
	r->raised_ns = now_ns;
	if (r->limit > 0 && r->effective >= r->limit)
		return false;
	bool near = r->effective >= NEAR * r->refused_at && r->effective <= r->refused_at / NEAR; /* beyond, the receiver has changed */
	r->effective += r->ceiling * (near ? RAISE_NEAR : RAISE);
	if (r->limit > 0 && r->effective > r->limit)
		r->effective = r->limit;
	if (r->limit <= 0 && r->effective > 2 * r->ceiling)
		r->effective = r->ceiling = 0;
	r->raises++;
	return true;
}

int64_t rate_interval_ns(const struct rate_state *r)
{
	return r->effective > 0 ? (int64_t)((double)NS_PER_S / r->effective + 0.999999) : 0;
}

/*
 * queue/flight.c: batches in flight in one worker, by what the receiver bears at a time; the law is in flight.h.
 *
 * Runs in the dispatcher. Owns struct flight. Invariant: 1 <= now <= most. Cannot fail.
 */
#include "config.h"

#include "queue/flight.h"

#define CUT 0.7

void flight_init(struct flight *f, uint32_t most)
{
	*f = (struct flight){.most = most < 1 ? 1 : most, .now = most < 1 ? 1 : most};
}

static bool is_fresh(const struct flight *f, int64_t span_ns, int64_t now_ns)
{
	return f->refused_at > 0 && now_ns - f->cut_ns < span_ns;
}

bool flight_refused(struct flight *f, int64_t now_ns)
{
	f->bad += 1;
	if (is_fresh(f, FLIGHT_HOLD_NS, now_ns))
		return true;
	if (f->now <= 1 || f->bad * FLIGHT_SHARE < f->good + f->bad)
		return false;
	uint32_t less = (uint32_t)((double)f->now * CUT);
	f->refused_at = f->now;
	f->now = less < 1 ? 1 : less;
	f->cut_ns = now_ns;
	f->bad = 0;
	return true;
}

void flight_good(struct flight *f)
{
	f->good += 1;
}

bool flight_second(struct flight *f, bool busy, int64_t now_ns)
{
	bool calm = f->bad * FLIGHT_SHARE < f->good;
	f->good /= 2;
	f->bad /= 2;
	if (!busy || !calm || f->now >= f->most || is_fresh(f, FLIGHT_CALM_NS, now_ns))
		return false;
	if (f->now + 1 >= f->refused_at && is_fresh(f, FLIGHT_AGAIN_NS, now_ns))
		return false;
	f->now++;
	return true;
}

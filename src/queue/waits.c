/*
 * queue/waits.c: shortening waits for company; see waits.h. Runs in the dispatcher, owns its struct alone. Invariant: WAITS_LEAST <=
 * scale <= 1. Cannot fail.
 */
#include "config.h"

#include "queue/waits.h"

#define EARLY 85u   /* percent: buffer.h's BUFFER_EARLY */
#define NOTICED 0.1 /* a smaller change of the scale is none */

void waits_init(struct waits *w)
{
	*w = (struct waits){.speed = 1, .scale = 1};
}

static double bounded(double scale)
{
	return scale < WAITS_LEAST ? WAITS_LEAST : scale > 1 ? 1 : scale;
}

static double by_room(unsigned use_percent)
{
	if (use_percent <= WAITS_ROOM)
		return 1;
	return bounded(1 - (1 - WAITS_LEAST) * (double)(use_percent - WAITS_ROOM) / (double)(EARLY - WAITS_ROOM));
}

bool waits_second(struct waits *w, const struct waits_seen *seen)
{
	bool slow = seen->target > 0 && seen->arrived >= seen->target && seen->ended < seen->target && seen->idle_beside_waiting;
	w->speed = bounded(w->speed * (slow ? 0.5 : 2));
	double room = by_room(seen->use_percent), scale = room < w->speed ? room : w->speed;
	bool whole = scale >= 1 && w->scale < 1;
	if (!whole && scale > w->scale * (1 - NOTICED) && scale < w->scale * (1 + NOTICED))
		return false;
	bool changed = scale > w->scale || scale < w->scale;
	w->scale = scale;
	return changed;
}

int64_t waits_ns(const struct waits *w, int64_t configured_ns)
{
	return w->scale >= 1 ? configured_ns : (int64_t)((double)configured_ns * w->scale);
}

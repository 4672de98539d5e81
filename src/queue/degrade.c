/*
 * queue/degrade.c: steps down and up; see degrade.h. Runs in the dispatcher, owns its struct alone. Invariant: it is slow only
 * while single. Cannot fail.
 */
#include "config.h"

#include "queue/degrade.h"

static const char *const mode_names[] = {"none", "split", "single", "slow"};

void degrade_init(struct degrade *d)
{
	*d = (struct degrade){.need = DEGRADE_CLEAN};
}

uint32_t degrade_size(const struct degrade *d, uint32_t size)
{
	return d->bound > 0 && d->bound < size ? d->bound : size;
}

int64_t degrade_slow_ns(const struct degrade *d)
{
	return d->slow_ns;
}

enum degrade_mode degrade_mode(const struct degrade *d)
{
	if (d->slow_ns > 0)
		return DEGRADE_SLOW;
	return d->bound == 0 ? DEGRADE_NONE : d->bound == 1 ? DEGRADE_SINGLE : DEGRADE_SPLIT;
}

const char *degrade_mode_name(enum degrade_mode mode)
{
	return mode_names[mode];
}

static bool down(struct degrade *d, uint32_t jobs)
{
	if (d->bound > 0 && jobs > d->bound) /* handed out before the last step */
		return false;
	if (d->fresh && d->need < DEGRADE_CLEAN_MOST)
		d->need *= 2;
	d->fresh = false;
	d->clean = 0;
	d->steps_down++;
	if (d->bound == 0)
		d->from = jobs;
	if (d->bound == 1 || jobs <= 1) {
		d->bound = 1;
		d->slow_ns = d->slow_ns == 0 ? DEGRADE_SLOW_NS : d->slow_ns * 2 < DEGRADE_SLOW_MOST_NS ? d->slow_ns * 2 : DEGRADE_SLOW_MOST_NS;
	} else {
		d->bound = (d->bound > 0 && d->bound < jobs ? d->bound : jobs) / 2;
	}
	return true;
}

static bool up(struct degrade *d)
{
	if (d->bound == 0)
		return false;
	if (++d->clean < d->need)
		return false;
	d->clean = 0;
	d->fresh = true;
	d->steps_up++;
	if (d->slow_ns > 0)
		d->slow_ns = 0;
	else if (d->bound * 2 < d->from)
		d->bound *= 2;
	else
		d->bound = 0;
	return true;
}

/* Small batches that succeed below the bound prove nothing about it, but a queue that has no larger ones must come back too. */
bool degrade_batch(struct degrade *d, uint32_t jobs, bool failed_whole)
{
	if (failed_whole)
		return jobs > 0 && down(d, jobs);
	if (d->bound == 0 && d->fresh && ++d->clean >= d->need) { /* back, and it has lasted */
		d->fresh = false;
		d->clean = 0;
		d->need = DEGRADE_CLEAN;
	}
	return up(d);
}

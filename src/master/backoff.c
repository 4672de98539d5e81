/*
 * master/backoff.c: when a dead child's seat is filled again, and when it is held back.
 *
 * Pure; runs in the master, one record a seat. A child that worked and fell over is wanted back at once; one that never
 * works is not worth a fork a millisecond. So a death after work costs nothing the first time and then doubles, a second of
 * working life forgives a doubling, and five deaths without any work within a minute are a crash loop. Forgiving a death
 * afterwards is the caller's copy put back: the record is a plain value.
 */
#include "config.h"

#include "master/backoff.h"

#include <string.h>

#include "base/clock.h"
#include "jobq/exit.h"

#define FIRST_NS (100 * NS_PER_MS)
#define LAST_NS (30 * NS_PER_S)
#define FORGIVE_NS (1 * NS_PER_S) /* a working life of this length takes back one step */
#define HELD_NS (60 * NS_PER_S)
#define SCHEMA_NS (5 * NS_PER_S)
#define STEP_MAX 20u

bool master_backoff_final(int code)
{
	switch (code) {
	case JOBQ_EXIT_USAGE:
	case JOBQ_EXIT_CONFIG:
	case JOBQ_EXIT_PERMISSION:
	case JOBQ_EXIT_SCHEMA:
	case JOBQ_EXIT_SHM:
		return true;
	default:
		return false;
	}
}

static int64_t doubled(uint32_t times)
{
	int64_t ns = FIRST_NS;

	while (times-- > 0 && ns < LAST_NS)
		ns *= 2;
	return ns < LAST_NS ? ns : LAST_NS;
}

static int64_t died_after_work(struct master_backoff *b, int64_t lived_ns)
{
	int64_t forgiven = lived_ns / FORGIVE_NS;

	b->hold = MASTER_HOLD_NONE;
	b->ndeaths = 0;
	b->step = forgiven >= b->step ? 0 : b->step - (uint32_t)forgiven;
	if (b->step >= STEP_MAX)
		return LAST_NS;
	return b->step++ == 0 ? 0 : doubled(b->step - 2);
}

static void remember(struct master_backoff *b, int64_t now_ns)
{
	if (b->ndeaths == MASTER_BACKOFF_LOOP) {
		memmove(b->deaths, b->deaths + 1, sizeof b->deaths - sizeof b->deaths[0]);
		b->ndeaths--;
	}
	b->deaths[b->ndeaths++] = now_ns;
}

static int64_t died_without_work(struct master_backoff *b, int64_t now_ns)
{
	remember(b, now_ns);
	if (b->ndeaths == MASTER_BACKOFF_LOOP && now_ns - b->deaths[0] <= MASTER_BACKOFF_WINDOW_NS)
		b->hold = MASTER_HOLD_LOOP;
	else if (b->hold == MASTER_HOLD_FINAL)
		b->hold = MASTER_HOLD_NONE;
	if (b->hold == MASTER_HOLD_LOOP)
		return HELD_NS;
	if (b->step < STEP_MAX)
		b->step++;
	return doubled(b->step - 1);
}

int64_t master_backoff_died(struct master_backoff *b, const struct master_death *death)
{
	if (!death->counted)
		return 0;
	if (master_backoff_final(death->code)) {
		b->hold = MASTER_HOLD_FINAL;
		return death->code == JOBQ_EXIT_SCHEMA ? SCHEMA_NS : HELD_NS;
	}
	if (death->worked && death->code == JOBQ_EXIT_OK) { /* it has done its share: max_jobs_per_worker */
		memset(b, 0, sizeof *b);
		return 0;
	}
	return death->worked ? died_after_work(b, death->lived_ns) : died_without_work(b, death->now_ns);
}

void master_backoff_worked(struct master_backoff *b)
{
	b->hold = MASTER_HOLD_NONE;
	b->ndeaths = 0;
}

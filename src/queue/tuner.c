/*
 * queue/tuner.c: the search for the best size; see tuner.h for the law.
 *
 * Runs in the dispatcher. Owns nothing but its struct. Invariants: at < nrungs; scores are compared within one epoch only; every
 * change of `at` is in the ring of decisions with its reason. Cannot fail.
 */
#include "config.h"

#include "queue/tuner.h"

#include <string.h>

#include "base/clock.h"
#include "queue/ladder.h"

#define SWEEP_STRIDE 4u
#define CHANGE 0.67          /* settled: a score below that of what it was, or above its inverse, is a change */
#define TRIM_BAND 0.06       /* settled: the time of a batch may be off its target by that */
#define TRIM_COST 1.08       /* and a size is larger only if a job's time is not more than that times longer */
#define TRIM_WINDOWS 4       /* of which the average is taken first */
#define REFUSED_SHARE 10u    /* one job in so many refused is a refusal */
#define WINDOW_NS NS_PER_S
#define LOOK_AGAIN_NS (60 * NS_PER_S)
#define WALL_FIRST_NS (10 * NS_PER_S)
#define WALL_MOST_NS (640 * NS_PER_S)

static const char *const names[TUNE_REASONS] = {
#define TUNE_X(name, text) #name,
#include "tbl/tunings.def"
#undef TUNE_X
};
static const char *const texts[TUNE_REASONS] = {
#define TUNE_X(name, text) text,
#include "tbl/tunings.def"
#undef TUNE_X
};

const char *tune_reason_name(enum tune_reason reason)
{
	return names[reason];
}

const char *tune_reason_text(enum tune_reason reason)
{
	return texts[reason];
}

uint32_t tuner_size(const struct tuner *t)
{
	return t->rungs[t->at].size;
}

/* ---- moving ---- */

static void window_begin(struct tuner *t, int64_t now_ns)
{
	t->since_ns = now_ns;
	t->n = t->jobs = t->refused = 0;
}

static void decide(struct tuner *t, uint32_t to, enum tune_reason reason, int64_t now_ns)
{
	const struct tuner_rung *from = &t->rungs[t->at];
	bool measured = from->epoch == t->epoch;
	t->decisions[t->decided++ % TUNER_DECISIONS] = (struct tuner_decision){.at_ns = now_ns, .from = from->size,
		.to = t->rungs[to].size, .reason = reason, .run_ns = measured ? from->run_ns : 0, .score = measured ? from->score : 0};
	t->at = to;
	window_begin(t, now_ns);
}

static void settle(struct tuner *t, enum tune_reason reason, int64_t now_ns)
{
	t->phase = TUNER_HOLD;
	t->settled_ns = now_ns;
	t->changed = 0;
	t->windows = 0;
	t->run_avg_ns = 0;
	decide(t, t->best, reason, now_ns);
}

/* The next of the neighbours that is not known; when both are, a finer stride, and in the end the best. */
static void refine(struct tuner *t, int64_t now_ns)
{
	for (; t->stride > 0; t->stride /= 2) {
		uint32_t up = t->best + t->stride, down = t->best - t->stride;
		if (up <= ladder_top(t) && !ladder_known(t, up)) {
			decide(t, up, TUNE_look, now_ns);
			return;
		}
		if (t->best >= t->stride && down <= ladder_top(t) && !ladder_known(t, down)) {
			decide(t, down, TUNE_look, now_ns);
			return;
		}
	}
	settle(t, TUNE_settled, now_ns);
}

static void refine_from(struct tuner *t, uint32_t best, uint32_t stride, int64_t now_ns)
{
	t->phase = TUNER_REFINE;
	t->best = best;
	t->stride = stride;
	refine(t, now_ns);
}

/* Up from the present rung, then down from the lowest that is known. */
static void sweep(struct tuner *t, int64_t now_ns)
{
	uint32_t high = t->best;
	while (high + SWEEP_STRIDE <= ladder_top(t) && ladder_known(t, high))
		high += SWEEP_STRIDE;
	if (high < ladder_top(t) && ladder_known(t, high))
		high = ladder_top(t);
	if (high <= ladder_top(t) && !ladder_known(t, high)) {
		decide(t, high, TUNE_look, now_ns);
		return;
	}
	uint32_t low = t->best;
	while (low > 0 && (ladder_known(t, low) || low > ladder_top(t)))
		low = low > SWEEP_STRIDE ? low - SWEEP_STRIDE : 0;
	if (!ladder_known(t, low)) {
		decide(t, low, TUNE_look, now_ns);
		return;
	}
	refine_from(t, ladder_best(t), SWEEP_STRIDE / 2, now_ns);
}

static void new_epoch(struct tuner *t)
{
	t->epoch++;
	t->changed = 0;
}

/* Everything anew: the present size first. */
static void start_over(struct tuner *t, uint32_t from, enum tune_reason reason, int64_t now_ns)
{
	new_epoch(t);
	t->phase = TUNER_SWEEP;
	t->best = from <= ladder_top(t) ? from : ladder_top(t);
	decide(t, t->best, reason, now_ns);
}

/* ---- trouble ---- */

static void raise_wall(struct tuner *t, uint32_t at, int64_t now_ns)
{
	if (at >= t->wall)
		return;
	t->wall = at;
	t->wall_wait_ns = t->wall_wait_ns * 2 > WALL_MOST_NS ? WALL_MOST_NS : t->wall_wait_ns * 2;
	t->wall_until_ns = now_ns + t->wall_wait_ns;
}

static void refused(struct tuner *t, int64_t now_ns)
{
	uint32_t from = t->at;
	t->rungs[from].epoch = t->epoch;
	t->rungs[from].score = 0;
	if (from == 0) { /* at the smallest size: the size is not why */
		t->phase = TUNER_REFUSED;
		t->wall = t->nrungs;
		window_begin(t, now_ns);
		return;
	}
	raise_wall(t, from, now_ns);
	if (t->phase == TUNER_SWEEP || (t->phase == TUNER_REFINE && ladder_known(t, t->best) && t->best < t->wall)) {
		decide(t, from > SWEEP_STRIDE ? from - SWEEP_STRIDE : 0, TUNE_refused, now_ns);
		if (t->phase == TUNER_REFINE)
			t->at = t->best; /* known to be good */
		return;
	}
	t->phase = TUNER_REFINE;
	t->stride = SWEEP_STRIDE / 2;
	new_epoch(t);
	t->best = from > SWEEP_STRIDE ? from - SWEEP_STRIDE : 0;
	decide(t, t->best, TUNE_refused, now_ns);
}

/* Down to where the time should fit, if it grows with the size. */
static bool slow(struct tuner *t, int64_t run_ns, int64_t now_ns)
{
	if (t->at == 0)
		return false;
	double fits = (double)tuner_size(t) * (double)t->law.target_ns / (double)run_ns;
	uint32_t to = ladder_rung_of(t, fits < (double)t->law.min ? t->law.min : (uint32_t)fits);
	raise_wall(t, t->at, now_ns);
	new_epoch(t);
	t->phase = TUNER_REFINE;
	t->stride = SWEEP_STRIDE;
	t->best = to < t->at ? to : t->at - 1;
	decide(t, t->best, TUNE_slow, now_ns);
	t->decisions[(t->decided - 1) % TUNER_DECISIONS].run_ns = run_ns; /* that is why */
	return true;
}

/* ---- measuring ---- */

/* The middle one; of an even number, the lower of the two. */
static double median(const double *values, uint32_t n)
{
	double sorted[TUNER_WINDOW];
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = i;
		for (; j > 0 && sorted[j - 1] > values[i]; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = values[i];
	}
	return sorted[(n - 1) / 2];
}

static void measured(struct tuner *t, double *score, int64_t *run_ns)
{
	double runs[TUNER_WINDOW], times[TUNER_WINDOW]; /* a job's time, so that a pair counts by its better one */
	for (uint32_t i = 0; i < t->n; i++) {
		runs[i] = (double)t->runs[i];
		times[i] = t->scores[i] > 0 ? 1 / t->scores[i] : 1e9;
	}
	double run = median(runs, t->n), over = t->law.target_ns > 0 ? run / (double)t->law.target_ns : 0;
	*score = 1 / median(times, t->n);
	if (over > 1)
		*score /= over * over;
	*run_ns = (int64_t)run;
}

/* The larger size costs a job no more than this one: what speaks against it is the target alone. */
static bool may_grow(const struct tuner *t)
{
	const struct tuner_rung *here = &t->rungs[t->at], *above = here + 1;
	if (t->at >= ladder_top(t))
		return false;
	return !ladder_known(t, t->at + 1) || (double)above->run_ns / above->size < (double)t->run_avg_ns / here->size * TRIM_COST;
}

/* Settled, the time of a batch is known better than scores are: steps of one rung into the band around the target. */
static bool trim(struct tuner *t, int64_t run_ns, int64_t now_ns)
{
	t->windows++;
	t->run_avg_ns += (run_ns - t->run_avg_ns) / (t->windows < 8 ? t->windows : 8);
	if (t->windows < TRIM_WINDOWS || t->law.target_ns <= 0)
		return false;
	double ratio = (double)t->run_avg_ns / (double)t->law.target_ns;
	uint32_t to = t->at;
	if (ratio > 1 + TRIM_BAND && t->at > 0)
		to--;
	else if (ratio < 1 - TRIM_BAND && may_grow(t))
		to++;
	if (to == t->at)
		return false;
	t->rungs[to].epoch = t->epoch;
	t->rungs[to].score = t->rungs[t->at].score;
	t->best = to;
	t->windows = 0;
	t->run_avg_ns = 0;
	decide(t, to, TUNE_trim, now_ns);
	return true;
}

static void hold(struct tuner *t, double score, int64_t now_ns)
{
	struct tuner_rung *rung = &t->rungs[t->at];
	bool differs = score < rung->score * CHANGE || score * CHANGE > rung->score;
	t->changed = differs ? t->changed + 1 : 0;
	if (!differs)
		rung->score += (score - rung->score) / 8;
	if (t->changed >= 2) {
		start_over(t, t->at, TUNE_changed, now_ns);
	} else if (now_ns - t->settled_ns >= LOOK_AGAIN_NS && !differs) {
		if (t->wall == t->nrungs)
			t->wall_wait_ns = WALL_FIRST_NS / 2;
		new_epoch(t);
		rung->epoch = t->epoch;
		t->rungs[t->at].score = score;
		decide(t, t->at, TUNE_again, now_ns);
		refine_from(t, t->at, 1, now_ns);
	} else {
		window_begin(t, now_ns);
	}
}

static void evaluate(struct tuner *t, int64_t now_ns)
{
	double score;
	int64_t run_ns;
	measured(t, &score, &run_ns);
	if (t->wall < t->nrungs && now_ns >= t->wall_until_ns)
		t->wall = t->nrungs;
	if (t->phase == TUNER_HOLD && t->law.target_ns > 0 && run_ns > t->law.target_ns * 5 / 4 && slow(t, run_ns, now_ns))
		return;
	if (t->phase == TUNER_HOLD) {
		t->rungs[t->at].run_ns = run_ns;
		if (!trim(t, run_ns, now_ns))
			hold(t, score, now_ns);
		return;
	}
	if (t->phase == TUNER_REFUSED) { /* a clean window at the smallest size */
		start_over(t, 0, TUNE_recovered, now_ns);
		return;
	}
	t->rungs[t->at].epoch = t->epoch;
	t->rungs[t->at].score = score;
	t->rungs[t->at].run_ns = run_ns;
	if (t->phase == TUNER_SWEEP) {
		sweep(t, now_ns);
		return;
	}
	bool better = !ladder_known(t, t->best) || score > t->rungs[t->best].score * LADDER_MARGIN;
	if (t->law.prefer_small && t->at < t->best)
		better = score * LADDER_MARGIN > t->rungs[t->best].score;
	if (better)
		t->best = t->at;
	refine(t, now_ns);
}

bool tuner_sample(struct tuner *t, const struct tuner_sample *sample)
{
	uint32_t before = tuner_size(t);
	int64_t run_ns = sample->run_ns > 0 ? sample->run_ns : 1, now_ns = sample->end_ns;
	if (sample->size > before) /* handed out before the size was made smaller: what it tells is known */
		return false;
	if (sample->size < before && sample->refused == 0)
		return false;
	t->jobs += sample->jobs;
	t->refused += sample->refused;
	if (sample->refused > 0 && t->refused * REFUSED_SHARE >= t->jobs) {
		refused(t, now_ns);
		return tuner_size(t) != before;
	}
	if (sample->size != before)
		return false;
	if (t->n == TUNER_WINDOW)
		t->n--;
	t->scores[t->n] = (double)sample->done * (double)NS_PER_S / (double)run_ns;
	t->runs[t->n++] = run_ns;
	if (t->n == TUNER_WINDOW || (t->n >= 2 && now_ns - t->since_ns >= WINDOW_NS))
		evaluate(t, now_ns);
	return tuner_size(t) != before;
}

bool tuner_running(struct tuner *t, int64_t oldest_ns, int64_t now_ns)
{
	bool over = t->law.target_ns > 0 && oldest_ns > t->law.target_ns * 3 / 2;
	/* one that began before the last change tells of an earlier size */
	return over && now_ns - oldest_ns >= t->since_ns && slow(t, oldest_ns, now_ns);
}

bool tuner_memory(struct tuner *t, unsigned use_percent, int64_t now_ns)
{
	uint32_t before = tuner_size(t);
	if (now_ns - t->memory_ns < NS_PER_S)
		return false;
	t->memory_ns = now_ns;
	if (use_percent >= 95) {
		t->cap = t->at > SWEEP_STRIDE ? t->at - SWEEP_STRIDE : 0;
		if (t->at > t->cap) {
			t->best = t->best < t->cap ? t->best : t->cap;
			decide(t, t->cap, TUNE_memory, now_ns);
		}
	} else if (use_percent < 85 && t->cap < t->nrungs) {
		t->cap = t->nrungs;
		start_over(t, t->at, TUNE_relief, now_ns);
	}
	return tuner_size(t) != before;
}

/* ---- law ---- */

void tuner_set_law(struct tuner *t, const struct tuner_law *law, int64_t now_ns)
{
	uint32_t size = t->nrungs > 0 ? tuner_size(t) : law->start;
	t->law = *law;
	t->law.min = law->min > 0 ? law->min : 1;
	t->law.max = law->max > t->law.min ? law->max : t->law.min;
	ladder_build(t);
	t->wall = t->cap = t->nrungs;
	t->wall_wait_ns = WALL_FIRST_NS / 2;
	t->at = ladder_rung_of(t, size);
	start_over(t, t->at, TUNE_start, now_ns);
}

void tuner_init(struct tuner *t, const struct tuner_law *law, int64_t now_ns)
{
	memset(t, 0, sizeof *t);
	t->memory_ns = now_ns;
	tuner_set_law(t, law, now_ns);
}

const struct tuner_decision *tuner_decision(const struct tuner *t, uint64_t i)
{
	if (i >= t->decided || i >= TUNER_DECISIONS)
		return NULL;
	return &t->decisions[(t->decided - 1 - i) % TUNER_DECISIONS];
}

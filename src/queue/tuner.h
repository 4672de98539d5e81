/*
 * queue/tuner.h: which batch size does most, found by measuring; see docs/tuning.md for the law, why it settles, and figures.
 *
 * Pure; used by the dispatcher: one a queue for the batch size, and one for the batches in flight where a handler gains from
 * more. Times are mono ns. Sizes are the rungs of a ladder, each 8% above the one below. A size is measured by the median over a
 * window of batches (5, or a second's worth) of
 *
 *     score = jobs done / time taken, times (target / time)^2 where the time is over the target.
 *
 * Look: every fourth rung once, then the neighbours of the best at strides of 2 and 1; a neighbour must be 1% better to
 * win; when none is, the size is settled. Each step takes the best so far up or a stride down, over finitely many rungs: it
 * ends. Where the target is what binds, single rungs then bring the average time of a batch into 6% around it. A refusal makes a wall, above which nothing is tried until a time that doubles with each refusal. Settled, it
 * looks again every minute, when its score has changed by a third twice running, and at once when batches are slow or refused.
 */
#ifndef JOBQ_QUEUE_TUNER_H
#define JOBQ_QUEUE_TUNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUNER_RUNGS 96
#define TUNER_WINDOW 5      /* batches */
#define TUNER_DECISIONS 64

#define TUNE_X(name, text) TUNE_##name,
enum tune_reason {
#include "tbl/tunings.def"
	TUNE_REASONS
};
#undef TUNE_X

struct tuner_law {
	uint32_t start, min, max; /* min <= start <= max, min >= 1 */
	int64_t target_ns;        /* of a batch; 0 = none */
	bool prefer_small;        /* of two that do the same, the smaller (batches in flight) */
};

struct tuner_sample {
	int64_t end_ns, run_ns;
	uint32_t size;            /* that was asked for: the batch's jobs, or the batches in flight */
	uint32_t jobs, done;      /* done: those with a final outcome */
	uint32_t refused;         /* those to be tried again: transient errors, timeouts, 429 */
};

struct tuner_rung {
	uint32_t size;
	uint32_t epoch;           /* in which it was measured */
	double score;             /* jobs a second */
	int64_t run_ns;
};

struct tuner_decision {
	int64_t at_ns;
	uint32_t from, to;
	enum tune_reason reason;
	int64_t run_ns;           /* of a batch of the size `from`; 0 = not measured */
	double score;
};

enum tuner_phase { TUNER_SWEEP, TUNER_REFINE, TUNER_HOLD, TUNER_REFUSED };

struct tuner {
	struct tuner_law law;
	struct tuner_rung rungs[TUNER_RUNGS];
	uint32_t nrungs, at, best, stride, epoch;
	uint32_t wall;            /* rungs from here on are not tried before wall_until_ns; nrungs = no wall */
	uint32_t cap;             /* by memory: no rung above */
	enum tuner_phase phase;
	int64_t wall_until_ns, wall_wait_ns, settled_ns, memory_ns;
	uint32_t changed;         /* windows in a row that differ from the rung's score */
	int64_t windows, run_avg_ns; /* settled: of the time of a batch */
	/* the window at the present size */
	int64_t since_ns;
	uint32_t n, jobs, refused;
	double scores[TUNER_WINDOW];
	int64_t runs[TUNER_WINDOW];
	struct tuner_decision decisions[TUNER_DECISIONS]; /* ring */
	uint64_t decided;
};

void tuner_init(struct tuner *t, const struct tuner_law *law, int64_t now_ns);
/* A new law (reload): keeps the size as far as it fits. */
void tuner_set_law(struct tuner *t, const struct tuner_law *law, int64_t now_ns);
uint32_t tuner_size(const struct tuner *t);
/* One finished batch. true = the size has changed. Part batches (smaller than the size) tell of refusals only. */
bool tuner_sample(struct tuner *t, const struct tuner_sample *sample);
/* The oldest batch under way has run that long, unfinished: so a step is seen before its first batch ends. */
bool tuner_running(struct tuner *t, int64_t oldest_ns, int64_t now_ns);
bool tuner_memory(struct tuner *t, unsigned use_percent, int64_t now_ns); /* use of the buffer; at most once a second counts */
/* The i-th newest decision, 0 = the newest; NULL behind the last that is kept. */
const struct tuner_decision *tuner_decision(const struct tuner *t, uint64_t i);
const char *tune_reason_name(enum tune_reason reason);
const char *tune_reason_text(enum tune_reason reason);

#endif

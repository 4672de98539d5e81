/*
 * queue/degrade.h: what to do when whole batches fail: smaller ones, single jobs, slower; and the way back.
 *
 * Pure; used by the dispatcher, one a queue; times are mono ns. A batch failed as a whole when every job of it is to be tried
 * again (an exception, a lost connection, a refused request): then one bad job may spoil its neighbours, or the receiver is in
 * trouble. Each such failure of a batch at the present bound takes one step down, each DEGRADE_CLEAN good batches at the bound
 * one step up; a relapse within DEGRADE_CLEAN of a step up doubles what the next step up needs (to 64 times), so a bad job that
 * keeps coming does not make it swing:
 *
 *     the tuner's size -> half -> ... -> 1 (single) -> single and slower: 1 s between batches, doubling to 60 s
 *
 * From any size s the bad job is alone after log2(s) steps, and costs its neighbours no more than that many tries.
 */
#ifndef JOBQ_QUEUE_DEGRADE_H
#define JOBQ_QUEUE_DEGRADE_H

#include <stdbool.h>
#include <stdint.h>

#define DEGRADE_CLEAN 4u
#define DEGRADE_CLEAN_MOST 256u
#define DEGRADE_SLOW_NS INT64_C(1000000000)
#define DEGRADE_SLOW_MOST_NS INT64_C(60000000000)

enum degrade_mode { DEGRADE_NONE, DEGRADE_SPLIT, DEGRADE_SINGLE, DEGRADE_SLOW };

struct degrade {
	uint32_t bound;     /* jobs of a batch; 0 = none: the tuner's size */
	uint32_t from;      /* the size of the batch whose failure began it */
	uint32_t clean, need; /* good batches in a row at the bound; how many take it a step up */
	bool fresh;         /* no good window since the last step up */
	int64_t slow_ns;    /* between batches; 0 = none */
	uint64_t steps_down, steps_up;
};

void degrade_init(struct degrade *d);
uint32_t degrade_size(const struct degrade *d, uint32_t size); /* at most, of a size that the tuner wants */
int64_t degrade_slow_ns(const struct degrade *d);
enum degrade_mode degrade_mode(const struct degrade *d);
const char *degrade_mode_name(enum degrade_mode mode);
/* A batch of `jobs` ended, all of them to be tried again or not. true = the mode or the bound has changed. */
bool degrade_batch(struct degrade *d, uint32_t jobs, bool failed_whole);

#endif

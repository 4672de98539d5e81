/*
 * queue/ladder.c: the sizes that the tuner may try, and what is known of them.
 *
 * Runs in the dispatcher, as a part of queue/tuner.c, whose struct it reads; it writes the rungs when the law is set. Invariant: rungs
 * rise, the first is the least size and the last the largest; scores are compared within one epoch only. Cannot fail.
 */
#include "config.h"

#include "queue/ladder.h"

#include <string.h>

void ladder_build(struct tuner *t)
{
	uint32_t size = t->law.min;
	memset(t->rungs, 0, sizeof t->rungs);
	for (t->nrungs = 0; t->nrungs < TUNER_RUNGS; t->nrungs++) {
		t->rungs[t->nrungs].size = size < t->law.max ? size : t->law.max;
		if (size >= t->law.max) {
			t->nrungs++;
			break;
		}
		uint32_t next = (uint32_t)((double)size * 1.08 + 0.5);
		size = next > size ? next : size + 1;
	}
	t->rungs[t->nrungs - 1].size = t->law.max;
}

uint32_t ladder_rung_of(const struct tuner *t, uint32_t size)
{
	uint32_t i = 0;
	while (i + 1 < t->nrungs && t->rungs[i + 1].size <= size)
		i++;
	return i;
}

uint32_t ladder_top(const struct tuner *t)
{
	uint32_t most = t->wall < t->nrungs ? t->wall : t->nrungs;
	most = most > 0 ? most - 1 : 0;
	return most < t->cap ? most : t->cap;
}

bool ladder_known(const struct tuner *t, uint32_t rung)
{
	return t->rungs[rung].epoch == t->epoch;
}

/* The best measured in this epoch that may be used. */
uint32_t ladder_best(const struct tuner *t)
{
	uint32_t best = t->at <= ladder_top(t) ? t->at : ladder_top(t);
	double score = -1;
	for (uint32_t i = 0; i <= ladder_top(t); i++) {
		double edge = t->law.prefer_small ? LADDER_MARGIN : 1.0;
		if (ladder_known(t, i) && t->rungs[i].score > score * edge) {
			score = t->rungs[i].score;
			best = i;
		}
	}
	return best;
}

/*
 * dispatcher/slice.h: one shared limit on this node: what it may take now and next. For slices.c alone; others hold the handle.
 */
#ifndef JOBQ_DISPATCHER_SLICE_H
#define JOBQ_DISPATCHER_SLICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define SLICES 2                /* the one that runs, and the next */

struct queue;

struct span {
	int64_t from_ns, until_ns, interval_ns, burst_ns;
};

struct slice { /* one limit */
	struct queue *queue;
	char scope;
	const char *name;
	uint32_t word;
	int64_t interval_ns, burst_ns; /* of all nodes together */
	struct span spans[SLICES];
	size_t nspans;
	bool begun;             /* spans[0] is written into the word */
	int64_t covered_ns;     /* until then this node has had a part without a gap */
	int64_t ended_ns;       /* no law since then; 0 = there was none, or one runs */
	bool refill;            /* the next span begins with `kept` units, and not with what it had */
	double kept;
	int64_t used_ns;        /* last wanted */
	double taken;           /* units since it was asked for */
	bool waits;             /* and somebody waited */
	TAILQ_ENTRY(slice) link;
};

void slice_close(struct slice *slice);                     /* nothing may be taken, from now on */
void slice_advance(struct slice *slice, int64_t now_ns);   /* the span that runs now is in the word; those that are over are gone */
int64_t slice_next_ns(const struct slice *slice);          /* when its next span begins, mono; INT64_MAX: none is known */
void slice_alone(struct slice *slice);                     /* new, on a queue that this node has alone: all of it */
void slice_change(struct slice *slice, int64_t interval_ns, int64_t burst_ns); /* another limit, and as large a part of it */
/* The answer for it, asked for at asked_ns. hold: it is alone on the queue, and the grant says nothing; else NULL. */
void slice_grant(struct slice *slice, const json_t *grant, const json_t *hold, int64_t asked_ns, int64_t now_ns);

#endif

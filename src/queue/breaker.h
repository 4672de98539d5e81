/*
 * queue/breaker.h: the gate before a receiver: closed off when it is down, tried by a probe, opened when that comes through.
 *
 * Pure; used by the dispatcher, one a queue; times are mono ns. What counts is a request that failed because of the receiver
 * (no connection, 5xx, timeout), not a job that it found wanting. A failure weighs 1 / batches in flight, so that one outage
 * which fails all of them counts once; BREAKER_COHORTS such rounds in a row, and at least BREAKER_LEAST failures, and it trips:
 *
 *     OPEN --trip--> SHUT (1 s, then doubling to 60 s) --time--> PROBE (one job alone) --success--> OPEN
 *                      ^------------------ failure ------------------'
 *
 * (OPEN: jobs flow.) An answer with Retry-After shuts it until then and does not lengthen the next wait; one that refuses all of us
 * (wrong credentials) shuts it for as long as the handler says, at least, and does. Shut, no job is handed out.
 */
#ifndef JOBQ_QUEUE_BREAKER_H
#define JOBQ_QUEUE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_COHORTS 1.0
#define BREAKER_LEAST 3u
#define BREAKER_FIRST_NS INT64_C(1000000000)
#define BREAKER_MOST_NS INT64_C(60000000000)
#define BREAKER_NEVER INT64_MAX

enum breaker_state { BREAKER_OPEN, BREAKER_SHUT, BREAKER_PROBE };

struct breaker {
	enum breaker_state state;
	double cohorts;      /* failed rounds in a row */
	uint32_t failures;
	bool probing;        /* the probe is out */
	int64_t shut_ns, until_ns, wait_ns; /* shut_ns: when it was shut last; 0 = never */
	uint64_t trips;
};

void breaker_init(struct breaker *b);
/* Each returns true if the state has changed. */
bool breaker_failed(struct breaker *b, uint32_t in_flight, int64_t now_ns);
bool breaker_succeeded(struct breaker *b);
bool breaker_retry_after(struct breaker *b, int64_t until_ns, int64_t now_ns);
bool breaker_refused(struct breaker *b, int64_t least_ns, int64_t now_ns);
/* How many jobs may go now: INT64_MAX, 1 (the probe) or 0. */
int64_t breaker_may(struct breaker *b, int64_t now_ns);
void breaker_probe_sent(struct breaker *b);
void breaker_probe_lost(struct breaker *b);     /* it came back unsent, or its worker died: another may go */
int64_t breaker_next_ns(const struct breaker *b); /* when it will be tried; BREAKER_NEVER */

#endif

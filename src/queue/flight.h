/*
 * queue/flight.h: how much one worker may have in flight: what is configured (batches: `concurrency`; requests of a handler whose
 * batches overlap: `max_connections`), or less while the receiver wants less at a time.
 *
 * Pure; used by the dispatcher, one a queue; times are mono ns. Additive increase, multiplicative decrease (Chiu & Jain 1989), from the
 * configured bound downwards: what is more than the receiver bears is found by its refusals, and not by looking for the highest
 * throughput, which is the tuner's search for a batch size (two searches on one score chase each other):
 *
 *     more than one request in FLIGHT_SHARE refused or failed for now:   now = now * 0.7, at least one less, never below 1
 *     a calm second with every place taken:                              now + 1, to `most`; but one below where it was refused
 *                                                                        last it waits FLIGHT_AGAIN before it tries that again
 *
 * at most one decrease a FLIGHT_HOLD (one overload refuses many), none of the increases within FLIGHT_CALM of it. A receiver that
 * bears c at a time is so held at c - 1 or c, and asked for more twice a minute. `most` 1: nothing to adapt.
 */
#ifndef JOBQ_QUEUE_FLIGHT_H
#define JOBQ_QUEUE_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#define FLIGHT_SHARE 20.0
#define FLIGHT_HOLD_NS INT64_C(1000000000)
#define FLIGHT_CALM_NS INT64_C(2000000000)
#define FLIGHT_AGAIN_NS INT64_C(30000000000)

struct flight {
	uint32_t most, now;  /* of one worker; 1 <= now <= most */
	uint32_t refused_at; /* now, when it was cut last; 0 = never */
	int64_t cut_ns;
	double good, bad;    /* jobs, halved every second */
};

void flight_init(struct flight *f, uint32_t most);
/* A job was refused, or failed for the receiver's sake. true: `now` has become less, or did within FLIGHT_HOLD: that answers it. */
bool flight_refused(struct flight *f, int64_t now_ns);
void flight_good(struct flight *f);
/* busy: every place was taken. true: `now` has become more. */
bool flight_second(struct flight *f, bool busy, int64_t now_ns);

#endif

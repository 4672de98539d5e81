/*
 * queue/rate.h: the rate that a receiver bears today: at most the configured limit, less when it asks for less.
 *
 * Pure; used by the dispatcher, one a queue; times are mono ns. Additive increase, multiplicative decrease (Chiu & Jain 1989: the
 * only linear law under which several senders come to equal shares):
 *
 *     refusals (429):               effective *= 0.7, at most once a RATE_HOLD, for one overload refuses many requests
 *     failures (5xx):               effective *= 0.85, likewise
 *     latency twice its base:       effective *= 0.85, likewise, and once in RATE_LATENCY_SEEN requests
 *     a second without either:      effective += 5% of the ceiling, but 0.5% within 10% of where it was refused last
 *
 * never below the floor, never above the limit; no increase within RATE_CALM of a decrease (hysteresis). A receiver that bears
 * c < limit is so held between 0.7 c and c, near c most of the time: cuts come once in 0.1 c / 0.005 limit seconds. Without a
 * limit the ceiling is what was sent in the second of the first refusals; twice that, and the rate is free again.
 *
 * One request in RATE_SHARE (over some two seconds) may be refused, or fail: a recipient that always is slows nobody. Failures and
 * latency are weaker signs, since they may come for reasons that sending less does not mend: they cut no deeper than RATE_WEAK_FLOOR, and
 * only where there is a rate. Latency is the median of the last RATE_RECENT requests, so that a few that hang (one in twenty, for seconds)
 * are no rise; its base, the average of that over a thousand, takes what lasts for normal.
 */
#ifndef JOBQ_QUEUE_RATE_H
#define JOBQ_QUEUE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_HOLD_NS INT64_C(1000000000)
#define RATE_CALM_NS INT64_C(3000000000)
#define RATE_FLOOR 0.02 /* of the ceiling */
#define RATE_WEAK_FLOOR 0.25
#define RATE_LATENCY_SEEN 16u
#define RATE_SHARE 20
#define RATE_RECENT 32u

struct rate_state {
	double limit;     /* units a second; 0 = none */
	double effective; /* 0 = none */
	double ceiling;   /* limit, or what the first refusal found */
	double refused_at; /* effective when it was refused last; 0 = never */
	int64_t cut_ns, raised_ns;
	int64_t recent_ns[RATE_RECENT]; /* latencies, a ring, */
	int64_t sorted_ns[RATE_RECENT]; /* and the same in order: a sort for each request cost more than all else that is done with one */
	double base_ns;
	uint32_t seen, fresh;      /* requests measured, to a thousand; those since the last cut */
	uint32_t turn;             /* the ring's next place */
	double accepted, refused, failed; /* requests, halved every second */
	int64_t halved_ns;
	uint64_t cuts, raises;
};

void rate_init(struct rate_state *r, double limit_per_s, int64_t now_ns);
void rate_set_limit(struct rate_state *r, double limit_per_s);    /* reload */
void rate_resume(struct rate_state *r, double effective_per_s, int64_t now_ns); /* as a predecessor left it */
void rate_accepted(struct rate_state *r); /* one request */
/* One request. These return true if the effective rate has changed; without a rate, rate_second is the one that makes one. */
bool rate_refused(struct rate_state *r, int64_t now_ns);
bool rate_failed(struct rate_state *r, int64_t now_ns);
bool rate_latency(struct rate_state *r, int64_t took_ns, int64_t now_ns); /* of one request that was accepted */
bool rate_second(struct rate_state *r, int64_t now_ns); /* call it about once a second */
int64_t rate_interval_ns(const struct rate_state *r);   /* ns a unit, rounded up; 0 = no limit */

#endif

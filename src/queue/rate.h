/*
 * queue/rate.h: the rate that a receiver bears today: at most the configured limit, less when it asks for less.
 *
 * Pure; used by the dispatcher, one a queue; times are mono ns. Additive increase, multiplicative decrease (Chiu & Jain 1989: the
 * only linear law under which several senders come to equal shares):
 *
 *     a refusal (429, 503, 5xx):    effective *= 0.7, at most once a RATE_HOLD, for one overload refuses many requests
 *     latency twice its base:       effective *= 0.85, likewise
 *     a second without either:      effective += 5% of the ceiling, but 0.5% from 90% of where it was refused last
 *
 * never below the floor, never above the limit; no increase within RATE_CALM of a decrease (hysteresis). A receiver that bears
 * c < limit is so held between 0.7 c and c, near c most of the time: cuts come once in 0.1 c / 0.005 limit seconds. Without a
 * limit the ceiling is what was being sent when the first refusal came; twice that, and the rate is free again.
 */
#ifndef JOBQ_QUEUE_RATE_H
#define JOBQ_QUEUE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_HOLD_NS INT64_C(1000000000)
#define RATE_CALM_NS INT64_C(3000000000)
#define RATE_FLOOR 0.02 /* of the limit */

struct rate {
	double limit;     /* units a second; 0 = none */
	double effective; /* 0 = none */
	double ceiling;   /* limit, or what the first refusal found */
	double refused_at; /* effective when it was refused last; 0 = never */
	int64_t cut_ns, raised_ns;
	double base_ns, recent_ns; /* latency: a slow and a quick average */
	uint32_t seen;
	uint64_t cuts, raises;
};

void rate_init(struct rate *r, double limit_per_s, int64_t now_ns);
void rate_set_limit(struct rate *r, double limit_per_s); /* reload */
/* sent_per_s: what is being sent now; counts when there is no limit. true = the effective rate has changed. */
bool rate_refused(struct rate *r, double sent_per_s, int64_t now_ns);
bool rate_latency(struct rate *r, int64_t took_ns, double sent_per_s, int64_t now_ns); /* of one request */
bool rate_second(struct rate *r, int64_t now_ns); /* call it about once a second */
int64_t rate_interval_ns(const struct rate *r);   /* ns a unit, rounded up; 0 = no limit */

#endif

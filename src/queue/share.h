/*
 * queue/share.h: what a tenant's turn is worth (deficit round robin, Shreedhar & Varghese 1995), and when an old job of low
 * priority shares its tenant's turn. Pure; the one law of both rings: backlog.c (claims) and buffer.c (hand-out).
 *
 * Weights. A turn adds quantum * weight to the tenant's deficit, and the tenant takes jobs while its deficit lasts; what is
 * left it keeps for its next turn, as long as it has jobs. Over any time in which two tenants have jobs all along, their
 * counts, divided by their weights, differ by less than two turns: the share converges as 1/rounds, whatever the claims' sizes.
 * A guaranteed minimum s: the turn is at least s / (1 - s) of what all the others get in a round, so that s of the jobs are its.
 *
 * Aging. Let p0 be the most urgent priority that a tenant has waiting. A job of priority p is aged when it has been due for
 * aging * (p - p0). Aged priorities share the tenant's turn with p0 in equal parts; the others follow in order with what is
 * left. So the most urgent keep their part of every turn, however old the others are, and after aging * (10 - 1) no
 * job waits behind more urgent ones for more than its part of the turns: none starves.
 */
#ifndef JOBQ_QUEUE_SHARE_H
#define JOBQ_QUEUE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define SHARE_ONE INT64_C(1000)  /* weight 1.0; shares are in thousandths too */
#define SHARE_WEIGHT_MIN 100u    /* a lighter one would need more than ten rounds for one batch */
#define SHARE_WEIGHT_MAX 100000u
#define SHARE_MINIMUM_MAX 900u

struct share {
	uint32_t weight;  /* thousandths; 0 = SHARE_ONE */
	uint32_t minimum; /* thousandths of all jobs while it has some; 0 = none */
};

/* Asked when a tenant becomes known to a ring, and again by *_reshare(). arg: the asker's. */
typedef struct share share_fn(void *arg, const char *tenant);

static inline struct share share_clamped(struct share s)
{
	if (s.weight == 0)
		s.weight = (uint32_t)SHARE_ONE;
	s.weight = s.weight < SHARE_WEIGHT_MIN ? SHARE_WEIGHT_MIN : s.weight > SHARE_WEIGHT_MAX ? SHARE_WEIGHT_MAX : s.weight;
	s.minimum = s.minimum > SHARE_MINIMUM_MAX ? SHARE_MINIMUM_MAX : s.minimum;
	return s;
}

/* A turn, and so a deficit, is in thousandths of a job: light weights must not be rounded. total: the weights of all tenants that
 * take turns, this one included. */
static inline int64_t share_turn(struct share s, int64_t quantum, uint64_t total)
{
	int64_t turn = quantum * (int64_t)s.weight;
	if (s.minimum > 0 && total > s.weight) {
		int64_t others = quantum * (int64_t)(total - s.weight);
		int64_t least = others / (int64_t)(SHARE_ONE - s.minimum) * s.minimum;
		turn = turn > least ? turn : least;
	}
	return turn;
}

/* age: how long it has been due; aging 0 = never. Any unit of time. */
static inline bool share_aged(int priority, int most_urgent, int64_t age, int64_t aging)
{
	return aging > 0 && age / aging >= priority - most_urgent;
}

#endif

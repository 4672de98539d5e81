/*
 * queue/waits.h: how much of its configured waits (batch_timeout and its kin) a queue uses now.
 *
 * Pure; used by the dispatcher, one a queue, once a second. Waits are for company, and are shortened when they cost more than that:
 *
 *     by room:   whole up to WAITS_ROOM percent of the buffer, falling to WAITS_LEAST at 85%, where batches go early anyway
 *     by speed:  halved for each second in which jobs come at throughput_target or more, fewer end, and workers are idle while jobs
 *                wait; doubled for each second in which that is not so
 *
 * The smaller of the two holds. Never longer than configured; a queue with few jobs waits as long as it was told to.
 */
#ifndef JOBQ_QUEUE_WAITS_H
#define JOBQ_QUEUE_WAITS_H

#include <stdbool.h>
#include <stdint.h>

#define WAITS_ROOM 50u
#define WAITS_LEAST (1.0 / 16)

struct waits {
	double speed, scale; /* WAITS_LEAST..1 */
};

struct waits_seen { /* of the last second */
	unsigned use_percent; /* of the buffer */
	double arrived, ended, target; /* jobs; target 0 = none */
	bool idle_beside_waiting;
};

void waits_init(struct waits *w);
bool waits_second(struct waits *w, const struct waits_seen *seen); /* true: the scale has changed */
int64_t waits_ns(const struct waits *w, int64_t configured_ns);

#endif

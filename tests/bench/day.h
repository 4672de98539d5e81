/*
 * tests/bench/day.h: a day of a queue under a virtual clock: arrivals, the claim, the buffer, limits, the tuner and workers on
 * paper. The laws are the daemon's own code (src/queue); only the database and the receiver are played. For the simulator and
 * unit tests. Deterministic: the same configuration and seed give the same day.
 */
#ifndef JOBQ_TESTS_DAY_H
#define JOBQ_TESTS_DAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/sim.h"
#include "queue/backlog.h"
#include "queue/buffer.h"
#include "queue/limits.h"

#define DAY_CLASSES 4     /* priorities 1, 2, 5, 10 */
#define DAY_WEIGHTS 8
#define DAY_BUCKETS 400   /* of waiting times, 5% each from 1 ms */

struct day_conf {
	uint32_t tenants, workers;
	uint64_t jobs;            /* generated ones, at most 4e9 */
	int64_t duration_ns;      /* arrivals stop then; the day ends when all are done, or at window_ns */
	int64_t window_ns;        /* end there, backlog or not; 0 = when all are done */
	bool at_once;             /* all jobs wait at the start */
	double skew;              /* tenant i has jobs as 1 / (i + 1)^skew; 0 = equal */
	double urgent, high, low; /* shares of the jobs; the others are normal */
	uint32_t weights[DAY_WEIGHTS], nweights; /* thousandths; tenant i has weights[i % n] */
	double rate, tenant_rate; /* units a second; 0 = none */
	double tier_rate;         /* shared by all tenants */
	uint32_t limited;         /* tenants 0 .. limited-1 have the tenant rate; 0 = all */
	double burst_s;           /* of the rates */
	struct sim_handler handler;
	struct tuner_law tuner;
	bool adaptive;
	struct buffer_law buffer; /* batch: from the tuner's start */
	int64_t claim_ns;         /* a claim's round trip */
	uint64_t seed;
	FILE *record;             /* lines "seconds,tenant,priority", sorted by time; NULL = generated */
};

struct day_wait { /* of jobs, from due to begun */
	uint64_t count, buckets[DAY_BUCKETS];
	double sum_s, worst_s;
};

struct day_result {
	double end_s;
	uint64_t arrived, done, refused, batches, claims, empty_claims;
	uint32_t most_buffered;
	struct day_wait by_priority[DAY_CLASSES], by_weight[DAY_WEIGHTS];
	uint64_t flushes[FLUSH_REASONS];
	uint64_t *served;         /* by tenant, in the window */
	bool *backlogged;         /* it had waiting jobs all through the window */
	double jain;              /* of served / weight over those; 0 = there were none */
	uint32_t jain_tenants;
	uint64_t most_a_second;   /* sent in any second, by the calendar */
	double rate_used;         /* of the rate, while jobs waited */
	uint32_t last_size;
	double mean_batch;
};

bool day_run(const struct day_conf *conf, struct day_result *out, char *error, size_t error_size);
void day_free(struct day_result *out);
double day_wait_quantile_s(const struct day_wait *wait, double q);

#endif

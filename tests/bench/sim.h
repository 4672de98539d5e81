/*
 * tests/bench/sim.h: handlers that exist on paper, and workers that run them under a virtual clock, for the simulator and the unit
 * tests. Deterministic: the same seed gives the same run.
 */
#ifndef JOBQ_TESTS_SIM_H
#define JOBQ_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/tuner.h"

struct sim_random {
	uint64_t state;
};
uint64_t sim_random(struct sim_random *r);
double sim_uniform(struct sim_random *r); /* [0, 1) */

struct sim_handler {
	int64_t fixed_ns, per_job_ns; /* of a batch: fixed + per job */
	uint32_t step_at;             /* batches above that many jobs take step_ns longer; 0 = none */
	int64_t step_ns;
	uint32_t refuse_at;           /* batches above that many jobs are refused, all of them; 0 = none */
	double noise;                 /* times are multiplied by 1 - noise .. 1 + noise, and one in 50 by 3 */
};
bool sim_handler_parse(struct sim_handler *h, const char *text); /* FIXED_MS+PER_JOB_MS[,step=N:MS][,refuse=N][,noise=F] */
/* How long a batch takes; *refused: its jobs that have to be tried again. */
int64_t sim_run_ns(const struct sim_handler *h, uint32_t jobs, struct sim_random *r, uint32_t *refused);

struct sim_tuning {
	double jobs_per_s;            /* done, over the second half of the time */
	double mean_size;             /* of the batches handed out in it */
	uint32_t last_size;
	int64_t settled_ns;           /* when it settled first; -1 = never */
};
/* `workers` always busy, for that long; fixed > 0: that size, no tuner. t: initialised here, left for a look at its decisions. */
struct sim_tuning sim_tune(struct tuner *t, const struct tuner_law *law, const struct sim_handler *h, unsigned workers,
	int64_t duration_ns, uint32_t fixed, uint64_t seed);
/* The best of all fixed sizes, by expectation: no noise. */
uint32_t sim_best_fixed(const struct tuner_law *law, const struct sim_handler *h, double *jobs_per_s_a_worker);

#endif

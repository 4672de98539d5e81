/*
 * tests/bench/sim.c: handlers on paper and always busy workers; see sim.h. Runs in the simulator and in unit tests. Pure.
 */
#include "config.h"

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WORKERS_MAX 64u

uint64_t sim_random(struct sim_random *r)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = r->state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

double sim_uniform(struct sim_random *r)
{
	return (double)(sim_random(r) >> 11) / (double)(UINT64_C(1) << 53);
}

bool sim_handler_parse(struct sim_handler *h, const char *text)
{
	double fixed, per_job, step_ms;
	int used = 0, n;
	*h = (struct sim_handler){.noise = 0.1};
	if (sscanf(text, "%lf+%lf%n", &fixed, &per_job, &used) != 2)
		return false;
	h->fixed_ns = (int64_t)(fixed * (double)NS_PER_MS);
	h->per_job_ns = (int64_t)(per_job * (double)NS_PER_MS);
	for (text += used; *text == ','; text += n) {
		n = 0;
		if (sscanf(text, ",step=%u:%lf%n", &h->step_at, &step_ms, &n) == 2 && n > 0)
			h->step_ns = (int64_t)(step_ms * (double)NS_PER_MS);
		else if (!(sscanf(text, ",refuse=%u%n", &h->refuse_at, &n) == 1 && n > 0) &&
		         !(sscanf(text, ",noise=%lf%n", &h->noise, &n) == 1 && n > 0))
			return false;
	}
	return *text == '\0';
}

static int64_t expected_ns(const struct sim_handler *h, uint32_t jobs)
{
	if (h->refuse_at > 0 && jobs > h->refuse_at)
		return h->fixed_ns;
	return h->fixed_ns + h->per_job_ns * jobs + (h->step_at > 0 && jobs > h->step_at ? h->step_ns : 0);
}

int64_t sim_run_ns(const struct sim_handler *h, uint32_t jobs, struct sim_random *r, uint32_t *refused)
{
	double factor = 1 - h->noise + 2 * h->noise * sim_uniform(r);
	if (h->noise > 0 && sim_random(r) % 50 == 0)
		factor *= 3;
	*refused = h->refuse_at > 0 && jobs > h->refuse_at ? jobs : 0;
	int64_t run = (int64_t)((double)expected_ns(h, jobs) * factor);
	return run > 0 ? run : 1;
}

struct slot {
	int64_t begun_ns, end_ns;
	uint32_t size, refused;
};

static struct slot hand_out(const struct sim_handler *h, uint32_t size, int64_t now_ns, struct sim_random *r)
{
	struct slot slot = {.begun_ns = now_ns, .size = size};
	slot.end_ns = now_ns + sim_run_ns(h, size, r, &slot.refused);
	return slot;
}

static struct slot *first_end(struct slot *slots, unsigned n)
{
	struct slot *first = slots;
	for (unsigned i = 1; i < n; i++)
		if (slots[i].end_ns < first->end_ns)
			first = &slots[i];
	return first;
}

struct sim_tuning sim_tune(struct tuner *t, const struct tuner_law *law, const struct sim_handler *h, unsigned workers,
	int64_t duration_ns, uint32_t fixed, uint64_t seed)
{
	struct slot slots[WORKERS_MAX];
	struct sim_random r = {seed};
	struct sim_tuning out = {.settled_ns = -1};
	double done = 0, sizes = 0, batches = 0;
	tuner_init(t, law, 0);
	workers = workers < WORKERS_MAX ? workers : WORKERS_MAX;
	for (unsigned i = 0; i < workers; i++)
		slots[i] = hand_out(h, fixed ? fixed : tuner_size(t), 0, &r);
	for (;;) {
		struct slot *slot = first_end(slots, workers);
		int64_t now_ns = slot->end_ns;
		if (now_ns > duration_ns)
			break;
		const struct tuner_sample sample = {.end_ns = now_ns, .run_ns = now_ns - slot->begun_ns, .size = slot->size,
			.jobs = slot->size, .done = slot->size - slot->refused, .refused = slot->refused};
		if (!fixed)
			(void)tuner_sample(t, &sample);
		if (out.settled_ns < 0 && t->phase == TUNER_HOLD)
			out.settled_ns = now_ns;
		if (now_ns > duration_ns / 2) {
			done += sample.done;
			sizes += slot->size;
			batches++;
		}
		*slot = hand_out(h, fixed ? fixed : tuner_size(t), now_ns, &r);
	}
	out.jobs_per_s = done / ((double)duration_ns / 2 / (double)NS_PER_S);
	out.mean_size = batches > 0 ? sizes / batches : 0;
	out.last_size = fixed ? fixed : tuner_size(t);
	return out;
}

uint32_t sim_best_fixed(const struct tuner_law *law, const struct sim_handler *h, double *jobs_per_s_a_worker)
{
	uint32_t best = law->min;
	double most = 0;
	for (uint32_t size = law->min; size <= law->max; size++) {
		int64_t run = expected_ns(h, size);
		if ((h->refuse_at > 0 && size > h->refuse_at) || (law->target_ns > 0 && run > law->target_ns))
			continue;
		double score = (double)size * (double)NS_PER_S / (double)run;
		if (score > most) {
			most = score;
			best = size;
		}
	}
	*jobs_per_s_a_worker = most;
	return best;
}

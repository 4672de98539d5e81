/*
 * tests/bench/simulate.c: a day of a queue in seconds: fairness, waiting times, use of limits, batch sizes.
 *
 *   simulate [options]          a day (or --at-once: a backlog) of many tenants; see --help
 *   simulate --tune             the tuner against the best fixed size, for ten handlers, from both ends
 *   simulate --cost             what an entry costs in the buffer and a row in the claim's plan, on this machine
 *
 * The laws are the daemon's own (src/queue); the database, the receiver and the clock are played (day.c, sim.c).
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/day.h"

enum { OPT_TENANTS = 256, OPT_JOBS, OPT_HOURS, OPT_WINDOW, OPT_AT_ONCE, OPT_SKEW, OPT_WORKERS, OPT_HANDLER, OPT_RATE, OPT_TENANT_RATE,
       OPT_LIMITED, OPT_WEIGHTS, OPT_PRIORITIES, OPT_TIMEOUTS, OPT_BATCH, OPT_FIXED, OPT_BUFFER, OPT_AGING, OPT_SEED, OPT_RECORD,
       OPT_TUNE, OPT_COST, OPT_HELP };

static const struct option options[] = {
	{"tenants", required_argument, NULL, OPT_TENANTS}, {"jobs", required_argument, NULL, OPT_JOBS},
	{"hours", required_argument, NULL, OPT_HOURS}, {"window", required_argument, NULL, OPT_WINDOW},
	{"at-once", no_argument, NULL, OPT_AT_ONCE}, {"skew", required_argument, NULL, OPT_SKEW},
	{"workers", required_argument, NULL, OPT_WORKERS}, {"handler", required_argument, NULL, OPT_HANDLER},
	{"rate", required_argument, NULL, OPT_RATE}, {"tenant-rate", required_argument, NULL, OPT_TENANT_RATE},
	{"limited", required_argument, NULL, OPT_LIMITED}, {"weights", required_argument, NULL, OPT_WEIGHTS},
	{"priorities", required_argument, NULL, OPT_PRIORITIES}, {"timeouts", required_argument, NULL, OPT_TIMEOUTS},
	{"batch", required_argument, NULL, OPT_BATCH}, {"fixed", no_argument, NULL, OPT_FIXED},
	{"buffer", required_argument, NULL, OPT_BUFFER}, {"aging", required_argument, NULL, OPT_AGING},
	{"seed", required_argument, NULL, OPT_SEED}, {"record", required_argument, NULL, OPT_RECORD},
	{"tune", no_argument, NULL, OPT_TUNE}, {"cost", no_argument, NULL, OPT_COST}, {"help", no_argument, NULL, OPT_HELP}, {0}};

static const char help[] =
	"simulate [--tenants 10000] [--jobs 2000000] [--hours 24] [--at-once] [--window SECONDS] [--skew 0.8]\n"
	"         [--workers 5] [--handler FIXED_MS+PER_JOB_MS[,step=N:MS][,refuse=N][,noise=F]]\n"
	"         [--rate UNITS_PER_S] [--tenant-rate UNITS_PER_S] [--limited FIRST_N_TENANTS] [--weights 1:2:4]\n"
	"         [--priorities URGENT:HIGH:LOW (shares)] [--timeouts NORMAL:HIGH:URGENT (s)] [--batch START:MIN:MAX] [--fixed]\n"
	"         [--buffer ENTRIES] [--aging S] [--seed N] [--record FILE (lines: seconds,tenant,priority)]\n"
	"simulate --tune | --cost\n";

static void usage(const char *what)
{
	fprintf(stderr, "simulate: %s\n%s", what, help);
	exit(2);
}

static double number(const char *text)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || value < 0)
		usage("a number is expected");
	return value;
}

static void numbers(const char *text, double *out, size_t min, size_t max, size_t *count)
{
	char *end;
	for (*count = 0; *count < max; text = end + 1) {
		out[(*count)++] = strtod(text, &end);
		if (end == text || (*end != ':' && *end != '\0'))
			break;
		if (*end == '\0' && *count >= min)
			return;
	}
	usage("numbers with colons between are expected");
}

static void set_list(struct day_conf *c, int opt, const char *text)
{
	double v[DAY_WEIGHTS];
	size_t n;
	numbers(text, v, opt == OPT_WEIGHTS ? 1 : 3, opt == OPT_WEIGHTS ? DAY_WEIGHTS : 3, &n);
	if (opt == OPT_WEIGHTS) {
		c->nweights = (uint32_t)n;
		for (size_t i = 0; i < n; i++)
			c->weights[i] = (uint32_t)(v[i] * 1000);
	} else if (opt == OPT_PRIORITIES) {
		c->urgent = v[0], c->high = v[1], c->low = v[2];
	} else if (opt == OPT_TIMEOUTS) {
		for (size_t i = 0; i < 3; i++)
			c->buffer.timeout_ns[i] = (int64_t)(v[i] * (double)NS_PER_S);
	} else {
		c->tuner.start = (uint32_t)v[0], c->tuner.min = (uint32_t)v[1], c->tuner.max = (uint32_t)v[2];
	}
}

static void set(struct day_conf *c, int opt, const char *text)
{
	switch (opt) {
	case OPT_TENANTS: c->tenants = (uint32_t)number(text); break;
	case OPT_JOBS: c->jobs = (uint64_t)number(text); break;
	case OPT_HOURS: c->duration_ns = (int64_t)(number(text) * 3600 * (double)NS_PER_S); break;
	case OPT_WINDOW: c->window_ns = (int64_t)(number(text) * (double)NS_PER_S); break;
	case OPT_AT_ONCE: c->at_once = true; break;
	case OPT_SKEW: c->skew = number(text); break;
	case OPT_WORKERS: c->workers = (uint32_t)number(text); break;
	case OPT_RATE: c->rate = number(text); break;
	case OPT_TENANT_RATE: c->tenant_rate = number(text); break;
	case OPT_LIMITED: c->limited = (uint32_t)number(text); break;
	case OPT_FIXED: c->adaptive = false; break;
	case OPT_BUFFER: c->buffer.max_entries = (size_t)number(text); break;
	case OPT_AGING: c->buffer.aging_ns = (int64_t)(number(text) * (double)NS_PER_S); break;
	case OPT_SEED: c->seed = (uint64_t)number(text); break;
	case OPT_HANDLER:
		if (!sim_handler_parse(&c->handler, text))
			usage("the handler is not understood");
		break;
	case OPT_RECORD:
		c->record = fopen(text, "r");
		if (!c->record)
			usage("the record cannot be read");
		break;
	default: set_list(c, opt, text); break;
	}
}

/* ---- a day ---- */

static void print_wait(const char *what, const struct day_wait *wait)
{
	if (wait->count > 0)
		printf("  %-12s %10" PRIu64 " jobs  mean %10.3f s  p50 %10.3f  p95 %10.3f  p99 %10.3f  worst %10.3f\n", what, wait->count,
		       wait->sum_s / (double)wait->count, day_wait_quantile_s(wait, 0.5), day_wait_quantile_s(wait, 0.95),
		       day_wait_quantile_s(wait, 0.99), wait->worst_s);
}

static void print_shares(const struct day_conf *c, const struct day_result *out)
{
	double sums[DAY_WEIGHTS] = {0}, tenants[DAY_WEIGHTS] = {0};
	if (out->jain_tenants == 0)
		return;
	printf("fairness: Jain's index of jobs served by weight %.4f, over the %u tenants backlogged all the time\n", out->jain, out->jain_tenants);
	for (uint32_t i = 0; i < c->tenants && c->nweights > 0; i++) {
		if (!out->backlogged[i])
			continue;
		sums[i % c->nweights] += (double)out->served[i];
		tenants[i % c->nweights]++;
	}
	for (uint32_t w = 0; w < c->nweights; w++)
		if (tenants[w] > 0 && sums[0] > 0)
			printf("  weight %-6.3f %10.1f jobs a tenant, %.3f times the first\n", c->weights[w] / 1000.0, sums[w] / tenants[w],
			       sums[w] / tenants[w] / (sums[0] / tenants[0]));
}

static void print_day(const struct day_conf *c, const struct day_result *out, double took_s)
{
	static const char *const names[DAY_CLASSES] = {"urgent", "high", "normal", "low"};
	char name[32];
	printf("a day of %.0f s: %" PRIu64 " jobs arrived, %" PRIu64 " done, %" PRIu64 " refused, simulated in %.1f s (%.2f us a job)\n", out->end_s,
	       out->arrived, out->done, out->refused, took_s, took_s * 1e6 / (double)(out->done + out->refused + 1));
	printf("batches: %" PRIu64 ", %.1f jobs each; size at the end %u; claims: %" PRIu64 ", lanes asked in vain %" PRIu64 "; most buffered %u of %zu\n",
	       out->batches, out->mean_batch, out->last_size, out->claims, out->empty_claims, out->most_buffered, c->buffer.max_entries);
	printf("flushes:");
	for (int i = 0; i < FLUSH_REASONS; i++)
		printf(" %s %" PRIu64, flush_reason_name((enum flush_reason)i), out->flushes[i]);
	printf("\nwaiting, from due to begun:\n");
	for (int i = 0; i < DAY_CLASSES; i++)
		print_wait(names[i], &out->by_priority[i]);
	for (uint32_t w = 0; w < c->nweights; w++) {
		snprintf(name, sizeof name, "weight %.3g", c->weights[w] / 1000.0);
		print_wait(name, &out->by_weight[w]);
	}
	print_shares(c, out);
	if (c->rate > 0)
		printf("limit: %.1f/s; most in one second %" PRIu64 "; used %.1f%% while jobs waited\n", c->rate, out->most_a_second, 100 * out->rate_used);
}

/* ---- the tuner ---- */

static void tune(void)
{
	static const char *const handlers[] = {"100+5", "200+50", "500+100", "50+2,step=30:300", "50+2,step=12:300", "300+10,step=20:900",
		"50+2,refuse=20", "200+10,refuse=41", "20+1,refuse=7", "100+10,step=30:500,noise=0"};
	printf("%-28s %6s | %5s %9s | %6s %6s %9s %7s %9s\n", "handler (ms a batch + a job)", "start", "best", "jobs/s", "found", "mean", "jobs/s", "ratio", "settled s");
	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		for (uint32_t start = 5; start <= 50; start += 45) {
			const struct tuner_law law = {.start = start, .min = 5, .max = 50, .target_ns = 2 * NS_PER_S};
			struct sim_handler h;
			struct tuner t;
			double rate;
			if (!sim_handler_parse(&h, handlers[i]))
				continue;
			uint32_t best = sim_best_fixed(&law, &h, &rate);
			struct sim_tuning fixed = sim_tune(&t, &law, &h, 5, 600 * NS_PER_S, best, 1), found = sim_tune(&t, &law, &h, 5, 600 * NS_PER_S, 0, 1);
			printf("%-28s %6u | %5u %9.1f | %6u %6.1f %9.1f %7.3f %9.2f\n", handlers[i], start, best, fixed.jobs_per_s, found.last_size,
			       found.mean_size, found.jobs_per_s, found.jobs_per_s / fixed.jobs_per_s, (double)found.settled_ns / (double)NS_PER_S);
		}
}

/* ---- costs ---- */

enum { COST_ENTRIES = 1000, COST_TENANTS = 1000, COST_ROUNDS = 2000 };

static void cost_of(const char *what, const struct buffer_law *law)
{
	static struct buffer_item items[COST_ENTRIES], *out[COST_ENTRIES];
	static char names[COST_TENANTS][16];
	struct buffer b;
	struct buffer_flush flush;
	int64_t added = 0, taken = 0;
	buffer_init(&b);
	buffer_set_law(&b, law, 1);
	for (int i = 0; i < COST_TENANTS; i++)
		snprintf(names[i], sizeof names[i], "tenant-%d", i);
	for (int round = 1; round <= COST_ROUNDS; round++) {
		int64_t start = clock_mono_ns();
		for (int i = 0; i < COST_ENTRIES; i++) {
			items[i] = (struct buffer_item){.bytes = 500, .priority = 5};
			buffer_add(&b, names[(i * 7 + round) % COST_TENANTS], &items[i], false, round);
		}
		int64_t middle = clock_mono_ns();
		while (buffer_take(&b, COST_ENTRIES, round + 1000, out, &flush) > 0)
			;
		added += middle - start;
		taken += clock_mono_ns() - middle;
	}
	printf("%-32s to queue an entry %6.1f ns, to take it out in a batch %6.1f ns\n", what,
	       (double)added / COST_ENTRIES / COST_ROUNDS, (double)taken / COST_ENTRIES / COST_ROUNDS);
	buffer_free(&b);
}

static void cost(void)
{
	cost_of("1,000 tenants, nothing waits", &(struct buffer_law){.batch = 25, .max_entries = COST_ENTRIES});
	cost_of("1,000 tenants, all wait", &(struct buffer_law){.batch = 25, .max_entries = 2 * COST_ENTRIES, .timeout_ns = {900, 300, 100}});
	cost_of("mixed batches, nothing waits", &(struct buffer_law){.batch = 25, .mixed = true, .max_entries = COST_ENTRIES});
	cost_of("mixed batches, they wait", &(struct buffer_law){.batch = 25, .mixed = true, .timeout_ns = {900, 300, 100}});
}

int main(int argc, char **argv)
{
	struct day_conf c = {.tenants = 10000, .jobs = 2000000, .duration_ns = 86400 * NS_PER_S, .skew = 0.8, .urgent = 0.02, .high = 0.08,
		.low = 0.2, .workers = 5, .handler = {.fixed_ns = 20 * NS_PER_MS, .per_job_ns = NS_PER_MS, .noise = 0.1}, .adaptive = true,
		.burst_s = 0.1, .tuner = {.start = 25, .min = 5, .max = 50, .target_ns = 2 * NS_PER_S}, .claim_ns = 3 * NS_PER_MS, .seed = 1,
		.buffer = {.max_entries = 1000, .max_bytes = 16 << 20, .max_age_ns = 3600 * NS_PER_S, .aging_ns = 600 * NS_PER_S}};
	struct day_result out;
	char error[128];
	int opt;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_HELP || opt == OPT_TUNE || opt == OPT_COST) {
			if (opt == OPT_HELP)
				fputs(help, stdout);
			else if (opt == OPT_TUNE)
				tune();
			else
				cost();
			return 0;
		}
		if (opt == '?')
			usage("an option is not known");
		set(&c, opt, optarg);
	}
	int64_t start = clock_mono_ns();
	if (!day_run(&c, &out, error, sizeof error))
		usage(error);
	print_day(&c, &out, (double)(clock_mono_ns() - start) / (double)NS_PER_S);
	day_free(&out);
	if (c.record)
		fclose(c.record);
	return 0;
}

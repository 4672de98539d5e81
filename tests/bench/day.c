/*
 * tests/bench/day.c: the events of a day; see day.h. Pure apart from reading the record. Rows of the played database lie in one
 * queue a lane; claimed jobs are allocated and freed as they go.
 */
#include "config.h"

#include "day.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/gcra.h"

#define BATCH_MOST 1024u
#define WORKERS_MOST 256u
#define NEVER INT64_MAX
#define RETRY_NS NS_PER_S

static const int priorities[DAY_CLASSES] = {1, 2, 5, 10};

struct rows { /* due times of one lane's waiting rows, oldest first */
	int64_t *due_ns;
	size_t head, len, cap;
};

struct entry { /* a claimed job */
	struct buffer_item item;
	uint32_t tenant;
	uint8_t class;
};

struct crew { /* one worker */
	struct entry *jobs[BATCH_MOST];
	uint32_t n, refused, size;
	int64_t begun_ns, end_ns; /* NEVER = idle */
};

struct day {
	const struct day_conf *conf;
	struct day_result *out;
	struct backlog backlog;
	struct buffer buffer;
	struct limits limits;
	struct tuner tuner;
	struct rows *rows;        /* [tenant * DAY_CLASSES + class] */
	uint64_t *waiting;        /* by tenant: rows and buffered */
	char (*names)[16];
	double *cumulative;       /* of the tenants' shares */
	struct crew crew[WORKERS_MOST];
	struct sim_random random;
	struct ask asks[BACKLOG_ASKS];
	size_t nasks;
	int64_t now_ns, arrival_ns, claim_ends_ns, limited_ns;
	uint32_t next_tenant;
	uint8_t next_class;
	uint64_t generated, waiting_all;
	int64_t second, waited_from_ns, waited_ns;
	uint64_t sent_in_second, sent_while_waiting;
};

/* ---- rows ---- */

static void rows_push(struct rows *rows, int64_t due_ns)
{
	if (rows->head + rows->len == rows->cap) {
		if (rows->head > 0)
			memmove(rows->due_ns, rows->due_ns + rows->head, rows->len * sizeof *rows->due_ns);
		rows->head = 0;
		if (rows->len * 2 > rows->cap || rows->cap == 0) {
			rows->cap = rows->cap ? rows->cap * 2 : 4;
			rows->due_ns = xreallocarray(rows->due_ns, rows->cap, sizeof *rows->due_ns);
		}
	}
	rows->due_ns[rows->head + rows->len++] = due_ns;
}

static int64_t rows_pop(struct rows *rows)
{
	rows->len--;
	return rows->due_ns[rows->head++];
}

static void arrive(struct day *day, uint32_t tenant, uint8_t class, int64_t due_ns)
{
	struct lane *lane = backlog_lane(&day->backlog, day->names[tenant], priorities[class]);
	rows_push(&day->rows[tenant * DAY_CLASSES + class], due_ns);
	backlog_arrived(&day->backlog, lane, 1, due_ns / NS_PER_US, day->now_ns / NS_PER_US);
	if (day->waiting_all++ == 0)
		day->waited_from_ns = day->now_ns;
	day->waiting[tenant]++;
}

/* ---- arrivals ---- */

static bool next_record(struct day *day)
{
	double seconds;
	unsigned tenant;
	int priority;
	if (fscanf(day->conf->record, " %lf , %u , %d", &seconds, &tenant, &priority) != 3)
		return false;
	day->arrival_ns = (int64_t)(seconds * (double)NS_PER_S);
	day->next_tenant = tenant % day->conf->tenants;
	day->next_class = priority <= 1 ? 0 : priority <= 2 ? 1 : priority <= 5 ? 2 : 3;
	return true;
}

static uint32_t pick_tenant(struct day *day)
{
	double u = sim_uniform(&day->random) * day->cumulative[day->conf->tenants - 1];
	uint32_t low = 0, high = day->conf->tenants - 1;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (day->cumulative[middle] < u)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Poisson, at a rate that swings over the day: least at its ends, most (1.8 of the mean) in its middle. */
static bool next_generated(struct day *day)
{
	const struct day_conf *c = day->conf;
	if (day->generated == c->jobs)
		return false;
	day->generated++;
	double u = sim_uniform(&day->random);
	day->next_class = u < c->urgent ? 0 : u < c->urgent + c->high ? 1 : u < c->urgent + c->high + c->low ? 3 : 2;
	day->next_tenant = c->at_once && c->skew <= 0 ? (uint32_t)(day->generated % c->tenants) : pick_tenant(day);
	if (c->at_once)
		return true;
	double at = (double)day->arrival_ns / (double)c->duration_ns;
	double mean = (double)c->duration_ns / (double)c->jobs, swing = 1 - 0.8 * cos(2 * M_PI * at);
	day->arrival_ns += (int64_t)(-log(1 - sim_uniform(&day->random)) * mean / swing) + 1;
	return true;
}

static void next_arrival(struct day *day)
{
	if (!(day->conf->record ? next_record(day) : next_generated(day)))
		day->arrival_ns = NEVER;
}

/* ---- claims ---- */

static int64_t grant(void *arg, const char *tenant, int64_t want, int64_t *until_us)
{
	struct day *day = arg;
	int64_t until_ns;
	if (want < 0) {
		limits_unreserve(&day->limits, tenant, -want);
		return 0;
	}
	int64_t n = limits_reserve(&day->limits, tenant, want, day->now_ns, &until_ns);
	*until_us = until_ns == LIMITS_NEVER ? BACKLOG_NEVER : until_ns / NS_PER_US + 1;
	return n;
}

static void answer_ask(struct day *day, const struct ask *ask)
{
	uint32_t tenant = (uint32_t)strtoul(ask->lane->tenant->name + 1, NULL, 10);
	uint8_t class = 0;
	while (priorities[class] != ask->lane->priority)
		class++;
	struct rows *rows = &day->rows[tenant * DAY_CLASSES + class];
	int64_t got = 0, last_us = 0;
	for (; got < ask->n && rows->len > 0; got++) {
		struct entry *entry = xcalloc(1, sizeof *entry);
		entry->tenant = tenant;
		entry->class = class;
		entry->item.due_ns = rows_pop(rows);
		entry->item.priority = (uint8_t)priorities[class];
		entry->item.bytes = 500;
		last_us = entry->item.due_ns / NS_PER_US;
		buffer_add(&day->buffer, day->names[tenant], &entry->item, false, day->now_ns);
	}
	backlog_claimed(&day->backlog, ask, got, last_us, 0, day->now_ns / NS_PER_US);
	day->out->empty_claims += got == 0;
}

static void claim_ends(struct day *day)
{
	struct lane *lanes[64];
	day->claim_ends_ns = NEVER;
	for (size_t i = 0; i < day->nasks; i++)
		answer_ask(day, &day->asks[i]);
	if (day->buffer.entries > day->out->most_buffered)
		day->out->most_buffered = (uint32_t)day->buffer.entries;
	size_t n = backlog_checks(&day->backlog, day->now_ns, lanes, 64);
	for (size_t i = 0; i < n; i++) {
		uint32_t tenant = (uint32_t)strtoul(lanes[i]->tenant->name + 1, NULL, 10);
		uint8_t class = 0;
		while (priorities[class] != lanes[i]->priority)
			class++;
		const struct rows *rows = &day->rows[tenant * DAY_CLASSES + class];
		backlog_checked(&day->backlog, lanes[i], rows->len ? rows->due_ns[rows->head] / NS_PER_US : BACKLOG_NEVER,
		                backlog_serial(&day->backlog), day->now_ns / NS_PER_US, day->now_ns);
	}
}

static void claim(struct day *day)
{
	size_t size = tuner_size(&day->tuner), ready = 2 * size * day->conf->workers;
	if (day->conf->rate > 0 && (double)ready > day->conf->rate)
		ready = (size_t)day->conf->rate + 1;
	size_t room = buffer_room(&day->buffer, ready < 1000 ? ready : 1000);
	room = (size_t)limits_room(&day->limits, (int64_t)room, day->now_ns, &day->limited_ns);
	if (day->claim_ends_ns != NEVER || room == 0 || (room < size && day->buffer.released > size))
		return;
	day->nasks = backlog_plan(&day->backlog, day->now_ns / NS_PER_US, (int64_t)room, (int64_t)size, day->asks);
	if (day->nasks == 0)
		return;
	day->out->claims++;
	day->claim_ends_ns = day->now_ns + day->conf->claim_ns;
}

/* ---- workers ---- */

static void note_wait(struct day_wait *wait, double seconds)
{
	double bucket = seconds > 0.001 ? log(seconds / 0.001) / log(1.05) : 0;
	wait->buckets[bucket < DAY_BUCKETS - 1 ? (size_t)bucket : DAY_BUCKETS - 1]++;
	wait->count++;
	wait->sum_s += seconds;
	wait->worst_s = seconds > wait->worst_s ? seconds : wait->worst_s;
}

static void note_sent(struct day *day, int64_t at_ns)
{
	if (at_ns / NS_PER_S > day->second) {
		day->second = at_ns / NS_PER_S;
		day->sent_in_second = 0;
	}
	day->sent_in_second++;
	if (day->sent_in_second > day->out->most_a_second)
		day->out->most_a_second = day->sent_in_second;
}

/* A token of the queue and of the tenant for each job, as the worker takes them: returns when the last was taken. */
static int64_t take_tokens(struct day *day, const struct crew *crew)
{
	int64_t at = day->now_ns;
	for (uint32_t i = 0; i < crew->n; i++) {
		const char *name = day->names[crew->jobs[i]->tenant];
		const struct limit_bucket *queue = &day->limits.queue;
		struct limit_tenant *tenant;
		HASH_FIND_STR(day->limits.tenants, name, tenant);
		at += gcra_wait(queue->tat_ns, at, queue->interval_ns, queue->burst_ns, 1);
		if (tenant && tenant->tier)
			at += gcra_wait(tenant->tier->bucket.tat_ns, at, tenant->tier->bucket.interval_ns, tenant->tier->bucket.burst_ns, 1);
		if (tenant)
			at += gcra_wait(tenant->bucket.tat_ns, at, tenant->bucket.interval_ns, tenant->bucket.burst_ns, 1);
		if (tenant)
			limits_sent(&day->limits, tenant, 1, at);
		note_sent(day, at);
	}
	return at;
}

static void begin(struct day *day, struct crew *crew, struct buffer_item *const *items, size_t n)
{
	crew->n = (uint32_t)n;
	crew->size = tuner_size(&day->tuner);
	crew->begun_ns = day->now_ns;
	for (size_t i = 0; i < n; i++) {
		struct entry *entry = HEAP_OWNER(items[i], struct entry, item);
		double waited = (double)(day->now_ns - entry->item.due_ns) / (double)NS_PER_S;
		crew->jobs[i] = entry;
		note_wait(&day->out->by_priority[entry->class], waited);
		note_wait(&day->out->by_weight[day->conf->nweights ? entry->tenant % day->conf->nweights : 0], waited);
	}
	int64_t sent = take_tokens(day, crew), run = sim_run_ns(&day->conf->handler, crew->n, &day->random, &crew->refused);
	crew->end_ns = sent + run;
	day->out->batches++;
}

static void ended(struct day *day, struct crew *crew)
{
	const struct tuner_sample sample = {.end_ns = day->now_ns, .run_ns = day->now_ns - crew->begun_ns,
		.size = crew->n < crew->size ? crew->n : crew->size, .jobs = crew->n, .done = crew->n - crew->refused, .refused = crew->refused};
	if (day->conf->adaptive && tuner_sample(&day->tuner, &sample))
		buffer_set_batch(&day->buffer, tuner_size(&day->tuner), day->now_ns);
	crew->end_ns = NEVER;
	for (uint32_t i = 0; i < crew->n; i++) {
		struct entry *entry = crew->jobs[i];
		if (limits_ended(limits_tenant(&day->limits, day->names[entry->tenant], day->now_ns)))
			backlog_bar_until(&day->backlog, day->names[entry->tenant], 0, day->now_ns / NS_PER_US);
		day->waiting[entry->tenant]--;
		if (--day->waiting_all == 0)
			day->waited_ns += day->now_ns - day->waited_from_ns;
		if (crew->refused > 0) {
			arrive(day, entry->tenant, entry->class, day->now_ns + RETRY_NS);
			day->out->refused++;
		} else {
			day->out->done++;
			day->out->served[entry->tenant]++;
			day->out->backlogged[entry->tenant] = day->out->backlogged[entry->tenant] && day->waiting[entry->tenant] > 0;
		}
		free(entry);
	}
}

static void hand_out(struct day *day)
{
	struct buffer_item *items[BATCH_MOST];
	struct buffer_flush flush;
	for (uint32_t w = 0; w < day->conf->workers; w++) {
		if (day->crew[w].end_ns != NEVER)
			continue;
		size_t n = buffer_take(&day->buffer, BATCH_MOST, day->now_ns, items, &flush);
		if (n == 0)
			return;
		begin(day, &day->crew[w], items, n);
	}
}

/* ---- the day ---- */

static bool someone_idle(const struct day *day)
{
	for (uint32_t w = 0; w < day->conf->workers; w++)
		if (day->crew[w].end_ns == NEVER)
			return true;
	return false;
}

static int64_t next_event(const struct day *day)
{
	int64_t next = day->arrival_ns < day->claim_ends_ns ? day->arrival_ns : day->claim_ends_ns;
	int64_t due_us = backlog_next_due(&day->backlog), flush_ns = buffer_due_ns(&day->buffer);
	for (uint32_t w = 0; w < day->conf->workers; w++)
		next = day->crew[w].end_ns < next ? day->crew[w].end_ns : next;
	if (due_us != BACKLOG_NEVER && due_us > day->now_ns / NS_PER_US && due_us * NS_PER_US < next)
		next = due_us * NS_PER_US;
	if (day->limited_ns > day->now_ns && day->limited_ns < next)
		next = day->limited_ns;
	if (someone_idle(day) && flush_ns > day->now_ns && flush_ns < next)
		next = flush_ns;
	return next;
}

static void step(struct day *day)
{
	while (day->arrival_ns <= day->now_ns) {
		arrive(day, day->next_tenant, day->next_class, day->arrival_ns);
		day->out->arrived++;
		next_arrival(day);
	}
	for (uint32_t w = 0; w < day->conf->workers; w++)
		if (day->crew[w].end_ns <= day->now_ns)
			ended(day, &day->crew[w]);
	if (day->claim_ends_ns <= day->now_ns)
		claim_ends(day);
	hand_out(day);
	claim(day);
}

static struct share share_of(void *arg, const char *name)
{
	const struct day_conf *c = arg;
	return (struct share){.weight = c->nweights ? c->weights[strtoul(name + 1, NULL, 10) % c->nweights] : 0};
}

static void limits_of(void *arg, const char *name, struct limits_of *out)
{
	const struct day_conf *c = arg;
	if (c->tier_rate > 0) {
		memcpy(out->tier, "all", sizeof "all");
		out->tier_interval_ns = (int64_t)((double)NS_PER_S / c->tier_rate);
		out->tier_burst_ns = (int64_t)(c->burst_s * (double)NS_PER_S);
	}
	if (c->tenant_rate <= 0 || (c->limited > 0 && strtoul(name + 1, NULL, 10) >= c->limited))
		return;
	out->interval_ns = (int64_t)((double)NS_PER_S / c->tenant_rate);
	out->burst_ns = (int64_t)(c->burst_s * (double)NS_PER_S);
}

static void open_day(struct day *day)
{
	const struct day_conf *c = day->conf;
	struct buffer_law law = c->buffer;
	day->rows = xcalloc((size_t)c->tenants * DAY_CLASSES, sizeof *day->rows);
	day->waiting = xcalloc(c->tenants, sizeof *day->waiting);
	day->names = xcalloc(c->tenants, sizeof *day->names);
	day->cumulative = xcalloc(c->tenants, sizeof *day->cumulative);
	day->out->served = xcalloc(c->tenants, sizeof *day->out->served);
	day->out->backlogged = xcalloc(c->tenants, sizeof *day->out->backlogged);
	for (uint32_t i = 0; i < c->tenants; i++) {
		snprintf(day->names[i], sizeof day->names[i], "t%u", i);
		day->cumulative[i] = (i ? day->cumulative[i - 1] : 0) + pow((double)i + 1, -c->skew);
		day->out->backlogged[i] = true;
	}
	day->random.state = c->seed;
	tuner_init(&day->tuner, &c->tuner, 0);
	backlog_init(&day->backlog);
	buffer_init(&day->buffer);
	limits_init(&day->limits, limits_of, (void *)(uintptr_t)c);
	law.batch = tuner_size(&day->tuner);
	buffer_set_law(&day->buffer, &law, 0);
	backlog_set_aging(&day->backlog, law.aging_ns / NS_PER_US);
	backlog_set_shares(&day->backlog, share_of, (void *)(uintptr_t)c);
	buffer_set_shares(&day->buffer, share_of, (void *)(uintptr_t)c);
	backlog_set_grant(&day->backlog, grant, day);
	if (c->rate > 0)
		limits_set_bucket(&day->limits.queue, (int64_t)((double)NS_PER_S / c->rate + 0.999999), (int64_t)(c->burst_s * (double)NS_PER_S), 0);
	for (uint32_t w = 0; w < c->workers; w++)
		day->crew[w].end_ns = NEVER;
	day->claim_ends_ns = NEVER;
	next_arrival(day);
}

static void add_up(struct day *day)
{
	struct day_result *out = day->out;
	const struct day_conf *c = day->conf;
	double sum = 0, squares = 0;
	for (uint32_t i = 0; i < c->tenants; i++) {
		double share = (double)out->served[i] / (c->nweights ? c->weights[i % c->nweights] : 1);
		if (!out->backlogged[i] || day->waiting[i] == 0)
			continue;
		out->jain_tenants++;
		sum += share;
		squares += share * share;
	}
	out->jain = squares > 0 ? sum * sum / out->jain_tenants / squares : 0;
	out->end_s = (double)day->now_ns / (double)NS_PER_S;
	if (day->waiting_all > 0)
		day->waited_ns += day->now_ns - day->waited_from_ns;
	if (c->rate > 0 && day->waited_ns > 0)
		out->rate_used = (double)(out->done + out->refused) / (c->rate * (double)day->waited_ns / (double)NS_PER_S);
	memcpy(out->flushes, day->buffer.flushes, sizeof out->flushes);
	out->last_size = tuner_size(&day->tuner);
	out->mean_batch = out->batches ? (double)(out->done + out->refused) / (double)out->batches : 0;
}

static void close_day(struct day *day)
{
	struct buffer_item *items[64];
	size_t n;
	for (uint32_t w = 0; w < day->conf->workers; w++)
		for (uint32_t i = 0; day->crew[w].end_ns != NEVER && i < day->crew[w].n; i++)
			free(day->crew[w].jobs[i]);
	while ((n = buffer_drain(&day->buffer, 64, day->now_ns, items)) > 0)
		for (size_t i = 0; i < n; i++)
			free(HEAP_OWNER(items[i], struct entry, item));
	for (size_t i = 0; i < (size_t)day->conf->tenants * DAY_CLASSES; i++)
		free(day->rows[i].due_ns);
	backlog_free(&day->backlog);
	buffer_free(&day->buffer);
	limits_free(&day->limits);
	free(day->rows);
	free(day->waiting);
	free(day->names);
	free(day->cumulative);
	free(day);
}

bool day_run(const struct day_conf *conf, struct day_result *out, char *error, size_t error_size)
{
	memset(out, 0, sizeof *out);
	if (conf->tenants == 0 || conf->workers == 0 || conf->workers > WORKERS_MOST || conf->tuner.max > BATCH_MOST || conf->duration_ns <= 0) {
		snprintf(error, error_size, "at least one tenant, 1 to %u workers, batches of at most %u, and some time", WORKERS_MOST, BATCH_MOST);
		return false;
	}
	struct day *day = xcalloc(1, sizeof *day);
	day->conf = conf;
	day->out = out;
	open_day(day);
	for (int64_t next = 0; next != NEVER; next = next_event(day)) {
		if (conf->window_ns > 0 && next > conf->window_ns)
			break;
		day->now_ns = next;
		step(day);
	}
	add_up(day);
	close_day(day);
	return true;
}

void day_free(struct day_result *out)
{
	free(out->served);
	free(out->backlogged);
}

double day_wait_quantile_s(const struct day_wait *wait, double q)
{
	double rank = q * (double)wait->count;
	uint64_t below = 0;
	for (size_t i = 0; i < DAY_BUCKETS; i++) {
		below += wait->buckets[i];
		if ((double)below >= rank)
			return 0.001 * pow(1.05, (double)i + 1);
	}
	return wait->worst_s;
}

/*
 * dispatcher/lanes.c: what waits in the database, told to each queue's backlog.
 *
 * Runs in the dispatcher. Three questions: a scan of all lanes over the lane index (a skip scan, its cost goes with the number of
 * lanes, not of rows), a poll of what arrived behind an id, and the heads of lanes after short claims. Scan and heads read
 * lanes from their start, over whatever dead rows a pinned xmin keeps there: each uses at most a hundredth of the time, on the
 * ADMIN link, so that no claim waits for it. Answers are
 * hints with a serial, so one that is older than what we know changes nothing.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"

#define SCAN_EVERY_NS (10 * NS_PER_S)
#define SCAN_BUSY_NS NS_PER_S  /* while polling, late commits are found by the scan alone */
#define SCAN_SHARE 100         /* at most a hundredth of the time */
#define CHECKS_MAX 200
#define POLL_ROWS 10000        /* in one poll: some 15 ms of the link that claims use */

static void complain(const char *what, const struct pg_result *result)
{
	if (result->status != PG_LOST)
		log_error("%s failed: %s (%s)", what, result->error, result->sqlstate);
}

static int64_t us_or_never(const PGresult *res, int row, int col)
{
	return pg_get_isnull(res, row, col) ? BACKLOG_NEVER : pg_get_timestamp_us(res, row, col);
}

/* ---- the scan ---- */

struct scan {
	struct dispatcher *d;
	int64_t sent_ns;
	size_t n;
	uint64_t serials[]; /* of each queue's backlog when it was sent */
};

static void scan_row(struct scan *scan, const PGresult *res, int row)
{
	struct dispatcher *d = scan->d;
	struct queue *queue = dispatcher_queue(d, pg_get_text(res, row, 0, NULL));
	if (!queue || !queue->conf)
		return;
	const char *tenant = pg_get_text(res, row, 1, NULL);
	int priority = pg_get_int2(res, row, 2);
	bool is_new = !backlog_find(&queue->backlog, tenant, priority);
	struct lane *lane = backlog_lane(&queue->backlog, tenant, priority);
	uint64_t serial = is_new ? lane->touched : scan->serials[queue - d->queues];
	backlog_checked(&queue->backlog, lane, us_or_never(res, row, 3), serial, dispatcher_db_now_us(d), clock_mono_ns());
}

static void scan_answer(void *arg, const struct pg_result *result)
{
	struct scan *scan = arg;
	struct dispatcher *d = scan->d;
	d->scanning = false;
	int64_t now = clock_mono_ns();
	int64_t every = d->wake.state == WAKE_POLLING ? SCAN_BUSY_NS : SCAN_EVERY_NS;
	int64_t cost = (now - scan->sent_ns) * SCAN_SHARE;
	d->next_scan_ns = now + (cost > every ? cost : every);
	if (result->status == PG_OK) {
		for (int row = 0; row < PQntuples(result->res); row++)
			scan_row(scan, result->res, row);
		for (size_t i = 0; i < scan->n; i++)
			backlog_sweep(&d->queues[i].backlog, scan->serials[i]);
		d->scanned = true;
	} else {
		complain("the scan of lanes", result);
		d->next_scan_ns = now + NS_PER_S;
	}
	free(scan);
	dispatcher_pump(d);
}

void lanes_scan(struct dispatcher *d)
{
	if (d->scanning || d->phase != PHASE_RUN)
		return;
	struct scan *scan = xcalloc(1, sizeof *scan + d->nqueues * sizeof scan->serials[0]);
	scan->d = d;
	scan->sent_ns = clock_mono_ns();
	scan->n = d->nqueues;
	for (size_t i = 0; i < d->nqueues; i++)
		scan->serials[i] = backlog_serial(&d->queues[i].backlog);
	db_params(d);
	d->scanning = db_send(d, DB_ADMIN, "lanes_scan", scan_answer, scan);
	if (d->scanning)
		d->wake.scan_after_grant = false;
	else
		free(scan);
}

/* ---- the poll ---- */

static int64_t poll_row(struct dispatcher *d, const PGresult *res, int row, int64_t *last, int64_t *read)
{
	int64_t last_id = pg_get_int8(res, row, 5), fresh = pg_get_int8(res, row, 4);
	if (last_id > d->wake.high)
		d->wake.high = last_id;
	if (last_id > *last)
		*last = last_id;
	*read += pg_get_int8(res, row, 6);
	struct queue *queue = dispatcher_queue(d, pg_get_text(res, row, 0, NULL));
	if (!queue || !queue->conf || pg_get_isnull(res, row, 3))
		return 0;
	struct lane *lane = backlog_lane(&queue->backlog, pg_get_text(res, row, 1, NULL), pg_get_int2(res, row, 2));
	backlog_arrived(&queue->backlog, lane, fresh, pg_get_timestamp_us(res, row, 3), dispatcher_db_now_us(d));
	queue->counted_pending += fresh;
	return fresh;
}

static void poll_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	int64_t fresh = 0, last = 0, read = 0;
	d->wake.polling = false;
	if (result->status == PG_OK)
		for (int row = 0; row < PQntuples(result->res); row++)
			fresh += poll_row(d, result->res, row, &last, &read);
	else
		complain("the poll for new jobs", result);
	if (read >= POLL_ROWS && last < d->wake.poll_from)
		d->wake.poll_from = last; /* there is more */
	wake_polled(d, result->status == PG_OK, fresh);
	dispatcher_pump(d);
}

void lanes_poll(struct dispatcher *d)
{
	struct pg_params *p = db_params(d);
	int64_t from = d->wake.poll_from < d->wake.high ? d->wake.poll_from : d->wake.high;
	pg_param_int8(p, from);
	pg_param_int8(p, d->wake.high);
	pg_param_int8(p, POLL_ROWS);
	d->wake.polling = db_send(d, DB_CLAIM, "arrivals", poll_answer, d);
	if (d->wake.polling)
		d->wake.poll_from = INT64_MAX;
}

/* ---- heads ---- */

struct heads {
	struct dispatcher *d;
	int64_t sent_ns;
	size_t n;
	struct {
		struct queue *queue;
		struct lane *lane;
		uint64_t serial;
	} of[CHECKS_MAX];
};

static void heads_answer(void *arg, const struct pg_result *result)
{
	struct heads *heads = arg;
	struct dispatcher *d = heads->d;
	int64_t now_us = dispatcher_db_now_us(d), mono = clock_mono_ns();
	d->reading_heads = false;
	d->next_heads_ns = mono + (mono - heads->sent_ns) * SCAN_SHARE;
	bool ok = result->status == PG_OK && (size_t)PQntuples(result->res) == heads->n;
	if (result->status != PG_OK)
		complain("reading the heads of lanes", result);
	for (size_t i = 0; i < heads->n; i++) {
		struct backlog *backlog = &heads->of[i].queue->backlog;
		if (ok)
			backlog_checked(backlog, heads->of[i].lane, us_or_never(result->res, (int)i, 0), heads->of[i].serial, now_us, mono);
		else
			backlog_checked(backlog, heads->of[i].lane, BACKLOG_NEVER, 0, now_us, mono);
	}
	free(heads);
	dispatcher_pump(d);
}

static void gather_heads(struct dispatcher *d, struct heads *heads)
{
	struct lane *lanes[CHECKS_MAX];
	for (size_t q = 0; q < d->nqueues; q++) {
		struct queue *queue = &d->queues[q];
		size_t n = backlog_checks(&queue->backlog, clock_mono_ns(), lanes, CHECKS_MAX - heads->n);
		for (size_t i = 0; i < n; i++) {
			heads->of[heads->n].queue = queue;
			heads->of[heads->n].lane = lanes[i];
			heads->of[heads->n++].serial = backlog_serial(&queue->backlog);
		}
	}
}

static void param_heads(struct pg_params *p, const struct heads *heads)
{
	pg_array_begin(p, PG_TEXT, heads->n);
	for (size_t i = 0; i < heads->n; i++)
		pg_array_text(p, heads->of[i].queue->name, strlen(heads->of[i].queue->name));
	pg_array_end(p);
	pg_array_begin(p, PG_TEXT, heads->n);
	for (size_t i = 0; i < heads->n; i++)
		pg_array_text(p, heads->of[i].lane->tenant->name, strlen(heads->of[i].lane->tenant->name));
	pg_array_end(p);
	pg_array_begin(p, PG_INT2, heads->n);
	for (size_t i = 0; i < heads->n; i++)
		pg_array_int2(p, (int16_t)heads->of[i].lane->priority);
	pg_array_end(p);
}

void lanes_check(struct dispatcher *d)
{
	if (d->phase != PHASE_RUN || !d->lease_ok || d->reading_heads || clock_mono_ns() < d->next_heads_ns)
		return;
	struct heads *heads = xcalloc(1, sizeof *heads);
	heads->d = d;
	gather_heads(d, heads);
	if (heads->n == 0) {
		free(heads);
		return;
	}
	param_heads(db_params(d), heads);
	heads->sent_ns = clock_mono_ns();
	d->reading_heads = db_send(d, DB_ADMIN, "lane_heads", heads_answer, heads);
	if (d->reading_heads)
		return;
	for (size_t i = 0; i < heads->n; i++)
		heads->of[i].lane->checking = false;
	free(heads);
}

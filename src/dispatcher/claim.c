/*
 * dispatcher/claim.c: claims rows of due lanes, as many as there is room for.
 *
 * Runs in the dispatcher. One claim a queue is under way at a time, those of several queues share the pipeline. The target is what the
 * workers finish in a moment (the time of two claims, at least 50 ms), or two batches a worker; when half of it is gone it is filled up, bounded by
 * buffer_max and buffer_max_bytes. A rate-limited queue gets no more than it may send in a second. A lost reply is found again by
 * sweep.c through jobq.claims.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/limit.h"

#define CLAIM_MAX 1000
#define CLAIM_WORTH 100        /* a smaller claim waits unless a worker would run dry */
#define RETRY_NS (500 * NS_PER_MS)
#define PREFETCH_MIN_NS (50 * NS_PER_MS)

struct claim_call {
	struct dispatcher *d;
	struct queue *queue;
	bool limited;                /* the asks were reserved */
	size_t nasks;
	struct ask asks[BACKLOG_ASKS];
	int64_t sent_ns;
};

enum { COL_TOKEN, COL_ID, COL_TENANT, COL_PRIORITY, COL_TYPE, COL_USER, COL_PAYLOAD, COL_RUN_AT, COL_CREATED, COL_DEADLINE,
       COL_RETRIES, COL_MAX_RETRIES, COL_CRASHES, COL_RESULT, COL_TIED, COL_PLACE };

/* ---- how much ---- */

static int64_t prefetch_target(const struct queue *queue, int64_t now_ns)
{
	int64_t two_batches = 2 * queue->batch_size * (queue->nworkers ? queue->nworkers : 1) * queue->conf->k.concurrency;
	int64_t span = 2 * queue->claim_took_ns > PREFETCH_MIN_NS ? 2 * queue->claim_took_ns : PREFETCH_MIN_NS;
	int64_t moment = (int64_t)(flow_per_s(&queue->flow, now_ns) * (double)span / (double)NS_PER_S);
	int64_t target = moment > two_batches ? moment : two_batches;
	double limit = pace_per_s(queue);
	if (limit > 0 && (double)target > limit)
		target = (int64_t)limit < 1 ? 1 : (int64_t)limit;
	return target;
}

static int64_t claim_room(const struct queue *queue, int64_t target)
{
	int64_t room = (int64_t)buffer_room(&queue->buffer, (size_t)target);
	return room > CLAIM_MAX ? CLAIM_MAX : room;
}

/* When half of the target is gone: what is left lasts for as long as the claim takes. */
static bool worth_a_claim(const struct queue *queue, int64_t target, int64_t room)
{
	if (room <= 0)
		return false;
	if ((int64_t)queue->buffer.entries < queue->batch_size)
		return true;
	return room >= CLAIM_WORTH && (room >= CLAIM_MAX || (int64_t)queue->buffer.released <= target / 2);
}

/* ---- the answer ---- */

void claim_read_row(const PGresult *res, int i, struct job_row *row)
{
	row->token = pg_get_int8(res, i, COL_TOKEN);
	row->id = pg_get_int8(res, i, COL_ID);
	row->tenant = pg_get_text(res, i, COL_TENANT, &row->tenant_len);
	row->priority = pg_get_int2(res, i, COL_PRIORITY);
	row->type = pg_get_text(res, i, COL_TYPE, &row->type_len);
	row->user_id = pg_get_text(res, i, COL_USER, &row->user_id_len);
	row->payload = pg_get_jsonb(res, i, COL_PAYLOAD, &row->payload_len);
	row->run_at_us = pg_get_timestamp_us(res, i, COL_RUN_AT);
	row->created_at_us = pg_get_timestamp_us(res, i, COL_CREATED);
	row->deadline_us = pg_get_isnull(res, i, COL_DEADLINE) ? 0 : pg_get_timestamp_us(res, i, COL_DEADLINE);
	row->retry_count = pg_get_int4(res, i, COL_RETRIES);
	row->max_retries = pg_get_isnull(res, i, COL_MAX_RETRIES) ? -1 : pg_get_int4(res, i, COL_MAX_RETRIES);
	row->crashes = pg_get_int2(res, i, COL_CRASHES);
	row->prior = pg_get_jsonb(res, i, COL_RESULT, &row->prior_len);
	row->tied = !pg_get_isnull(res, i, COL_TIED);
	row->run = pg_get_int8(res, i, COL_TIED);
	row->place = pg_get_tid(res, i, COL_PLACE);
}

/* The rows come in the order of their place on disk; the buffer wants them by lane and age. */
static int older_first(const void *a, const void *b)
{
	const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
	if (x->item.priority != y->item.priority)
		return x->item.priority < y->item.priority ? -1 : 1;
	if (x->run_at_us != y->run_at_us)
		return x->run_at_us < y->run_at_us ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

struct got { /* what a lane of the claim got */
	int64_t rows, last_us, last_id;
};

/* What each lane of the claim got, told to the backlog. The jobs are in the order of each lane. */
static void tell_backlog(struct claim_call *call, struct job *const *jobs, size_t n, int64_t now_us)
{
	struct backlog *backlog = &call->queue->backlog;
	struct got got[BACKLOG_ASKS] = {{0}};
	for (size_t i = 0; i < n; i++) {
		const struct lane *lane = backlog_find(backlog, jobs[i]->tenant, jobs[i]->item.priority);
		if (lane && lane->claiming)
			got[lane->ask] = (struct got){got[lane->ask].rows + 1, jobs[i]->run_at_us, jobs[i]->id};
	}
	for (size_t i = 0; i < call->nasks; i++) {
		bool none = got[i].rows == 0;
		backlog_claimed(backlog, &call->asks[i], got[i].rows, none ? BACKLOG_START : got[i].last_us, none ? BACKLOG_START : got[i].last_id, now_us);
	}
}

static void learn_duration(struct claim_call *call)
{
	int64_t took = clock_mono_ns() - call->sent_ns;
	struct queue *queue = call->queue;
	queue->claim_took_ns = queue->claim_took_ns ? (queue->claim_took_ns * 7 + took) / 8 : took;
}

static void take_rows(struct claim_call *call, const PGresult *res)
{
	struct dispatcher *d = call->d;
	size_t n = (size_t)PQntuples(res);
	int64_t now_ns = clock_mono_ns();
	struct job **jobs = xcalloc(n + 1, sizeof *jobs);
	for (size_t i = 0; i < n; i++) {
		struct job_row row;
		claim_read_row(res, (int)i, &row);
		jobs[i] = job_new(d, call->queue, &row);
		limit_claimed(jobs[i], call->limited, now_ns);
	}
	now_ns = clock_mono_ns();
	qsort(jobs, n, sizeof *jobs, older_first);
	tell_backlog(call, jobs, n, dispatcher_db_now_us(d));
	for (size_t i = 0; i < n; i++)
		buffer_add(&call->queue->buffer, jobs[i]->tenant, &jobs[i]->item, false, now_ns);
	learn_queued(call->queue, n, clock_mono_ns() - now_ns);
	free(jobs);
	counter_add(call->queue, n ? COUNTER_claims : COUNTER_empty_claims, 1);
	counter_add(call->queue, COUNTER_claimed, n);
	call->queue->counted_pending -= (int64_t)n;
}

static void claim_answer(void *arg, const struct pg_result *result)
{
	struct claim_call *call = arg;
	call->queue->claiming = false;
	if (result->status == PG_OK) {
		learn_duration(call);
		take_rows(call, result->res);
		if (FAULT(after_claim_commit))
			log_warn("fault point after_claim_commit");
	} else {
		int64_t now_us = dispatcher_db_now_us(call->d);
		for (size_t i = 0; i < call->nasks; i++)
			backlog_unclaimed(&call->queue->backlog, &call->asks[i], now_us);
		call->queue->claim_not_before_ns = clock_mono_ns() + RETRY_NS;
		if (result->status != PG_LOST && result->status != PG_TRANSIENT)
			log_error("claim of queue %s failed: %s (%s)", call->queue->name, result->error, result->sqlstate);
	}
	dispatcher_pump(call->d);
	free(call);
}

/* ---- the question ---- */

static void put_asks(struct pg_params *p, const struct claim_call *call)
{
	size_t n = call->nasks;
	pg_array_begin(p, PG_TEXT, n);
	for (size_t i = 0; i < n; i++)
		pg_array_text(p, call->asks[i].lane->tenant->name, strlen(call->asks[i].lane->tenant->name));
	pg_array_end(p);
	pg_array_begin(p, PG_INT2, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int2(p, (int16_t)call->asks[i].lane->priority);
	pg_array_end(p);
	pg_array_begin(p, PG_INT4, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int4(p, call->asks[i].n);
	pg_array_end(p);
	pg_array_begin(p, PG_TIMESTAMPTZ, n);
	for (size_t i = 0; i < n; i++)
		pg_array_timestamp_us(p, call->asks[i].lane->after_us);
	pg_array_end(p);
	pg_array_begin(p, PG_INT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int8(p, call->asks[i].lane->after_id);
	pg_array_end(p);
}

static void claim_send(struct dispatcher *d, struct claim_call *call)
{
	char node[SHM_NAME_MAX];
	struct pg_params *p = db_params(d);
	text_copy(node, sizeof node, d->conf->jobqd.node);
	pg_param_text(p, call->queue->name);
	pg_param_int8(p, d->incarnation);
	pg_param_text(p, node);
	put_asks(p, call);
	call->sent_ns = call->queue->claim_sent_ns = clock_mono_ns();
	if (db_send(d, DB_CLAIM, "claim", claim_answer, call)) {
		call->queue->claiming = true;
		if (FAULT(after_claim_sent))
			log_warn("fault point after_claim_sent");
		return;
	}
	for (size_t i = 0; i < call->nasks; i++)
		backlog_unclaimed(&call->queue->backlog, &call->asks[i], dispatcher_db_now_us(d));
	free(call);
}

static void claim_queue(struct dispatcher *d, struct queue *queue)
{
	int64_t now_ns = clock_mono_ns();
	if (now_ns < queue->claim_not_before_ns || queue->claiming || queue->paused || receiver_shut(queue) || queue->nworkers == 0)
		return;
	int64_t target = prefetch_target(queue, now_ns), room = claim_room(queue, target);
	if (!worth_a_claim(queue, target, room))
		return;
	struct claim_call *call = xcalloc(1, sizeof *call);
	call->d = d;
	call->queue = queue;
	call->limited = queue->limited;
	call->nasks = backlog_plan(&queue->backlog, dispatcher_db_now_us(d), room, queue->batch_size, call->asks);
	if (call->nasks > 0)
		claim_send(d, call);
	else
		free(call);
}

void claim_pump(struct dispatcher *d)
{
	if (!dispatcher_may_claim(d))
		return;
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].conf)
			claim_queue(d, &d->queues[i]);
}

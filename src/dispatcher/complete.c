/*
 * dispatcher/complete.c: writes the fates of jobs, many in one statement; settle.c reads the answers.
 *
 * Runs in the dispatcher. Owns d->fates and d->round. One round of statements is under way
 * at a time; what arrives meanwhile goes in the next, and a small round waits a moment for more while workers end many. Rows are
 * locked in id order. Every statement joins (id, token) pairs: a row that is no longer ours is left alone. After a lost connection the
 * round is written again; pairs that are then not found are looked for in the history before they count as lost. Tied jobs (a unique
 * key, a notify channel) go by statements of their own, which may say that the job waits again with a replacement, or that a producer
 * holds its row: then it is asked for later.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/leaf.h"
#include "dispatcher/limit.h"
#include "dispatcher/settle.h"
#include "dispatcher/write.h"

#define ROUND_MAX 2000
#define ROUND_WORTH 100          /* a smaller round waits: by 4 rows a statement a row costs PostgreSQL twice as much as by 80 */
#define ROUND_WAIT_NS (10 * NS_PER_MS)
#define ROUND_COMPANY 5.0        /* outcomes that must be expected of that wait; without, what is done is written at once */
#define RETRY_NS (200 * NS_PER_MS)

/* ---- what a job needs ---- */

static enum kind kind_of(const struct dispatcher *d, const struct job *job, int32_t *expire_on)
{
	*expire_on = 0;
	if (job->fate == FATE_BACK)
		return job->tied ? KIND_BACK_TIED : KIND_BACK;
	if (job->fate == FATE_HOLD)
		return job->tied ? KIND_HOLD_TIED : KIND_HOLD;
	if (job->fate == FATE_VERIFY)
		return KIND_VERIFY;
	*expire_on = leaf_job_expiry(d, job);
	if (job->tied)
		return KIND_FINISH_TIED;
	if (*expire_on == 0)
		return KIND_DELETE;
	return job->end == END_COMPLETED && !job->result && !job->error ? KIND_MOVE_DONE : KIND_MOVE;
}

static size_t bytes_of(const struct job *job)
{
	return job->item.bytes + job->error_len + job->result_len;
}

void complete_add(struct dispatcher *d, struct job *job)
{
	job->state = JOB_ENDED;
	limit_ended(job);
	if (TAILQ_EMPTY(&d->fates))
		d->unwritten_since_ns = clock_mono_ns();
	TAILQ_INSERT_TAIL(&d->fates, job, link);
	d->fates_count++;
	d->fates_bytes += bytes_of(job);
	dispatcher_pump(d);
}

/* ---- answers ---- */

/* Its jobs that are not written go first the next time. True: there were some. */
static bool round_over(struct dispatcher *d)
{
	struct job *job;
	bool some = !TAILQ_EMPTY(&d->round.jobs);
	d->round.active = false;
	while ((job = TAILQ_LAST(&d->round.jobs, job_list)) != NULL) {
		TAILQ_REMOVE(&d->round.jobs, job, link);
		TAILQ_INSERT_HEAD(&d->fates, job, link);
		d->fates_count++;
		d->fates_bytes += bytes_of(job);
	}
	return some;
}

static void round_step_done(struct dispatcher *d)
{
	if (--d->round.open > 0)
		return;
	(void)round_over(d);
	if (TAILQ_EMPTY(&d->fates))
		d->unwritten_since_ns = clock_mono_ns(); /* of claims that have ended with it */
	if (FAULT(before_ack))
		log_warn("fault point before_ack");
	workers_send_acks(d);
	dispatcher_pump(d);
}

static void verify_answer(void *arg, const struct pg_result *result)
{
	struct call *call = arg;
	struct dispatcher *d = call->d;
	if (result->status == PG_OK)
		settle_verified(call, result->res);
	free(call);
	round_step_done(d);
}

static void look_for(struct call *missing)
{
	if (missing->n > 0 && write_send(missing->d, missing, verify_answer))
		missing->d->round.open++;
	else
		free(missing);
}

/* PostgreSQL refuses a value: a result that is JSON but not jsonb (a \\u0000, a number too long). One by one the bad one is found,
 * and goes without its result: the job has ended all the same. */
static void find_bad_value(struct call *call, const char *why)
{
	struct job *job = call->jobs[0];
	for (size_t i = 0; i < call->n; i++)
		call->jobs[i]->by_itself = true;
	if (call->n > 1)
		return;
	log_warn("job %lld: its result cannot be stored and is dropped: %s", (long long)job->id, why);
	free(job->result);
	job->result = NULL;
	job->result_len = 0;
}

static void write_answer(void *arg, const struct pg_result *result)
{
	struct call *call = arg;
	struct dispatcher *d = call->d;
	if (result->status == PG_OK) {
		look_for(settle_written(call, result->res));
	} else {
		for (size_t i = 0; i < call->n; i++)
			call->jobs[i]->lost_reply |= result->status == PG_LOST;
		if (result->status == PG_SCHEMA)
			leaf_forget(d, call->leaf);
		if (result->status == PG_DATA)
			find_bad_value(call, result->error);
		d->complete_not_before_ns = clock_mono_ns() + RETRY_NS;
		if (result->status != PG_LOST)
			log_warn("outcomes could not be written, they are written again: %s (%s)", result->error, result->sqlstate);
	}
	free(call);
	round_step_done(d);
}

static void tidy_answer(void *arg, const struct pg_result *result)
{
	(void)result; /* rows that stay are found and removed by sweep.c and tick.c */
	round_step_done(arg);
}

/* ---- a round ---- */

static struct call *call_for(struct dispatcher *d, struct call **calls, size_t *ncalls, enum kind kind, int32_t expire_on, size_t most,
	bool by_itself)
{
	int32_t leaf = expire_on ? leaf_of(expire_on) : 0;
	for (size_t i = 0; i < *ncalls && !by_itself; i++)
		if (calls[i]->kind == kind && calls[i]->expire_on == expire_on && !calls[i]->closed)
			return calls[i];
	struct call *call = xmalloc(sizeof *call + most * sizeof call->jobs[0]);
	*call = (struct call){.d = d, .kind = kind, .leaf = leaf, .expire_on = expire_on, .closed = by_itself};
	calls[(*ncalls)++] = call;
	return call;
}

#define CALLS_MAX 64 /* kinds and expiry days in one round; more wait for the next */

/* Moves jobs from d->fates into the round and sorts them into calls. Those whose leaf is missing stay behind. */
static size_t gather(struct dispatcher *d, struct call *calls[CALLS_MAX])
{
	size_t ncalls = 0, taken = 0;
	int64_t now = clock_mono_ns();
	size_t most = d->fates_count < ROUND_MAX ? d->fates_count : ROUND_MAX;
	struct job *job, *next;
	for (job = TAILQ_FIRST(&d->fates); job && taken < ROUND_MAX && ncalls < CALLS_MAX; job = next) {
		next = TAILQ_NEXT(job, link);
		if (job->busy_until_ns > now)
			continue;
		int32_t expire_on;
		if (job->doubt)
			continue;
		enum kind kind = kind_of(d, job, &expire_on);
		if (expire_on && !leaf_there(d, leaf_of(expire_on))) {
			leaf_make(d, expire_on);
			continue;
		}
		struct call *call = call_for(d, calls, &ncalls, kind, expire_on, most, job->by_itself);
		call->jobs[call->n++] = job;
		TAILQ_REMOVE(&d->fates, job, link);
		TAILQ_INSERT_TAIL(&d->round.jobs, job, link);
		d->fates_count--;
		d->fates_bytes -= bytes_of(job);
		taken++;
	}
	return ncalls;
}

static void send_tidy(struct dispatcher *d, struct buf *ids, const char *stmt)
{
	if (ids->len == 0)
		return;
	struct pg_params *p = db_params(d);
	size_t n = ids->len / sizeof(int64_t);
	struct rd r = rd_of(ids->data, ids->len);
	pg_array_begin(p, PG_INT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int8(p, rd_i64(&r));
	pg_array_end(p);
	if (!db_send(d, DB_ACK, stmt, tidy_answer, d))
		return;
	d->round.open++;
	buf_reset(ids);
}

static bool lease_lets_us_write(const struct dispatcher *d)
{
	return d->lease_ok && d->phase >= PHASE_RECOVER && pg_conn_ready(d->link[DB_ACK]);
}

static bool nothing_to_write(const struct dispatcher *d)
{
	return TAILQ_EMPTY(&d->fates) && d->dead_claims.len == 0;
}

static bool more_to_come(const struct dispatcher *d)
{
	return counts_flow(d, clock_mono_ns()) * (double)ROUND_WAIT_NS / (double)NS_PER_S >= ROUND_COMPANY;
}

int64_t complete_when_ns(const struct dispatcher *d)
{
	if (d->round.active || nothing_to_write(d))
		return INT64_MAX;
	if (d->leaving || d->draining || d->fates_count >= ROUND_WORTH || !more_to_come(d))
		return d->complete_not_before_ns;
	int64_t when = d->unwritten_since_ns + ROUND_WAIT_NS;
	return when > d->complete_not_before_ns ? when : d->complete_not_before_ns;
}

void complete_pump(struct dispatcher *d)
{
	struct call *calls[CALLS_MAX];
	if (clock_mono_ns() < complete_when_ns(d) || !lease_lets_us_write(d))
		return;
	if (FAULT(before_complete))
		log_warn("fault point before_complete");
	d->round.active = true;
	d->round.open = 1; /* ours, until all are sent */
	size_t ncalls = gather(d, calls);
	for (size_t i = 0; i < ncalls; i++) {
		if (write_send(d, calls[i], calls[i]->kind == KIND_VERIFY ? verify_answer : write_answer))
			d->round.open++;
		else
			free(calls[i]);
	}
	send_tidy(d, &d->dead_claims, "claims_delete");
	send_tidy(d, &d->dead_cancels, "cancels_delete");
	if (FAULT(after_complete_sent))
		log_warn("fault point after_complete_sent");
	if (d->round.open > 1)
		round_step_done(d);
	else if (round_over(d)) /* nothing could be sent */
		d->complete_not_before_ns = clock_mono_ns() + RETRY_NS;
	/* else only leaves are missing: leaf_make pumps again */
}

bool complete_idle(const struct dispatcher *d)
{
	return !d->round.active && TAILQ_EMPTY(&d->fates);
}

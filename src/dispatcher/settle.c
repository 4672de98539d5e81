/*
 * dispatcher/settle.c: what becomes of jobs whose fates are committed: counted, their workers told, back in their lanes, forgotten.
 *
 * Runs in the dispatcher. Owns nothing of its own; it takes jobs out of d->round. Invariant: a job is counted and settled exactly once,
 * when the database says that its fate is written, or that it was ended by someone else. One whose row was not found is not settled before it was looked
 * for by its id, and then in the history. Cannot fail (memory apart).
 */
#include "config.h"

#include "dispatcher/settle.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/leaf.h"

#define BUSY_NS (100 * NS_PER_MS) /* a tied job whose row is locked */

/* Counted when it is committed, not when it is known. */
static void count_end(const struct job *job, int64_t now_ns)
{
	static const enum shm_counter counter[] = {COUNTER_completed, COUNTER_failed, COUNTER_cancelled};
	if (job->queue && (job->fate == FATE_FINISH || job->fate == FATE_VERIFY))
		counts_ended(job->queue, counter[job->end], now_ns);
}

static void settle(struct dispatcher *d, struct job *job, int64_t run_at_us)
{
	if (job->fate == FATE_BACK && job->queue && job->queue->conf) {
		struct lane *lane = backlog_lane(&job->queue->backlog, job->tenant, job->item.priority);
		backlog_returned(&job->queue->backlog, lane, run_at_us, dispatcher_db_now_us(d));
	}
	if (job->cancel)
		buf_i64(&d->dead_cancels, job->id);
	if (job->worker) {
		workers_ack(d, job->worker, job->id, job->token);
		job->worker->held--;
	}
	TAILQ_REMOVE(&d->round.jobs, job, link);
	job_free(d, job);
}

/* The handler has said COMMIT, and it is not to be seen: it never came, or is not done yet. Giving the row back decides: it waits for
 * whoever ends the job at this moment, and then finds it ended, or pending again. */
static void look_again(struct dispatcher *d, struct job *job)
{
	job->maybe_committed = true;
	job->fate = job->cancel ? FATE_FINISH : FATE_BACK;
	job->end = END_CANCELLED;
	job->delay_us = 0;
	job->charge = 0;
	TAILQ_REMOVE(&d->round.jobs, job, link);
	complete_add(d, job);
}

/* One of them. there: it was written; again: it is to run once more. */
static void settle_unfound(struct dispatcher *d, struct job *job, bool there, bool again, int64_t now_ns)
{
	if (!there && job->fate == FATE_VERIFY && !job->maybe_committed) {
		look_again(d, job);
		return;
	}
	if (job->maybe_committed || (there && job->fate == FATE_BACK)) {
		job->fate = FATE_VERIFY; /* its handler completed it */
		job->end = END_COMPLETED;
	}
	bool unseen = job->fate == FATE_VERIFY || (job->fate == FATE_FINISH && job->lost_reply);
	bool presumed = unseen && leaf_job_expiry(d, job) == 0;
	if (!there && !presumed && job->queue)
		counter_add(job->queue, COUNTER_lost, 1);
	if (!there && !presumed)
		log_warn("job %lld: ownership lost, its outcome is void", (long long)job->id);
	if ((there && !again) || presumed)
		count_end(job, now_ns);
	job->fate = FATE_VERIFY;
	settle(d, job, 0);
}

/* The first of that id: a row may have been claimed anew before its last claim was settled. */
static struct job **find_call_job(struct call *call, int64_t id)
{
	size_t low = 0, high = call->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (call->jobs[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < call->n && call->jobs[low]->id == id ? &call->jobs[low] : NULL;
}

void settle_verified(struct call *call, const PGresult *res)
{
	enum { NOT_THERE, ENDED, WAITS_AGAIN } *found = xcalloc(call->n, sizeof *found);
	int64_t now_ns = clock_mono_ns();
	for (int r = 0; r < PQntuples(res); r++) {
		int64_t id = pg_get_int8(res, r, 0);
		struct job **at = find_call_job(call, id);
		for (size_t i = at ? (size_t)(at - call->jobs) : call->n; i < call->n && call->jobs[i]->id == id; i++)
			if (found[i] == NOT_THERE)
				found[i] = pg_get_bool(res, r, 1) ? WAITS_AGAIN : ENDED;
	}
	for (size_t i = 0; i < call->n; i++)
		settle_unfound(call->d, call->jobs[i], found[i] != NOT_THERE, found[i] == WAITS_AGAIN, now_ns);
	free(found);
}

enum written { MISSING, WRITTEN, LATER };

/* What became of a tied job. One that waits again has been served as if it went back. */
static enum written read_tied(struct job *job, const PGresult *res, int row)
{
	if (pg_get_bool(res, row, TIED_BUSY)) {
		job->busy_until_ns = clock_mono_ns() + BUSY_NS;
		return LATER;
	}
	if (pg_get_isnull(res, row, TIED_AGAIN_AT))
		return WRITTEN;
	job->run_at_us = pg_get_timestamp_us(res, row, TIED_AGAIN_AT);
	job->item.priority = (uint8_t)pg_get_int2(res, row, TIED_PRIORITY);
	job->cancel = false; /* its request went with the run that ended */
	job->fate = FATE_BACK;
	return WRITTEN;
}

/* Its row is not where the claim left it (progress was written, or the table): it is written once more, found by its id. */
static bool has_moved(const struct call *call, struct job *job)
{
	bool by_place = call->kind == KIND_DELETE || call->kind == KIND_MOVE_DONE || call->kind == KIND_MOVE;
	if (!by_place || job->place == PG_NO_TID)
		return false;
	job->place = PG_NO_TID;
	return true;
}

struct call *settle_written(struct call *call, const PGresult *res)
{
	struct dispatcher *d = call->d;
	struct call *missing = xmalloc(sizeof *missing + call->n * sizeof missing->jobs[0]);
	enum written *written = xcalloc(call->n, sizeof *written);
	int64_t now_ns = clock_mono_ns();
	*missing = (struct call){.d = d, .kind = KIND_VERIFY};
	for (int i = 0; i < PQntuples(res); i++) {
		struct job **at = find_call_job(call, pg_get_int8(res, i, 0));
		if (!at)
			continue;
		written[at - call->jobs] = call->kind >= KIND_FINISH_TIED ? read_tied(*at, res, i) : WRITTEN;
		if (call->kind == KIND_BACK)
			(*at)->run_at_us = pg_get_timestamp_us(res, i, 1);
	}
	for (size_t i = 0; i < call->n; i++) {
		if (written[i] == MISSING && has_moved(call, call->jobs[i]))
			written[i] = LATER;
		if (written[i] == MISSING)
			missing->jobs[missing->n++] = call->jobs[i];
		if (written[i] != WRITTEN)
			continue;
		count_end(call->jobs[i], now_ns);
		settle(d, call->jobs[i], call->jobs[i]->run_at_us);
	}
	free(written);
	return missing;
}

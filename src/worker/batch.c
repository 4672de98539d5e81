/*
 * worker/batch.c: one allocation a batch, from its frame to the end of its last job.
 *
 * Runs in a worker. Owns the batches and all that their jobs point to: structs, pointers and texts lie in one block, so a
 * job costs no allocation. A batch is entered into the slot's held table first and believed afterwards: if the dispatcher's
 * generation has changed meanwhile, its successor may already have looked at the table, so the batch is forgotten unbegun.
 * Batches run in the order in which they came, `concurrency` of them at a time (see JOBQ_HANDLER_OVERLAP); a suspect runs alone.
 *
 * Invariant: a batch is in exactly one of queued, running, finished; it is finished when `left` is 0, and freed at the end
 * of the turn, when no handler's loop over it is on the stack. A frame that lies about itself is refused as a whole.
 */
#include "config.h"

#include "worker/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "conf/conf.h"
#include "shm/cell.h"
#include "shm/held.h"
#include "shm/ring.h"
#include "wire/msg.h"
#include "worker/admit.h"
#include "worker/outcome.h"

static const char *batch_text(char **at, const struct msg_text *text)
{
	char *start = *at;

	memcpy(start, text->text, text->len);
	start[text->len] = '\0';
	*at = start + text->len + 1;
	return start;
}

static void batch_job(struct batch *b, struct job *job, const struct msg_job *m, char **at)
{
	job->batch = b;
	job->state = JOB_QUEUED;
	job->pub = (struct jobq_job){
		.id = m->id, .token = m->token, .deadline_us = m->deadline_us, .created_us = m->created_us, .run = m->run,
		.priority = m->priority, .attempt = (int)m->attempt, .max_retries = (int)m->max_retries,
		.batch = &b->pub, .payload_len = m->payload.len, .result_len = m->result.len,
	};
	job->cost = 1;
	const uint32_t words[2] = {m->tenant_word, m->tier_word};
	for (size_t i = 0; i < 2; i++)
		if (words[i] < SHM_WORDS)
			job->words[job->nwords++] = words[i];
	job->pub.type = batch_text(at, &m->type);
	job->pub.tenant = batch_text(at, &m->tenant);
	job->pub.user_id = batch_text(at, &m->user_id);
	job->pub.payload = batch_text(at, &m->payload);
	job->pub.result = batch_text(at, &m->result);
}

/* NULL: the frame is not what it says. Every text of the frame, with its NUL, fits into the bytes of the frame. */
static struct batch *batch_decode(struct worker *w, struct rd *body)
{
	struct msg_batch head;
	struct msg_job m;

	if (!msg_get_batch(body, &head))
		return NULL;
	size_t count = head.count, text = rd_left(body);
	struct batch *b = xmalloc(sizeof *b + count * (sizeof *b->jobs + sizeof *b->refs) + text);
	*b = (struct batch){.worker = w, .alone = (head.flags & WIRE_BATCH_ALONE) != 0, .count = count, .left = count};
	b->jobs = (struct job *)(void *)(b + 1);
	b->refs = (struct jobq_job **)(void *)(b->jobs + count);
	b->pub.id = head.batch_id;
	b->pub.jobs = b->refs;
	memset(b->jobs, 0, count * sizeof *b->jobs);
	char *at = (char *)(b->refs + count);
	for (size_t i = 0; i < count; i++) {
		if (!msg_get_job(body, &m)) {
			free(b);
			return NULL;
		}
		batch_job(b, &b->jobs[i], &m, &at);
	}
	if (rd_left(body) == 0)
		return b;
	free(b);
	return NULL;
}

static void batch_forget(struct worker *w, struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->jobs[i].record != NULL)
			outcome_forget(w, b->jobs[i].record);
	free(b);
}

/* A job that we hold already under this token is not taken twice. */
static void batch_enter(struct worker *w, struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		struct job *job = &b->jobs[i];
		if (outcome_find(w, job->pub.id, job->pub.token) != NULL) {
			log_warn("job %lld came twice under one claim; kept once", (long long)job->pub.id);
			job->state = JOB_ENDED;
			b->left--;
		} else {
			job->record = outcome_add(w, job, b->alone);
		}
	}
}

/* What found the held table full: the dispatcher sent more than a slot can hold. */
static void batch_surplus(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->jobs[i].record != NULL && b->jobs[i].record->held < 0)
			admit_end(&b->jobs[i], OUTCOME_UNSTARTED, NULL);
}

bool batch_receive(struct worker *w, struct rd *body)
{
	struct batch *b = batch_decode(w, body);

	(void)FAULT(after_batch_read);
	if (b == NULL)
		return false;
	batch_enter(w, b);
	if (atomic_load(&w->global->dispatcher_generation) != w->generation || b->left == 0) {
		batch_forget(w, b);
		return true;
	}
	w->njobs += b->left;
	TAILQ_INSERT_TAIL(&w->queued, b, link);
	batch_surplus(b);
	if (w->drain != DRAIN_NO)
		batch_give_back(w);
	worker_turn(w);
	return true;
}

void batch_give_back(struct worker *w)
{
	struct batch *b, *next;

	for (b = TAILQ_FIRST(&w->queued); b != NULL; b = next) {
		next = TAILQ_NEXT(b, link); /* its last job takes it off the list */
		for (size_t i = 0; i < b->count; i++)
			if (b->jobs[i].state == JOB_QUEUED)
				admit_end(&b->jobs[i], OUTCOME_UNSTARTED, NULL);
	}
}

static void batch_doing(struct worker *w, const struct batch *b)
{
	char text[SHM_CELL_TEXT];

	int n = snprintf(text, sizeof text, "batch %llu: %zu jobs of tenant \"%.128s\"", (unsigned long long)b->pub.id,
		b->left, b->refs[0]->tenant);
	shm_cell_set(&w->slot->doing, n > 0 ? text : "");
	w->doing = true;
}

/* For the tuner, which does not wait for the end of a batch to see that it is slow. */
static void batch_show(struct worker *w)
{
	const struct batch *oldest = TAILQ_FIRST(&w->running);

	atomic_store(&w->slot->batch_jobs, oldest == NULL ? 0u : (uint32_t)oldest->count);
	atomic_store(&w->slot->batch_since_ns, oldest == NULL ? 0 : oldest->start_ns);
}

static void batch_run(struct worker *w, struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++)
		if (b->jobs[i].state == JOB_QUEUED) {
			b->jobs[i].state = JOB_OFFERED;
			b->refs[n++] = &b->jobs[i].pub;
		}
	b->pub.count = n; /* at least one: without any it would have finished in the line */
	b->running = b->turn = true;
	b->unbegun = n;
	b->start_ns = clock_mono_ns();
	TAILQ_REMOVE(&w->queued, b, link);
	TAILQ_INSERT_TAIL(&w->running, b, link);
	batch_show(w);
	w->nrunning++;
	batch_doing(w, b);
	w->handler->run(w->state, &b->pub);
}

size_t batch_in_flight(const struct worker *w, size_t most)
{
	uint32_t milli = atomic_load_explicit(&w->queue->flight_milli, memory_order_relaxed);

	if (milli == 0 || milli >= 1000 || most == SIZE_MAX)
		return most;
	size_t now = (most * milli + 999) / 1000;
	return now < 1 ? 1 : now;
}

static bool batch_may_start(const struct worker *w, const struct batch *b)
{
	const struct batch *first = TAILQ_FIRST(&w->running);

	size_t most = (size_t)w->child->queue->k.concurrency;

	if (w->nrunning >= (w->handler->flags & JOBQ_HANDLER_OVERLAP ? most : batch_in_flight(w, most)))
		return false;
	return first == NULL || (!b->alone && !first->alone);
}

void batch_start(struct worker *w)
{
	struct batch *b;

	while ((b = TAILQ_FIRST(&w->queued)) != NULL && w->drain == DRAIN_NO && batch_may_start(w, b))
		batch_run(w, b);
}

static void batch_free_turn(struct batch *b)
{
	if (!b->turn)
		return;
	b->turn = false;
	b->worker->nrunning--;
	worker_turn(b->worker);
}

static void batch_finish(struct worker *w, struct batch *b, int64_t now_ns)
{
	TAILQ_REMOVE(b->running ? &w->running : &w->queued, b, link);
	TAILQ_INSERT_TAIL(&w->finished, b, link);
	worker_turn(w);
	if (!b->running)
		return;
	batch_show(w);
	struct sample s = {
		.end_mono_ns = now_ns, .run_ns = now_ns - b->start_ns, .batch_id = b->pub.id, .jobs = (uint32_t)b->count,
		.done = b->done, .retried = b->retried, .failed = b->failed, .snoozed = b->snoozed,
	};
	batch_free_turn(b);
	shm_ring_push(w->slot, &s);
}

void batch_job_begun(struct job *job)
{
	struct batch *b = job->batch;

	const struct jobq_handler *handler = b->worker->handler;

	if (!b->running || --b->unbegun > 0)
		return;
	if ((handler->flags & JOBQ_HANDLER_OVERLAP) != 0)
		batch_free_turn(b);
	if (handler->filled != NULL)
		handler->filled(b->worker->state, &b->pub);
}

void batch_job_ended(struct job *job, enum jobq_outcome_kind kind, int64_t now_ns)
{
	struct batch *b = job->batch;
	struct worker *w = b->worker;

	b->done += kind == OUTCOME_DONE || kind == OUTCOME_COMMITTED;
	b->retried += kind == OUTCOME_RETRY || kind == OUTCOME_SUSPECT;
	b->failed += kind == OUTCOME_FAIL || kind == OUTCOME_UNCERTAIN;
	b->snoozed += kind == OUTCOME_SNOOZE;
	w->njobs--;
	if (--b->left == 0)
		batch_finish(w, b, now_ns);
}

void batch_sweep(struct worker *w)
{
	struct batch *b;

	while ((b = TAILQ_FIRST(&w->finished)) != NULL) {
		TAILQ_REMOVE(&w->finished, b, link);
		free(b);
	}
	if (w->doing && TAILQ_EMPTY(&w->running)) {
		shm_cell_set(&w->slot->doing, "");
		w->doing = false;
	}
}

void batch_close(struct worker *w)
{
	TAILQ_CONCAT(&w->finished, &w->running, link);
	TAILQ_CONCAT(&w->finished, &w->queued, link);
	w->nrunning = 0;
	batch_sweep(w);
}

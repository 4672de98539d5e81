/*
 * dispatcher/handout.c: batches from the buffer to the workers.
 *
 * Runs in the dispatcher. A worker gets a new batch while it has fewer jobs than one batch for each of its concurrent runs waiting beyond the
 * one it works on, or, where batches overlap, than it may have requests open and one batch beyond; a rate-limited queue hands out no more than it may send in half a second, so that an urgent job does not
 * wait behind what already lies in the workers. A suspect goes alone to an idle worker, which then gets nothing else. The
 * least loaded worker is served first.
 */
#include "config.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/limit.h"
#include "wire/msg.h"

#define BATCH_CAP SHM_HELD
#define FRAME_BYTES (WIRE_BODY_MAX / 4) /* of payloads in one frame: a longer batch goes in several */
#define JOB_HEAD 65536u                 /* what else of a job may stand in a frame, at most */

static struct job *job_of(struct buffer_item *item)
{
	return (struct job *)(void *)((char *)item - offsetof(struct job, item));
}

/* ---- writing a batch ---- */

/* Frames know the four named priorities; a row may hold any number between. */
static uint8_t named_priority(uint8_t priority)
{
	return priority <= 1 ? 1 : priority <= 2 ? 2 : priority <= 5 ? 5 : 10;
}

static void put_job(struct buf *body, const struct job *job)
{
	uint32_t tenant_word, tier_word;
	limit_words(job, &tenant_word, &tier_word);
	const struct msg_job m = {
		.id = job->id, .token = job->token, .deadline_us = job->deadline_us, .created_us = job->created_us, .run = job->run,
		.attempt = (uint32_t)job->retry_count + 1, .max_retries = (uint32_t)job->max_retries, .priority = named_priority(job->item.priority),
		.tenant_word = tenant_word, .tier_word = tier_word, .type = {job->type, job->type_len}, .tenant = {job->tenant, job->tenant_len},
		.user_id = {job->user_id, job->user_id_len}, .payload = {job->payload, job->payload_len},
		.result = {job->prior, job->prior_len}};
	msg_put_job(body, &m);
}

static void assign(struct worker *worker, struct job *job, uint64_t batch_id, bool alone, int64_t now_ns)
{
	job->state = JOB_ASSIGNED;
	job->worker = worker;
	job->slot = worker->slot;
	job->slot_generation = worker->slot_generation;
	job->batch_id = batch_id;
	job->alone = alone;
	job->assigned_mono_ns = now_ns;
	TAILQ_INSERT_TAIL(&worker->jobs, job, link);
	worker->assigned++;
	worker->held++;
	worker->queue->assigned++;
}

static void send_batch(struct worker *worker, struct buffer_item *const *items, size_t n, bool alone)
{
	struct dispatcher *d = worker->d;
	int64_t now_ns = clock_mono_ns();
	const struct msg_batch head = {
		.batch_id = ++d->batch_serial, .token = job_of(items[0])->token,
		.flags = alone ? WIRE_BATCH_ALONE : 0, .count = (uint32_t)n};
	struct buf *body = stream_begin(worker->stream, FRAME_BATCH, d->generation);
	msg_put_batch(body, &head);
	for (size_t i = 0; i < n; i++) {
		put_job(body, job_of(items[i]));
		assign(worker, job_of(items[i]), head.batch_id, alone, now_ns);
	}
	stream_end(worker->stream);
	receiver_sent(worker->queue, job_of(items[0]));
	worker->alone = alone;
	counter_add(worker->queue, COUNTER_batches, 1);
	atomic_store(&worker->queue->shm->batch_last, (uint32_t)n);
	if (FAULT(after_hand_out))
		log_warn("fault point after_hand_out");
}

/* How many of them go in one frame: all, unless they are large. */
static size_t fitting(struct buffer_item *const *items, size_t n)
{
	size_t fit = 1, bytes = items[0]->bytes;
	while (fit < n && bytes + items[fit]->bytes <= FRAME_BYTES)
		bytes += items[fit++]->bytes;
	return fit;
}

/* Ends those that fit into no frame (numbers like 1e131071 are small in the database and long as text); how many are left. */
static size_t take_out_unfit(struct dispatcher *d, struct buffer_item **items, size_t n)
{
	size_t left = 0;
	for (size_t i = 0; i < n; i++)
		if (items[i]->bytes <= WIRE_BODY_MAX - JOB_HEAD)
			items[left++] = items[i];
		else
			outcome_too_large(d, job_of(items[i]));
	return left;
}

/* ---- who, and how many ---- */

/* Small batches alone must not keep connections from being used. */
static int64_t worker_most(const struct queue *queue)
{
	int64_t runs = queue->batch_size * (queue->conf->k.concurrency + 1), requests = queue->conf->k.max_connections + queue->batch_size;
	return queue->whole_batches || requests < runs ? runs : requests;
}

static int64_t worker_room(const struct worker *worker)
{
	int64_t size = worker->queue->batch_size, most = worker_most(worker->queue);
	if (worker->draining || worker->alone || worker->timed_out || worker->held + size > BATCH_CAP)
		return 0;
	return most - worker->assigned < size && worker->assigned > 0 ? 0 : most - worker->assigned;
}

static struct worker *least_loaded(const struct queue *queue, bool idle_only)
{
	struct worker *worker, *best = NULL;
	TAILQ_FOREACH(worker, queue->workers, link)
		if (worker->queue == queue && worker_room(worker) > 0 && !(idle_only && worker->assigned > 0) &&
		    (!best || worker->assigned < best->assigned))
			best = worker;
	return best;
}

uint32_t handout_begun(const struct worker *worker)
{
	const struct shm_slot *slot = shm_slot_at(worker->d->child->shm, worker->slot);
	uint32_t n = 0;
	for (uint32_t i = 0; slot && i < SHM_HELD; i++)
		n += atomic_load_explicit(&slot->held[i].state, memory_order_relaxed) >= HELD_BEGUN;
	return n < worker->assigned ? n : worker->assigned;
}

/* Jobs that lie in the queue's workers and wait for their turn to be sent. */
static uint32_t unbegun(const struct queue *queue)
{
	const struct worker *worker;
	uint32_t n = 0;
	TAILQ_FOREACH(worker, queue->workers, link)
		if (worker->queue == queue && worker->assigned > 0)
			n += worker->assigned - handout_begun(worker);
	return n;
}

/* A limited queue: what may lie in its workers, not yet sent. */
static int64_t limited_room(const struct queue *queue)
{
	double limit = pace_per_s(queue);
	if (limit <= 0)
		return INT64_MAX;
	int64_t most = (int64_t)(limit / 2);
	if (most < queue->nworkers)
		most = queue->nworkers;
	int64_t least = most - queue->assigned; /* as if none had begun: where that is plenty, their tables need not be read */
	return least >= queue->batch_size * (int64_t)queue->nworkers ? least : most - unbegun(queue);
}

static int64_t batch_room(struct queue *queue)
{
	int64_t room = queue->batch_size;
	int64_t limited = limited_room(queue), may = receiver_may(queue);
	if (may < INT64_MAX)
		return may;
	if (limited == INT64_MAX)
		return room;
	int64_t fair = limited / (queue->nworkers ? queue->nworkers : 1); /* spread over the workers */
	if (fair < 1)
		fair = limited > 0 ? 1 : 0;
	return fair < room ? fair : room;
}

static void note_flush(struct queue *queue, size_t n, const struct buffer_flush *flush)
{
	int64_t slow = degrade_slow_ns(&queue->degrade);
	atomic_fetch_add(&queue->shm->flushes[flush->reason], 1); /* these outlive a dispatcher */
	if (slow > 0)
		queue->slow_until_ns = clock_mono_ns() + slow;
	if (log_enabled(LOG_L_DEBUG))
		log_debug("queue %s: flush reason=%s size=%zu waited_ms=%.1f buffer=%zu", queue->name, flush_reason_name(flush->reason), n,
		          (double)flush->waited_ns / (double)NS_PER_MS, queue->buffer.entries);
}

static void handout_queue(struct queue *queue)
{
	struct buffer_item *items[BATCH_CAP];
	while (clock_mono_ns() >= queue->slow_until_ns && buffer_ready(&queue->buffer, clock_mono_ns())) {
		bool suspect = !TAILQ_EMPTY(&queue->buffer.suspects);
		int64_t room = batch_room(queue);
		struct worker *worker = room > 0 ? least_loaded(queue, suspect) : NULL;
		if (!worker)
			return; /* a suspect waits for the first idle worker, and the others behind it */
		struct buffer_flush flush;
		size_t n = buffer_take(&queue->buffer, (size_t)room, clock_mono_ns(), items, &flush);
		n = take_out_unfit(queue->d, items, n);
		for (size_t sent = 0, part; sent < n; sent += part) {
			part = fitting(items + sent, n - sent);
			send_batch(worker, items + sent, part, flush.alone);
		}
		if (n > 0)
			note_flush(queue, n, &flush);
	}
}

void handout_pump(struct dispatcher *d)
{
	if (!dispatcher_may_hand_out(d))
		return;
	for (size_t i = 0; i < d->nqueues; i++) {
		struct queue *queue = &d->queues[i];
		if (queue->conf && queue->shm && !queue->paused && receiver_may(queue) > 0)
			handout_queue(queue);
	}
}

/*
 * dispatcher/learn.c: what finished batches teach: the batch size, and smaller ones while whole batches fail.
 *
 * Runs in the dispatcher. Owns queue->tuner and queue->degrade, and queue->batch_size, which the claim and the hand-out go by. Samples
 * come from the rings in the workers' slots; each goes into the histogram, the tuner and the modes once. The laws are pure
 * (queue/tuner.h, queue/degrade.h); this file only feeds them and publishes what they say.
 */
#include "config.h"

#include "base/clock.h"
#include "base/log.h"
#include "dispatcher/dispatcher.h"
#include "jobq/handler.h"
#include "shm/hist.h"
#include "shm/ring.h"

static struct tuner_law law_of(const struct conf_queue_keys *k)
{
	return (struct tuner_law){.start = (uint32_t)k->batch_size, .min = (uint32_t)k->batch_min, .max = (uint32_t)k->batch_max,
		.target_ns = k->batch_target};
}

static struct buffer_law waits_of(const struct queue *queue)
{
	const struct conf_queue_keys *k = &queue->conf->k;
	bool early = k->batch_priority_flush;
	return (struct buffer_law){.batch = (size_t)queue->batch_size, .mixed = k->group_by == CONF_GROUP_BY_NONE,
		.timeout_ns = {[BUFFER_NORMAL] = k->batch_timeout, [BUFFER_HIGH] = early ? k->batch_timeout_high : k->batch_timeout,
			[BUFFER_URGENT] = early ? k->batch_timeout_urgent : k->batch_timeout},
		.max_age_ns = k->buffer_max_age, .aging_ns = k->aging,
		.max_entries = (size_t)k->buffer_max, .max_bytes = (size_t)k->buffer_max_bytes};
}

void learn_start(struct queue *queue)
{
	const struct tuner_law law = law_of(&queue->conf->k);
	int64_t now = clock_mono_ns();
	tuner_init(&queue->tuner, &law, now);
	degrade_init(&queue->degrade);
	const struct jobq_handler *handler = jobq_handler_find(queue->conf->k.handler);
	queue->whole_batches = handler && !(handler->flags & JOBQ_HANDLER_OVERLAP);
	queue->batch_size = queue->conf->k.batch_size;
	const struct buffer_law waits = waits_of(queue);
	buffer_set_law(&queue->buffer, &waits, now);
	backlog_set_aging(&queue->backlog, queue->conf->k.aging / NS_PER_US);
}

/* The tuner's size, or less while batches fail as a whole. */
static void set_size(struct queue *queue)
{
	uint32_t size = queue->conf->k.batch_adaptive ? tuner_size(&queue->tuner) : (uint32_t)queue->conf->k.batch_size;
	size = degrade_size(&queue->degrade, size);
	if (size == (uint32_t)queue->batch_size)
		return;
	queue->batch_size = size;
	buffer_set_batch(&queue->buffer, size, clock_mono_ns());
	atomic_store(&queue->shm->batch_size, size);
}

static void tuned(const struct queue *queue)
{
	const struct tuner_decision *last = tuner_decision(&queue->tuner, 0);
	if (last)
		log_debug("queue %s: batch size %u to %u: %s", queue->name, last->from, last->to, tune_reason_text(last->reason));
}

static void learn_sample(struct queue *queue, const struct sample *sample)
{
	const struct tuner_sample batch = {.end_ns = sample->end_mono_ns, .run_ns = sample->run_ns, .size = (uint32_t)queue->batch_size,
		.jobs = sample->jobs, .done = sample->done + sample->failed, .refused = sample->retried + sample->snoozed};
	bool whole = queue->whole_batches && sample->jobs > 0 && sample->retried == sample->jobs;
	shm_hist_add(&queue->shm->batch_us, sample->run_ns / NS_PER_US);
	if (queue->whole_batches && degrade_batch(&queue->degrade, sample->jobs, whole))
		log_warn("queue %s: mode %s, batches of %u", queue->name, degrade_mode_name(degrade_mode(&queue->degrade)),
		         degrade_size(&queue->degrade, tuner_size(&queue->tuner)));
	if (queue->conf->k.batch_adaptive && tuner_sample(&queue->tuner, &batch))
		tuned(queue);
	set_size(queue);
}

static void learn_memory(struct queue *queue, int64_t now)
{
	if (queue->conf->k.batch_adaptive && tuner_memory(&queue->tuner, buffer_use_percent(&queue->buffer), now)) {
		tuned(queue);
		set_size(queue);
	}
}

void learn_step(struct dispatcher *d)
{
	struct worker *worker;
	struct sample sample;
	TAILQ_FOREACH(worker, &d->workers, link) {
		const struct shm_slot *slot = worker->queue && worker->queue->conf ? shm_slot_at(d->child->shm, worker->slot) : NULL;
		while (slot && shm_ring_next(slot, &worker->sample_cursor, &sample))
			learn_sample(worker->queue, &sample);
	}
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].conf && d->queues[i].shm && d->queues[i].buffer.entries > 0)
			learn_memory(&d->queues[i], clock_mono_ns());
}

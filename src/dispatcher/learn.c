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
#include "shm/decision.h"
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
	const struct waits *w = &queue->waits;
	bool early = k->batch_priority_flush;
	return (struct buffer_law){.batch = (size_t)queue->batch_size, .mixed = k->group_by == CONF_GROUP_BY_NONE,
		.timeout_ns = {[BUFFER_NORMAL] = waits_ns(w, k->batch_timeout), [BUFFER_HIGH] = waits_ns(w, early ? k->batch_timeout_high : k->batch_timeout),
			[BUFFER_URGENT] = waits_ns(w, early ? k->batch_timeout_urgent : k->batch_timeout)},
		.max_age_ns = k->buffer_max_age, .deadline_margin_ns = k->batch_target > NS_PER_S ? k->batch_target : NS_PER_S, .aging_ns = k->aging,
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
	waits_init(&queue->waits);
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

/* Looking around is for the log of those who look for it. */
static bool is_look(uint32_t reason)
{
	return reason == TUNE_start || reason == TUNE_look || reason == TUNE_again || reason == TUNE_trim;
}

void learn_decided(struct queue *queue, const struct decision *decision)
{
	struct decision d = *decision;
	d.at_real_us = d.at_mono_ns / NS_PER_US + queue->d->real_minus_mono_us;
	if (queue->shm)
		shm_decision_push(queue->shm, &d);
	if (d.what == SHM_TUNED_gate)
		return; /* receiver.c has said more */
	void (*say)(const char *, ...) __attribute__((format(printf, 1, 2))) = is_look(d.reason) ? log_debug : log_info;
	say("queue %s: %s %.4g to %.4g %s: %s", queue->name, shm_tuned_text(d.what), d.from, d.to, shm_tuned_unit(d.what), shm_tuning_text(d.reason));
}

void learn_queued(struct queue *queue, size_t jobs, int64_t took_ns)
{
	struct shm_queue *shm = queue->shm;
	if (!shm || jobs == 0)
		return;
	atomic_fetch_add(&shm->buffer_add_ns, (uint64_t)took_ns);
	atomic_fetch_add(&shm->buffer_add_timed, jobs);
	if (queue->buffer.entries > atomic_load(&shm->buffer_peak))
		atomic_store(&shm->buffer_peak, queue->buffer.entries);
}

/* What the tuner has decided since the last look. */
static void tuned(struct queue *queue)
{
	while (queue->decided < queue->tuner.decided) {
		const struct tuner_decision *t = tuner_decision(&queue->tuner, queue->tuner.decided - 1 - queue->decided++);
		if (t)
			learn_decided(queue, &(struct decision){.at_mono_ns = t->at_ns, .what = SHM_TUNED_batch_size, .reason = t->reason,
				.from = t->from, .to = t->to, .run_ns = t->run_ns, .score = t->score});
	}
}

static void learn_sample(struct queue *queue, const struct sample *sample)
{
	const struct tuner_sample batch = {.end_ns = sample->end_mono_ns, .run_ns = sample->run_ns, .size = sample->jobs,
		.jobs = sample->jobs, .done = sample->done + sample->failed, .refused = sample->retried + sample->snoozed};
	bool whole = queue->whole_batches && sample->jobs > 0 && sample->retried == sample->jobs;
	shm_hist_add(&queue->shm->batch_us, sample->run_ns / NS_PER_US);
	uint32_t bound = queue->degrade.bound;
	if (queue->whole_batches && degrade_batch(&queue->degrade, sample->jobs, whole)) {
		learn_decided(queue, &(struct decision){.at_mono_ns = sample->end_mono_ns, .what = SHM_TUNED_bound,
			.reason = whole ? TUNE_whole : TUNE_clean, .from = bound, .to = queue->degrade.bound, .run_ns = sample->run_ns});
		log_warn("queue %s: mode %s, batches of %u", queue->name, degrade_mode_name(degrade_mode(&queue->degrade)),
		         degrade_size(&queue->degrade, tuner_size(&queue->tuner)));
	}
	if (queue->conf->k.batch_adaptive)
		(void)tuner_sample(&queue->tuner, &batch);
	tuned(queue);
	set_size(queue);
}

/* Said when it changes: it is well below 85%, above that, or above 95%. */
static void say_health(struct queue *queue)
{
	static const char *const texts[] = {"has room again", "is nearly full: batches go early", "is full: batches go at once"};
	unsigned use = buffer_use_percent(&queue->buffer);
	unsigned level = use >= BUFFER_EMERGENCY ? 2 : use >= BUFFER_EARLY ? 1 : use < BUFFER_EARLY - 10 ? 0 : queue->buffer_level > 1 ? 1 : queue->buffer_level;
	if (level == queue->buffer_level)
		return;
	queue->buffer_level = level;
	log_info("queue %s: the buffer %s (%u%% of %lld jobs or %lld bytes)", queue->name, texts[level], use,
	         (long long)queue->conf->k.buffer_max, (long long)queue->conf->k.buffer_max_bytes);
}

static void learn_memory(struct queue *queue, int64_t now)
{
	say_health(queue);
	if (queue->conf->k.batch_adaptive && tuner_memory(&queue->tuner, buffer_use_percent(&queue->buffer), now))
		set_size(queue);
	tuned(queue);
}

/* Waits for company cost nothing while nobody could do more. */
static bool idle_beside_waiting(const struct queue *queue)
{
	const struct worker *worker;
	TAILQ_FOREACH(worker, queue->workers, link)
		if (worker->queue == queue && worker->assigned == 0)
			return queue->buffer.entries > 0 && queue->buffer.released == 0;
	return false;
}

static void learn_waits(struct queue *queue)
{
	const shm_u64 *counters = queue->shm->counters;
	uint64_t ended = atomic_load(&counters[COUNTER_completed]) + atomic_load(&counters[COUNTER_failed]);
	double before = queue->waits.scale;
	const struct waits_seen seen = {.use_percent = buffer_use_percent(&queue->buffer), .arrived = (double)(queue->buffer.added - queue->waits_added),
		.ended = (double)(ended - queue->waits_ended), .target = units_per_second(queue->conf->k.throughput_target),
		.idle_beside_waiting = idle_beside_waiting(queue)};
	queue->waits_added = queue->buffer.added;
	queue->waits_ended = ended;
	if (queue->conf->k.batch_timeout <= 0 || !waits_second(&queue->waits, &seen))
		return;
	const struct buffer_law law = waits_of(queue);
	buffer_set_law(&queue->buffer, &law, clock_mono_ns());
	learn_decided(queue, &(struct decision){.at_mono_ns = clock_mono_ns(), .what = SHM_TUNED_waits, .from = before * 100, .to = queue->waits.scale * 100,
		.reason = queue->waits.speed < 1 && queue->waits.scale <= queue->waits.speed ? TUNE_idle : TUNE_room});
}

/* What the buffer counted since the last time: the counters in shared memory outlive a dispatcher. */
void learn_publish(struct queue *queue)
{
	learn_waits(queue);
	const struct buffer *b = &queue->buffer;
	atomic_fetch_add(&queue->shm->buffer_added, b->added - queue->told_added);
	atomic_fetch_add(&queue->shm->buffer_overflows, b->overflows - queue->told_overflows);
	queue->told_added = b->added;
	queue->told_overflows = b->overflows;
}

/* A full batch that is still running; jobs that overlap have times of their own. */
static void learn_running(struct queue *queue, const struct shm_slot *slot, int64_t now)
{
	int64_t since = atomic_load(&slot->batch_since_ns);
	if (since <= 0 || !queue->whole_batches || !queue->conf->k.batch_adaptive || atomic_load(&slot->batch_jobs) < tuner_size(&queue->tuner))
		return;
	if (tuner_running(&queue->tuner, now - since, now))
		set_size(queue);
	tuned(queue);
}

void learn_step(struct dispatcher *d)
{
	struct worker *worker;
	struct sample sample;
	TAILQ_FOREACH(worker, &d->workers, link) {
		const struct shm_slot *slot = worker->queue && worker->queue->conf ? shm_slot_at(d->child->shm, worker->slot) : NULL;
		while (slot && shm_ring_next(slot, &worker->sample_cursor, &sample))
			learn_sample(worker->queue, &sample);
		if (slot)
			learn_running(worker->queue, slot, clock_mono_ns());
	}
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].conf && d->queues[i].shm && (d->queues[i].buffer.entries > 0 || d->queues[i].buffer_level > 0))
			learn_memory(&d->queues[i], clock_mono_ns());
}

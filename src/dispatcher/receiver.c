/*
 * dispatcher/receiver.c: the rate that a queue's receiver bears, its gate, and whose fault a failure is.
 *
 * Runs in the dispatcher. Owns queue->receiver, and the gate's fields in shared memory. The laws are pure (queue/rate.h, queue/breaker.h);
 * this file feeds them with what outcomes say (enum jobq_cause) and publishes what they decide.
 *
 * An outage burns no try. A job that never reached the receiver is not to blame (UNREACHED). One that the receiver could not serve
 * (DOWN) may be to blame, if it is poison: so it is put aside, in doubt, until the gate shuts (an outage: no try), another job succeeds
 * (it was its own fault: a try), or nothing else is under way to tell. A job fails for an outage's sake once: the second time, with
 * no success of any job between, it is charged; so a queue with nothing but poison comes to its end.
 *
 * Invariant: `doubted` is the number of jobs in d->fates with `doubt` set. Cannot fail.
 */
#include "config.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatcher/dispatcher.h"
#include "shm/cell.h"
#include "shm/decision.h"
#include "shm/limit.h"
#include "wire/msg.h"

#define DOUBT_NS (2 * NS_PER_S)
#define EXCUSED_WAIT_NS NS_PER_S       /* the gate is still open */
#define SNOOZE_FIRST_NS NS_PER_S       /* refused, and the receiver does not say for how long */
#define SNOOZE_MOST_NS (60 * NS_PER_S)
#define SNOOZE_DEFAULT_NS (5 * NS_PER_S)

/* ---- the gate ---- */

static void decided(struct queue *queue, enum shm_tuned what, uint32_t reason, double from, double to)
{
	learn_decided(queue, &(struct decision){.at_mono_ns = clock_mono_ns(), .what = what, .reason = reason, .from = from, .to = to});
}

static void publish(struct queue *queue)
{
	static const uint32_t gate[] = {[BREAKER_OPEN] = 0, [BREAKER_SHUT] = SHM_GATE_SHUT, [BREAKER_PROBE] = SHM_GATE_PROBE};
	atomic_store(&queue->shm->gate_until_mono_ns, queue->receiver.breaker.until_ns);
	atomic_store(&queue->shm->gate_state, gate[queue->receiver.breaker.state]);
}

static void shut(struct queue *queue, uint32_t reason, const char *text, size_t len)
{
	char clean[SHM_CELL_TEXT];
	struct receiver *r = &queue->receiver;
	text_clean(clean, sizeof clean, text, len);
	shm_cell_set(&queue->shm->gate_reason, clean);
	publish(queue);
	double seconds = (double)(r->breaker.until_ns - clock_mono_ns()) / (double)NS_PER_S;
	log_error("queue %s: gate shut for %.1f s: %s", queue->name, seconds, clean);
	decided(queue, SHM_TUNED_gate, reason, 0, seconds);
	receiver_settle(queue, true);
}

static void opened(struct queue *queue)
{
	publish(queue);
	log_info("queue %s: gate open, its receiver takes jobs again", queue->name);
	decided(queue, SHM_TUNED_gate, TUNE_recovered, (double)(clock_mono_ns() - queue->receiver.breaker.shut_ns) / (double)NS_PER_S, 0);
	dispatcher_pump(queue->d);
}

void receiver_gate(struct queue *queue, int64_t retry_ns, const char *reason)
{
	if (breaker_refused(&queue->receiver.breaker, retry_ns, clock_mono_ns()))
		shut(queue, TUNE_credentials, reason, strlen(reason));
}

bool receiver_shut(const struct queue *queue)
{
	return queue->receiver.breaker.state == BREAKER_SHUT;
}

/* The probe is gone without a word of the receiver: given back, or its worker died. */
static void look_for_probe(struct queue *queue)
{
	struct receiver *r = &queue->receiver;
	const struct job *probe = job_find(queue->d, r->probe_id, r->probe_token);
	if (!probe || probe->state != JOB_ASSIGNED)
		breaker_probe_lost(&r->breaker);
}

int64_t receiver_may(struct queue *queue)
{
	struct breaker *b = &queue->receiver.breaker;
	enum breaker_state before = b->state;
	if (before == BREAKER_OPEN)
		return INT64_MAX;
	if (b->probing)
		look_for_probe(queue);
	int64_t may = breaker_may(b, clock_mono_ns());
	if (b->state != before)
		publish(queue);
	return may;
}

void receiver_sent(struct queue *queue, const struct job *job)
{
	struct receiver *r = &queue->receiver;
	if (r->breaker.state != BREAKER_PROBE)
		return;
	breaker_probe_sent(&r->breaker);
	r->probe_id = job->id;
	r->probe_token = job->token;
	log_debug("queue %s: job %lld goes to see whether the receiver is back", queue->name, (long long)job->id);
}

/* ---- the rate ---- */

static void repaced(struct queue *queue, uint32_t reason, double before)
{
	pace_apply(queue);
	decided(queue, SHM_TUNED_rate, reason, before, queue->receiver.rate.effective);
}

static void rate_answered(struct queue *queue, const struct msg_outcome *m)
{
	struct rate_state *rate = &queue->receiver.rate;
	double before = rate->effective;
	if (!queue->conf->k.rate_adaptive)
		return;
	rate_accepted(rate);
	if (queue->receiver.requests && rate_latency(rate, m->ended_ns - m->begun_ns, clock_mono_ns()))
		repaced(queue, TUNE_latency, before);
}

static void flight_publish(struct queue *queue)
{
	const struct flight *flight = &queue->flight;
	atomic_store(&queue->shm->flight_milli, flight->now < flight->most ? flight->now * 1000u / flight->most : 0);
}

/* Is it the places in flight that hold back what waits, and not a rate? */
static bool flight_is_full(const struct queue *queue)
{
	return queue->buffer.entries > 0 && shm_limit_wait(&queue->shm->limit, clock_mono_ns()) <= 0;
}

static void flight_wants_less(struct queue *queue)
{
	struct flight *flight = &queue->flight;
	uint32_t before = flight->now;
	if (!flight_is_full(queue) || !flight_refused(flight, clock_mono_ns()) || flight->now == before)
		return;
	flight_publish(queue);
	decided(queue, SHM_TUNED_concurrency, TUNE_refused, before, flight->now);
}

static void wants_less(struct queue *queue, enum jobq_cause cause)
{
	struct rate_state *rate = &queue->receiver.rate;
	double before = rate->effective;
	if (queue->receiver.breaker.state != BREAKER_OPEN)
		return;
	flight_wants_less(queue);
	if (!queue->conf->k.rate_adaptive || queue->receiver.breaker.state != BREAKER_OPEN) /* a probe says nothing of rates */
		return;
	if (cause == JOBQ_CAUSE_REFUSED ? rate_refused(rate, clock_mono_ns()) : rate_failed(rate, clock_mono_ns()))
		repaced(queue, TUNE_refused, before);
}

static void flight_look(struct queue *queue)
{
	struct flight *flight = &queue->flight;
	uint32_t before = flight->now;
	if (!flight_second(flight, flight_is_full(queue), clock_mono_ns()))
		return;
	flight_publish(queue);
	decided(queue, SHM_TUNED_concurrency, TUNE_recovered, before, flight->now);
}

void receiver_second(struct queue *queue)
{
	flight_look(queue);
	struct rate_state *rate = &queue->receiver.rate;
	double before = rate->effective;
	uint64_t cuts = rate->cuts;
	if (!queue->conf->k.rate_adaptive || !rate_second(rate, clock_mono_ns()))
		return;
	pace_apply(queue);
	if (rate->cuts != cuts)
		decided(queue, SHM_TUNED_rate, TUNE_refused, before, rate->effective);
	else if (rate->effective <= 0 || (rate->limit > 0 && rate->effective >= rate->limit))
		decided(queue, SHM_TUNED_rate, TUNE_recovered, before, rate->effective);
}

/* ---- what outcomes say ---- */

static bool excused_before(const struct receiver *r, int64_t id)
{
	for (size_t i = 0; i < r->nexcused && i < RECEIVER_EXCUSED; i++)
		if (r->excused[i] == id)
			return true;
	return false;
}

static uint32_t begun(const struct queue *queue)
{
	const struct worker *worker;
	uint32_t n = 1; /* the one that this is about */
	TAILQ_FOREACH(worker, queue->workers, link)
		if (worker->queue == queue && worker->assigned > 0)
			n += handout_begun(worker);
	return n;
}

static void said_when(struct queue *queue, const struct msg_outcome *m)
{
	int64_t now = clock_mono_ns();
	bool was_shut = queue->receiver.breaker.state == BREAKER_SHUT;
	if (breaker_retry_after(&queue->receiver.breaker, now + m->after_ns, now))
		shut(queue, TUNE_asked, m->error.text, m->error.len);
	else if (was_shut)
		publish(queue); /* it may have become longer */
}

/* A job that was handed out before the gate shut belongs to the outage that shut it. A job that fails again, with nothing between,
 * shows nothing but itself. */
static void failed(struct queue *queue, const struct job *job, const struct msg_outcome *m)
{
	struct receiver *r = &queue->receiver;
	bool again = m->cause == JOBQ_CAUSE_DOWN && (job->id == r->failed_id || excused_before(r, job->id));
	int64_t now = clock_mono_ns();
	if (r->breaker.state == BREAKER_SHUT || (r->breaker.state == BREAKER_PROBE && job->id != r->probe_id))
		return;
	r->failed_id = job->id;
	if (m->cause == JOBQ_CAUSE_DOWN && m->after_ns > 0)
		said_when(queue, m);
	else if (again && r->breaker.state == BREAKER_PROBE && breaker_retry_after(&r->breaker, now + BREAKER_FIRST_NS, now))
		shut(queue, TUNE_down, m->error.text, m->error.len); /* for one that tells no more than before, no longer */
	else if (!again && breaker_failed(&r->breaker, begun(queue), now))
		shut(queue, TUNE_down, m->error.text, m->error.len);
}

static bool answered(enum jobq_outcome_kind kind)
{
	return kind == OUTCOME_FAIL || kind == OUTCOME_UNCERTAIN || kind == OUTCOME_RETRY;
}

static void succeeded(struct queue *queue, const struct msg_outcome *m)
{
	struct receiver *r = &queue->receiver;
	rate_answered(queue, m);
	flight_good(&queue->flight);
	r->failed_id = 0;
	r->nexcused = 0;
	r->snoozes = 0;
	if (r->doubted > 0)
		receiver_settle(queue, false);
	if (breaker_succeeded(&r->breaker))
		opened(queue);
}

void receiver_outcome(struct queue *queue, const struct job *job, const struct msg_outcome *m)
{
	struct receiver *r = &queue->receiver;
	enum jobq_outcome_kind kind = (enum jobq_outcome_kind)m->outcome;
	if (m->cause == JOBQ_CAUSE_REFUSED) {
		wants_less(queue, JOBQ_CAUSE_REFUSED);
		if (m->after_ns > 0)
			said_when(queue, m);
		else if (r->breaker.state == BREAKER_PROBE && breaker_succeeded(&r->breaker))
			opened(queue); /* it is there */
	} else if (m->cause != JOBQ_CAUSE_NONE) {
		if (m->cause == JOBQ_CAUSE_DOWN && r->rate.accepted > 0)
			wants_less(queue, JOBQ_CAUSE_DOWN); /* it serves some */
		failed(queue, job, m);
	} else if (kind == OUTCOME_DONE || kind == OUTCOME_COMMITTED) {
		succeeded(queue, m);
	} else if (answered(kind) && r->breaker.state == BREAKER_PROBE && breaker_succeeded(&r->breaker)) {
		opened(queue);
	}
}

/* ---- whose fault it is ---- */

enum receiver_verdict receiver_judge(struct queue *queue, const struct job *job, enum jobq_cause cause)
{
	struct receiver *r = &queue->receiver;
	if (cause == JOBQ_CAUSE_UNREACHED)
		return RECEIVER_EXCUSE;
	if (cause != JOBQ_CAUSE_DOWN || excused_before(r, job->id))
		return RECEIVER_CHARGE;
	if (r->breaker.state == BREAKER_OPEN)
		return queue->assigned > 0 || queue->buffer.entries > 0 ? RECEIVER_DOUBT : RECEIVER_CHARGE;
	r->excused[r->nexcused++ % RECEIVER_EXCUSED] = job->id;
	return RECEIVER_EXCUSE;
}

void receiver_doubted(struct queue *queue)
{
	queue->receiver.doubted++;
	queue->receiver.doubt_ns = clock_mono_ns();
}

void receiver_settle(struct queue *queue, bool excused)
{
	struct job *job;
	struct receiver *r = &queue->receiver;
	if (r->doubted == 0)
		return;
	TAILQ_FOREACH(job, &queue->d->fates, link)
		if (job->doubt && job->queue == queue) {
			if (excused)
				r->excused[r->nexcused++ % RECEIVER_EXCUSED] = job->id;
			outcome_decided(queue->d, job, excused);
		}
	r->doubted = 0;
	dispatcher_pump(queue->d);
}

/* Refusals of requests that were under way together make one step. */
static int64_t refused_wait(struct receiver *r, int64_t now)
{
	if (r->snoozes == 0 || now >= r->snooze_until_ns) {
		int64_t wait = SNOOZE_FIRST_NS << (r->snoozes < 6 ? r->snoozes : 6);
		r->snoozes++;
		r->snooze_until_ns = now + (wait < SNOOZE_MOST_NS ? wait : SNOOZE_MOST_NS);
	}
	int64_t left = r->snooze_until_ns - now;
	return left > SNOOZE_FIRST_NS ? left : SNOOZE_FIRST_NS;
}

int64_t receiver_wait_ns(struct queue *queue, enum jobq_cause cause, int64_t after_ns)
{
	struct receiver *r = &queue->receiver;
	int64_t now = clock_mono_ns();
	if (r->breaker.state == BREAKER_SHUT && (after_ns < 0 || now + after_ns <= r->breaker.until_ns + NS_PER_S))
		return 0; /* it waits for the gate, not for a time of its own */
	if (after_ns >= 0)
		return after_ns;
	if (cause == JOBQ_CAUSE_REFUSED || cause == JOBQ_CAUSE_DOWN)
		return refused_wait(r, now);
	return cause == JOBQ_CAUSE_NONE ? SNOOZE_DEFAULT_NS : EXCUSED_WAIT_NS;
}

/* ---- time ---- */

void receiver_step(struct queue *queue)
{
	struct receiver *r = &queue->receiver;
	bool nothing_left = queue->assigned == 0 && queue->buffer.entries == 0;
	if (r->doubted > 0 && (nothing_left || clock_mono_ns() - r->doubt_ns >= DOUBT_NS))
		receiver_settle(queue, false);
	if (r->breaker.state == BREAKER_SHUT && receiver_may(queue) > 0)
		dispatcher_pump(queue->d);
}

void receiver_start(struct queue *queue)
{
	struct receiver *r = &queue->receiver;
	const struct jobq_handler *handler = jobq_handler_find(queue->conf->k.handler);
	int64_t now = clock_mono_ns(), limit = atomic_load(&queue->shm->limit_interval_ns), left = atomic_load(&queue->shm->effective_interval_ns);
	r->requests = handler && (handler->flags & JOBQ_HANDLER_OVERLAP);
	rate_init(&r->rate, units_per_second(queue->conf->k.rate_limit), now);
	if (left > limit)
		rate_resume(&r->rate, (double)NS_PER_S / (double)left, now);
	breaker_init(&r->breaker);
	flight_init(&queue->flight, !queue->conf->k.batch_adaptive ? 1 : (uint32_t)(r->requests ? queue->conf->k.max_connections : queue->conf->k.concurrency));
	flight_publish(queue);
	if (atomic_load(&queue->shm->gate_state) != 0)
		(void)breaker_retry_after(&r->breaker, atomic_load(&queue->shm->gate_until_mono_ns), now);
	publish(queue);
}

/*
 * dispatcher/outcome.c: from what a worker said of a job to what becomes of its row (enum fate).
 *
 * Runs in the dispatcher; no SQL. The one place that knows retries, snoozes, holds and crashes. A job comes in ASSIGNED (or just
 * taken from a dead worker) and leaves ENDED through complete_add, or goes back to the buffer. Only an outcome
 * charges a try; a crash, a shutdown, a lost node and a rate limit never do, nor does an outage of the receiver (receiver.c).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/exceeded.h"
#include "dispatcher/limit.h"
#include "dispatcher/slices.h"
#include "jobq/handler.h"
#include "queue/retry.h"
#include "shm/cell.h"
#include "shm/hist.h"
#include "wire/msg.h"

#define CRASHES_FATAL 3 /* once among others, then twice alone */
#define KILLS_FATAL 6   /* the same when SIGKILL ended it: a person, or the kernel for want of memory, which may be the job's doing */

static const char *const outcome_names[OUTCOME_COUNT] = {
#define OUTCOME_X(name, text, charges) text,
#include "tbl/outcomes.def"
#undef OUTCOME_X
};

static void set_error(struct job *job, const char *text, size_t len)
{
	free(job->error);
	job->error = len ? text_clean_dup(text, len, TEXT_ERROR_MAX) : NULL;
	job->error_len = job->error ? strlen(job->error) : 0;
	if (job->error && job->queue && job->queue->shm)
		shm_cell_set(&job->queue->shm->last_error, job->error);
}

static void set_error_text(struct job *job, const char *text)
{
	set_error(job, text, strlen(text));
}

/* ---- fates ---- */

static void set_finish(struct job *job, enum end_status end)
{
	job->fate = FATE_FINISH;
	job->end = end;
}

static void finish(struct dispatcher *d, struct job *job, enum end_status end)
{
	set_finish(job, end);
	complete_add(d, job);
}

static void set_back(struct job *job, int64_t delay_us, int charge)
{
	if (job->cancel) {
		set_finish(job, END_CANCELLED);
		return;
	}
	job->fate = FATE_BACK;
	job->delay_us = delay_us;
	job->charge = charge;
}

static void back(struct dispatcher *d, struct job *job, int64_t delay_us, int charge)
{
	set_back(job, delay_us, charge);
	complete_add(d, job);
}

static void hold(struct dispatcher *d, struct job *job)
{
	job->fate = FATE_HOLD;
	if (job->queue)
		counter_add(job->queue, COUNTER_held_total, 1);
	complete_add(d, job);
}

static int max_retries(const struct job *job)
{
	return job->max_retries >= 0 ? job->max_retries : 3;
}

/* Another try, if one is left. */
static void set_retry(struct dispatcher *d, struct job *job, int64_t after_ns)
{
	static const struct backoff fallback = {BACKOFF_FIXED, 10 * NS_PER_S, 10 * NS_PER_S};
	if (job->retry_count >= max_retries(job)) {
		set_finish(job, END_FAILED);
		return;
	}
	struct backoff backoff = job->queue && job->queue->conf ? job->queue->conf->k.retry_backoff : fallback;
	if (after_ns < 0)
		after_ns = retry_delay_ns(backoff, job->retry_count + 1, dispatcher_random(d));
	if (job->queue)
		counter_add(job->queue, COUNTER_retried, 1);
	set_back(job, after_ns / NS_PER_US, 1);
}

/* The same try, later. */
static void set_again(struct job *job, enum jobq_cause cause, int64_t after_ns)
{
	if (job->queue)
		counter_add(job->queue, COUNTER_snoozed, 1);
	if (job->queue && job->queue->conf && job->queue->shm)
		after_ns = receiver_wait_ns(job->queue, cause, after_ns);
	set_back(job, (after_ns < 0 ? NS_PER_S : after_ns) / NS_PER_US, 0);
}

static void retry(struct dispatcher *d, struct job *job, enum jobq_cause cause, int64_t after_ns)
{
	enum receiver_verdict verdict = job->queue && job->queue->conf && job->queue->shm ? receiver_judge(job->queue, job, cause) : RECEIVER_CHARGE;
	if (verdict == RECEIVER_CHARGE) {
		set_retry(d, job, after_ns);
	} else if (verdict == RECEIVER_EXCUSE) {
		set_again(job, cause, after_ns);
	} else {
		job->fate = FATE_BACK;
		job->doubt = true;
		job->after_ns = after_ns;
		receiver_doubted(job->queue);
	}
	complete_add(d, job);
}

static void snooze(struct dispatcher *d, struct job *job, enum jobq_cause cause, int64_t after_ns)
{
	set_again(job, cause, after_ns);
	complete_add(d, job);
}

/* It, or one of those beside it, broke what handled them: alone it will show. */
static void suspect(struct dispatcher *d, struct job *job)
{
	if (job->queue)
		counter_add(job->queue, COUNTER_snoozed, 1);
	job->new_crashes = job->crashes > 0 ? job->crashes : 1;
	back(d, job, 0, 0);
}

/* Begun, and nobody knows how it ended: is that `uncertain`? Only for handlers whose effect leaves this machine. */
static bool holds_uncertain(const struct job *job)
{
	const struct jobq_handler *handler = job->queue && job->queue->conf ? jobq_handler_find(job->queue->conf->k.handler) : NULL;
	return handler && (handler->flags & JOBQ_HANDLER_OUTSIDE) && job->queue->conf->k.on_uncertain == CONF_ON_UNCERTAIN_HOLD;
}

static void uncertain(struct dispatcher *d, struct job *job, enum jobq_cause cause, int64_t after_ns)
{
	if (!job->queue || !job->queue->conf || job->queue->conf->k.on_uncertain == CONF_ON_UNCERTAIN_HOLD)
		hold(d, job);
	else
		retry(d, job, cause, after_ns);
}

/* ---- what was seen of it ---- */

static void measure(struct dispatcher *d, struct job *job, const struct msg_outcome *m, int64_t now_ns)
{
	if (m->begun_ns <= 0 || !job->queue || !job->queue->shm)
		return;
	int64_t begun_real_us = m->begun_ns / NS_PER_US + d->real_minus_mono_us;
	int64_t due_real_us = job->due_us - d->db_offset_us;
	shm_hist_add(&job->queue->shm->pickup_us, begun_real_us - due_real_us);
	job->run_ms = (double)(m->ended_ns - m->begun_ns) / (double)NS_PER_MS;
	exceeded_sent(job->queue, job->tenant, m->units, now_ns);
}

static void log_outcome(struct dispatcher *d, const struct job *job, const char *outcome)
{
	bool bad = job->fate == FATE_HOLD || (job->fate == FATE_FINISH && job->end == END_FAILED);
	if (d->conf->jobqd.log_jobs == CONF_LOG_JOBS_OFF || (d->conf->jobqd.log_jobs == CONF_LOG_JOBS_FAILED && !bad))
		return;
	const struct log_job line = {
		.id = job->id, .queue = job->queue ? job->queue->name : "", .tenant = job->tenant, .type = job->type, .outcome = outcome,
		.error = job->error ? job->error : "", .attempt = job->retry_count + 1,
		.wait_ms = (double)(dispatcher_db_now_us(d) - job->due_us) / 1000.0 - job->run_ms, .run_ms = job->run_ms};
	log_job(bad ? LOG_L_WARN : LOG_L_INFO, &line, "job");
}

void outcome_decided(struct dispatcher *d, struct job *job, bool excused)
{
	job->doubt = false;
	if (excused)
		set_again(job, JOBQ_CAUSE_DOWN, job->after_ns);
	else
		set_retry(d, job, job->after_ns);
	log_outcome(d, job, "retry");
}

static void unstarted_or_cancelled(struct dispatcher *d, struct job *job, enum jobq_outcome_kind kind)
{
	if (job->worker)
		workers_ack(d, job->worker, job->id, job->token);
	if (job->worker)
		job->worker->held--;
	job->worker = NULL;
	if (kind == OUTCOME_CANCELLED || job->cancel)
		outcome_cancelled(d, job);
	else
		outcome_unstarted(d, job);
}

static void error_counted(struct job *job)
{
	if (job->queue)
		counter_add(job->queue, COUNTER_errors, 1);
}

/* Whatever becomes of the job: this try did not succeed. A refusal is no try, and so is a snooze that says nothing of the receiver. */
static void count_error(struct job *job, enum jobq_outcome_kind kind, enum jobq_cause cause)
{
	bool failed = kind == OUTCOME_RETRY || kind == OUTCOME_FAIL || kind == OUTCOME_UNCERTAIN || (kind == OUTCOME_SNOOZE && cause != JOBQ_CAUSE_NONE);
	if (failed && cause != JOBQ_CAUSE_REFUSED)
		error_counted(job);
}

void outcome_of(struct dispatcher *d, struct job *job, const struct msg_outcome *m, int64_t now_ns)
{
	enum jobq_outcome_kind kind = (enum jobq_outcome_kind)m->outcome;
	job_unassign(d, job);
	measure(d, job, m, now_ns);
	if (m->begun_ns > 0)
		limit_begun(job, m->units, now_ns); /* a worker of a connection that broke did not say so */
	if (m->begun_ns > 0 && job->queue)
		slices_taken(job->queue->slice, m->units);
	if (kind == OUTCOME_UNSTARTED || kind == OUTCOME_CANCELLED) {
		unstarted_or_cancelled(d, job, kind);
		return;
	}
	job->state = JOB_ENDED;
	set_error(job, m->error.text, m->error.len);
	count_error(job, kind, (enum jobq_cause)m->cause);
	if (m->cause == JOBQ_CAUSE_REFUSED && job->queue)
		exceeded_refused(job->queue, job->tenant, job->error ? job->error : "the receiver refused it: too many");
	if (m->result.len > 0) {
		job->result = xstrndup(m->result.text, m->result.len);
		job->result_len = m->result.len;
	}
	enum jobq_cause cause = (enum jobq_cause)m->cause;
	if (job->queue && job->queue->conf && job->queue->shm)
		receiver_outcome(job->queue, job, m);
	if (kind == OUTCOME_DONE)
		finish(d, job, END_COMPLETED);
	else if (kind == OUTCOME_RETRY)
		retry(d, job, cause, m->after_ns);
	else if (kind == OUTCOME_SNOOZE)
		snooze(d, job, cause, m->after_ns);
	else if (kind == OUTCOME_UNCERTAIN)
		uncertain(d, job, cause, m->after_ns);
	else if (kind == OUTCOME_SUSPECT)
		suspect(d, job);
	else if (kind == OUTCOME_FAIL)
		finish(d, job, END_FAILED);
	else {
		job->fate = FATE_VERIFY;
		job->end = END_COMPLETED;
		complete_add(d, job);
	}
	if (!job->doubt)
		log_outcome(d, job, outcome_names[kind]);
}

/* ---- what nobody said ---- */

void outcome_crashed(struct dispatcher *d, struct job *job, bool sole, bool by_kill)
{
	char text[128];
	if (job->queue)
		counter_add(job->queue, COUNTER_crashed, 1);
	if (holds_uncertain(job)) {
		set_error_text(job, "its worker died after the job had begun: nobody knows whether it was sent");
		error_counted(job);
		hold(d, job);
		log_outcome(d, job, "uncertain");
		return;
	}
	int crashes = sole ? (job->crashes > 0 ? job->crashes : 1) + 1 : (job->crashes > 0 ? job->crashes : 1);
	snprintf(text, sizeof text, "its worker died while the job ran%s", sole ? ", alone" : ", among others");
	set_error_text(job, text);
	job->new_crashes = crashes;
	if (crashes >= (by_kill ? KILLS_FATAL : CRASHES_FATAL)) {
		set_error_text(job, by_kill ? "its worker was killed five times while the job ran alone" : "the job killed its worker twice while it ran alone");
		error_counted(job);
		finish(d, job, END_FAILED);
		log_outcome(d, job, "fail");
		return;
	}
	back(d, job, -1, 0);
}

void outcome_ended_unseen(struct dispatcher *d, struct job *job)
{
	if (holds_uncertain(job)) {
		set_error_text(job, "its worker died before it could report the outcome: nobody knows whether it was sent");
		error_counted(job);
		hold(d, job);
		return;
	}
	outcome_unstarted(d, job);
}

void outcome_timed_out(struct dispatcher *d, struct job *job)
{
	char text[160], limit[64];
	units_print_duration(limit, sizeof limit, job->queue && job->queue->conf ? job->queue->conf->k.job_timeout : 0);
	snprintf(text, sizeof text, "timed out: the job ran longer than job_timeout (%s) and its worker was killed", limit);
	set_error_text(job, text);
	error_counted(job);
	if (holds_uncertain(job))
		hold(d, job);
	else
		retry(d, job, JOBQ_CAUSE_NONE, -1);
	log_outcome(d, job, "retry");
}

void outcome_unstarted(struct dispatcher *d, struct job *job)
{
	if (d->leaving || d->draining || !job->queue || !job->queue->conf || job->cancel) {
		outcome_release(d, job);
		return;
	}
	job->state = JOB_BUFFERED;
	job->alone = job->cancel_sent = job->timed_out = false;
	job->item.suspect = job->crashes > 0;
	buffer_add(&job->queue->buffer, job->tenant, &job->item, true, clock_mono_ns());
}

void outcome_release(struct dispatcher *d, struct job *job)
{
	job->state = JOB_ENDED;
	back(d, job, -1, 0);
}

void outcome_release_buffered(struct dispatcher *d, const struct queue *queue, const char *tenant)
{
	struct job *job, *next;
	HASH_ITER(hh, d->jobs, job, next) {
		if (job->state != JOB_BUFFERED || (queue && job->queue != queue) || (tenant && strcmp(job->tenant, tenant) != 0))
			continue;
		buffer_remove(&job->queue->buffer, &job->item, clock_mono_ns());
		outcome_release(d, job);
	}
}

void outcome_cancelled(struct dispatcher *d, struct job *job)
{
	job->state = JOB_ENDED;
	finish(d, job, END_CANCELLED);
}

void outcome_too_large(struct dispatcher *d, struct job *job)
{
	char text[128];
	snprintf(text, sizeof text, "its payload and last result are %u bytes as text: more than a worker can be sent", job->item.bytes);
	job->state = JOB_ENDED;
	set_error_text(job, text);
	error_counted(job);
	finish(d, job, END_FAILED);
	log_outcome(d, job, "fail");
}

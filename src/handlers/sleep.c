/*
 * handlers/sleep.c: waits, and ends as its payload says: for tests of everything around a handler.
 *
 * Runs in a worker. A batch takes `fixed`, and then `sleep` for each of its jobs, one after another; a job whose payload
 * names its own time takes that, beside the others. Payload (all optional; docs/protocol.md has the list):
 *   {"sleep": "250ms"} or {"ms": 250}     its own time
 *   {"outcome": "done|retry|fail|snooze|uncertain", "after": "1s", "error": "...", "times": 2}
 *       times: on its first tries; a snooze is none, so these are counted here, in each worker
 *   {"result": ...}                       echoed
 *   {"progress": [40, {"percent": 80, "note": "page 4"}]}   reported at equal distances
 *   {"block": true}                       hangs in the call; {"crash": true} dies (in builds with fault points)
 * Owns one `struct nap` a begun job, with its timer. A payload that it cannot use ends FAIL with the reason.
 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "conf/conf.h"
#include "handlers/payload.h"
#include "handlers/registry.h"
#include "jobq/handler.h"

#define uthash_malloc(size) xmalloc(size) /* out of memory ends the process as everywhere */
#include <uthash.h>

struct sleeper {
	struct event_base *base;
	int64_t each_ns, fixed_ns;
	uint64_t batch_id;   /* whose jobs are being taken */
	int64_t batch_due_ns; /* when the next of them has had its time */
	struct snoozed *snoozed;
};

struct snoozed { /* a job that this worker has put off */
	int64_t id, times;
	UT_hash_handle hh;
};

struct nap {
	struct jobq_job *job;
	struct event *timer;
	json_t *payload;
	int64_t own_ns, after_ns; /* own: -1 = the queue's */
	enum jobq_outcome_kind kind;
	int64_t start_ns, due_ns;
	size_t steps, step;       /* of progress */
};

static const char *const sleep_outcomes[] = {
#define OUTCOME_X(name, text, charges) [OUTCOME_##name] = text,
#include "tbl/outcomes.def"
#undef OUTCOME_X
};

static int sleep_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	struct sleeper *s = xcalloc(1, sizeof *s);

	(void)err;
	(void)errlen;
	s->base = env->base;
	s->each_ns = env->queue->k.sleep;
	s->fixed_ns = env->queue->k.fixed;
	*state = s;
	return 0;
}

static void sleep_close(void *state)
{
	struct sleeper *s = state;
	struct snoozed *one, *next;

	HASH_ITER(hh, s->snoozed, one, next) {
		HASH_DEL(s->snoozed, one);
		free(one);
	}
	free(s);
}

/* A job whose payload says how often it snoozes has done so once more, or is done. */
static void sleep_count_snooze(struct sleeper *s, struct nap *nap)
{
	const json_t *times = json_object_get(nap->payload, "times");
	struct snoozed *one;

	if (nap->kind != OUTCOME_SNOOZE || times == NULL)
		return;
	HASH_FIND(hh, s->snoozed, &nap->job->id, sizeof one->id, one);
	if (one == NULL) {
		one = xcalloc(1, sizeof *one);
		one->id = nap->job->id;
		HASH_ADD(hh, s->snoozed, id, sizeof one->id, one);
	}
	if (++one->times > json_integer_value(times))
		nap->kind = OUTCOME_DONE;
}

/* A duration in the payload: "250ms" under `key`. False: it is there and is none. */
static bool sleep_duration(const json_t *payload, const char *key, int64_t *ns)
{
	const json_t *v = json_object_get(payload, key);

	return v == NULL || (json_is_string(v) && units_duration(json_string_value(v), ns));
}

/* What the payload says, into nap; NULL, or what is wrong with it. */
static const char *sleep_read(struct nap *nap, const struct jobq_job *job)
{
	const json_t *ms = json_object_get(nap->payload, "ms"), *outcome = json_object_get(nap->payload, "outcome");
	const json_t *times = json_object_get(nap->payload, "times"), *progress = json_object_get(nap->payload, "progress");

	nap->own_ns = nap->after_ns = -1;
	nap->kind = OUTCOME_DONE;
	if (!sleep_duration(nap->payload, "sleep", &nap->own_ns))
		return "\"sleep\" is not a duration like \"250ms\"";
	if (!sleep_duration(nap->payload, "after", &nap->after_ns))
		return "\"after\" is not a duration like \"1s\"";
	if (ms != NULL && (!json_is_integer(ms) || json_integer_value(ms) < 0 || json_integer_value(ms) > INT64_C(86400000)))
		return "\"ms\" is not a number of milliseconds up to a day";
	if (ms != NULL)
		nap->own_ns = json_integer_value(ms) * NS_PER_MS;
	if (times != NULL && !json_is_integer(times))
		return "\"times\" is not a number";
	if (progress != NULL && !json_is_array(progress))
		return "\"progress\" is not a list";
	nap->steps = json_array_size(progress);
	if (outcome == NULL)
		return NULL;
	size_t kind = 0;
	while (kind <= OUTCOME_UNCERTAIN && (!json_is_string(outcome) || strcmp(sleep_outcomes[kind], json_string_value(outcome)) != 0))
		kind++;
	if (kind > OUTCOME_UNCERTAIN)
		return "\"outcome\" is not one of done, retry, fail, snooze, uncertain";
	if (times == NULL || job->attempt <= json_integer_value(times))
		nap->kind = (enum jobq_outcome_kind)kind;
	return NULL;
}

static struct nap *sleep_nap(const struct jobq_job *job, const char **wrong)
{
	struct nap *nap = xcalloc(1, sizeof *nap);

	nap->payload = json_loadb(job->payload, job->payload_len, 0, NULL);
	*wrong = json_is_object(nap->payload) ? sleep_read(nap, job) : "the payload is not an object";
	return nap;
}

static void sleep_free(struct nap *nap)
{
	if (nap->timer != NULL)
		event_free(nap->timer);
	json_decref(nap->payload);
	free(nap);
}

static void sleep_end(struct nap *nap)
{
	const json_t *error = json_object_get(nap->payload, "error"), *result = json_object_get(nap->payload, "result");
	char *text = result == NULL ? NULL : json_dumps(result, JSON_ENCODE_ANY | JSON_COMPACT);
	struct jobq_job *job = nap->job;
	struct jobq_outcome o = {
		.kind = nap->kind, .after_ns = nap->after_ns, .result = text, .result_len = text == NULL ? 0 : strlen(text),
		.error = json_string_value(error), .error_len = json_string_length(error),
	};

	if (nap->kind != OUTCOME_DONE && o.error == NULL) {
		o.error = "as the payload says";
		o.error_len = strlen(o.error);
	}
	jobq_end(job, &o);
	free(text);
	sleep_free(nap);
}

/* The timer: for the next report of progress, or for the end. */
static void sleep_arm(struct nap *nap)
{
	int64_t part = (nap->due_ns - nap->start_ns) / (int64_t)(nap->steps + 1);
	int64_t at = nap->step < nap->steps ? nap->start_ns + part * (int64_t)(nap->step + 1) : nap->due_ns;
	struct timeval tv = clock_timeval(at - clock_mono_ns());

	if (event_add(nap->timer, &tv) != 0)
		mem_exhausted(0);
}

static void sleep_due(evutil_socket_t fd, short what, void *arg)
{
	struct nap *nap = arg;

	(void)fd;
	(void)what;
	if (nap->step < nap->steps) {
		const json_t *p = json_array_get(json_object_get(nap->payload, "progress"), nap->step++);
		jobq_progress(nap->job, json_number_value(json_is_object(p) ? json_object_get(p, "percent") : p),
			json_string_value(json_object_get(p, "note")));
	} else if (clock_mono_ns() >= nap->due_ns) {
		sleep_end(nap);
		return;
	}
	sleep_arm(nap);
}

static int64_t sleep_due_at(struct sleeper *s, const struct nap *nap, int64_t now)
{
	if (s->batch_due_ns == 0 || s->batch_id != nap->job->batch->id) { /* jobs go batch by batch, in order */
		s->batch_id = nap->job->batch->id;
		s->batch_due_ns = now + s->fixed_ns;
	}
	if (nap->own_ns >= 0)
		return now + nap->own_ns;
	s->batch_due_ns = (s->batch_due_ns > now ? s->batch_due_ns : now) + s->each_ns;
	return s->batch_due_ns;
}

/* Things that a handler must not do. They take the process with them, or leave it to be killed. */
static void sleep_misbehave(struct nap *nap)
{
#ifdef JOBQ_FAULTS
	if (json_is_true(json_object_get(nap->payload, "crash"))) {
		if (signal(SIGSEGV, SIG_DFL) == SIG_ERR || raise(SIGSEGV) != 0)
			abort();
	}
#endif
	while (json_is_true(json_object_get(nap->payload, "block")))
		pause();
}

static void sleep_go(void *state, struct jobq_job *job)
{
	struct sleeper *s = state;
	const char *wrong;
	struct nap *nap = sleep_nap(job, &wrong); /* checked before its admission */

	nap->job = job;
	job->data = nap;
	sleep_count_snooze(s, nap);
	sleep_misbehave(nap);
	nap->start_ns = clock_mono_ns();
	nap->due_ns = sleep_due_at(s, nap, nap->start_ns);
	nap->timer = event_new(s->base, -1, 0, sleep_due, nap);
	if (nap->timer == NULL)
		mem_exhausted(0);
	if (nap->due_ns <= nap->start_ns && nap->steps == 0)
		sleep_end(nap);
	else
		sleep_arm(nap);
}

static bool sleep_can(const void *state, const struct jobq_job *job, char *err, size_t errlen)
{
	const char *wrong;
	struct nap *nap = sleep_nap(job, &wrong);

	(void)state;
#ifndef JOBQ_FAULTS
	if (wrong == NULL && json_is_true(json_object_get(nap->payload, "crash")))
		wrong = "\"crash\" needs a build with fault points";
#endif
	sleep_free(nap);
	if (wrong != NULL && snprintf(err, errlen, "%s", wrong) < 0)
		err[0] = '\0';
	return wrong == NULL;
}

static void sleep_run(void *state, struct jobq_batch *batch)
{
	payload_admit(state, batch, sleep_can, sleep_go);
}

static void sleep_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	struct nap *nap = job->data;

	(void)state;
	if (why == JOBQ_STOP_CANCEL)
		jobq_end_error(job, OUTCOME_CANCELLED, -1, "cancelled while it slept");
	else
		jobq_end_error(job, OUTCOME_RETRY, -1, "stopped after %.1f s: it ran over its time",
			(double)(clock_mono_ns() - nap->start_ns) / (double)NS_PER_S);
	sleep_free(nap);
}

const struct jobq_handler handler_sleep = {
	.name = "sleep", .open = sleep_open, .run = sleep_run, .stop = sleep_stop, .close = sleep_close,
};

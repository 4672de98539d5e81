/*
 * worker/outcome.c: what became of each job, kept until the dispatcher says that it is committed.
 *
 * Runs in a worker. Owns the records, their texts, the table that finds them, and (with batch.c) the held entries of the
 * slot. Record i of the pool stands beside entry i of the held table; jobs that found the table full get a record of their
 * own, only to go back unstarted. An ended record is in `unsent` or in `sent`, in the order of ending; a new connection puts
 * the sent ones back in front, so a dispatcher that takes over hears everything again.
 *
 * Invariant: nothing but an ACK (or a dispatcher that died before we could begin) ends a record. Memory: kept_bytes; over
 * kept_max no job begins. What handlers give is made safe here: error texts cleaned and clipped, results checked as JSON.
 */
#include "config.h"

#include "worker/outcome.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "shm/held.h"
#include "wire/msg.h"
#include "wire/stream.h"
#include "worker/admit.h"
#include "worker/begun.h"

#define RESULT_MAX (256u << 10) /* as the payload: the table's own limit */
#define FRAME_SOFT (1u << 20)   /* a frame of outcomes is closed beyond it */

void outcome_open(struct worker *w)
{
	w->pool = xcalloc(SHM_HELD, sizeof *w->pool);
	TAILQ_INIT(&w->unsent);
	TAILQ_INIT(&w->sent);
}

static void outcome_release(struct worker *w, struct record *r)
{
	HASH_DEL(w->table, r);
	if (r->job == NULL)
		w->kept_bytes -= sizeof *r + r->error_len + r->result_len;
	free(r->text);
	if (r->held < 0)
		free(r);
}

/* The held entries stay as they are: they tell the dispatcher what an abandoned job was doing. */
void outcome_close(struct worker *w)
{
	struct record *r, *next;

	HASH_ITER(hh, w->table, r, next)
		outcome_release(w, r);
	free(w->pool);
}

struct record *outcome_find(struct worker *w, int64_t id, int64_t token)
{
	struct record_key key = {id, token};
	struct record *r;

	HASH_FIND(hh, w->table, &key, sizeof key, r);
	return r;
}

struct record *outcome_add(struct worker *w, struct job *job, bool alone)
{
	int held = shm_held_add(w->slot, &w->hint, job->pub.id, job->pub.token, alone);
	struct record *r = held >= 0 ? &w->pool[held] : xmalloc(sizeof *r);

	*r = (struct record){.key = {job->pub.id, job->pub.token}, .held = held, .job = job};
	HASH_ADD(hh, w->table, key, sizeof r->key, r);
	return r;
}

void outcome_forget(struct worker *w, struct record *r)
{
	int held = r->held;

	outcome_release(w, r);
	if (held >= 0)
		shm_held_drop(w->slot, held);
}

/* NULL if `text` is fit to be a job's result, else what is wrong with it. */
static const char *outcome_result_wrong(const char *text, size_t len)
{
	if (len > RESULT_MAX)
		return "the result was dropped: it is over 256 kB";
	json_t *json = json_loadb(text, len, JSON_DECODE_ANY, NULL);
	if (json == NULL)
		return "the result was dropped: it is not valid JSON";
	json_decref(json);
	return NULL;
}

void outcome_set(struct worker *w, struct record *r, const struct jobq_outcome *o, int64_t begun_ns, int64_t ended_ns)
{
	char error[TEXT_ERROR_MAX + 1];
	const char *result = o->result, *raw = o->error;
	size_t raw_len = o->error == NULL ? 0 : o->error_len;

	if (result != NULL) {
		const char *wrong = outcome_result_wrong(result, o->result_len);
		if (wrong != NULL) {
			log_warn("job %lld: %s", (long long)r->key.id, wrong);
			result = NULL;
			if (raw_len == 0) {
				raw = wrong;
				raw_len = strlen(wrong);
			}
		}
	}
	r->units = r->job != NULL && begun_ns > 0 ? (uint32_t)r->job->cost : 0;
	r->job = NULL;
	r->outcome = (uint8_t)o->kind;
	r->cause = (uint8_t)o->cause;
	r->begun_ns = begun_ns;
	r->ended_ns = ended_ns;
	r->after_ns = o->after_ns < 0 ? -1 : o->after_ns;
	r->error_len = raw_len == 0 ? 0 : text_clean(error, sizeof error, raw, raw_len);
	r->result_len = result == NULL ? 0 : o->result_len;
	if (r->error_len + r->result_len > 0) {
		r->text = xmalloc(r->error_len + r->result_len);
		if (r->error_len > 0)
			memcpy(r->text, error, r->error_len);
		if (r->result_len > 0)
			memcpy(r->text + r->error_len, result, r->result_len);
	}
	w->kept_bytes += sizeof *r + r->error_len + r->result_len;
	if (r->held >= 0)
		shm_held_ended(w->slot, r->held);
	TAILQ_INSERT_TAIL(&w->unsent, r, link);
	worker_turn(w);
}

static void outcome_put(struct buf *b, const struct record *r)
{
	const char *text = r->text == NULL ? "" : r->text;
	struct msg_outcome m = {
		.id = r->key.id, .token = r->key.token, .outcome = r->outcome, .cause = r->cause, .units = r->units,
		.begun_ns = r->begun_ns, .ended_ns = r->ended_ns, .after_ns = r->after_ns,
		.error = {text, r->error_len},
		.result = {text + r->error_len, r->result_len},
	};

	msg_put_outcome(b, &m);
}

void outcome_flush(struct worker *w)
{
	struct record *r;

	begun_flush(w);
	if (!w->welcome || TAILQ_EMPTY(&w->unsent))
		return;
	while (!TAILQ_EMPTY(&w->unsent)) {
		struct buf *b = stream_begin(w->stream, FRAME_OUTCOMES, w->generation);
		size_t at = b->len;
		uint32_t n = 0;

		msg_put_count(b, 0);
		while ((r = TAILQ_FIRST(&w->unsent)) != NULL && b->len - at < FRAME_SOFT) {
			outcome_put(b, r);
			n++;
			TAILQ_REMOVE(&w->unsent, r, link);
			TAILQ_INSERT_TAIL(&w->sent, r, link);
			r->is_sent = true;
		}
		buf_set_u32(b, at, n);
		stream_end(w->stream);
	}
	(void)stream_flush(w->stream); /* what cannot be written now waits in the stream */
}

void outcome_resend(struct worker *w)
{
	struct record *r;

	TAILQ_FOREACH(r, &w->sent, link)
		r->is_sent = false;
	TAILQ_CONCAT(&w->sent, &w->unsent, link);
	TAILQ_CONCAT(&w->unsent, &w->sent, link);
}

bool outcome_full(const struct worker *w)
{
	return w->kept_bytes > w->kept_max;
}

bool outcome_ack(struct worker *w, struct rd *body)
{
	struct msg_ref ref;
	uint32_t n;

	if (!msg_get_count(body, &n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!msg_get_ref(body, &ref))
			return false;
		struct record *r = outcome_find(w, ref.id, ref.token);
		if (r == NULL || r->job != NULL) /* acknowledged before; or a dispatcher that was told nothing of it yet */
			continue;
		TAILQ_REMOVE(r->is_sent ? &w->sent : &w->unsent, r, link);
		outcome_forget(w, r);
	}
	admit_pump(w);
	worker_turn(w);
	return true;
}

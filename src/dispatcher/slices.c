/*
 * dispatcher/slices.c: the limits in use on this node: asks the database for its part of them, and lets each begin in time; see slices.h.
 *
 * Runs in the dispatcher. Owns d->slices, and each queue's alone_until_ns. One question is under way at a time, for all limits that were wanted
 * lately; what an answer means for one limit is slice.c's. A limit that is dropped meanwhile leaves a hole in the question, so
 * that the answers still belong to who asked. Fails by asking again: a lost answer costs use, never the limit.
 */
#include "config.h"

#include "dispatcher/slices.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/slice.h"

#define ASK_NS (450 * NS_PER_MS)       /* twice in a slice: an answer may be late */
#define ASK_ALONE_NS NS_PER_S
#define RETRY_NS (100 * NS_PER_MS)
#define UNUSED_NS (5 * NS_PER_S)       /* then it is not asked for any more */

struct slices {
	TAILQ_HEAD(, slice) all;
	struct slice **asked;   /* those of the question under way, in its order; NULL where one has gone meanwhile */
	size_t nasked;
	int64_t asked_ns, next_ask_ns;
	int64_t turn_ns;        /* no span begins before; may be too early */
	int64_t used_ns;        /* when one of them was wanted last */
	bool asking;
};

/* ---- use ---- */

static struct slices *slices_of(struct dispatcher *d)
{
	if (!d->slices) {
		d->slices = xcalloc(1, sizeof *d->slices);
		TAILQ_INIT(&d->slices->all);
	}
	return d->slices;
}

static struct slice *use_new(struct queue *queue, char scope, const char *name, uint32_t word, int64_t interval_ns, int64_t burst_ns)
{
	struct slices *s = slices_of(queue->d);
	struct slice *slice = xcalloc(1, sizeof *slice);
	slice->name = name;
	slice->queue = queue;
	slice->scope = scope;
	slice->word = word;
	slice->interval_ns = interval_ns;
	slice->burst_ns = burst_ns;
	TAILQ_INSERT_TAIL(&s->all, slice, link);
	if (queue->alone_until_ns > clock_mono_ns()) {
		slice_alone(slice);
		return slice;
	}
	slice_close(slice);
	s->next_ask_ns = 0;
	return slice;
}

struct slice_law slices_use(struct slice **handle, struct queue *queue, char scope, const char *name, uint32_t word, int64_t interval_ns,
	int64_t burst_ns)
{
	int64_t now_ns = clock_mono_ns();
	if (!*handle)
		*handle = use_new(queue, scope, name, word, interval_ns, burst_ns);
	struct slice *slice = *handle;
	if (slice->word != word) {
		slice->word = word;
		slice->begun = false;
		if (slice->nspans == 0)
			slice_close(slice);
	}
	if (slice->interval_ns != interval_ns || slice->burst_ns != burst_ns) {
		slice_change(slice, interval_ns, burst_ns);
		queue->d->slices->turn_ns = 0;
	}
	slice_advance(slice, now_ns); /* before the question whether anything of it is left */
	if (now_ns - slice->used_ns > UNUSED_NS && slice->nspans == 0)
		queue->d->slices->next_ask_ns = 0; /* it is not asked for any more: at once */
	slice->used_ns = queue->d->slices->used_ns = now_ns;
	if (slice->begun)
		return (struct slice_law){slice->spans[0].interval_ns, slice->spans[0].burst_ns, slice->spans[0].until_ns};
	return (struct slice_law){0, 0, slice->nspans > 0 ? slice->spans[0].from_ns : now_ns + RETRY_NS};
}

void slices_taken(struct slice *slice, int64_t units)
{
	if (slice)
		slice->taken += (double)units;
}

void slices_waits(struct slice *slice)
{
	if (slice)
		slice->waits = true;
}

void slices_drop(struct slice *slice)
{
	if (!slice)
		return;
	struct slices *s = slice->queue->d->slices;
	for (size_t i = 0; i < s->nasked; i++)
		if (s->asked[i] == slice)
			s->asked[i] = NULL;
	TAILQ_REMOVE(&s->all, slice, link);
	free(slice);
}

/* ---- the answer ---- */

static void take_holds(struct dispatcher *d, const json_t *alone, int64_t asked_ns)
{
	for (size_t i = 0; i < d->nqueues; i++) {
		const json_t *hold = json_object_get(alone, d->queues[i].name);
		d->queues[i].alone_until_ns = hold ? asked_ns + json_integer_value(json_object_get(hold, "until_us")) * NS_PER_US : 0;
	}
}

static void take_answer(struct dispatcher *d, const json_t *doc)
{
	struct slices *s = d->slices;
	int64_t now_ns = clock_mono_ns();
	s->turn_ns = 0;
	const json_t *alone = json_object_get(doc, "alone"), *grants = json_object_get(doc, "grants");
	take_holds(d, alone, s->asked_ns);
	for (size_t i = 0; i < s->nasked; i++)
		if (s->asked[i])
			slice_grant(s->asked[i], json_array_get(grants, i), json_object_get(alone, s->asked[i]->queue->name), s->asked_ns, now_ns);
}

static void answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	struct slices *s = d->slices;
	s->asking = false;
	if (result->status != PG_OK) {
		if (result->status != PG_LOST && result->status != PG_TRANSIENT)
			log_error("shares of rate limits cannot be leased: %s", result->error);
		s->next_ask_ns = clock_mono_ns() + RETRY_NS;
		return;
	}
	size_t len = 0;
	const char *text = PQntuples(result->res) == 1 && !pg_get_isnull(result->res, 0, 0) ? pg_get_jsonb(result->res, 0, 0, &len) : NULL;
	json_t *doc = text ? json_loadb(text, len, 0, NULL) : NULL;
	if (doc)
		take_answer(d, doc);
	json_decref(doc);
	dispatcher_pump(d);
}

/* ---- the question ---- */

static const char *scope_name(char scope)
{
	return scope == 'q' ? "queue" : scope == 't' ? "tenant" : "tier";
}

/* Units a second that this node could use: all of it while somebody waits, else half as much again as it took. */
static double want_of(const struct slice *slice, int64_t now_ns, int64_t since_ns)
{
	double rate = (double)NS_PER_S / (double)slice->interval_ns, span = (double)(now_ns - since_ns) / (double)NS_PER_S;
	if (slice->waits)
		return 2 * rate;
	return span > 0 && slice->taken > 0 ? 1.5 * slice->taken / span + 1 : 0;
}

static json_t *want(struct slice *slice, int64_t now_ns, int64_t since_ns)
{
	double rate = (double)NS_PER_S / (double)slice->interval_ns;
	json_int_t burst = slice->burst_ns / slice->interval_ns;
	json_t *doc = json_pack("{s:s, s:s, s:s, s:f, s:I, s:f}", "queue", slice->queue->name, "scope", scope_name(slice->scope), "name", slice->name,
		"rate", rate, "burst", burst < 1 ? (json_int_t)1 : burst, "want", want_of(slice, now_ns, since_ns));
	slice->waits = false;
	slice->taken = 0;
	return doc;
}

static json_t *beliefs(const struct dispatcher *d, int64_t now_ns)
{
	json_t *alone = json_array();
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].alone_until_ns > now_ns)
			json_array_append_new(alone, json_string(d->queues[i].name));
	return alone;
}

static json_t *question(struct dispatcher *d, int64_t now_ns)
{
	struct slices *s = d->slices;
	struct slice *slice;
	json_t *limits = json_array();
	size_t n = 0;
	TAILQ_FOREACH(slice, &s->all, link)
		n++;
	s->asked = xreallocarray(s->asked, n + 1, sizeof(struct slice *));
	s->nasked = 0;
	TAILQ_FOREACH(slice, &s->all, link) {
		if (now_ns - slice->used_ns > UNUSED_NS)
			continue;
		json_array_append_new(limits, want(slice, now_ns, s->asked_ns));
		s->asked[s->nasked++] = slice;
	}
	return json_pack("{s:o, s:o}", "alone", beliefs(d, now_ns), "limits", limits);
}

static bool all_alone(const struct slices *s, int64_t now_ns)
{
	for (size_t i = 0; i < s->nasked; i++)
		if (s->asked[i]->queue->alone_until_ns <= now_ns)
			return false;
	return true;
}

static void ask(struct dispatcher *d, int64_t now_ns)
{
	struct slices *s = d->slices;
	json_t *doc = question(d, now_ns);
	if (s->nasked > 0) {
		char *text = json_dumps(doc, JSON_COMPACT);
		struct pg_params *p = db_params(d);
		pg_param_int8(p, d->incarnation);
		pg_param_text(p, text);
		s->asking = db_send(d, DB_CLAIM, "lease_rate", answer, d);
		free(text);
	}
	json_decref(doc);
	s->asked_ns = now_ns;
	s->next_ask_ns = now_ns + (s->nasked > 0 && !s->asking ? RETRY_NS : all_alone(s, now_ns) ? ASK_ALONE_NS : ASK_NS);
}

/* Spans that begin now are written. Limits may be thousands: they are walked when one of them begins, and not at each step. */
static void turn(struct slices *s, int64_t now_ns)
{
	struct slice *slice;
	s->turn_ns = INT64_MAX;
	TAILQ_FOREACH(slice, &s->all, link) {
		slice_advance(slice, now_ns);
		int64_t next = slice_next_ns(slice);
		s->turn_ns = next < s->turn_ns ? next : s->turn_ns;
	}
}

void slices_step(struct dispatcher *d)
{
	struct slices *s = d->slices;
	int64_t now_ns = clock_mono_ns();
	if (!s)
		return;
	if (now_ns >= s->turn_ns)
		turn(s, now_ns);
	if (d->phase == PHASE_RUN && d->lease_ok && !s->asking && now_ns >= s->next_ask_ns)
		ask(d, now_ns);
}

int64_t slices_next_ns(const struct dispatcher *d)
{
	const struct slices *s = d->slices;
	if (!s || d->phase != PHASE_RUN)
		return INT64_MAX;
	bool used = !TAILQ_EMPTY(&s->all) && clock_mono_ns() - s->used_ns <= UNUSED_NS;
	return used && !s->asking && s->next_ask_ns < s->turn_ns ? s->next_ask_ns : s->turn_ns;
}

void slices_free(struct dispatcher *d)
{
	struct slice *slice;
	if (!d->slices)
		return;
	while ((slice = TAILQ_FIRST(&d->slices->all)) != NULL)
		slices_drop(slice);
	free(d->slices->asked);
	free(d->slices);
	d->slices = NULL;
}

/*
 * dispatcher/slice.c: one limit's spans of time, and the word in which they are in force; see slice.h.
 *
 * Runs in the dispatcher. Writes the limit's word (pace.c does it for the queue's own) and the slice's spans; knows neither the other limits nor
 * how the database is asked (slices.c). Times of an answer count from its moment: ends from when it was asked, beginnings from when it
 * came, so this node never uses more than is meant for it, whatever the way took. Every law that is written ends by itself: a
 * dispatcher that is stopped or cut off leaves nothing open.
 *
 * Invariant: where no span was running, a new one begins with what nobody could take meanwhile (idle_us), and not with a full burst.
 * Cannot fail: what an answer does not say is nothing that may be taken.
 */
#include "config.h"

#include "dispatcher/slice.h"

#include <string.h>

#include "base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/pace.h"
#include "dispatcher/words.h"
#include "queue/gcra.h"
#include "shm/limit.h"

#define CLOSED 1 /* an until_ns that is over */

/* ---- the words ---- */

static struct shm_limit *word_of(const struct slice *slice)
{
	return slice->word == SHM_NO_WORD ? &slice->queue->shm->limit : words_limit(slice->queue->d, slice->word);
}

static void write_law(const struct slice *slice, int64_t interval_ns, int64_t burst_ns, int64_t until_ns)
{
	if (slice->word == SHM_NO_WORD)
		pace_slice(slice->queue, interval_ns, burst_ns, until_ns);
	else
		shm_limit_set_until(word_of(slice), interval_ns, burst_ns, until_ns);
}

void slice_close(struct slice *slice)
{
	write_law(slice, slice->interval_ns, slice->burst_ns, CLOSED);
	slice->begun = false;
}

/* Units that could be taken when the law ended. */
static double left_at_end(const struct slice *slice)
{
	const struct shm_limit *limit = word_of(slice);
	int64_t interval = atomic_load(&limit->interval_ns), ahead = gcra_ahead(atomic_load(&limit->tat_ns), slice->ended_ns);
	return interval > 0 ? (double)(atomic_load(&limit->burst_ns) - ahead) / (double)interval : 0;
}

/* While this node had no part nothing was added to it: others took what came in that time. */
static void begin(struct slice *slice, const struct span *span)
{
	if (slice->refill || slice->ended_ns > 0) {
		double units = slice->refill ? slice->kept : left_at_end(slice);
		slice_close(slice);
		shm_limit_drain(word_of(slice), units);
	}
	write_law(slice, span->interval_ns, span->burst_ns, span->until_ns);
	slice->begun = true;
	slice->refill = false;
	slice->ended_ns = 0;
}

void slice_advance(struct slice *slice, int64_t now_ns)
{
	while (slice->nspans > 0 && slice->spans[0].until_ns <= now_ns) {
		if (slice->begun)
			slice->ended_ns = slice->spans[0].until_ns;
		memmove(&slice->spans[0], &slice->spans[1], (SLICES - 1) * sizeof slice->spans[0]);
		slice->nspans--;
		slice->begun = false;
	}
	const struct span *span = &slice->spans[0];
	if (slice->nspans == 0 || slice->begun || span->from_ns > now_ns)
		return;
	begin(slice, span);
}

int64_t slice_next_ns(const struct slice *slice)
{
	size_t coming = slice->begun ? 1 : 0;
	return slice->nspans > coming ? slice->spans[coming].from_ns : INT64_MAX;
}

/* ---- the law ---- */

void slice_alone(struct slice *slice)
{
	slice->spans[0] = (struct span){0, slice->queue->alone_until_ns, slice->interval_ns, slice->burst_ns};
	slice->nspans = 1;
	slice->covered_ns = slice->queue->alone_until_ns;
}

void slice_change(struct slice *slice, int64_t interval_ns, int64_t burst_ns)
{
	for (size_t i = 0; i < slice->nspans; i++) { /* as large a part of the new limit */
		slice->spans[i].interval_ns = slice->spans[i].interval_ns == slice->interval_ns ? interval_ns :
			(int64_t)((double)slice->spans[i].interval_ns * (double)interval_ns / (double)slice->interval_ns);
		slice->spans[i].burst_ns = slice->spans[i].burst_ns < burst_ns ? slice->spans[i].burst_ns : burst_ns;
	}
	if (slice->queue->alone_until_ns > clock_mono_ns() && slice->nspans > 0)
		slice->spans[0].burst_ns = burst_ns;
	slice->interval_ns = interval_ns;
	slice->burst_ns = burst_ns;
	slice->begun = false;
}

/* ---- the answer ---- */

static void take_spans(struct slice *slice, const json_t *grant, int64_t asked_ns, int64_t now_ns)
{
	const json_t *slices = json_object_get(grant, "slices");
	slice->nspans = 0;
	for (size_t i = 0; i < json_array_size(slices) && slice->nspans < SLICES; i++) {
		const json_t *one = json_array_get(slices, i);
		double rate = json_number_value(json_object_get(one, "rate"));
		int64_t burst = json_integer_value(json_object_get(one, "burst"));
		if (rate <= 0 || burst < 1)
			continue;
		int64_t interval = (int64_t)((double)NS_PER_S / rate) + 1;
		slice->spans[slice->nspans++] = (struct span){
			.from_ns = now_ns + json_integer_value(json_object_get(one, "from_us")) * NS_PER_US,
			.until_ns = asked_ns + json_integer_value(json_object_get(one, "until_us")) * NS_PER_US,
			.interval_ns = interval, .burst_ns = gcra_span(burst, interval)};
	}
}

/* idle_us null: nobody has taken from it lately, it is full. */
static void fill(struct slice *slice, const json_t *idle_us)
{
	slice_close(slice);
	slice->refill = json_is_number(idle_us);
	slice->kept = slice->refill ? json_number_value(idle_us) * (double)NS_PER_US / (double)slice->interval_ns : 0;
	slice->ended_ns = 0;
}

void slice_grant(struct slice *slice, const json_t *grant, const json_t *hold, int64_t asked_ns, int64_t now_ns)
{
	bool running = now_ns <= slice->covered_ns;
	const json_t *idle = json_object_get(hold ? hold : grant, "idle_us");
	if (hold) {
		slice->spans[0] = (struct span){now_ns, slice->queue->alone_until_ns, slice->interval_ns, slice->burst_ns};
		slice->nspans = 1;
	} else {
		take_spans(slice, grant, asked_ns, now_ns);
	}
	slice->begun = false;
	if (slice->nspans == 0) {
		slice->covered_ns = 0;
		slice_close(slice);
		return;
	}
	if (!running)
		fill(slice, idle);
	slice->covered_ns = slice->spans[slice->nspans - 1].until_ns;
	slice_advance(slice, now_ns);
}

/*
 * dispatcher/wake.c: how the dispatcher learns of new rows: by notification while they are few, by polling while they are many.
 *
 * Runs in the dispatcher. Owns d->wake and the advisory lock WAKE_KEY on the GATE connection.
 *
 *   LISTENING  we hold WAKE_KEY exclusively: every enqueue fails to share it and sends a NOTIFY with its commit
 *   POLLING    we do not: an enqueue shares the lock and sends nothing (NOTIFY serialises commits: 3.9k/s against 11k/s)
 *   ASKED      we wait for the lock, polling meanwhile; it comes when the last uncommitted enqueue has ended, and from our
 *              asking on new ones already notify (a waiter blocks their try)
 *
 *   POLLING --few arrivals--> ASKED --granted, full look at the lanes--> LISTENING --many notifications, unlock--> POLLING
 *
 * So nothing committed before or after the grant is overlooked. A notification names its lane ("queue TAB tenant TAB
 * priority TAB run_at in us"), or where to read from ("#id"), or asks for a tick ("!"); it is a hint only. Several nodes: one
 * holds the lock, the others wait for it, and waiting has the same effect. Behind a pooler there is no lock: polling only.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/roster.h"

#define FEW_PER_S 100.0  /* below: ask for the lock */
#define MANY_PER_S 300.0 /* above: give it back */
#define MOST_PER_S 3000.0 /* counted in one second: a million at once are forgotten within six, as three thousand are */

static int64_t later(int64_t ns)
{
	return clock_mono_ns() + ns;
}

/* ---- the lock ---- */

static void granted(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	if (d->wake.state != WAKE_ASKED)
		return;
	if (result->status != PG_OK) {
		d->wake.state = WAKE_POLLING;
		if (result->status != PG_LOST)
			log_warn("the waking lock cannot be taken, polling: %s", result->error);
		return;
	}
	d->wake.state = WAKE_LISTENING;
	d->wake.scan_after_grant = true;
	lanes_scan(d);
}

static void unlocked(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	(void)result; /* lost with the connection: then it is free as well */
	d->wake.unlocking = false;
}

static void ask(struct dispatcher *d)
{
	if (!d->link[DB_GATE] || d->wake.unlocking)
		return;
	db_params(d);
	if (db_send(d, DB_GATE, "wake_lock", granted, d))
		d->wake.state = WAKE_ASKED;
}

static void give_back(struct dispatcher *d)
{
	db_params(d);
	d->wake.unlocking = db_send(d, DB_GATE, "wake_unlock", unlocked, d);
	d->wake.state = WAKE_POLLING;
	d->wake.poll_every_ns = d->conf->jobqd.poll_min;
	d->wake.next_poll_ns = 0;
}

void wake_lost(struct dispatcher *d)
{
	d->wake.state = WAKE_POLLING;
	d->wake.unlocking = false;
}

/* ---- polling ---- */

void wake_start(struct dispatcher *d)
{
	d->wake.poll_every_ns = d->conf->jobqd.poll_min;
	d->wake.next_poll_ns = 0;
	d->wake.polling = false;
	if (d->wake.poll_from == 0)
		d->wake.poll_from = INT64_MAX;
	lanes_scan(d);
	if (d->wake.state == WAKE_POLLING)
		ask(d);
}

void wake_step(struct dispatcher *d)
{
	if (d->phase != PHASE_RUN || !d->lease_ok || !d->scanned || d->draining)
		return;
	if (d->wake.scan_after_grant && !d->scanning) /* the grant came while an older scan was under way */
		lanes_scan(d);
	if (!d->wake.polling && clock_mono_ns() >= d->wake.next_poll_ns)
		lanes_poll(d);
}

void wake_polled(struct dispatcher *d, bool ok, int64_t fresh)
{
	struct wake *w = &d->wake;
	int64_t least = d->conf->jobqd.poll_min, most = d->conf->jobqd.poll_max;
	w->arrived += (uint64_t)fresh;
	if (!ok)
		w->poll_every_ns = NS_PER_S;
	else if (w->state == WAKE_LISTENING)
		w->poll_every_ns = most;
	else if (fresh > 0)
		w->poll_every_ns = least;
	else
		w->poll_every_ns = w->poll_every_ns * 2 > most ? most : w->poll_every_ns * 2;
	int64_t jitter = (int64_t)(dispatcher_random(d) % (uint64_t)(w->poll_every_ns / 8 + 1));
	w->next_poll_ns = w->poll_from <= w->high ? 0 : later(w->poll_every_ns + jitter);
}

void wake_second(struct dispatcher *d)
{
	struct wake *w = &d->wake;
	double came = (double)(w->arrived + w->notified);
	w->arrivals_per_s = 0.5 * w->arrivals_per_s + 0.5 * (came < MOST_PER_S ? came : MOST_PER_S);
	w->arrived = w->notified = 0;
	if (d->phase != PHASE_RUN || !d->lease_ok)
		return;
	if (w->state == WAKE_POLLING && w->arrivals_per_s < FEW_PER_S)
		ask(d);
	else if (w->state == WAKE_LISTENING && w->arrivals_per_s > MANY_PER_S)
		give_back(d);
}

/* ---- notifications ---- */

static bool next_field(char **at, char **field)
{
	*field = *at;
	char *tab = *at ? strchr(*at, '\t') : NULL;
	if (tab)
		*tab = '\0';
	*at = tab ? tab + 1 : NULL;
	return **field != '\0' || tab;
}

/* "queue TAB tenant TAB priority TAB run_at": the lane may be claimed at once. */
static bool lane_hint(struct dispatcher *d, const char *payload)
{
	char text[1024], *at = text, *queue_name, *tenant, *priority, *run_at;
	int64_t prio, run_at_us;
	if (text_copy(text, sizeof text, payload) != strlen(payload))
		return false;
	if (!strchr(text, '\t') || !next_field(&at, &queue_name) || !at || !next_field(&at, &tenant) || !at ||
	    !next_field(&at, &priority) || !at || !next_field(&at, &run_at) || at)
		return false;
	if (!units_int(priority, INT16_MIN, INT16_MAX, &prio) || !units_int(run_at, 0, INT64_MAX, &run_at_us))
		return false;
	struct queue *queue = dispatcher_queue(d, queue_name);
	if (!queue || !queue->conf)
		return true; /* somebody else's */
	struct lane *lane = backlog_lane(&queue->backlog, tenant, (int)prio);
	backlog_arrived(&queue->backlog, lane, 1, run_at_us, dispatcher_db_now_us(d));
	if (run_at_us <= dispatcher_db_now_us(d))
		queue->counted_pending++;
	return true;
}

void wake_notify(struct dispatcher *d, const char *payload)
{
	d->wake.notified++;
	if (d->phase != PHASE_RUN)
		return;
	if (strcmp(payload, "!tenants") == 0) {
		roster_stale(d);
	} else if (*payload == '!') {
		d->next_tick_ns = 0;
	} else if (!lane_hint(d, payload)) {
		int64_t from = 0;
		if (*payload == '#' && units_int(payload + 1, 0, INT64_MAX, &from) && from < d->wake.poll_from)
			d->wake.poll_from = from;
		d->wake.next_poll_ns = 0;
	}
	dispatcher_pump(d);
}

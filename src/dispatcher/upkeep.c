/*
 * dispatcher/upkeep.c: history partitions: made ahead, dropped when every row in them may go.
 *
 * Runs in the dispatcher, on the ADMIN link, once an hour. Every node does it; the statements are idempotent. A due leaf is
 * detached concurrently (no lock that stops claims) and then dropped.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/leaf.h"

#define EVERY_NS (3600 * NS_PER_S)

static void dropped(void *arg, const struct pg_result *result)
{
	(void)arg;
	if (result->status != PG_OK && result->status != PG_LOST)
		log_warn("an old history partition could not be removed, it is tried again: %s", result->error);
}

static bool is_leaf_name(const char *name)
{
	return strncmp(name, "jobs_h_", 7) == 0 && strspn(name + 7, "0123456789") == strlen(name + 7) && strlen(name) == 15;
}

static void due_leaves(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	char sql[128];
	d->upkeeping = false;
	if (result->status != PG_OK)
		return;
	for (int row = 0; row < PQntuples(result->res); row++) {
		const char *name = pg_get_text(result->res, row, 0, NULL);
		if (!is_leaf_name(name))
			continue;
		log_info("history partition %s has expired and goes", name);
		snprintf(sql, sizeof sql, "SELECT jobq.drop_leaf('%s')", name);
		if (!pg_conn_exec(d->link[DB_ADMIN], sql, dropped, d))
			return;
	}
}

static void forgotten(void *arg, const struct pg_result *result)
{
	(void)arg;
	if (result->status != PG_OK && result->status != PG_LOST)
		log_warn("old import errors could not be removed, it is tried again: %s", result->error);
}

static void make_ahead(struct dispatcher *d)
{
	int64_t now_us = dispatcher_db_now_us(d);
	for (size_t i = 0; i < d->conf->nqueues; i++) {
		const struct conf_queue_keys *k = &d->conf->queues[i]->k;
		for (int64_t ahead = 0; ahead <= 1; ahead++) { /* today's, and tomorrow's before it is needed */
			if (k->retain_completed > 0)
				leaf_make(d, leaf_expiry(now_us + ahead * 86400 * US_PER_S, k->retain_completed));
			if (k->retain_failed > 0)
				leaf_make(d, leaf_expiry(now_us + ahead * 86400 * US_PER_S, k->retain_failed));
		}
	}
}

void upkeep_second(struct dispatcher *d)
{
	int64_t now = clock_mono_ns();
	if (d->phase != PHASE_RUN || !d->lease_ok || d->upkeeping || now < d->next_upkeep_ns)
		return;
	d->next_upkeep_ns = now + EVERY_NS;
	make_ahead(d);
	db_params(d);
	d->upkeeping = db_send(d, DB_ADMIN, "expired_leaves", due_leaves, d);
	db_params(d);
	if (!db_send(d, DB_ADMIN, "import_errors_expired", forgotten, d))
		log_debug("import errors: not connected");
}

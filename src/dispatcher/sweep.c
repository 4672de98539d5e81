/*
 * dispatcher/sweep.c: gives back what nobody holds any more: claims of lost nodes, and our own whose reply was lost.
 *
 * Runs in the dispatcher, on the ADMIN link. A node is lost when its lease has run out by the database's clock; its row is deleted
 * first (so its own renewal finds nothing and it starts again), then the claims without a node are released. We sweep only
 * after a whole lease of uninterrupted connection: after an outage every lease looks old. Our own claims: a token
 * that the table knows and we do not, seen twice with at least ORPHAN_AGE between, is released as well.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"

#define ORPHAN_AGE_NS (5 * NS_PER_S)

struct orphan {
	int64_t token;
	int64_t seen_ns; /* first */
	bool again;      /* in the last answer */
	UT_hash_handle hh;
};

static bool failed(const char *what, const struct pg_result *result)
{
	if (result->status == PG_OK)
		return false;
	if (result->status != PG_LOST)
		log_warn("%s failed: %s", what, result->error);
	return true;
}

/* ---- lost nodes ---- */

static void took_back(struct dispatcher *d, const char *name, int64_t jobs)
{
	struct queue *queue = dispatcher_queue(d, name);
	log_warn("taken back from lost nodes: %lld jobs of queue %s", (long long)jobs, name);
	if (queue)
		counter_add(queue, COUNTER_rescued, (uint64_t)jobs);
}

static void released(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	d->sweeping = false;
	if (failed("releasing the jobs of a lost node", result))
		return;
	for (int row = 0; row < PQntuples(result->res); row++) {
		int64_t n = pg_get_int8(result->res, row, 1);
		if (!pg_get_isnull(result->res, row, 0)) {
			took_back(d, pg_get_text(result->res, row, 0, NULL), n);
		} else if (n > 0) { /* there may be more claims */
			d->next_sweep_ns = 0;
			lanes_scan(d);
		}
	}
}

static void lost_nodes(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	d->sweeping = false;
	if (failed("looking for lost nodes", result))
		return;
	for (int i = 0; i < PQntuples(result->res); i++)
		log_warn("node %s is lost: its lease has run out", pg_get_text(result->res, i, 0, NULL));
	db_params(d);
	d->sweeping = db_send(d, DB_ADMIN, "sweep_orphans", released, d);
}

static void sweep_nodes(struct dispatcher *d)
{
	int64_t now = clock_mono_ns(), lease = d->conf->jobqd.lease;
	if (d->sweeping || now < d->next_sweep_ns || now - d->connected_since_ns < lease)
		return;
	d->next_sweep_ns = now + lease / 3;
	struct pg_params *p = db_params(d);
	pg_param_int8(p, d->incarnation);
	d->sweeping = db_send(d, DB_ADMIN, "sweep_nodes", lost_nodes, d);
}

/* ---- our own lost replies ---- */

static void forget_settled(struct dispatcher *d)
{
	struct orphan *orphan, *next;
	HASH_ITER(hh, d->orphans, orphan, next) {
		if (orphan->again) {
			orphan->again = false;
			continue;
		}
		HASH_DEL(d->orphans, orphan);
		free(orphan);
	}
}

static void note_token(struct dispatcher *d, int64_t token, struct buf *due)
{
	struct claim *claim;
	struct orphan *orphan;
	HASH_FIND(hh, d->claims, &token, sizeof token, claim);
	if (claim)
		return;
	HASH_FIND(hh, d->orphans, &token, sizeof token, orphan);
	if (!orphan) {
		orphan = xcalloc(1, sizeof *orphan);
		orphan->token = token;
		orphan->seen_ns = clock_mono_ns();
		HASH_ADD(hh, d->orphans, token, sizeof orphan->token, orphan);
	}
	orphan->again = true;
	if (clock_mono_ns() - orphan->seen_ns >= ORPHAN_AGE_NS)
		buf_i64(due, token);
}

static void orphans_released(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	if (failed("releasing claims whose reply was lost", result))
		return;
	if (pg_get_int8(result->res, 0, 0) > 0) {
		log_warn("taken back after a lost reply: %lld jobs", (long long)pg_get_int8(result->res, 0, 0));
		lanes_scan(d);
	}
}

static bool a_claim_is_old(const struct dispatcher *d)
{
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].claiming && clock_mono_ns() - d->queues[i].claim_sent_ns > ORPHAN_AGE_NS / 2)
			return true;
	return false;
}

static void own_tokens(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	struct buf due = {0};
	d->checking = false;
	if (failed("reading our claims", result))
		return;
	for (int i = 0; i < PQntuples(result->res); i++)
		note_token(d, pg_get_int8(result->res, i, 0), &due);
	forget_settled(d);
	if (due.len > 0 && !a_claim_is_old(d)) {
		struct pg_params *p = db_params(d);
		struct rd r = rd_of(due.data, due.len);
		size_t n = due.len / sizeof(int64_t);
		pg_array_begin(p, PG_INT8, n);
		for (size_t i = 0; i < n; i++)
			pg_array_int8(p, rd_i64(&r));
		pg_array_end(p);
		if (!db_send(d, DB_ADMIN, "release_tokens", orphans_released, d))
			log_debug("lost replies are looked for later");
	}
	buf_free(&due);
}

static void sweep_own(struct dispatcher *d)
{
	int64_t now = clock_mono_ns();
	if (d->checking || now < d->next_own_ns)
		return;
	d->next_own_ns = now + (d->orphans ? NS_PER_S : 10 * NS_PER_S);
	struct pg_params *p = db_params(d);
	pg_param_int8(p, d->incarnation);
	d->checking = db_send(d, DB_ADMIN, "own_claims", own_tokens, d);
}

void sweep_second(struct dispatcher *d)
{
	if (d->phase != PHASE_RUN || !d->lease_ok)
		return;
	sweep_nodes(d);
	sweep_own(d);
}

/*
 * dispatcher/node.c: this incarnation's row in jobq.nodes and its lease.
 *
 * Runs in the dispatcher. The lease is one row an incarnation. Its deadline, as workers see it, is counted from the moment at which the
 * renewal was SENT (CLOCK_BOOTTIME), so it never outlives the row's. A renewal that finds no row means that
 * another node has taken our jobs: the process leaves at once and a new incarnation begins; its tokens are void.
 */
#include "config.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatcher/dispatcher.h"
#include "jobq/exit.h"
#include "shm/cell.h"

static void param_interval_us(struct pg_params *p, int64_t ns)
{
	pg_param_int8(p, ns / NS_PER_US);
}

/* The database's clock against ours: the middle of the round trip. */
static void learn_offset(struct dispatcher *d, int64_t db_us)
{
	int64_t boot = clock_boot_ns();
	int64_t middle_us = clock_real_us() - (boot - d->lease_sent_boot_ns) / 2 / NS_PER_US;
	d->db_offset_us = db_us - middle_us;
	atomic_store(&d->global->database_offset_us, d->db_offset_us);
}

static void lease_is_good(struct dispatcher *d)
{
	int64_t lease = d->conf->jobqd.lease;
	atomic_store(&d->global->lease_ns, lease);
	atomic_store(&d->global->lease_deadline_boot_ns, d->lease_sent_boot_ns + lease);
	d->lease_next_ns = clock_mono_ns() + lease / 3;
	d->lease_ok = true;
}

static void renew_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	d->renewing = false;
	if (result->status == PG_LOST)
		return;
	if (result->status != PG_OK) {
		log_warn("the lease could not be renewed: %s", result->error);
		d->lease_next_ns = clock_mono_ns() + NS_PER_S;
		return;
	}
	if (PQntuples(result->res) == 0) {
		log_error("another node has taken over the jobs of this one (its lease had run out): starting again");
		dispatcher_leave(d, JOBQ_EXIT_RUNTIME);
		return;
	}
	learn_offset(d, pg_get_timestamp_us(result->res, 0, 0));
	if (!db_up(d))
		return; /* another link went meanwhile: when it is back, the lease is renewed again and all is looked at */
	bool first = !d->lease_ok;
	lease_is_good(d);
	if (!first)
		return;
	db_publish(d, DB_CONNECTED, "");
	d->connected_since_ns = clock_mono_ns();
	d->next_tick_ns = 0;
	tick_second(d);
	wake_start(d);
	dispatcher_pump(d);
}

void node_renew(struct dispatcher *d)
{
	struct pg_params *p = db_params(d);
	if (d->phase != PHASE_RUN || d->renewing) /* the deadline is counted from the sending of the one that is answered */
		return;
	pg_param_int8(p, d->incarnation);
	param_interval_us(p, d->conf->jobqd.lease);
	d->lease_sent_boot_ns = clock_boot_ns();
	d->lease_next_ns = clock_mono_ns() + d->conf->jobqd.lease / 3;
	d->renewing = db_send(d, DB_ACK, "node_renew", renew_answer, d);
	if (!d->renewing)
		log_debug("the lease is not renewed: not connected");
}

/* ---- registering ---- */

static void register_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	if (result->status != PG_OK) {
		d->phase = PHASE_CONNECT;
		if (result->status != PG_LOST) {
			db_publish(d, DB_WAITING, result->error);
			d->schema_checked = false; /* looked at again in a moment */
			d->next_schema_ns = clock_mono_ns() + NS_PER_S;
		}
		return;
	}
	d->incarnation = pg_get_int8(result->res, 0, 0);
	learn_offset(d, pg_get_timestamp_us(result->res, 0, 1));
	atomic_store(&d->global->incarnation, d->incarnation);
	shm_cell_set(&d->global->installation, pg_get_text(result->res, 0, 2, NULL));
	log_info("registered as incarnation %lld", (long long)d->incarnation);
	d->phase = PHASE_RECOVER;
	recover_start(d);
}

static void param_queue_names(struct dispatcher *d, struct pg_params *p)
{
	pg_array_begin(p, PG_TEXT, d->conf->nqueues);
	for (size_t i = 0; i < d->conf->nqueues; i++)
		pg_array_text(p, d->conf->queues[i]->name, strlen(d->conf->queues[i]->name));
	pg_array_end(p);
}

static void param_queue_numbers(struct dispatcher *d, struct pg_params *p)
{
	size_t n = d->conf->nqueues;
	pg_array_begin(p, PG_TEXT, n);
	for (size_t i = 0; i < n; i++) {
		const char *handler = d->conf->queues[i]->k.handler;
		pg_array_text(p, handler, strlen(handler));
	}
	pg_array_end(p);
	pg_array_begin(p, PG_INT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int8(p, d->conf->queues[i]->k.max_retries);
	pg_array_end(p);
	pg_array_begin(p, PG_INT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int8(p, d->conf->queues[i]->k.retain_completed / NS_PER_US);
	pg_array_end(p);
	pg_array_begin(p, PG_INT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int8(p, d->conf->queues[i]->k.retain_failed / NS_PER_US);
	pg_array_end(p);
}

void node_register(struct dispatcher *d)
{
	char node[SHM_CELL_TEXT];
	struct pg_params *p = db_params(d);
	pg_param_text(p, d->child->instance);
	pg_param_text(p, shm_cell_get(&d->global->node, node));
	pg_param_text(p, PACKAGE_VERSION);
	param_interval_us(p, d->conf->jobqd.lease);
	param_queue_names(d, p);
	param_queue_numbers(d, p);
	pg_param_int4(p, (int32_t)atomic_load(&d->global->schema));
	d->lease_sent_boot_ns = clock_boot_ns();
	if (db_send(d, DB_ACK, "node_register", register_answer, d))
		d->phase = PHASE_REGISTER;
}

void node_unregister(struct dispatcher *d, pg_done *done)
{
	struct pg_params *p = db_params(d);
	pg_param_int8(p, d->incarnation);
	if (!db_send(d, DB_ACK, "node_unregister", done, d))
		dispatcher_leave(d, JOBQ_EXIT_OK);
}

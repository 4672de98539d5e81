/*
 * dispatcher/recover.c: takes over what an earlier incarnation of this daemon had claimed.
 *
 * Runs in the dispatcher, once, between registering and the first claim; workers are accepted only afterwards. The claims of
 * our instance are made ours; then every row that stands in no worker's slot is released at once, and the others get
 * a job object and wait for their worker's hello, or for the word that it is dead (workers_bury). The generation was
 * raised before the fork, so a batch that an earlier dispatcher wrote and no worker has read yet will be dropped by it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "shm/cell.h"
#include "shm/held.h"

struct claim_ref {
	int64_t id, token; /* both: a slot may still show the claim before */
};

struct held_at { /* where a job stands in shared memory */
	struct claim_ref ref;
	uint32_t slot, generation;
	UT_hash_handle hh;
};

enum { COL_QUEUE = 16 }; /* behind the columns of a claim */

static struct held_at *read_slots(const struct dispatcher *d)
{
	struct held_at *all = NULL, *entry;
	for (uint32_t s = 0; s < d->child->shm->nslots; s++) {
		const struct shm_slot *slot = shm_slot_at(d->child->shm, s);
		if (atomic_load(&slot->role) != ROLE_WORKER || atomic_load(&slot->state) == PROC_FREE)
			continue;
		for (uint32_t i = 0; i < SHM_HELD; i++) {
			struct held held;
			if (!shm_held_read(slot, i, &held))
				continue;
			const struct claim_ref ref = {.id = held.id, .token = held.token};
			HASH_FIND(hh, all, &ref, sizeof ref, entry);
			if (entry)
				continue;
			entry = xcalloc(1, sizeof *entry);
			entry->ref = ref;
			entry->slot = s;
			entry->generation = atomic_load(&slot->generation);
			HASH_ADD(hh, all, ref, sizeof entry->ref, entry);
		}
	}
	return all;
}

static void free_slots(struct held_at *all)
{
	struct held_at *entry, *next;
	HASH_ITER(hh, all, entry, next) {
		HASH_DEL(all, entry);
		free(entry);
	}
}

static void run(struct dispatcher *d)
{
	d->phase = PHASE_RUN;
	workers_bury(d);
	workers_accept(d);
	node_renew(d);
}

static void take_row(struct dispatcher *d, const struct held_at *held, const PGresult *res, int row)
{
	struct job_row r;
	claim_read_row(res, row, &r);
	struct queue *queue = dispatcher_queue(d, pg_get_text(res, row, COL_QUEUE, NULL));
	struct job *job = job_new(d, queue, &r);
	if (!held) {
		if (queue)
			counter_add(queue, COUNTER_rescued, 1);
		outcome_release(d, job);
		return;
	}
	job->state = JOB_ASSIGNED;
	if (queue)
		queue->assigned++;
	job->slot = held->slot;
	job->slot_generation = held->generation;
	TAILQ_INSERT_TAIL(&d->adopted, job, link);
}

static void rows_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	if (result->status != PG_OK) {
		if (result->status != PG_LOST)
			log_error("claims of an earlier incarnation cannot be read: %s", result->error);
		dispatcher_leave(d, 1);
		return;
	}
	struct held_at *all = read_slots(d), *held;
	int rows = PQntuples(result->res);
	for (int row = 0; row < rows; row++) {
		const struct claim_ref ref = {.id = pg_get_int8(result->res, row, 1), .token = pg_get_int8(result->res, row, 0)};
		HASH_FIND(hh, all, &ref, sizeof ref, held);
		take_row(d, held, result->res, row);
	}
	free_slots(all);
	if (rows > 0)
		log_info("taken over from an earlier incarnation: %d jobs", rows);
	run(d);
}

static void claims_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	if (result->status != PG_OK) {
		if (result->status != PG_LOST)
			log_error("claims of an earlier incarnation cannot be taken over: %s", result->error);
		dispatcher_leave(d, 1);
		return;
	}
	struct pg_params *p = db_params(d);
	pg_param_int8(p, d->incarnation);
	if (!db_send(d, DB_ACK, "recover_rows", rows_answer, d))
		dispatcher_leave(d, 1);
}

void recover_start(struct dispatcher *d)
{
	struct pg_params *p = db_params(d);
	pg_param_int8(p, d->incarnation);
	pg_param_text(p, d->child->instance);
	if (!db_send(d, DB_ACK, "recover_claims", claims_answer, d))
		dispatcher_leave(d, 1);
}

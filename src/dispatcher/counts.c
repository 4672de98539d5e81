/*
 * dispatcher/counts.c: what shared memory shows of each queue, and the unserved queues and nodes.
 *
 * Runs in the dispatcher. Owns the dispatcher's fields of struct shm_queue (counters apart, which are added where things
 * happen). `pending` is kept by arrivals and claims and put right by an exact count, which uses at most a hundredth of the time and
 * runs every count_max_age at most; the GATE link does it,
 * which is idle nearly always, so a long count delays nothing.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatcher/dispatcher.h"
#include "shm/cell.h"

#define COUNT_SHARE 100
#define SECONDS 60 /* of the throughputs' windows: the long one, */
#define SHORT 10   /* and the short one */

/* ---- throughput ---- */

static void turn_seconds(struct queue *queue, int64_t second)
{
	int64_t past = second - queue->ended_second;
	for (int64_t i = 1; i <= past && i <= SECONDS; i++)
		queue->ended[(queue->ended_second + i) % SECONDS] = 0;
	queue->ended_second = second;
}

void counts_ended(struct queue *queue, enum shm_counter counter, int64_t now_ns)
{
	int64_t second = now_ns / NS_PER_S;
	if (second != queue->ended_second)
		turn_seconds(queue, second);
	queue->ended[second % SECONDS]++;
	flow_add(&queue->flow, now_ns);
	counter_add(queue, counter, 1);
}

double counts_flow(const struct dispatcher *d, int64_t now_ns)
{
	double per_s = 0;
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].assigned > 0)
			per_s += flow_per_s(&d->queues[i].flow, now_ns);
	return per_s;
}

/* Over ten and sixty seconds. */
static void publish_throughput(struct queue *queue)
{
	int64_t second = clock_mono_ns() / NS_PER_S;
	if (second != queue->ended_second)
		turn_seconds(queue, second);
	uint64_t sum = 0, minute = 0;
	for (int64_t i = 0; i < SECONDS; i++) {
		minute += queue->ended[(second + SECONDS - i) % SECONDS];
		if (i < SHORT)
			sum = minute;
	}
	atomic_store(&queue->shm->throughput_milli, sum * 1000 / SHORT);
	atomic_store(&queue->shm->minute_milli, minute * 1000 / SECONDS);
}

/* ---- every second, from memory ---- */

static void publish_queue(struct queue *queue)
{
	struct shm_queue *shm = queue->shm;
	int64_t pending = queue->counted_pending > 0 ? queue->counted_pending : 0;
	publish_throughput(queue);
	learn_publish(queue);
	atomic_store(&shm->pending, (uint64_t)pending + queue->buffer.entries);
	atomic_store(&shm->scheduled, (uint64_t)queue->counted_scheduled);
	atomic_store(&shm->held, (uint64_t)queue->counted_held);
	atomic_store(&shm->in_flight, queue->in_flight - queue->buffer.entries);
	atomic_store(&shm->oldest_pending_real_us, pending > 0 ? queue->oldest_due_us : 0);
	atomic_store(&shm->buffer_entries, queue->buffer.entries);
	atomic_store(&shm->buffer_bytes, queue->buffer.bytes);
	atomic_store(&shm->buffer_max, (uint64_t)queue->conf->k.buffer_max);
	atomic_store(&shm->batch_size, (uint32_t)queue->batch_size);
	atomic_store(&shm->batch_min, (uint32_t)queue->conf->k.batch_min);
	atomic_store(&shm->batch_max, (uint32_t)queue->conf->k.batch_max);
}

void counts_publish(struct dispatcher *d)
{
	for (size_t i = 0; i < d->nqueues; i++)
		if (d->queues[i].conf && d->queues[i].shm)
			publish_queue(&d->queues[i]);
}

/* ---- the exact count ---- */

struct count_call {
	struct dispatcher *d;
	int64_t sent_ns;
};

static void not_served(struct dispatcher *d, const char *name, int64_t pending, int64_t oldest_us, uint32_t *n)
{
	if (*n >= SHM_UNSERVED || pending == 0)
		return;
	struct shm_unserved *entry = &d->global->unserved[(*n)++];
	shm_cell_set(&entry->name, name);
	atomic_store(&entry->pending, (uint64_t)pending);
	atomic_store(&entry->oldest_real_us, oldest_us - d->db_offset_us);
}

static void count_row(struct dispatcher *d, const PGresult *res, int row, uint32_t *unserved)
{
	const char *name = pg_get_text(res, row, 0, NULL);
	int64_t due = pg_get_int8(res, row, 1), oldest = pg_get_isnull(res, row, 4) ? 0 : pg_get_timestamp_us(res, row, 4);
	struct queue *queue = dispatcher_queue(d, name);
	if (!queue || !queue->conf) {
		if (!pg_get_bool(res, row, 5))
			not_served(d, name, due, oldest, unserved);
		return;
	}
	queue->counted_pending = due;
	queue->counted_scheduled = pg_get_int8(res, row, 2);
	queue->counted_held = pg_get_int8(res, row, 3);
	queue->oldest_due_us = oldest ? oldest - d->db_offset_us : 0;
}

static void count_answer(void *arg, const struct pg_result *result)
{
	struct count_call *call = arg;
	struct dispatcher *d = call->d;
	int64_t now = clock_mono_ns(), cost = (now - call->sent_ns) * COUNT_SHARE, every = d->conf->jobqd.count_max_age / 2;
	uint32_t unserved = 0;
	d->counting = false;
	d->next_count_ns = now + (cost > every ? cost : every);
	free(call);
	if (result->status != PG_OK) {
		if (result->status != PG_LOST)
			log_warn("jobs could not be counted: %s", result->error);
		return;
	}
	for (size_t i = 0; i < d->nqueues; i++)
		d->queues[i].counted_pending = d->queues[i].counted_scheduled = d->queues[i].counted_held = 0;
	for (int row = 0; row < PQntuples(result->res); row++)
		count_row(d, result->res, row, &unserved);
	atomic_store(&d->global->unserved_count, unserved);
	atomic_store(&d->global->counts_mono_ns, now);
	counts_publish(d);
}

static void count(struct dispatcher *d)
{
	if (d->counting || clock_mono_ns() < d->next_count_ns)
		return;
	struct count_call *call = malloc(sizeof *call);
	if (!call)
		return;
	*call = (struct count_call){.d = d, .sent_ns = clock_mono_ns()};
	db_params(d);
	bool gate_is_idle = d->link[DB_GATE] && d->wake.state != WAKE_ASKED;
	d->counting = db_send(d, gate_is_idle ? DB_GATE : DB_ADMIN, "counts", count_answer, call);
	if (!d->counting)
		free(call);
}

/* ---- nodes ---- */

static void nodes_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	uint32_t n = 0;
	d->listing = false;
	if (result->status != PG_OK)
		return;
	for (int row = 0; row < PQntuples(result->res) && n < SHM_NODES; row++, n++) {
		struct shm_node *node = &d->global->nodes[n];
		shm_cell_set(&node->name, pg_get_text(result->res, row, 0, NULL));
		shm_cell_set(&node->version, pg_get_text(result->res, row, 1, NULL));
		atomic_store(&node->last_seen_real_us, pg_get_timestamp_us(result->res, row, 2) - d->db_offset_us);
		atomic_store(&node->leader, row == 0);
	}
	atomic_store(&d->global->node_count, n);
}

static void list_nodes(struct dispatcher *d)
{
	if (d->listing || clock_mono_ns() < d->next_unserved_ns)
		return;
	d->next_unserved_ns = clock_mono_ns() + d->conf->jobqd.lease / 3;
	db_params(d);
	d->listing = db_send(d, DB_ADMIN, "nodes", nodes_answer, d);
}

void counts_second(struct dispatcher *d)
{
	if (d->phase != PHASE_RUN || !d->lease_ok)
		return;
	count(d);
	list_nodes(d);
}

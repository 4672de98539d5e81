/*
 * worker/pool.c: the pool of connections that a handler gets, as its queue is configured, and what is published of it.
 *
 * Runs in a worker. Owns the pool and this slot's row of statistics in shared memory. The queue's `max` and `min` are shared out
 * among its workers by their number, so that together they never have more; a worker that leaves while its successor is ready
 * has its share a moment longer. Counts go on from where the slot's last process left them, or died.
 */
#include "config.h"

#include "worker/pool.h"

#include <string.h>

#include "conf/conf.h"
#include "pg/pool.h"
#include "shm/cell.h"
#include "shm/seg.h"

#define POOL_X(name, now, help) now,
static const bool pool_now[] = {
#include "tbl/pools.def"
};
#undef POOL_X

static void pool_publish(void *arg, const struct pg_pool_stats *stats)
{
	struct worker *w = arg;
#define POOL_X(name, now, help) [POOL_##name] = stats->name,
	const uint64_t values[POOL_STAT_COUNT] = {
#include "tbl/pools.def"
	};
#undef POOL_X

	if (w->pool_row != NULL)
		for (uint32_t s = 0; s < POOL_STAT_COUNT; s++)
			atomic_store_explicit(&w->pool_row->stats[s], (pool_now[s] ? 0 : w->pool_base[s]) + values[s], memory_order_relaxed);
}

static struct shm_pool_use *pool_find_row(struct worker *w, const char *name)
{
	char text[SHM_CELL_TEXT];

	for (uint32_t i = 0; i < SHM_POOLS; i++)
		if (strcmp(shm_cell_get(&w->global->pools[i].name, text), name) == 0)
			return &w->slot->pools[i];
	return NULL;
}

/* Nothing of the slot's last process holds now. */
static void pool_clear(struct worker *w)
{
	for (uint32_t i = 0; i < SHM_POOLS; i++)
		for (uint32_t s = 0; s < POOL_STAT_COUNT; s++)
			if (pool_now[s])
				atomic_store(&w->slot->pools[i].stats[s], 0);
}

void pool_open(struct worker *w)
{
	const struct conf_queue *queue = w->child->queue;
	const struct conf_pool *pool = conf_pool_of(w->child->conf, queue);

	pool_clear(w);
	if (pool == NULL)
		return;
	size_t workers = (size_t)queue->k.workers, number = atomic_load(&w->slot->number) % workers;
	bool own = pool->k.database[0] == '\0';
	struct pg_pool_opts opts = {
		.name = pool->name, .conninfo = own ? w->child->database : pool->k.database,
		.pooler = own && w->child->conf->jobqd.pooler != CONF_POOLER_NONE,
		.max = pg_pool_share((size_t)pool->k.max, workers, number), .min = pg_pool_share((size_t)pool->k.min, workers, number),
		.acquire_ns = pool->k.acquire_timeout, .idle_ns = pool->k.idle_timeout, .evict_ns = pool->k.evict_interval,
		.changed = pool_publish, .arg = w,
	};

	w->pool_row = pool_find_row(w, pool->name);
	for (uint32_t s = 0; w->pool_row != NULL && s < POOL_STAT_COUNT; s++)
		w->pool_base[s] = atomic_load(&w->pool_row->stats[s]);
	w->connections = pg_pool_new(w->child->base, &opts);
}

void pool_close(struct worker *w)
{
	pg_pool_free(w->connections);
	w->connections = NULL;
}

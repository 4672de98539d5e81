/*
 * master/pool.c: which connection pools there are, for the workers that fill in what theirs do and for `status`.
 *
 * Runs in the master, which alone writes global.pools. A name has its row for as long as the segment lives, so counts never move
 * from one pool to another; `max` says whether the configuration has it. A pool without a row (more than SHM_POOLS names since
 * the start) works, and is not shown.
 */
#include "config.h"

#include "master/pool.h"

#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "master/master.h"
#include "shm/cell.h"
#include "shm/seg.h"

static struct shm_pool *row_of(struct master *m, const char *name)
{
	struct shm_pool *pools = m->shm->global->pools;
	char text[SHM_CELL_TEXT];

	for (uint32_t i = 0; i < SHM_POOLS; i++)
		if (strcmp(shm_cell_get(&pools[i].name, text), name) == 0)
			return &pools[i];
	return NULL;
}

void master_pool_sync(struct master *m)
{
	for (uint32_t i = 0; i < SHM_POOLS; i++)
		atomic_store(&m->shm->global->pools[i].max, 0);
	for (size_t i = 0; i < m->conf->nqueues; i++) {
		const struct conf_pool *pool = conf_pool_of(m->conf, m->conf->queues[i]);
		struct shm_pool *row = pool != NULL ? row_of(m, pool->name) : NULL;

		if (pool == NULL)
			continue;
		if (row == NULL && (row = row_of(m, "")) == NULL) {
			log_warn("pool %s is one more than status can show (%u since the start); restart jobqd to see it", pool->name, SHM_POOLS);
			continue;
		}
		shm_cell_set(&row->name, pool->name);
		atomic_store(&row->max, atomic_load(&row->max) + (uint32_t)pool->k.max); /* each queue has its own */
	}
}

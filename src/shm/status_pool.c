/*
 * shm/status_pool.c: the `pools` of the status document.
 *
 * Runs in the master, and in jobqctl on a read-only mapping. Reads only. A pool is a row of the master's table; what its connections
 * do is summed over the slots: what holds now over living processes, counts over all, so that they never go back.
 *
 * Fails only for want of memory: NULL, which the caller's json_pack passes on.
 */
#include "config.h"

#include <stdbool.h>

#include "shm/cell.h"
#include "shm/status_part.h"

#define POOL_X(name, now, help) now,
static const bool pool_now[] = {
#include "tbl/pools.def"
};

static bool pool_lives(const struct shm_slot *slot)
{
	uint32_t state = atomic_load(&slot->state);

	return atomic_load(&slot->role) == ROLE_WORKER && (state == PROC_STARTING || state == PROC_READY || state == PROC_DRAINING);
}

static json_t *pool_json(const struct shm *shm, const struct shm_pool *pool, uint32_t row)
{
	uint64_t sums[POOL_STAT_COUNT] = {0};

	for (uint32_t i = 0; i < shm->nslots; i++) {
		const struct shm_slot *slot = shm_slot_at(shm, i);
		bool lives = pool_lives(slot);

		for (uint32_t s = 0; s < POOL_STAT_COUNT; s++)
			if (lives || !pool_now[s])
				sums[s] += atomic_load(&slot->pools[row].stats[s]);
	}
	json_t *one = json_pack("{s:o,s:I}", "name", shm_status_name(&pool->name), "max", (json_int_t)atomic_load(&pool->max));
	for (uint32_t s = 0; s < POOL_STAT_COUNT; s++)
		if (json_object_set_new(one, shm_pool_stat_name(s), json_integer((json_int_t)(sums[s] & INT64_MAX))) != 0) {
			json_decref(one);
			return NULL;
		}
	return one;
}

json_t *shm_status_pools(const struct shm *shm)
{
	json_t *list = json_array();
	char name[SHM_CELL_TEXT];

	for (uint32_t row = 0; row < SHM_POOLS; row++) {
		const struct shm_pool *pool = &shm->global->pools[row];

		if (atomic_load(&pool->max) == 0 || shm_cell_get(&pool->name, name)[0] == '\0')
			continue;
		if (json_array_append_new(list, pool_json(shm, pool, row)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

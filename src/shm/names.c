/*
 * shm/names.c: the words for the numbers in shared memory, from the tables that also made the numbers.
 *
 * Pure, in every process. A number that is out of range (a reader of another build, a damaged segment) is "?", never a
 * read past a table. The same tables and the structures' sizes make the hash by which builds tell each other apart.
 */
#include "config.h"

#include "shm/names.h"

#include <string.h>

#include "shm/seg.h"

#define ROLE_X(name, text) text,
static const char *const role_names[] = {
#include "tbl/roles.def"
};
#define PROC_STATE_X(name, text) text,
static const char *const proc_state_names[] = {
#include "tbl/states.def"
};
#define QUEUE_STATE_X(name, text) text,
static const char *const queue_state_names[] = {
#include "tbl/states.def"
};
#define DB_STATE_X(name, text) text,
static const char *const db_state_names[] = {
#include "tbl/states.def"
};
#define COUNTER_X(name, unit, help) #name,
static const char *const counter_names[] = {
#include "tbl/counters.def"
};

#define POOL_X(name, now, help) #name,
static const char *const pool_stat_names[] = {
#include "tbl/pools.def"
};

#define NAME(table, index) ((index) < sizeof(table) / sizeof *(table) ? (table)[index] : "?")

const char *shm_role_name(uint32_t role)
{
	return NAME(role_names, role);
}

const char *shm_proc_state_name(uint32_t state)
{
	return NAME(proc_state_names, state);
}

const char *shm_queue_state_name(uint32_t state)
{
	return NAME(queue_state_names, state);
}

const char *shm_db_state_name(uint32_t state)
{
	return NAME(db_state_names, state);
}

const char *shm_counter_name(uint32_t counter)
{
	return NAME(counter_names, counter);
}

const char *shm_pool_stat_name(uint32_t stat)
{
	return NAME(pool_stat_names, stat);
}

/* FNV-1a; a length is mixed in with each piece, so that pieces cannot flow into one another */
static uint32_t hash_bytes(uint32_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT32_C(16777619);
	return (hash ^ (uint32_t)len) * UINT32_C(16777619);
}

static uint32_t hash_names(uint32_t hash, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = hash_bytes(hash, names[i], strlen(names[i]));
	return hash_bytes(hash, "", 0);
}

uint32_t shm_names_hash(void)
{
	static const uint64_t sizes[] = {
		sizeof(struct shm_header), sizeof(struct shm_global), sizeof(struct shm_queue), sizeof(struct shm_slot),
		sizeof(struct shm_cell), sizeof(struct shm_hist), sizeof(struct shm_held), sizeof(struct shm_sample),
		SHM_HELD, SHM_POOLS, SHM_SAMPLES, SHM_DECISIONS, SHM_TUNED_COUNT, SHM_UNSERVED, SHM_NODES, SHM_HIST_SUB, SHM_HIST_BUCKETS,
	};
	uint32_t hash = hash_bytes(UINT32_C(2166136261), sizes, sizeof sizes);

	hash = hash_names(hash, role_names, sizeof role_names / sizeof *role_names);
	hash = hash_names(hash, proc_state_names, sizeof proc_state_names / sizeof *proc_state_names);
	hash = hash_names(hash, queue_state_names, sizeof queue_state_names / sizeof *queue_state_names);
	hash = hash_names(hash, db_state_names, sizeof db_state_names / sizeof *db_state_names);
	hash = hash_names(hash, pool_stat_names, sizeof pool_stat_names / sizeof *pool_stat_names);
	return hash_names(hash, counter_names, sizeof counter_names / sizeof *counter_names);
}

/*
 * conf/check_pool.c: pools, and the queues that use them (see check.h).
 *
 * Pure; runs where a configuration is read. Writes nothing but errors. Invariant: a queue's pool exists, and has a connection for
 * each of its workers, as they share them out.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "conf/check.h"
#include "conf/layer.h"
#include "conf/near.h"

static void check_pool(const struct conf_pool *pool, const struct conf_set *set, struct conf_errors *errors)
{
	if (strcmp(pool->k.database, "embedded") == 0)
		conf_errors_add(errors, conf_check_where(set, CONF_K_POOL_database),
			"database: a pool has a conninfo or URI; leave it out for jobqd's own database");
	if (pool->k.min > pool->k.max)
		conf_errors_add(errors, conf_check_where(set, set->v[CONF_K_POOL_min].where != NULL ? CONF_K_POOL_min : CONF_K_POOL_max),
			"min %s (%s) is above max %s (%s)", set->v[CONF_K_POOL_min].text, set->v[CONF_K_POOL_min].origin, set->v[CONF_K_POOL_max].text,
			set->v[CONF_K_POOL_max].origin);
}

static void unknown_pool(const struct conf *conf, const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors)
{
	const char *names[CONF_POOLS_MAX];
	char near[CONF_NEAR_MAX];

	for (size_t i = 0; i < conf->npools; i++)
		names[i] = conf->pools[i]->name;
	conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_pool), "pool: there is no section [pool %.63s]%s", queue->k.pool,
		conf_near_of(queue->k.pool, names, conf->npools, near, sizeof near));
}

static const char *max_origin(const struct conf *conf, const struct conf_pool *pool)
{
	size_t i = 0;

	while (conf->pools[i] != pool)
		i++;
	return conf->private->pools[i].v[CONF_K_POOL_max].origin;
}

static void check_queue(const struct conf *conf, const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors)
{
	const struct conf_pool *pool = conf_pool_of(conf, queue);

	if (pool == NULL && *queue->k.pool != '\0')
		unknown_pool(conf, queue, set, errors);
	else if (pool != NULL && pool->k.max < queue->k.workers)
		conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_workers),
			"workers: %" PRId64 " are more than the %" PRId64 " connections of [pool %s] (max, %s); each needs one of its own", queue->k.workers,
			pool->k.max, pool->name, max_origin(conf, pool));
}

void conf_check_pools(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_private *private = conf->private;

	for (size_t i = 0; i < conf->npools; i++)
		if (!private->pools[i].bad)
			check_pool(conf->pools[i], &private->pools[i], errors);
	for (size_t i = 0; i < conf->nqueues; i++)
		if (!private->queues[i].bad)
			check_queue(conf, conf->queues[i], &private->queues[i], errors);
}

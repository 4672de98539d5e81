/*
 * conf/diff.c: what a reload changes (see conf.h).
 *
 * Pure; runs in the master. Owns the array of the result until conf_diff_free. Invariant: values are compared, not their
 * spelling or origin, secrets included, so a new password in a file rolls the workers that use it and a moved line nothing.
 */
#include "config.h"

#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/private.h"
#include "conf/value.h"

/* Notes that the key changed; true when the queue's workers must be rolled. */
static bool note(struct conf_diff *diff, const struct conf_key *key)
{
	diff->anything = true;
	switch (key->reload) {
	case CONF_R_DISPATCHER:
		diff->dispatcher = true;
		return false;
	case CONF_R_WORKERS:
		return true;
	case CONF_R_BOTH:
		diff->dispatcher = true;
		return true;
	case CONF_R_ALL:
		diff->all = true;
		return false;
	case CONF_R_RESTART:
		if (diff->restart_key[0] == '\0' &&
		    snprintf(diff->restart_key, sizeof diff->restart_key, "%s.%s", conf_sections[key->section].name, key->name) < 0)
			diff->restart_key[0] = '\0';
		return false;
	case CONF_R_LIVE:
		break;
	}
	return false;
}

/* True when workers must be rolled. */
static bool compare(struct conf_diff *diff, enum conf_section section, const void *a, const void *b)
{
	bool roll = false;

	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *key = &conf_table[i];

		if (key->section == section && key->now && !conf_value_same(key, a, b) && note(diff, key))
			roll = true;
	}
	return roll;
}

/* A pool that changed rolls the workers of the queues that use it. */
static void compare_pools(const struct conf *old_conf, const struct conf *new_conf, struct conf_diff *diff)
{
	for (size_t i = 0; i < new_conf->nqueues; i++) {
		const struct conf_queue *queue = new_conf->queues[i], *before = conf_queue_find(old_conf, queue->name);
		const struct conf_pool *pool = conf_pool_of(new_conf, queue), *old = before != NULL ? conf_pool_of(old_conf, before) : NULL;

		if (pool != NULL && old != NULL && diff->queues[i] == CONF_SAME && compare(diff, CONF_IN_POOL, &old->k, &pool->k))
			diff->queues[i] = CONF_CHANGED;
	}
	for (size_t i = 0; i < new_conf->npools; i++)
		if (conf_pool_find(old_conf, new_conf->pools[i]->name) == NULL)
			diff->anything = true;
	for (size_t i = 0; i < old_conf->npools; i++)
		if (conf_pool_find(new_conf, old_conf->pools[i]->name) == NULL)
			diff->anything = true;
}

void conf_diff_make(const struct conf *old_conf, const struct conf *new_conf, struct conf_diff *diff)
{
	memset(diff, 0, sizeof *diff);
	diff->queues = xcalloc(new_conf->nqueues + 1, sizeof *diff->queues);
	compare(diff, CONF_IN_JOBQD, &old_conf->jobqd, &new_conf->jobqd);
	compare(diff, CONF_IN_TENANTS, &old_conf->tenants, &new_conf->tenants);
	compare(diff, CONF_IN_REPORT, &old_conf->report, &new_conf->report);
	for (size_t i = 0; i < new_conf->nqueues; i++) {
		const struct conf_queue *queue = new_conf->queues[i], *old = conf_queue_find(old_conf, queue->name);

		if (old == NULL)
			diff->queues[i] = CONF_ADDED;
		else if (compare(diff, CONF_IN_QUEUE, &old->k, &queue->k))
			diff->queues[i] = CONF_CHANGED;
		if (old == NULL)
			diff->anything = diff->dispatcher = true;
	}
	compare_pools(old_conf, new_conf, diff);
	for (size_t i = 0; i < old_conf->nqueues; i++)
		if (conf_queue_find(new_conf, old_conf->queues[i]->name) == NULL)
			diff->anything = diff->dispatcher = true;
}

void conf_diff_free(struct conf_diff *diff)
{
	free(diff->queues);
	diff->queues = NULL;
}

/*
 * conf/load.c: reads, checks and resolves a configuration; the room's front door (see conf.h).
 *
 * Runs in jobqd at start and reload, and in jobqctl. Reading order of the room: line (one line), read (files and sections),
 * env and oldenv, layer (who wins), value (text to type), derive, check. Owns the struct conf until conf_free. Invariant: a struct that
 * is returned passed every check and never changes. Fails with every problem in err.
 */
#include "config.h"

#include "conf/conf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/check.h"
#include "conf/derive.h"
#include "conf/env.h"
#include "conf/layer.h"
#include "conf/oldenv.h"
#include "conf/private.h"
#include "conf/raw.h"
#include "conf/read.h"

static const char *absolute(struct conf_keep *keep, const char *path)
{
	char dir[PATH_MAX];

	if (*path == '/' || getcwd(dir, sizeof dir) == NULL)
		return conf_keep_text(keep, path, strlen(path));
	return conf_keep_printf(keep, "%s/%s", dir, path);
}

static struct conf *load(const char *path, char *const *environment, bool without_secrets, char err[CONF_ERROR_MAX])
{
	struct conf *conf = xcalloc(1, sizeof *conf);
	struct conf_errors errors = conf_errors_into(err, CONF_ERROR_MAX);
	struct conf_raw raw = {.errors = &errors, .environment = environment, .without_secrets = without_secrets};

	conf->private = xcalloc(1, sizeof *conf->private);
	raw.keep = &conf->private->keep;
	STAILQ_INIT(&raw.settings);
	conf->path = absolute(raw.keep, path);
	conf->private->plain.where = conf->path;

	conf_read_file(&raw, path);
	conf_oldenv_read(&raw);
	conf_env_read(&raw);
	conf_layer_apply(conf, &raw);
	conf_derive_all(conf);
	conf_check_all(conf, &errors);
	conf_raw_free(&raw);
	if (errors.count == 0)
		return conf;
	conf_free(conf);
	return NULL;
}

struct conf *conf_load(const char *path, char *const *environment, char err[CONF_ERROR_MAX])
{
	return load(path, environment, false, err);
}

struct conf *conf_load_public(const char *path, char *const *environment, char err[CONF_ERROR_MAX])
{
	return load(path, environment, true, err);
}

void conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->nqueues; i++)
		free(conf->queues[i]);
	free(conf->queues);
	for (size_t i = 0; i < conf->npools; i++)
		free(conf->pools[i]);
	free(conf->pools);
	free(conf->private->queues);
	free(conf->private->pools);
	conf_keep_free(&conf->private->keep);
	free(conf->private);
	free(conf);
}

const struct conf_queue *conf_queue_find(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->nqueues; i++)
		if (strcmp(conf->queues[i]->name, name) == 0)
			return conf->queues[i];
	return NULL;
}

const struct conf_pool *conf_pool_find(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->npools; i++)
		if (strcmp(conf->pools[i]->name, name) == 0)
			return conf->pools[i];
	return NULL;
}

const struct conf_pool *conf_pool_of(const struct conf *conf, const struct conf_queue *queue)
{
	if (!conf_table_applies(&conf_table[CONF_K_QUEUE_pool], queue->k.handler))
		return NULL;
	return conf_pool_find(conf, *queue->k.pool != '\0' ? queue->k.pool : CONF_POOL_DEFAULT);
}

/*
 * master/reload.c: the new configuration is read, checked and swapped in, or refused as a whole.
 *
 * Runs in the master, inside an event callback or a step; it forks nothing. Everything that can fail comes before the swap:
 * syntax, keys that need a restart, room in shared memory, the admin group, the log. After it seats and queues are made what
 * the file says, and master_roll replaces what is outdated. A refusal shows in status (config.ok, config.error).
 */
#include "config.h"

#include "master/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "master/control.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/privilege.h"
#include "master/pool.h"
#include "master/seat.h"
#include "master/setup.h"
#include "shm/cell.h"
#include "shm/seg.h"

#define STORM_NS (200 * NS_PER_MS) /* between two reloads that signals ask for */

static bool refuse(struct master *m, const char *err)
{
	log_error("reload refused, the old configuration stays: %s", err);
	shm_cell_set(&m->shm->global->config_error, err);
	atomic_store(&m->shm->global->config_ok, 0);
	return false;
}

/* everything that may say no; on true the admin group and the log are as the new file wants them */
static bool acceptable(struct master *m, const struct conf *conf, const struct conf_diff *diff, char *err)
{
	gid_t gid;

	if (diff->restart_key[0] != '\0') {
		(void)snprintf(err, CONF_ERROR_MAX, "%s: a change of %s needs a restart of jobqd; nothing was changed", conf->path, diff->restart_key);
		return false;
	}
	if (!master_seat_fits(m, conf, err, CONF_ERROR_MAX) || master_privilege_group(conf->jobqd.admin_group, &gid, err, CONF_ERROR_MAX) != 0)
		return false;
	if (FAULT(in_reload)) {
		(void)snprintf(err, CONF_ERROR_MAX, "fault point in_reload");
		return false;
	}
	if (gid != m->admin_gid && !master_control_group(m, gid != MASTER_ACCESS_NO_GROUP ? gid : getegid(), err, CONF_ERROR_MAX))
		return false;
	if (master_setup_log(conf, m->daemon, err, CONF_ERROR_MAX) != 0) {
		(void)master_control_group(m, m->admin_gid != MASTER_ACCESS_NO_GROUP ? m->admin_gid : getegid(), (char[64]){0}, 64);
		return false;
	}
	m->admin_gid = gid;
	return true;
}

static bool queues_differ(const struct conf *a, const struct conf *b)
{
	for (size_t i = 0; i < a->nqueues; i++)
		if (conf_queue_find(b, a->queues[i]->name) == NULL)
			return true;
	return a->nqueues != b->nqueues;
}

static void swap(struct master *m, struct conf *conf, const struct conf_diff *diff)
{
	bool *changed = xcalloc(conf->nqueues + 1, sizeof *changed);
	bool dispatcher = diff->dispatcher || diff->all || queues_differ(m->conf, conf);

	for (size_t i = 0; i < conf->nqueues; i++)
		changed[i] = diff->all || diff->queues[i] == CONF_CHANGED;
	conf_free(m->conf);
	m->conf = conf;
	m->config_generation++;
	master_pool_sync(m);
	master_seat_sync(m, changed);
	if (dispatcher) {
		m->dispatcher->config_generation = m->config_generation;
		memset(&m->dispatcher->backoff, 0, sizeof m->dispatcher->backoff);
		m->dispatcher->due_ns = 0;
	}
	free(changed);
}

bool master_reload(struct master *m, bool *changed, char err[CONF_ERROR_MAX])
{
	struct conf_diff diff = {0};

	*changed = false;
	if (m->phase != PHASE_RUN) {
		(void)text_copy(err, CONF_ERROR_MAX, "jobqd is stopping");
		return false;
	}
	m->reloaded_ns = clock_mono_ns();
	struct conf *conf = conf_load(m->conf->path, environ, err);
	if (conf == NULL)
		return refuse(m, err);
	conf_diff_make(m->conf, conf, &diff);
	bool good = acceptable(m, conf, &diff, err);
	*changed = good && (diff.anything || queues_differ(m->conf, conf));
	if (*changed)
		swap(m, conf, &diff);
	else
		conf_free(conf);
	conf_diff_free(&diff);
	if (!good)
		return refuse(m, err);
	master_seat_retry_held(m);
	shm_cell_set(&m->shm->global->config_error, "");
	atomic_store(&m->shm->global->config_generation, m->config_generation);
	atomic_store(&m->shm->global->config_ok, 1);
	log_info("configuration %s: generation %u%s", m->conf->path, m->config_generation, *changed ? "" : ", nothing changed");
	return true;
}

void master_reload_marked(struct master *m)
{
	char err[CONF_ERROR_MAX];
	bool changed;

	if (m->reloaded_ns != 0 && clock_mono_ns() - m->reloaded_ns < STORM_NS)
		return; /* the mark stays */
	m->marks.reload = false;
	master_notify_reloading();
	(void)master_reload(m, &changed, err);
	if (m->serving)
		master_notify("READY=1");
}

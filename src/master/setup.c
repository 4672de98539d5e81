/*
 * master/setup.c: everything the master makes before it forks: user, log, lock, segment, sockets, lifeline, event base.
 *
 * Runs in the master. The order is the point: root is given up first, the lock is taken before anything with a name is made
 * (so nothing of a living daemon is ever replaced), the segment is published before the first fork. Tearing down goes the
 * other way and takes whatever is there, so every failure on the way up ends through it, too. The pid file goes last.
 */
#include "config.h"

#include "master/setup.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "jobq/exit.h"
#include "master/control.h"
#include "master/embed.h"
#include "master/forward.h"
#include "master/instance.h"
#include "master/link.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/pidfile.h"
#include "master/privilege.h"
#include "master/pool.h"
#include "master/seat.h"
#include "master/signal.h"
#include "master/slot.h"
#include "shm/cell.h"
#include "shm/seg.h"

int master_setup_log(const struct conf *conf, bool daemon, char *err, size_t errlen)
{
	const char *dest = conf->jobqd.log;

	if (daemon && strcmp(dest, "stderr") == 0)
		dest = "syslog"; /* a daemon has no stderr that anybody reads */
	if (log_open(dest, (enum log_format)conf->jobqd.log_format, (enum log_level)conf->jobqd.log_level) == 0)
		return 0;
	(void)snprintf(err, errlen, "cannot open the log %s: %s", dest, strerror(errno));
	return -1;
}

static int open_segment(struct master *m, char *err, size_t errlen)
{
	char name[64];

	shm_seg_name(name, m->run_dir);
	m->shm = shm_seg_create(name, master_seat_queues_needed(m->conf), master_seat_slots_needed(m->conf), err, errlen);
	if (m->shm == NULL)
		return JOBQ_EXIT_SHM;
	struct shm_global *g = m->shm->global;
	m->procs = xcalloc(m->shm->nslots, sizeof *m->procs);
	m->queues = xcalloc(m->shm->nqueues, sizeof *m->queues);
	for (uint32_t i = 0; i < m->shm->nslots; i++)
		atomic_store(&shm_slot_at(m->shm, i)->queue, SHM_NO_QUEUE);
	atomic_store(&g->start_real_us, clock_real_us());
	atomic_store(&g->start_mono_ns, m->started_ns);
	atomic_store(&g->master_pid, (uint32_t)getpid());
	atomic_store(&g->config_generation, m->config_generation);
	atomic_store(&g->config_ok, 1);
	atomic_store(&g->embedded, m->embed != NULL ? 1 : 0);
	shm_cell_set(&g->node, m->node);
	shm_cell_set(&g->config_path, m->conf->path);

	struct shm_slot *mine = shm_slot_at(m->shm, SLOT_MASTER);
	master_slot_own(m, SLOT_MASTER, ROLE_MASTER);
	atomic_store(&mine->pid, (uint32_t)getpid());
	atomic_store(&mine->started_mono_ns, m->started_ns);
	atomic_store(&mine->beat_mono_ns, m->started_ns);
	atomic_store(&mine->config_generation, m->config_generation);
	atomic_store(&mine->state, PROC_READY);
	return JOBQ_EXIT_OK;
}

static int open_sockets(struct master *m, char *err, size_t errlen)
{
	gid_t group = m->admin_gid;

	m->dispatch_fd = io_unix_listen(m->dispatch_path, 0600, err, errlen);
	if (m->dispatch_fd < 0)
		return JOBQ_EXIT_PERMISSION;
	int rc = master_control_open(m, err, errlen);
	if (rc != JOBQ_EXIT_OK)
		return rc;
	if (group == MASTER_ACCESS_NO_GROUP)
		rc = master_privilege_group(m->conf->jobqd.group, &group, err, errlen);
	if (rc == JOBQ_EXIT_OK && !master_control_group(m, group, err, errlen))
		rc = JOBQ_EXIT_PERMISSION;
	return rc;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg; /* it is the step that follows which matters */
}

static int open_loop(struct master *m, char *err, size_t errlen)
{
	m->base = event_base_new();
	m->tick = m->base != NULL ? evtimer_new(m->base, on_tick, m) : NULL;
	if (m->tick != NULL && master_signal_open(m) == 0)
		return JOBQ_EXIT_OK;
	(void)snprintf(err, errlen, "cannot make the event loop");
	return JOBQ_EXIT_INTERNAL;
}

static void open_names(struct master *m)
{
	m->run_dir = xstrdup(m->conf->jobqd.run_dir);
	m->state_dir = xstrdup(m->conf->jobqd.state_dir);
	m->pid_path = xstrdup(m->conf->jobqd.pid_file);
	m->control_path = xasprintf("%s/jobqd.sock", m->run_dir);
	m->dispatch_path = xasprintf("%s/dispatch.sock", m->run_dir);
	m->node = xstrdup(m->conf->jobqd.node);
}

static void init(struct master *m, struct conf *conf)
{
	m->conf = conf;
	m->lifeline[0] = m->lifeline[1] = m->dispatch_fd = m->lock_fd = -1;
	m->config_generation = 1;
	m->started_ns = clock_mono_ns();
	TAILQ_INIT(&m->seats);
	open_names(m);
}

static int open_identity(struct master *m, char *err, size_t errlen)
{
	int rc = master_privilege_group(m->conf->jobqd.admin_group, &m->admin_gid, err, errlen);

	if (rc == JOBQ_EXIT_OK)
		rc = master_privilege_drop(m->conf, err, errlen);
	if (rc == JOBQ_EXIT_OK && master_setup_log(m->conf, m->daemon, err, errlen) != 0)
		rc = JOBQ_EXIT_PERMISSION;
	m->log_open = rc == JOBQ_EXIT_OK;
	if (rc == JOBQ_EXIT_OK)
		log_context(m->node, "master", NULL, SLOT_MASTER);
	if (rc == JOBQ_EXIT_OK)
		rc = master_pidfile_lock(m->pid_path, &m->lock_fd, err, errlen);
	if (rc == JOBQ_EXIT_OK && (m->instance = master_instance_open(m->state_dir, err, errlen)) == NULL)
		rc = JOBQ_EXIT_PERMISSION;
	return rc;
}

int master_setup(struct master *m, struct conf *conf, char *err, size_t errlen)
{
	init(m, conf);
	int rc = open_identity(m, err, errlen);
	if (rc == JOBQ_EXIT_OK && strcmp(conf->jobqd.database, "embedded") == 0)
		rc = master_embed_open(m, err, errlen);
	if (rc == JOBQ_EXIT_OK)
		rc = open_segment(m, err, errlen);
	if (rc == JOBQ_EXIT_OK)
		rc = open_loop(m, err, errlen);
	if (rc == JOBQ_EXIT_OK)
		rc = open_sockets(m, err, errlen);
	if (rc == JOBQ_EXIT_OK && io_pipe(m->lifeline) != 0) {
		(void)snprintf(err, errlen, "cannot make a pipe: %s", strerror(errno));
		rc = JOBQ_EXIT_RUNTIME;
	}
	if (rc != JOBQ_EXIT_OK)
		return rc;
	master_notify_open();
	master_seat_dispatcher(m);
	master_pool_sync(m);
	master_seat_sync(m, NULL);
	shm_seg_publish(m->shm);
	return JOBQ_EXIT_OK;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void free_names(struct master *m)
{
	free(m->run_dir);
	free(m->state_dir);
	free(m->pid_path);
	free(m->control_path);
	free(m->dispatch_path);
	free(m->node);
	free(m->instance);
}

void master_setup_teardown(struct master *m)
{
	master_control_close(m);
	if (m->shm != NULL)
		master_link_close(m);
	master_forward_free(m);
	if (m->dispatch_fd >= 0)
		(void)unlink(m->dispatch_path);
	close_fd(&m->dispatch_fd);
	close_fd(&m->lifeline[0]);
	close_fd(&m->lifeline[1]);
	master_seat_free_all(m);
	master_embed_close(m);
	if (m->shm != NULL) {
		shm_seg_unlink(m->shm);
		shm_seg_detach(m->shm);
	}
	free(m->procs);
	free(m->queues);
	master_signal_close(m);
	if (m->tick != NULL)
		event_free(m->tick);
	if (m->base != NULL)
		event_base_free(m->base);
	master_pidfile_remove(m->pid_path, m->lock_fd);
	conf_free(m->conf);
	free_names(m);
}

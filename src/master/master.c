/*
 * master/master.c: the master process: its loop, and the step that decides.
 *
 * The map of the room: setup.c makes things, seat.c says what should run, spawn.c and reap.c start and bury, watch.c looks
 * after the living, roll.c replaces, stop.c ends; control.c, request.c, answer.c, forward.c and link.c speak; embed*.c keep
 * the private PostgreSQL. docs/processes.md draws the state machines.
 *
 * One turn: the event loop runs once (callbacks leave marks), then master_step acts, outside the loop, since a child must not
 * inherit a running one. Nothing here blocks, speaks SQL or runs handlers. Children that were forked before something
 * changed keep what they had; that is what rolling is for. It ends when PHASE_GONE is reached, with m->exit_code.
 */
#include "config.h"

#include "master/master.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "jobq/exit.h"
#include "master/daemonise.h"
#include "master/dump.h"
#include "master/embed.h"
#include "master/forward.h"
#include "master/notify.h"
#include "master/reap.h"
#include "master/reload.h"
#include "master/roll.h"
#include "master/setup.h"
#include "master/spawn.h"
#include "master/stop.h"
#include "master/watch.h"
#include "shm/seg.h"

#define TICK_NS (250 * NS_PER_MS)
#define TICK_BUSY_NS (20 * NS_PER_MS) /* while something is on its way */

static void reopen_logs(struct master *m)
{
	if (log_reopen() != 0)
		log_error("cannot open the log again; the old one is kept");
	for (uint32_t i = SLOT_DISPATCHER; i < m->shm->nslots; i++)
		if (m->procs[i].pid != 0)
			(void)kill(m->procs[i].pid, SIGUSR1);
}

static void act_on_marks(struct master *m)
{
	if (m->marks.reopen)
		reopen_logs(m);
	if (m->marks.dump)
		master_dump(m);
	m->marks.reopen = m->marks.dump = false;
	if (m->marks.stop && (m->phase == PHASE_RUN || (m->marks.stop_now && !m->now)))
		master_stop_begin(m, m->marks.stop_now);
	if (m->marks.reload && m->phase == PHASE_RUN)
		master_reload_marked(m);
}

/* Has everything that should run been ready once, or is it held? Then whoever started us may go on. */
static void tell_when_serving(struct master *m)
{
	const struct seat *seat;

	if (m->serving)
		return;
	TAILQ_FOREACH(seat, &m->seats, link)
		if (!seat->settled)
			return;
	m->serving = true;
	log_info("serving: node=%s instance=%s queues=%zu in %.3fs", m->node, m->instance, m->conf->nqueues,
	         (double)(clock_mono_ns() - m->started_ns) / (double)NS_PER_S);
	master_notify("READY=1");
	master_daemonise_tell(m->parent_fd, JOBQ_EXIT_OK);
	m->parent_fd = -1;
}

static void master_step(struct master *m)
{
	m->marks.reap = false;
	master_reap(m);
	master_watch(m);
	act_on_marks(m);
	if (m->embed != NULL)
		master_embed_step(m);
	if (m->phase != PHASE_RUN) {
		master_stop_step(m);
		return;
	}
	master_roll(m);
	master_spawn_due(m);
	tell_when_serving(m);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void set_tick(struct master *m)
{
	int64_t now = clock_mono_ns();
	bool busy = m->phase != PHASE_RUN || master_watch_starting(m) || master_roll_under_way(m) || m->marks.reload
		|| (m->embed != NULL && master_embed_busy(m->embed));
	int64_t wait = busy ? TICK_BUSY_NS : TICK_NS;

	wait = sooner(wait, master_forward_next_ns(m) - now);
	if (m->phase == PHASE_RUN)
		wait = sooner(wait, master_spawn_next_ns(m) - now);
	struct timeval tv = clock_timeval(wait < NS_PER_MS ? NS_PER_MS : wait);
	(void)evtimer_add(m->tick, &tv);
}

static int run(struct master *m)
{
	while (m->phase != PHASE_GONE) {
		master_step(m);
		if (m->phase == PHASE_GONE)
			break;
		set_tick(m);
		if (event_base_loop(m->base, EVLOOP_ONCE) < 0) {
			log_error("the event loop failed");
			m->exit_code = JOBQ_EXIT_INTERNAL;
			break;
		}
	}
	return m->exit_code;
}

int master_main(struct conf *conf, bool daemonise)
{
	static struct master master; /* static: a fork's leak check finds everything from here */
	struct master *m = &master;
	char err[MASTER_ERROR_MAX] = "";

	m->parent_fd = -1;
	m->daemon = daemonise;
	if (daemonise && (m->parent_fd = master_daemonise()) < 0) {
		conf_free(conf);
		return JOBQ_EXIT_RUNTIME;
	}
	int code = master_setup(m, conf, err, sizeof err);
	if (code != JOBQ_EXIT_OK) {
		(void)fprintf(stderr, "jobqd: %s\n", err);
		if (m->log_open && strcmp(conf->jobqd.log, "stderr") != 0)
			log_error("%s", err);
	} else {
		log_info("jobqd %s starts: pid=%ld config=%s", PACKAGE_VERSION, (long)getpid(), m->conf->path);
		code = run(m);
		log_info("jobqd has stopped: exit code %d", code);
	}
	master_setup_teardown(m);
	master_daemonise_tell(m->parent_fd, code != JOBQ_EXIT_OK ? code : JOBQ_EXIT_RUNTIME);
	return code;
}

/*
 * master/stop.c: stops what runs, in the order in which it can be spared.
 *
 * Runs in the master's step, from any state: it looks only at who is still alive. Graceful: the dispatcher claims nothing
 * more, workers finish what they have begun (bounded by shutdown_timeout), then the dispatcher writes the last outcomes and
 * releases the rest, then PostgreSQL goes. A dispatcher that dies while workers drain is started again, they have outcomes to
 * deliver. At once: nobody finishes anything; rows are taken back at the next start. PostgreSQL is always stopped fast.
 */
#include "config.h"

#include "master/stop.h"

#include <jansson.h>
#include <signal.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/embed.h"
#include "master/link.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/spawn.h"
#include "shm/seg.h"

#define DISPATCHER_NS (15 * NS_PER_S)
#define NOW_NS (1 * NS_PER_S) /* between SIGQUIT and SIGKILL */

/* every child but PostgreSQL's, workers alone or the dispatcher as well */
static void tell(struct master *m, int number, bool dispatcher)
{
	for (uint32_t i = dispatcher ? SLOT_DISPATCHER : SLOT_WORKERS; i < m->shm->nslots; i++) {
		if (m->procs[i].pid == 0)
			continue;
		m->procs[i].asked = true;
		(void)kill(m->procs[i].pid, number);
	}
}

static bool workers_alive(const struct master *m)
{
	for (uint32_t i = SLOT_WORKERS; i < m->shm->nslots; i++)
		if (m->procs[i].pid != 0)
			return true;
	return false;
}

static void at_once(struct master *m)
{
	log_info("stopping at once");
	m->now = true;
	atomic_store(&m->shm->global->stopping, 2);
	if (m->phase == PHASE_POSTGRES)
		return;
	m->phase = PHASE_DRAIN;
	m->phase_deadline_ns = clock_mono_ns() + NOW_NS;
	tell(m, SIGQUIT, true);
}

void master_stop_begin(struct master *m, bool now)
{
	if (m->phase == PHASE_RUN) {
		json_t *drain = json_pack("{s:s}", "event", "drain");

		log_info("stopping");
		master_notify("STOPPING=1");
		m->phase = PHASE_DRAIN;
		m->phase_deadline_ns = clock_mono_ns() + m->conf->jobqd.shutdown_timeout;
		atomic_store(&m->shm->global->stopping, 1);
		(void)master_link_send(m, drain);
		json_decref(drain);
		if (!now)
			tell(m, SIGTERM, false);
	}
	if (now && !m->now)
		at_once(m);
}

static void step_drain(struct master *m)
{
	bool late = clock_mono_ns() >= m->phase_deadline_ns;

	if (workers_alive(m)) {
		if (late && !m->now)
			log_warn("workers did not finish within shutdown_timeout: killed; their jobs go back");
		if (late)
			tell(m, SIGKILL, m->now);
		else if (!m->now)
			master_spawn_due(m); /* the dispatcher alone: outcomes are still to come */
		return;
	}
	m->phase = PHASE_DISPATCHER;
	if (m->now)
		return; /* it has its SIGQUIT, and the deadline that is running */
	m->phase_deadline_ns = clock_mono_ns() + DISPATCHER_NS;
	if (m->procs[SLOT_DISPATCHER].pid != 0) {
		m->procs[SLOT_DISPATCHER].asked = true;
		(void)kill(m->procs[SLOT_DISPATCHER].pid, SIGTERM);
	}
}

static void step_dispatcher(struct master *m)
{
	pid_t pid = m->procs[SLOT_DISPATCHER].pid;

	if (pid == 0) {
		m->phase = PHASE_POSTGRES;
		if (m->embed != NULL)
			master_embed_stop(m);
		return;
	}
	if (clock_mono_ns() < m->phase_deadline_ns)
		return;
	if (!m->now)
		log_warn("the dispatcher did not leave in time: killed; the rows it held are released at the next start");
	(void)kill(pid, SIGKILL);
	m->phase_deadline_ns = clock_mono_ns() + DISPATCHER_NS;
}

void master_stop_step(struct master *m)
{
	if (m->phase == PHASE_DRAIN)
		step_drain(m);
	if (m->phase == PHASE_DISPATCHER)
		step_dispatcher(m);
	if (m->phase == PHASE_POSTGRES && (m->embed == NULL || master_embed_gone(m)))
		m->phase = PHASE_GONE;
}

/*
 * master/watch.c: looks after the living: who became ready, who is to be killed, how much memory they use, who is silent.
 *
 * Runs in the master's step. The dispatcher posts a kill as the generation of a slot (a job ran into its timeout, in a call
 * that cannot be interrupted): it is carried out only if that generation still lives there. A silent child is shown and
 * logged, never killed for it: a machine that was suspended has only silent children.
 */
#include "config.h"

#include "master/watch.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/control.h"
#include "master/forward.h"
#include "master/master.h"
#include "master/report.h"
#include "master/seat.h"
#include "master/slot.h"
#include "shm/cell.h"
#include "shm/seg.h"

#define SLOW_EVERY_NS (1 * NS_PER_S)
#define SILENT_NS (10 * NS_PER_S)
#define PROVED_NS (10 * NS_PER_S)

/* the second field of statm, in pages */
int64_t master_watch_rss(pid_t pid)
{
	char path[40];
	unsigned long long pages = 0;
	struct buf text = {0};

	(void)snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
	if (io_read_file(path, 256, &text) != 0 || sscanf(buf_str(&text), "%*u %llu", &pages) != 1)
		pages = 0;
	buf_free(&text);
	return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void carry_out_kill(struct proc *proc, const struct shm_slot *slot)
{
	char reason[SHM_CELL_TEXT];

	if (!proc->killed && atomic_load(&slot->kill_generation) == proc->generation) {
		log_warn("killing pid=%ld slot=%u: %s", (long)proc->pid, proc->slot, shm_cell_get(&slot->kill_reason, reason));
		proc->killed = true;
		(void)kill(proc->pid, SIGKILL);
	}
	if (proc->kill_at_ns != 0 && clock_mono_ns() >= proc->kill_at_ns) {
		log_warn("killing pid=%ld slot=%u: told to leave, and did not in time", (long)proc->pid, proc->slot);
		proc->kill_at_ns = 0;
		(void)kill(proc->pid, SIGKILL);
	}
}

static void see_ready(struct proc *proc, struct shm_slot *slot)
{
	uint32_t state = atomic_load(&slot->state);

	if (proc->ready || (state != PROC_READY && state != PROC_DRAINING))
		return;
	proc->ready = true;
	atomic_store(&slot->rss_bytes, master_watch_rss(proc->pid));
	if (proc->seat != NULL)
		proc->seat->settled = true;
	log_debug("ready: %s pid=%ld slot=%u after %.3fs", shm_role_name(atomic_load(&slot->role)), (long)proc->pid, proc->slot,
	          (double)(clock_mono_ns() - proc->started_ns) / (double)NS_PER_S);
}

static void look_slowly(struct master *m, struct proc *proc, struct shm_slot *slot, int64_t now)
{
	int64_t rss = master_watch_rss(proc->pid), silent = now - atomic_load(&slot->beat_mono_ns);
	struct seat *seat = proc->seat;

	atomic_store(&slot->rss_bytes, rss);
	if (silent > SILENT_NS && !proc->mute)
		log_warn("%s pid=%ld slot=%u has been silent for %lld s (stopped, or in a call that does not return)",
		         shm_role_name(atomic_load(&slot->role)), (long)proc->pid, proc->slot, (long long)(silent / NS_PER_S));
	else if (silent <= SILENT_NS && proc->mute)
		log_info("%s pid=%ld slot=%u is heard of again", shm_role_name(atomic_load(&slot->role)), (long)proc->pid, proc->slot);
	proc->mute = silent > SILENT_NS;
	if (seat == NULL)
		return;
	if (atomic_load(&slot->worked) != 0 || (proc->ready && now - proc->started_ns >= PROVED_NS))
		master_backoff_worked(&seat->backoff);
	if (seat->role != ROLE_WORKER || seat->recycle || proc != seat->proc)
		return;
	const struct conf_queue *conf = conf_queue_find(m->conf, m->queues[seat->queue].name);
	if (conf != NULL && conf->k.max_rss > 0 && rss > conf->k.max_rss) {
		log_info("worker pid=%ld of queue %s uses %lld kB, more than max_rss: it is replaced", (long)proc->pid, conf->name,
		         (long long)(rss / 1024));
		seat->recycle = true;
	}
}

static void look_at_ours(struct master *m, int64_t now)
{
	struct shm_slot *mine = shm_slot_at(m->shm, SLOT_MASTER), *postgres = shm_slot_at(m->shm, SLOT_POSTGRES);
	uint32_t state = atomic_load(&postgres->state);

	atomic_store(&mine->rss_bytes, master_watch_rss(getpid()));
	atomic_store(&mine->beat_mono_ns, now);
	if (state != PROC_STARTING && state != PROC_READY && state != PROC_DRAINING)
		return;
	atomic_store(&postgres->rss_bytes, master_watch_rss((pid_t)atomic_load(&postgres->pid)));
	atomic_store(&postgres->beat_mono_ns, now);
}

void master_watch(struct master *m)
{
	int64_t now = clock_mono_ns();
	bool slow = now - m->watched_ns >= SLOW_EVERY_NS;

	for (uint32_t i = SLOT_DISPATCHER; i < m->shm->nslots; i++) {
		struct proc *proc = &m->procs[i];

		if (proc->pid == 0)
			continue;
		see_ready(proc, shm_slot_at(m->shm, i));
		carry_out_kill(proc, shm_slot_at(m->shm, i));
		if (slow)
			look_slowly(m, proc, shm_slot_at(m->shm, i), now);
	}
	master_forward_tick(m, now);
	master_slot_tidy(m);
	master_seat_queue_states(m);
	if (slow) {
		m->watched_ns = now;
		look_at_ours(m, now);
		master_control_tick(m, now);
		master_report_tick(m, now);
	}
}

bool master_watch_starting(const struct master *m)
{
	for (uint32_t i = SLOT_DISPATCHER; i < m->shm->nslots; i++)
		if (m->procs[i].pid != 0 && !m->procs[i].ready && m->procs[i].seat != NULL)
			return true;
	return false;
}

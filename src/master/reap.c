/*
 * master/reap.c: waits for dead children, says what they died of, and decides when their seats are filled again.
 *
 * Runs in the master. An obituary names pid, role, queue, slot, cause, lifetime and what the child itself had written into
 * its slot about its work. A death that was asked for is news, one that was not is a warning, a crash loop is an error:
 * somebody must act. The programs of an exec worker die with it, before its jobs are released (the slot is marked
 * dead last). Invariant: a pid is in m->procs exactly while it is not reaped, so no signal ever goes to a recycled pid.
 */
#include "config.h"

#include "master/reap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "jobq/exit.h"
#include "master/embed.h"
#include "master/link.h"
#include "master/master.h"
#include "master/slot.h"
#include "shm/cell.h"
#include "shm/program.h"
#include "shm/seg.h"

#define PROVED_NS (10 * NS_PER_S) /* ready for this long counts as having worked */

static const char *exit_help(uint32_t code)
{
	switch (code) {
#define EXIT_X(name, value, help) case value: return help;
#include "tbl/exits.def"
#undef EXIT_X
	default: return "unknown";
	}
}

const char *master_reap_cause(const struct obituary *o, char *dst)
{
	const char *name = o->signal != 0 ? sigabbrev_np((int)o->signal) : NULL;

	if (o->signal == 0)
		(void)snprintf(dst, 64, "exit code %u (%s)", o->code, exit_help(o->code));
	else if (name != NULL)
		(void)snprintf(dst, 64, "signal SIG%s", name);
	else
		(void)snprintf(dst, 64, "signal %u", o->signal);
	return dst;
}

void master_reap_fill(struct obituary *o, int status, const char *doing)
{
	o->real_us = clock_real_us();
	o->signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
	o->code = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0;
	(void)text_copy(o->doing, sizeof o->doing, doing);
}

static void write_obituary(const struct master *m, const struct proc *proc, const struct obituary *o, const struct shm_slot *slot)
{
	char cause[64];
	uint32_t queue = atomic_load(&slot->queue);
	const char *name = queue < m->shm->nqueues ? m->queues[queue].name : "";
	bool expected = proc->asked || proc->killed || m->phase != PHASE_RUN || (o->signal == 0 && o->code == JOBQ_EXIT_OK);
	void (*say)(const char *, ...) __attribute__((format(printf, 1, 2))) = expected ? log_info : log_warn;

	say("%s died: %s; pid=%ld queue=%s slot=%u uptime=%.3fs doing=\"%s\"", shm_role_name(atomic_load(&slot->role)),
	    master_reap_cause(o, cause), (long)proc->pid, name, proc->slot,
	    (double)(clock_mono_ns() - proc->started_ns) / (double)NS_PER_S, o->doing);
}

static void announce_hold(const struct master *m, const struct seat *seat, int64_t delay_ns)
{
	char cause[64];
	const char *name = seat->role == ROLE_WORKER ? m->queues[seat->queue].name : "";

	log_error("%s %s%s%u is held back, trying again in %lld s: %s (last: %s)", shm_role_name((uint32_t)seat->role), name,
	          *name != '\0' ? " " : "", seat->number, (long long)(delay_ns / NS_PER_S),
	          seat->backoff.hold == MASTER_HOLD_LOOP ? "it dies again and again before it has done any work"
	                                                 : "it says that it would end the same way",
	          master_reap_cause(&seat->last, cause));
}

/* when the seat is filled again; a roll that was asked for costs nothing */
static void reschedule(struct master *m, struct seat *seat, const struct proc *proc, const struct obituary *o, bool worked)
{
	int64_t now = clock_mono_ns();
	enum master_hold before = seat->backoff.hold;
	struct master_death death = {
		.now_ns = now,
		.lived_ns = now - proc->started_ns,
		.code = o->signal != 0 ? -1 : (int)o->code,
		.worked = worked,
		.counted = !proc->asked && !proc->killed && proc->innocent != proc->generation,
	};

	seat->backoff_before = seat->backoff;
	int64_t delay = master_backoff_died(&seat->backoff, &death);
	seat->due_ns = now + delay;
	if (seat->backoff.hold != MASTER_HOLD_NONE) {
		seat->settled = true;
		if (seat->backoff.hold != before)
			announce_hold(m, seat, delay);
	}
}

static void bury(struct master *m, struct proc *proc, int status)
{
	struct shm_slot *slot = shm_slot_at(m->shm, proc->slot);
	struct seat *seat = proc->seat;
	struct obituary o;
	char doing[SHM_CELL_TEXT];
	int64_t lived = clock_mono_ns() - proc->started_ns;
	uint32_t state = atomic_load(&slot->state);
	bool was_ready = proc->ready || state == PROC_READY || state == PROC_DRAINING;
	bool worked = atomic_load(&slot->worked) != 0 || (was_ready && lived >= PROVED_NS);

	master_reap_fill(&o, status, shm_cell_get(&slot->doing, doing));
	write_obituary(m, proc, &o, slot);
	unsigned programs = shm_program_kill(slot);
	if (programs > 0)
		log_info("programs that it had started, killed with all of their processes: %u", programs);
	if (seat != NULL) {
		if (seat->next == proc) {
			seat->next = NULL; /* the old one works on */
		} else {
			seat->proc = NULL;
			seat->grave = proc->slot;
			seat->grave_generation = proc->generation;
		}
		seat->last = o;
		if (!proc->asked)
			seat->restarts++;
		reschedule(m, seat, proc, &o, worked);
	}
	if (proc->slot == SLOT_DISPATCHER)
		master_link_close(m);
	master_slot_bury(m, proc, &o);
	proc->pid = 0;
	proc->seat = NULL;
	proc->died_ns = clock_mono_ns();
}

void master_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct proc *proc = NULL;

		for (uint32_t i = 0; i < m->shm->nslots && proc == NULL; i++)
			if (m->procs[i].pid == pid)
				proc = &m->procs[i];
		if (proc != NULL)
			bury(m, proc, status);
		else if (m->embed == NULL || !master_embed_reaped(m, pid, status))
			log_debug("reaped pid %ld, a stranger", (long)pid);
	}
	if (pid < 0 && errno != ECHILD && errno != EINTR)
		log_error("waitpid: %s", strerror(errno));
}

void master_reap_uncounted(struct master *m, uint32_t slot, uint32_t generation)
{
	struct seat *seat;

	if (slot >= m->shm->nslots)
		return;
	m->procs[slot].innocent = generation; /* if it is still to die */
	TAILQ_FOREACH(seat, &m->seats, link) {
		if (seat->proc != NULL || seat->grave != slot || seat->grave_generation != generation)
			continue;
		seat->backoff = seat->backoff_before;
		seat->due_ns = 0;
	}
}

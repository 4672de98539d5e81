/*
 * master/spawn.c: forks a child into a slot and runs its main.
 *
 * Runs in the master and, after the fork, in the child until its main begins. The master forks outside the event loop's
 * turns (a child of a running loop could not run its own), with all signals blocked, so none is handled by the wrong
 * process. The child first makes the inherited base its own (event_reinit), takes the master's events out of it, closes what
 * is the master's alone, and never frees the base: freeing would disturb the parent's. It leaves by _exit. The pid file's
 * lock, the listening socket of the dispatcher and the read end of the lifeline are inherited on purpose.
 * A fork that fails is an error of the machine: logged, tried again in a second.
 */
#include "config.h"

#include "master/spawn.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "conf/conf.h"
#include "jobq/child.h"
#include "jobq/exit.h"
#include "master/control.h"
#include "master/daemonise.h"
#include "master/embed.h"
#include "master/link.h"
#include "master/master.h"
#include "master/signal.h"
#include "master/slot.h"
#include "shm/seg.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SPAWN_LEAK_CHECK
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SPAWN_LEAK_CHECK
#endif
#ifdef SPAWN_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif

#define RETRY_NS (1 * NS_PER_S)

_Noreturn void master_spawn_leave(int code)
{
#ifdef SPAWN_LEAK_CHECK
	__lsan_do_leak_check(); /* _exit skips it; a leak ends the process here */
#endif
	_exit(code & 0xff);
}

static void drop_masters_things(struct master *m)
{
	master_signal_child(m);
	master_control_child(m);
	master_link_child(m);
	(void)event_del(m->tick);
	(void)close(m->lifeline[1]);
	m->lifeline[1] = -1;
	if (m->parent_fd >= 0)
		(void)close(m->parent_fd);
	if (m->daemon)
		master_daemonise_detach(); /* whoever reads the terminal's pipe must not wait for us */
}

pid_t master_spawn_fork(struct master *m)
{
	sigset_t all, old;

	(void)sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, &old) != 0)
		return -1;
	pid_t pid = fork();
	int error = errno;
	if (pid == 0) {
		if (event_reinit(m->base) != 0) {
			log_error("cannot make the event loop anew after the fork");
			_exit(JOBQ_EXIT_INTERNAL);
		}
		drop_masters_things(m);
	}
	if (sigprocmask(SIG_SETMASK, &old, NULL) != 0 && pid == 0)
		_exit(JOBQ_EXIT_INTERNAL);
	errno = error;
	return pid;
}

void master_spawn_helper(void)
{
	(void)signal(SIGINT, SIG_IGN);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		_exit(JOBQ_EXIT_RUNTIME); /* the master died before that was said */
}

static _Noreturn void child_run(struct master *m, const struct proc *proc, const struct seat *seat, int control)
{
	const char *queue = seat->role == ROLE_WORKER ? m->queues[seat->queue].name : NULL;

	log_context(m->node, shm_role_name((uint32_t)seat->role), queue, (int)proc->slot);
	struct child child = {
		.conf = m->conf,
		.queue = queue != NULL ? conf_queue_find(m->conf, queue) : NULL,
		.shm = m->shm,
		.slot = shm_slot_at(m->shm, proc->slot),
		.slot_index = proc->slot,
		.generation = proc->generation,
		.queue_index = seat->queue,
		.base = m->base,
		.lifeline = m->lifeline[0],
		.dispatch_listen = seat->role == ROLE_DISPATCHER ? m->dispatch_fd : -1,
		.dispatch_path = m->dispatch_path,
		.control = control,
		.database = m->embed != NULL ? master_embed_database(m->embed) : m->conf->jobqd.database,
		.owner_database = m->embed != NULL ? master_embed_owner_database(m->embed) : NULL,
		.instance = m->instance,
	};
	if (seat->role != ROLE_DISPATCHER)
		(void)close(m->dispatch_fd);
	atomic_store(&child.slot->pid, (uint32_t)getpid()); /* the master writes the same: whoever is first */
	master_spawn_leave(seat->role == ROLE_DISPATCHER ? dispatcher_main(&child) : worker_main(&child));
}

static void record(struct master *m, struct proc *proc, struct seat *seat, pid_t pid, bool replacement)
{
	struct shm_slot *slot = shm_slot_at(m->shm, proc->slot);

	atomic_store(&slot->pid, (uint32_t)pid);
	proc->pid = pid;
	proc->seat = seat;
	if (replacement)
		seat->next = proc;
	else
		seat->proc = proc;
	if (!replacement)
		seat->grave = SLOT_NONE;
	log_debug("forked pid=%ld role=%s slot=%u generation=%u", (long)pid, shm_role_name((uint32_t)seat->role), proc->slot, proc->generation);
}

static struct proc *proc_prepare(struct master *m, const struct seat *seat)
{
	uint32_t index = master_slot_take(m, seat);

	if (index == SLOT_NONE) {
		if (!m->slots_full)
			log_warn("no free slot in shared memory: restarts wait until the dispatcher has released the jobs of the dead");
		m->slots_full = true;
		return NULL;
	}
	m->slots_full = false;
	master_slot_prepare(m, index, seat);
	struct proc *proc = &m->procs[index];
	uint32_t innocent = proc->innocent;
	memset(proc, 0, sizeof *proc);
	proc->innocent = innocent;
	proc->slot = index;
	proc->generation = atomic_load(&shm_slot_at(m->shm, index)->generation);
	proc->config_generation = seat->config_generation;
	proc->started_ns = clock_mono_ns();
	return proc;
}

static void fork_failed(struct master *m, struct proc *proc, struct seat *seat, int error)
{
	log_error("cannot fork a %s: %s; trying again in a second", shm_role_name((uint32_t)seat->role), strerror(error));
	atomic_store(&shm_slot_at(m->shm, proc->slot)->state, PROC_DEAD);
	seat->due_ns = clock_mono_ns() + RETRY_NS;
}

bool master_spawn_seat(struct master *m, struct seat *seat, bool replacement)
{
	int pair[2] = {-1, -1};
	struct proc *proc = proc_prepare(m, seat);

	if (proc == NULL)
		return false;
	if (seat->role == ROLE_DISPATCHER) {
		atomic_fetch_add(&m->shm->global->dispatcher_generation, 1); /* frames of the one before are void from here on */
		if (io_socketpair(pair) != 0) {
			fork_failed(m, proc, seat, errno);
			return false;
		}
	}
	pid_t pid = master_spawn_fork(m);
	if (pid == 0) {
		if (pair[0] >= 0)
			(void)close(pair[0]);
		child_run(m, proc, seat, pair[1]);
	}
	int error = errno;
	(void)FAULT(after_fork);
	if (pair[1] >= 0)
		(void)close(pair[1]);
	if (pid < 0) {
		if (pair[0] >= 0)
			(void)close(pair[0]);
		fork_failed(m, proc, seat, error);
		return false;
	}
	record(m, proc, seat, pid, replacement);
	if (seat->role == ROLE_DISPATCHER) {
		m->dispatcher_config = m->config_generation;
		master_link_open(m, pair[0]);
	}
	return true;
}

/* May this seat be filled now, its own due time apart? */
static bool allowed(const struct master *m, const struct seat *seat)
{
	if (seat->proc != NULL)
		return false;
	if (seat->role == ROLE_DISPATCHER)
		return m->procs[SLOT_DISPATCHER].pid == 0 && (m->embed == NULL || master_embed_may_dispatch(m));
	/* a queue that the dispatcher does not know yet: its workers would be turned away */
	return m->phase == PHASE_RUN && (m->dispatcher_config == 0 || m->dispatcher_config >= m->queues[seat->queue].since);
}

void master_spawn_due(struct master *m)
{
	struct seat *seat;
	int64_t now = clock_mono_ns();

	TAILQ_FOREACH(seat, &m->seats, link) {
		if (!allowed(m, seat) || seat->due_ns > now)
			continue;
		if (master_spawn_seat(m, seat, false) && seat->last.real_us != 0)
			log_info("restarted role=%s queue=%s number=%u restarts=%u pid=%ld slot=%u", shm_role_name((uint32_t)seat->role),
			         seat->role == ROLE_WORKER ? m->queues[seat->queue].name : "", seat->number, seat->restarts,
			         (long)seat->proc->pid, seat->proc->slot);
	}
}

int64_t master_spawn_next_ns(const struct master *m)
{
	const struct seat *seat;
	int64_t next = INT64_MAX;

	TAILQ_FOREACH(seat, &m->seats, link)
		if (seat->due_ns < next && (seat->proc == NULL ? allowed(m, seat) : seat->proc->config_generation != seat->config_generation))
			next = seat->due_ns;
	return next;
}

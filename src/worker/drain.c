/*
 * worker/drain.c: how a worker comes to its end.
 *
 * Runs in a worker. Owns the signals, the lifeline and the deadline. From the first reason to end on, nothing new begins: what
 * has not begun goes back unstarted, what has begun may end, every outcome waits for its acknowledgement; then the process
 * leaves with 0. A recycled worker has all the time it needs. SIGTERM gives shutdown_timeout, of which the last fifth (at
 * most 2 s) is for the jobs that had to be stopped. When the master is gone all of this has 0.9 s.
 *
 * SIGQUIT leaves at once, from the signal handler itself. A worker that hangs in a handler's call cannot see its lifeline;
 * so the kernel tells it that its parent died, and an alarm ends it: it must not keep the daemon's lock.
 */
#include "config.h"

#include "worker/drain.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "jobq/exit.h"
#include "worker/admit.h"
#include "worker/batch.h"
#include "worker/link.h"
#include "worker/timeout.h"

#define ORPHAN_NS (900 * NS_PER_MS)
#define ORPHAN_ALARM_S 2u
#define LAST_PART_NS (2 * NS_PER_S)

static pid_t drain_parent; /* for the signal handler */

static void drain_at_once(int sig)
{
	_exit(sig == SIGALRM ? JOBQ_EXIT_RUNTIME : JOBQ_EXIT_OK);
}

static void drain_parent_died(int sig)
{
	(void)sig;
	if (getppid() != drain_parent) /* the same signal may come from anybody */
		(void)alarm(ORPHAN_ALARM_S);
}

static void drain_term(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	drain_begin(arg, DRAIN_STOP);
}

static void drain_usr1(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	if (log_reopen() != 0)
		log_error("cannot open the log again: %s", strerror(errno));
}

static void drain_lifeline(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	char byte;

	(void)what;
	if (read(fd, &byte, 1) != 0) /* nobody writes there; only its end says something */
		return;
	if (event_del(w->lifeline) != 0)
		log_error("cannot leave the lifeline: %s", strerror(errno));
	log_warn("the master is gone; leaving");
	drain_begin(w, DRAIN_ORPHAN);
}

static void drain_arm(struct worker *w, int64_t ns)
{
	struct timeval tv = clock_timeval(ns);

	if (event_add(w->deadline, &tv) != 0)
		mem_exhausted(0);
}

/* The time between asking begun jobs to stop and leaving without them. */
static int64_t drain_last_part(const struct worker *w)
{
	if (w->drain == DRAIN_ORPHAN)
		return ORPHAN_NS / 3;
	int64_t part = w->child->conf->jobqd.shutdown_timeout / 5;
	return part > LAST_PART_NS ? LAST_PART_NS : part;
}

static void drain_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	if (!w->hurried) {
		w->hurried = true;
		timeout_stop_all(w);
		drain_arm(w, drain_last_part(w));
		worker_turn(w);
		return;
	}
	log_warn("leaving with %zu jobs under way and %zu outcomes not acknowledged", w->njobs,
		(size_t)HASH_COUNT(w->table) - w->njobs);
	if (event_base_loopbreak(w->child->base) != 0)
		_exit(JOBQ_EXIT_INTERNAL);
}

static int drain_signals(struct worker *w)
{
	struct sigaction now = {.sa_handler = drain_at_once}, none = {.sa_handler = SIG_IGN};
	struct sigaction died = {.sa_handler = drain_parent_died, .sa_flags = SA_RESTART};

	drain_parent = getppid();
	if (sigaction(SIGQUIT, &now, NULL) != 0 || sigaction(SIGALRM, &now, NULL) != 0 || sigaction(SIGUSR2, &died, NULL) != 0
		|| sigaction(SIGINT, &none, NULL) != 0 || sigaction(SIGHUP, &none, NULL) != 0 || sigaction(SIGPIPE, &none, NULL) != 0
		|| prctl(PR_SET_PDEATHSIG, SIGUSR2) != 0)
		return -1;
	w->sigterm = evsignal_new(w->child->base, SIGTERM, drain_term, w);
	w->sigusr1 = evsignal_new(w->child->base, SIGUSR1, drain_usr1, w);
	return w->sigterm == NULL || w->sigusr1 == NULL || event_add(w->sigterm, NULL) != 0 || event_add(w->sigusr1, NULL) != 0 ? -1 : 0;
}

int drain_open(struct worker *w)
{
	w->deadline = event_new(w->child->base, -1, 0, drain_deadline, w);
	w->lifeline = event_new(w->child->base, w->child->lifeline, EV_READ | EV_PERSIST, drain_lifeline, w);
	if (w->deadline == NULL || w->lifeline == NULL || event_add(w->lifeline, NULL) != 0)
		return -1;
	return drain_signals(w);
}

void drain_close(struct worker *w)
{
	struct event *const events[] = {w->deadline, w->lifeline, w->sigterm, w->sigusr1};

	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
		if (events[i] != NULL)
			event_free(events[i]);
}

void drain_begin(struct worker *w, enum drain why)
{
	if (why <= w->drain)
		return;
	w->drain = why;
	atomic_store(&w->slot->state, PROC_DRAINING);
	if (why != DRAIN_RECYCLE && !w->hurried) {
		int64_t all = why == DRAIN_ORPHAN ? ORPHAN_NS : w->child->conf->jobqd.shutdown_timeout;
		drain_arm(w, all - drain_last_part(w));
	}
	worker_turn(w);
}

void drain_turn(struct worker *w)
{
	if (w->drain == DRAIN_NO)
		return;
	if (!w->drained) {
		w->drained = true;
		link_tell_drain(w);
		batch_give_back(w);
		admit_give_back(w);
	}
	if (HASH_COUNT(w->table) == 0 && event_base_loopbreak(w->child->base) != 0)
		_exit(JOBQ_EXIT_INTERNAL);
}

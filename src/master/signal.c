/*
 * master/signal.c: one table of signals, each beside the control command that asks for the same.
 *
 * Runs in the master. libevent's handler writes one byte; what is set here is a mark, and master_step acts on it, so a storm
 * of signals is one mark. SIGPIPE and SIGXFSZ are ignored, here and in the children: a write to a closed socket, or to a file beyond the limit
 * of its size, is an error code.
 * Children ignore INT and HUP: a terminal sends them to the whole group, and the master tells its children itself.
 */
#include "config.h"

#include "master/signal.h"

#include <event2/event.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "master/master.h"

static void mark_stop(struct master *m)
{
	if (m->marks.stop || m->phase != PHASE_RUN)
		m->marks.stop_now = true; /* the second one: at once */
	m->marks.stop = true;
}

static void mark_now(struct master *m)
{
	m->marks.stop = m->marks.stop_now = true;
}

static void mark_reload(struct master *m)
{
	m->marks.reload = true;
}

static void mark_reopen(struct master *m)
{
	m->marks.reopen = true;
}

static void mark_dump(struct master *m)
{
	m->marks.dump = true;
}

static void mark_reap(struct master *m)
{
	m->marks.reap = true;
}

static const struct {
	int number;
	const char *name;
	const char *command; /* of jobqctl, NULL = none */
	void (*mark)(struct master *m);
	void (*in_child)(int); /* until the child sets its own */
} signals[] = {
	{SIGHUP,  "SIGHUP",  "reload",     mark_reload, SIG_IGN},
	{SIGTERM, "SIGTERM", "stop",       mark_stop,   SIG_DFL},
	{SIGINT,  "SIGINT",  "stop",       mark_stop,   SIG_IGN},
	{SIGQUIT, "SIGQUIT", "stop --now", mark_now,    SIG_DFL},
	{SIGUSR1, "SIGUSR1", NULL,         mark_reopen, SIG_IGN},
	{SIGUSR2, "SIGUSR2", NULL,         mark_dump,   SIG_IGN},
	{SIGCHLD, "SIGCHLD", NULL,         mark_reap,   SIG_DFL},
};
#define SIGNALS (sizeof signals / sizeof signals[0])

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct master *m = arg;

	(void)what;
	for (size_t i = 0; i < SIGNALS; i++) {
		if (signals[i].number != (int)number)
			continue;
		if (signals[i].mark != mark_reap)
			log_info("%s received%s%s", signals[i].name, signals[i].command != NULL ? ": " : "",
			         signals[i].command != NULL ? signals[i].command : "");
		signals[i].mark(m);
	}
}

int master_signal_open(struct master *m)
{
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	m->signals = xcalloc(SIGNALS, sizeof *m->signals);
	for (size_t i = 0; i < SIGNALS; i++) {
		m->signals[i] = evsignal_new(m->base, signals[i].number, on_signal, m);
		if (m->signals[i] == NULL || event_add(m->signals[i], NULL) != 0)
			return -1;
	}
	return 0;
}

void master_signal_close(struct master *m)
{
	for (size_t i = 0; m->signals != NULL && i < SIGNALS; i++)
		if (m->signals[i] != NULL)
			event_free(m->signals[i]);
	free(m->signals);
	m->signals = NULL;
}

void master_signal_child(struct master *m)
{
	for (size_t i = 0; i < SIGNALS; i++) {
		(void)event_del(m->signals[i]);
		(void)signal(signals[i].number, signals[i].in_child);
	}
}

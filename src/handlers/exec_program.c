/*
 * handlers/exec_program.c: one running program (see exec_program.h).
 *
 * Runs in a worker. Owns the child, the pipes' ends, their events and the timer of its end. The ladder: its work is done, 5 s to
 * leave; SIGTERM to the group, 2 s; SIGKILL, again each second. When the leader has died its group is killed before it is reaped:
 * until then the group's number can be nobody else's. Children that it leaves behind with its pipes in hand are not waited for.
 *
 * Invariant: in exec->programs exactly while its pid is not reaped, and noted in the slot exactly as long. Its own stages only
 * go up. A flood on stdout is the caller's to end; one on stderr is read slowly.
 */
#include "config.h"

#include "handlers/exec_program.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "handlers/exec.h"
#include "handlers/exec_spawn.h"
#include "handlers/exec_stderr.h"

#define READ_SIZE 65536u
#define READS_AT_END 64                  /* of what a dead program has left in a pipe: more than a pipe holds */
#define CLOSED_NS (500 * NS_PER_MS)      /* between the end of its output and its own: then it only closed it */
#define LEAVE_NS (5 * NS_PER_S)
#define TERM_NS (2 * NS_PER_S)
#define KILL_NS (1 * NS_PER_S)
#define SLOW_NS (50 * NS_PER_MS)         /* a pause of reading stderr */

enum stage { STAGE_RUN, STAGE_LEAVE, STAGE_TERM, STAGE_KILL };

struct program {
	struct exec *x;
	const struct program_calls *calls;
	void *arg;
	struct exec_child child;
	struct event *in, *out, *err, *timer, *slow;
	struct buf feed;
	bool no_more;  /* the input ends with what is in feed */
	bool closed;   /* its output has ended */
	enum stage stage;
	int64_t since_ns; /* of the stage */
	struct exec_stderr said;
	TAILQ_ENTRY(program) link;
};

pid_t program_pid(const struct program *p)
{
	return p->child.pid;
}

static void program_shut(struct event **event, int *fd)
{
	if (*event != NULL)
		event_free(*event);
	*event = NULL;
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void program_arm(struct program *p, struct event *event, int64_t ns)
{
	struct timeval tv = clock_timeval(ns);

	(void)p;
	if (event_add(event, &tv) != 0)
		mem_exhausted(0);
}

/* --- its end */

static void program_signal(const struct program *p, int sig)
{
	if (kill(-p->child.pid, sig) != 0)
		(void)kill(p->child.pid, sig); /* it has no group yet; not reaped, so it is ours */
}

static const int64_t program_waits[] = {[STAGE_RUN] = INT64_MAX, [STAGE_LEAVE] = LEAVE_NS, [STAGE_TERM] = TERM_NS, [STAGE_KILL] = KILL_NS};

static void program_climb(struct program *p, enum stage stage)
{
	p->stage = stage;
	p->since_ns = clock_mono_ns();
	if (stage == STAGE_TERM || stage == STAGE_KILL)
		program_signal(p, stage == STAGE_TERM ? SIGTERM : SIGKILL);
	program_arm(p, p->timer, program_waits[stage]);
}

static void program_timer(evutil_socket_t fd, short what, void *arg)
{
	struct program *p = arg;

	(void)fd;
	(void)what;
	if (p->stage == STAGE_LEAVE || p->stage == STAGE_TERM)
		log_warn("program %ld %s", (long)p->child.pid,
			p->stage == STAGE_LEAVE ? "has nothing left to do and does not leave: terminated" : "ignores SIGTERM: killed");
	if (p->stage != STAGE_RUN)
		program_climb(p, p->stage == STAGE_LEAVE ? STAGE_TERM : STAGE_KILL);
	else if (p->closed && p->calls->closed != NULL)
		p->calls->closed(p->arg);
}

void program_expect_end(struct program *p)
{
	program_close_input(p);
	if (p->stage < STAGE_LEAVE)
		program_climb(p, STAGE_LEAVE);
}

void program_end(struct program *p)
{
	if (p->stage < STAGE_TERM)
		program_climb(p, STAGE_TERM);
}

void program_kill(struct program *p)
{
	if (p->stage < STAGE_KILL)
		program_climb(p, STAGE_KILL);
}

/* --- its pipes */

static void program_writable(evutil_socket_t fd, short what, void *arg)
{
	struct program *p = arg;

	(void)what;
	if (p->feed.len == 0 && !p->no_more)
		p->calls->room(p->arg, &p->feed);
	ssize_t n = p->feed.len == 0 ? 0 : write(fd, p->feed.data, p->feed.len);
	if (n > 0)
		buf_drop(&p->feed, (size_t)n);
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || (p->feed.len == 0 && p->no_more)) /* EPIPE: it reads no more */
		program_shut(&p->in, &p->child.in);
	else if (n != 0 && event_add(p->in, NULL) != 0)
		mem_exhausted(0);
}

void program_wake(struct program *p)
{
	if (p->in != NULL && event_add(p->in, NULL) != 0)
		mem_exhausted(0);
}

void program_close_input(struct program *p)
{
	p->no_more = true;
	if (p->feed.len == 0)
		program_shut(&p->in, &p->child.in);
}

/* False: nothing was there, or its end. */
static bool program_read_out(struct program *p)
{
	char data[READ_SIZE];
	ssize_t n = p->child.out < 0 ? 0 : read(p->child.out, data, sizeof data);

	if (n > 0) {
		p->calls->output(p->arg, data, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		if (p->child.out >= 0 && p->stage == STAGE_RUN)
			program_arm(p, p->timer, CLOSED_NS);
		program_shut(&p->out, &p->child.out);
		p->closed = true;
	}
	return n > 0;
}

static void program_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)program_read_out(arg);
}

static bool program_read_err(struct program *p)
{
	char data[READ_SIZE / 4];
	ssize_t n = p->child.err < 0 ? 0 : read(p->child.err, data, sizeof data);

	if (n > 0) {
		bool flood = exec_stderr_feed(&p->said, p->child.pid, data, (size_t)n, clock_mono_ns());
		if (flood && p->err != NULL && event_del(p->err) == 0)
			program_arm(p, p->slow, SLOW_NS);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		program_shut(&p->err, &p->child.err);
	}
	return n > 0;
}

static void program_said(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)program_read_err(arg);
}

static void program_listen_again(evutil_socket_t fd, short what, void *arg)
{
	struct program *p = arg;

	(void)fd;
	(void)what;
	if (p->err != NULL && event_add(p->err, NULL) != 0)
		mem_exhausted(0);
}

static void program_drain(struct program *p)
{
	for (int i = 0; i < READS_AT_END && program_read_out(p); i++)
		continue;
	for (int i = 0; i < READS_AT_END && program_read_err(p); i++)
		continue;
}

void program_hurry(struct exec *x, int64_t share)
{
	struct program *p;

	TAILQ_FOREACH(p, &x->programs, link) {
		if (clock_mono_ns() - p->since_ns >= program_waits[p->stage] / share)
			program_timer(-1, 0, p);
		program_drain(p);
	}
}

/* --- its life */

static void program_free(struct program *p)
{
	program_shut(&p->in, &p->child.in);
	program_shut(&p->out, &p->child.out);
	program_shut(&p->err, &p->child.err);
	if (p->child.status >= 0)
		(void)close(p->child.status);
	event_free(p->timer);
	event_free(p->slow);
	buf_free(&p->feed);
	free(p);
}

struct program *program_start(struct exec *x, const struct program_calls *calls, void *arg, char *err, size_t errlen)
{
	struct exec_child child;

	if (exec_spawn(&x->conf, x->worker, &child, err, errlen) != 0)
		return NULL;
	struct program *p = xcalloc(1, sizeof *p);
	*p = (struct program){.x = x, .calls = calls, .arg = arg, .child = child};
	p->in = event_new(x->base, child.in, EV_WRITE, program_writable, p);
	p->out = event_new(x->base, child.out, EV_READ | EV_PERSIST, program_readable, p);
	p->err = event_new(x->base, child.err, EV_READ | EV_PERSIST, program_said, p);
	p->timer = event_new(x->base, -1, 0, program_timer, p);
	p->slow = event_new(x->base, -1, 0, program_listen_again, p);
	if (p->in == NULL || p->out == NULL || p->err == NULL || p->timer == NULL || p->slow == NULL || event_add(p->in, NULL) != 0
		|| event_add(p->out, NULL) != 0 || event_add(p->err, NULL) != 0)
		mem_exhausted(sizeof *p); /* the process ends, and the child with it */
	TAILQ_INSERT_TAIL(&x->programs, p, link);
	x->nprograms++;
	log_debug("program %ld: started %s", (long)child.pid, x->conf.argv[0]);
	return p;
}

static void program_describe(const struct program *p, const siginfo_t *info, struct program_end *end, char text[static 256])
{
	const char *name = sigabbrev_np(info->si_status);
	int n;

	*end = (struct program_end){.started = true, .code = -1, .text = text, .last = p->said.last};
	if (info->si_code == CLD_EXITED) {
		end->code = info->si_status;
		end->started = !exec_spawn_error(&p->child, p->x->conf.argv[0], text, 256);
		n = end->started ? snprintf(text, 256, "ended with exit code %d", end->code) : 1;
	} else {
		end->signal = info->si_status;
		n = snprintf(text, 256, "was ended by signal %s%s", name == NULL ? "" : "SIG", name == NULL ? "?" : name);
	}
	if (n < 0)
		text[0] = '\0';
}

/* Its leader is a zombie: it takes its group with it. */
static void program_bury(struct program *p, const siginfo_t *info)
{
	char text[256];
	struct program_end end;
	struct exec *x = p->x;

	(void)kill(-p->child.pid, SIGKILL);
	program_drain(p);
	exec_stderr_end(&p->said, p->child.pid, clock_mono_ns());
	if (waitpid(p->child.pid, NULL, 0) != p->child.pid)
		log_error("program %ld cannot be reaped: %s", (long)p->child.pid, strerror(errno));
	(void)jobq_program(x->worker, p->child.pid, false);
	TAILQ_REMOVE(&x->programs, p, link);
	x->nprograms--;
	program_describe(p, info, &end, text);
	log_debug("program %ld: %s", (long)p->child.pid, text);
	p->calls->gone(p->arg, &end);
	program_free(p);
}

void program_reap(struct exec *x)
{
	struct program *p, *next;

	for (p = TAILQ_FIRST(&x->programs); p != NULL; p = next) { /* new ones are added at the end */
		siginfo_t info = {0};
		if (waitid(P_PID, (id_t)p->child.pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
			log_error("program %ld cannot be waited for: %s", (long)p->child.pid, strerror(errno));
		bool dead = info.si_pid == p->child.pid;
		if (dead)
			program_bury(p, &info), next = TAILQ_FIRST(&x->programs);
		else
			next = TAILQ_NEXT(p, link);
	}
}

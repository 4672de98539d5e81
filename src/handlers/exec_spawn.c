/*
 * handlers/exec_spawn.c: starts a process (see exec_spawn.h).
 *
 * Runs in a worker and, between fork and execve, in the child, where only calls are made that are safe after a fork. Order in
 * the child: session, death signal, descriptors, signals, directory, limits; then it waits at a pipe until its parent has noted it
 * for the master, and looks whether that parent still lives. So whenever the worker is killed, the child either was noted, or
 * reads the end of that pipe and leaves, or is killed by the kernel's signal: a program never runs that nobody would end.
 *
 * Invariant: the program has descriptors 0, 1 and 2 and no other; default signals, none blocked; `/` as its directory. What goes
 * wrong in the child is written to a pipe that execve closes, and read when the child is reaped: nobody waits for it.
 */
#include "config.h"

#include "handlers/exec_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "jobq/handler.h"

#define FD_STATUS 3
#define FD_GATE 4
#define FD_SAFE 10        /* above all that the child places */
#define FD_MANY 65536     /* where there is no close_range: how far descriptors are closed one by one */
#define EXIT_UNSTARTED 127

enum step { STEP_SESSION, STEP_DESCRIPTORS, STEP_SIGNALS, STEP_DIRECTORY, STEP_LIMITS, STEP_EXEC };
static const char *const step_texts[] = {
	[STEP_SESSION] = "cannot have a session of its own", [STEP_DESCRIPTORS] = "cannot have its descriptors",
	[STEP_SIGNALS] = "cannot have its signals", [STEP_DIRECTORY] = "cannot enter /", [STEP_LIMITS] = "cannot have its limits",
	[STEP_EXEC] = "cannot be run",
};

struct failure {
	int step, error;
};

struct pipes { /* [0] reads, [1] writes */
	int in[2], out[2], err[2], status[2], gate[2];
};

static void spawn_close(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	fds[0] = fds[1] = -1;
}

static void spawn_close_all(struct pipes *p)
{
	spawn_close(p->in);
	spawn_close(p->out);
	spawn_close(p->err);
	spawn_close(p->status);
	spawn_close(p->gate);
}

static int spawn_pipes(struct pipes *p)
{
	int(*const all[])[2] = {&p->in, &p->out, &p->err, &p->status, &p->gate};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		(*all[i])[0] = (*all[i])[1] = -1;
	bool made = true;
	for (size_t i = 0; i < sizeof all / sizeof all[0] && made; i++)
		made = io_pipe(*all[i]) == 0;
	/* our ends alone: each end has a state of its own */
	if (made && io_set_nonblock(p->in[1], true) == 0 && io_set_nonblock(p->out[0], true) == 0 && io_set_nonblock(p->err[0], true) == 0
		&& io_set_nonblock(p->status[0], true) == 0)
		return 0;
	int error = errno;
	spawn_close_all(p);
	errno = error;
	return -1;
}

/* --- in the child */

static _Noreturn void spawn_fail(int status, enum step step)
{
	struct failure failure = {(int)step, errno};

	if (write(status, &failure, sizeof failure) < 0)
		_exit(EXIT_UNSTARTED); /* nobody is left to read it */
	_exit(EXIT_UNSTARTED);
}

static void spawn_descriptors(const struct pipes *p)
{
	const int from[] = {p->in[0], p->out[1], p->err[1], p->status[1], p->gate[0]};
	int high[5];

	for (int i = 0; i < 5; i++)
		if ((high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_SAFE)) < 0)
			spawn_fail(p->status[1], STEP_DESCRIPTORS);
	for (int i = 0; i < 5; i++)
		if (dup3(high[i], i, i < FD_STATUS ? 0 : O_CLOEXEC) < 0)
			spawn_fail(high[FD_STATUS], STEP_DESCRIPTORS);
	if (close_range(FD_GATE + 1, ~0U, 0) != 0)
		for (int fd = FD_GATE + 1; fd < FD_MANY; fd++)
			(void)close(fd);
}

/* All signals are still blocked, so none finds a handler of ours. */
static void spawn_signals(void)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &plain, NULL); /* KILL, STOP and those of the library cannot be set */
}

static _Noreturn void spawn_child(const struct exec_conf *c, const struct pipes *p, pid_t parent)
{
	sigset_t none;
	char byte;

	if (setsid() < 0)
		spawn_fail(p->status[1], STEP_SESSION);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	spawn_descriptors(p);
	spawn_signals();
	if (chdir("/") != 0)
		spawn_fail(FD_STATUS, STEP_DIRECTORY);
	for (size_t i = 0; i < c->nlimits; i++)
		if (setrlimit((__rlimit_resource_t)c->limits[i].what, &c->limits[i].limit) != 0)
			spawn_fail(FD_STATUS, STEP_LIMITS);
	if (read(FD_GATE, &byte, 1) != 1 || getppid() != parent)
		_exit(EXIT_UNSTARTED); /* nobody knows of us */
	if (sigemptyset(&none) != 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		spawn_fail(FD_STATUS, STEP_SIGNALS);
	(void)execve(c->argv[0], c->argv, c->envp);
	spawn_fail(FD_STATUS, STEP_EXEC);
}

/* --- in the worker */

static pid_t spawn_fork(const struct exec_conf *c, const struct pipes *p)
{
	sigset_t all, old;
	pid_t parent = getpid();

	if (sigfillset(&all) != 0 || sigprocmask(SIG_BLOCK, &all, &old) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		spawn_child(c, p, parent);
	int error = errno;
	if (sigprocmask(SIG_SETMASK, &old, NULL) != 0)
		_exit(EXIT_UNSTARTED); /* cannot happen; deaf to signals is no way to go on */
	errno = error;
	return pid;
}

/* Notes it and lets it go on. */
static bool spawn_release(struct pipes *p, struct worker *worker, pid_t pid)
{
	bool noted = jobq_program(worker, pid, true);

	if (noted && write(p->gate[1], "", 1) == 1)
		return true;
	spawn_close(p->gate); /* it reads the end and leaves */
	if (waitpid(pid, NULL, 0) == pid && noted)
		(void)jobq_program(worker, pid, false);
	return false;
}

static void spawn_take(struct pipes *p, struct exec_child *child, pid_t pid)
{
	*child = (struct exec_child){.pid = pid, .in = p->in[1], .out = p->out[0], .err = p->err[0], .status = p->status[0]};
	p->in[1] = p->out[0] = p->err[0] = p->status[0] = -1;
	spawn_close_all(p);
}

int exec_spawn(const struct exec_conf *c, struct worker *worker, struct exec_child *child, char *err, size_t errlen)
{
	struct pipes p;

	if (spawn_pipes(&p) != 0)
		return snprintf(err, errlen, "cannot make pipes for %s: %s", c->argv[0], strerror(errno)) | -1;
	pid_t pid = spawn_fork(c, &p);
	if (pid < 0) {
		int error = errno;
		spawn_close_all(&p);
		return snprintf(err, errlen, "cannot fork for %s: %s", c->argv[0], strerror(error)) | -1;
	}
	/* its ends first: the gate must have no reader but the child */
	(void)close(p.gate[0]);
	p.gate[0] = -1;
	if (!spawn_release(&p, worker, pid)) {
		spawn_close_all(&p);
		return snprintf(err, errlen, "too many programs have not ended yet") | -1;
	}
	spawn_take(&p, child, pid);
	return 0;
}

bool exec_spawn_error(const struct exec_child *child, const char *path, char *err, size_t errlen)
{
	struct failure failure;

	if (read(child->status, &failure, sizeof failure) != (ssize_t)sizeof failure || failure.step < 0 || failure.step > STEP_EXEC)
		return false;
	return snprintf(err, errlen, "%s %s: %s", path, step_texts[failure.step], strerror(failure.error)) > 0;
}

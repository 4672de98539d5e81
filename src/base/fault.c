/*
 * base/fault.c: named points at which a test makes things go wrong (see fault.h).
 *
 * Compiled to nothing without --enable-faults. Reads JOBQ_FAULT at the first point that is passed and keeps the armed
 * points in static memory, which children inherit with their counts. Uses no allocation, as one of the points is the
 * allocator. Invariant: a point fires at most once in a process, and with JOBQ_FAULT_ONCE at most once in all. A
 * misspelt JOBQ_FAULT ends the process with JOBQ_EXIT_USAGE: a fault test that tests nothing must not pass.
 */
#include "config.h"

#include "base/fault.h"

#ifdef JOBQ_FAULTS
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "jobq/exit.h"

enum action { NONE, EXIT, KILL, STOP, SEGV, FAIL, DELAY };
static const char *const actions[] = {"", "exit", "kill", "stop", "segv", "fail", "delay"};

#define FAULT_X(name, help) #name,
static const char *const names[] = {
#include "tbl/faults.def"
};
#undef FAULT_X

static struct {
	enum action action;
	int64_t passages; /* until it fires */
	int64_t delay_ms;
} points[FAULT_COUNT];
static bool parsed, armed;

static void refuse(const char *spec)
{
	if (dprintf(STDERR_FILENO, "JOBQ_FAULT: cannot read \"%s\"; want name=action[,count][;...], see fault.h\n", spec) < 0)
		_exit(JOBQ_EXIT_USAGE);
	_exit(JOBQ_EXIT_USAGE);
}

/* "name=action[:MS][,count]", cut up in place */
static bool arm(char *spec)
{
	char *action = strchr(spec, '='), *count, *ms;
	int64_t n = 1, delay = 0;
	size_t point = 0, kind = EXIT;

	if (action == NULL)
		return false;
	*action++ = '\0';
	if ((count = strchr(action, ',')) != NULL) {
		*count++ = '\0';
		if (!units_int(count, 1, INT64_MAX, &n))
			return false;
	}
	if ((ms = strchr(action, ':')) != NULL) {
		*ms++ = '\0';
		if (!units_int(ms, 0, 86400000, &delay))
			return false;
	}
	while (point < FAULT_COUNT && strcmp(names[point], spec) != 0)
		point++;
	while (kind <= DELAY && strcmp(actions[kind], action) != 0)
		kind++;
	if (point == FAULT_COUNT || kind > DELAY || (kind == DELAY) != (ms != NULL))
		return false;
	points[point].action = (enum action)kind;
	points[point].passages = n;
	points[point].delay_ms = delay;
	armed = true;
	return true;
}

static void parse(void)
{
	static char copy[1024];
	const char *spec = getenv("JOBQ_FAULT");
	char *rest = NULL;

	parsed = true;
	if (spec == NULL || *spec == '\0')
		return;
	if (strlen(spec) >= sizeof copy)
		refuse(spec);
	memcpy(copy, spec, strlen(spec) + 1);
	for (char *one = strtok_r(copy, ";", &rest); one != NULL; one = strtok_r(NULL, ";", &rest))
		if (!arm(one))
			refuse(spec);
}

/* false: another process was first */
static bool first_of_all(void)
{
	const char *path = getenv("JOBQ_FAULT_ONCE");
	int fd;

	if (path == NULL || *path == '\0')
		return true;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		if (errno != EEXIST)
			refuse(path);
		return false;
	}
	return close(fd) == 0;
}

static void end_by(int sig)
{
	sigset_t set;

	if (signal(sig, SIG_DFL) == SIG_ERR && sig == SIGSEGV)
		_exit(JOBQ_EXIT_INTERNAL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	if (sigprocmask(SIG_UNBLOCK, &set, NULL) != 0 || kill(getpid(), sig) != 0)
		_exit(JOBQ_EXIT_INTERNAL);
}

static bool fire(enum action action, int64_t delay_ms)
{
	struct timespec left = {.tv_sec = (time_t)(delay_ms / 1000), .tv_nsec = (long)(delay_ms % 1000) * 1000000};

	switch (action) {
	case EXIT:
		_exit(JOBQ_EXIT_INTERNAL);
	case KILL:
	case STOP:
	case SEGV:
		end_by(action == KILL ? SIGKILL : action == STOP ? SIGSTOP : SIGSEGV);
		break;
	case DELAY:
		while (nanosleep(&left, &left) != 0 && errno == EINTR)
			continue;
		break;
	case NONE:
	case FAIL:
		break;
	}
	return action == FAIL;
}

bool fault_hit(int point)
{
	enum action action;

	if (!parsed)
		parse();
	if (!armed || point < 0 || point >= FAULT_COUNT)
		return false;
	action = points[point].action;
	if (action == NONE || --points[point].passages > 0)
		return false;
	points[point].action = NONE;
	return first_of_all() && fire(action, points[point].delay_ms);
}
#endif

/*
 * master/pidfile.c: the pid file under flock.
 *
 * Runs in the master, before it forks anything. The lock is the truth, the number in the file is for people: the descriptor
 * passes to every fork, so the lock lives until the last child has left, and no second master can share the sockets or the
 * segment with them. A file that was unlinked between open and lock is not the file any more: open it again. Fails with
 * JOBQ_EXIT_RUNNING and the pid, or JOBQ_EXIT_PERMISSION.
 */
#include "config.h"

#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/units.h"
#include "jobq/exit.h"

#define WAIT_NS (3 * NS_PER_S)
#define PAUSE_NS (20 * NS_PER_MS)

pid_t master_pidfile_parse(const char *text, size_t len)
{
	char number[16];
	int64_t pid;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (len == 0 || len >= sizeof number || memchr(text, '\0', len) != NULL)
		return 0;
	memcpy(number, text, len);
	number[len] = '\0';
	return units_int(number, 1, INT32_MAX, &pid) ? (pid_t)pid : 0;
}

bool master_pidfile_alive(pid_t pid)
{
	struct buf stat = {0};
	char path[40];

	if (pid <= 0 || (kill(pid, 0) != 0 && errno == ESRCH))
		return false;
	(void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	const char *name_end = io_read_file(path, 4096, &stat) == 0 ? strrchr(buf_str(&stat), ')') : NULL;
	bool dead = name_end != NULL && name_end[1] == ' ' && (name_end[2] == 'Z' || name_end[2] == 'X');
	buf_free(&stat);
	return !dead;
}

static pid_t recorded(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof text, 0);

	return n > 0 ? master_pidfile_parse(text, (size_t)n) : 0;
}

/* 1 locked, 0 somebody else's (*fd is open in both cases), -1 errno */
static int try_lock(const char *path, int *fd)
{
	struct stat mine, there;

	for (;;) {
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640);
		if (*fd < 0)
			return -1;
		if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
			return errno == EWOULDBLOCK ? 0 : -1;
		if (fstat(*fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
			return 1;
		(void)close(*fd); /* its owner removed it meanwhile */
	}
}

static int write_pid(const char *path, int fd, char *err, size_t errlen)
{
	char text[16];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	if (n > 0 && ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n)
		return JOBQ_EXIT_OK;
	(void)snprintf(err, errlen, "cannot write the pid file %s: %s", path, strerror(errno));
	return JOBQ_EXIT_PERMISSION;
}

int master_pidfile_lock(const char *path, int *fd, char *err, size_t errlen)
{
	int64_t give_up = clock_mono_ns() + WAIT_NS;

	for (;;) {
		int got = try_lock(path, fd);

		if (got == 1)
			return write_pid(path, *fd, err, errlen);
		if (got < 0) {
			(void)snprintf(err, errlen, "cannot lock the pid file %s: %s; check its directory's owner, or set pid_file", path,
			               strerror(errno));
			if (*fd >= 0)
				(void)close(*fd);
			return JOBQ_EXIT_PERMISSION;
		}
		pid_t pid = recorded(*fd);
		(void)close(*fd);
		if (pid != 0 && pid != getpid() && master_pidfile_alive(pid)) {
			(void)snprintf(err, errlen, "already running with pid %ld (%s is locked)", (long)pid, path);
			return JOBQ_EXIT_RUNNING;
		}
		if (clock_mono_ns() >= give_up) {
			(void)snprintf(err, errlen, "already running: jobqd with pid %ld is dead, but children of it still hold the lock of %s; "
			               "see them with: fuser -v %s", (long)pid, path, path);
			return JOBQ_EXIT_RUNNING;
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
}

void master_pidfile_remove(const char *path, int fd)
{
	struct stat mine, there;

	if (fd < 0)
		return;
	if (fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
		(void)unlink(path); /* before the lock goes: a starter that already has it open tries again */
	(void)close(fd);
}

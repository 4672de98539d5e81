/*
 * master/daemonise.c: jobqd -d.
 *
 * Runs before the master is anything. The parent stays until the daemon says that it serves (0) or why not (its exit code;
 * the text went to the terminal's stderr, which the daemon keeps until then). A daemon that dies without a word gives 1.
 * The daemon leads a session of its own without a terminal, and lives in /, so that no file system is kept busy.
 */
#include "config.h"

#include "master/daemonise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "jobq/exit.h"

static _Noreturn void wait_for_word(int fd)
{
	unsigned char code;
	ssize_t n;

	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? code : JOBQ_EXIT_RUNTIME);
}

int master_daemonise(void)
{
	int fds[2];

	if (io_pipe(fds) != 0) {
		(void)fprintf(stderr, "jobqd: cannot make a pipe: %s\n", strerror(errno));
		return -1;
	}
	pid_t pid = fork();
	if (pid < 0) {
		(void)fprintf(stderr, "jobqd: cannot fork: %s\n", strerror(errno));
		(void)close(fds[0]);
		(void)close(fds[1]);
		return -1;
	}
	if (pid > 0) {
		(void)close(fds[1]);
		wait_for_word(fds[0]);
	}
	(void)close(fds[0]);
	(void)setsid();
	pid = fork(); /* not the session's leader: it can never get a terminal again */
	if (pid != 0)
		_exit(pid > 0 ? JOBQ_EXIT_OK : JOBQ_EXIT_RUNTIME);
	if (chdir("/") != 0)
		(void)fprintf(stderr, "jobqd: chdir /: %s\n", strerror(errno));
	return fds[1];
}

void master_daemonise_detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; null >= 0 && i <= STDERR_FILENO; i++)
		(void)dup2(null, i);
	if (null > STDERR_FILENO)
		(void)close(null);
}

void master_daemonise_tell(int fd, int exit_code)
{
	unsigned char code = (unsigned char)exit_code;

	if (fd < 0)
		return;
	if (exit_code == JOBQ_EXIT_OK)
		master_daemonise_detach();
	while (write(fd, &code, 1) < 0 && errno == EINTR)
		;
	(void)close(fd);
}

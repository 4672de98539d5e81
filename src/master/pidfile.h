/* master/pidfile.h: the locked pid file. One jobqd a file, for as long as it or a child of it lives. */
#ifndef JOBQ_MASTER_PIDFILE_H
#define JOBQ_MASTER_PIDFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Locks and writes our pid. Waits (blocking) up to 3 s while the recorded pid is dead but its children hold the lock.
 * Returns JOBQ_EXIT_OK with *fd, close-on-exec, to be inherited by forks; else an exit code with the reason in err. */
int master_pidfile_lock(const char *path, int *fd, char *err, size_t errlen);
void master_pidfile_remove(const char *path, int fd); /* if it is still ours */
pid_t master_pidfile_parse(const char *text, size_t len); /* 0 = not a pid */
bool master_pidfile_alive(pid_t pid);                     /* a zombie is not */

#endif

/*
 * handlers/exec_spawn.h: a process of its own session and process group, with three pipes and nothing else of ours.
 */
#ifndef JOBQ_HANDLERS_EXEC_SPAWN_H
#define JOBQ_HANDLERS_EXEC_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "handlers/exec_conf.h"

struct worker;

struct exec_child {
	pid_t pid;           /* leader of its session and group */
	int in, out, err;    /* our ends; not blocking */
	int status;          /* what exec_spawn_error reads */
};

/* Forks; the program itself is started by the child, a moment later, once the master could find it (jobq_program). -1 with the
 * reason in err: there is no child. */
int exec_spawn(const struct exec_conf *c, struct worker *worker, struct exec_child *child, char *err, size_t errlen);
/* Of a child that has ended: could it not become the program? Then why. */
bool exec_spawn_error(const struct exec_child *child, const char *path, char *err, size_t errlen);

#endif

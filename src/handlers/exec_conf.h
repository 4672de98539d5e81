/* handlers/exec_conf.h: the program of an exec queue as it is started: words, environment, limits. */
#ifndef JOBQ_HANDLERS_EXEC_CONF_H
#define JOBQ_HANDLERS_EXEC_CONF_H

#include <stddef.h>
#include <sys/resource.h>

#include "conf/conf.h"

struct exec_limit {
	int what; /* RLIMIT_… */
	struct rlimit limit;
};

#define EXEC_LIMITS 4

struct exec_conf {
	char **argv; /* argv[0]: an absolute path */
	char **envp;
	struct exec_limit limits[EXEC_LIMITS];
	size_t nlimits;
	size_t max_output;
	int mode;    /* CONF_MODE_… */
};

/* -1 with the reason in err: it cannot be started as it is configured. */
int exec_conf_open(struct exec_conf *c, const struct conf_queue *queue, char *err, size_t errlen);
void exec_conf_close(struct exec_conf *c);

#endif

/*
 * handlers/exec_conf.c: the program of an exec queue as it is started (see exec_conf.h).
 *
 * Runs in a worker, when it opens its handler; asks the file system whether the program is there. Invariant: the environment is
 * made of the queue's `env` alone, and PATH and LANG if it names none: nothing of the daemon's own gets into a program, its
 * secrets least of all.
 */
#include "config.h"

#include "handlers/exec_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/argv.h"
#include "base/clock.h"
#include "base/mem.h"

#define CPU_GRACE_S 5 /* between SIGXCPU and SIGKILL */

static const char *const exec_defaults[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
#define DEFAULTS (sizeof exec_defaults / sizeof exec_defaults[0])

static bool exec_env_has(char *const *envp, size_t n, const char *variable)
{
	size_t len = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < n; i++)
		if (strncmp(envp[i], variable, len) == 0)
			return true;
	return false;
}

/* One variable a line; of a name that is given twice the last one counts. */
static char **exec_env(const char *lines)
{
	size_t most = DEFAULTS + 2, n = 0;

	for (const char *p = lines; *p != '\0'; p++)
		most += *p == '\n';
	char **envp = xcalloc(most, sizeof *envp);
	for (const char *p = lines, *end; *p != '\0'; p = *end == '\0' ? end : end + 1) {
		end = p + strcspn(p, "\n");
		char *variable = xstrndup(p, (size_t)(end - p));
		size_t same = 0, len = strcspn(variable, "=") + 1;
		while (same < n && strncmp(envp[same], variable, len) != 0)
			same++;
		free(envp[same]);
		envp[same] = variable;
		n += same == n;
	}
	for (size_t i = 0; i < DEFAULTS; i++)
		if (!exec_env_has(envp, n, exec_defaults[i]))
			envp[n++] = xstrdup(exec_defaults[i]);
	return envp;
}

static void exec_limit(struct exec_conf *c, int what, int64_t value, int64_t grace)
{
	if (value > 0)
		c->limits[c->nlimits++] = (struct exec_limit){what, {(rlim_t)value, (rlim_t)(value + grace)}};
}

static int exec_program_there(const char *path, char *err, size_t errlen)
{
	struct stat st;
	const char *why = NULL;

	if (stat(path, &st) != 0 || (S_ISREG(st.st_mode) && access(path, X_OK) != 0))
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "it is no file";
	return why == NULL ? 0 : snprintf(err, errlen, "command: cannot run %s: %s", path, why) | -1;
}

int exec_conf_open(struct exec_conf *c, const struct conf_queue *queue, char *err, size_t errlen)
{
	const struct conf_queue_keys *k = &queue->k;
	const char *why = "";

	*c = (struct exec_conf){.mode = k->mode, .max_output = (size_t)k->max_output};
	c->argv = argv_split(k->command, &why);
	if (c->argv == NULL)
		return snprintf(err, errlen, "command: %s", why) | -1;
	c->envp = exec_env(k->env);
	exec_limit(c, RLIMIT_CPU, k->rlimit_cpu / NS_PER_S, CPU_GRACE_S);
	exec_limit(c, RLIMIT_AS, k->rlimit_as, 0);
	exec_limit(c, RLIMIT_NOFILE, k->rlimit_nofile, 0);
	exec_limit(c, RLIMIT_NPROC, k->rlimit_nproc, 0);
	return exec_program_there(c->argv[0], err, errlen);
}

void exec_conf_close(struct exec_conf *c)
{
	for (char **e = c->envp; e != NULL && *e != NULL; e++)
		free(*e);
	free(c->envp);
	free(c->argv);
	*c = (struct exec_conf){0};
}

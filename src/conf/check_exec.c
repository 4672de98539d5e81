/*
 * conf/check_exec.c: what a queue with the handler exec cannot do without (see check.h).
 *
 * Pure; runs where a configuration is read. Writes nothing but errors. Whether the program is there is asked when a worker
 * starts: it may come and go, and one that is missing is that queue's trouble alone.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/argv.h"
#include "base/clock.h"
#include "conf/check.h"

static void check_command(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors)
{
	const char *where = conf_check_where(set, CONF_K_QUEUE_command), *why = "";

	if (*queue->k.command == '\0') {
		conf_errors_add(errors, set->where, "queue \"%s\" needs command, the absolute path of its program", queue->name);
		return;
	}
	char **words = argv_split(queue->k.command, &why);
	if (words == NULL)
		conf_errors_add(errors, where, "command: %s", why);
	else if (words[0][0] != '/')
		conf_errors_add(errors, where, "command: \"%.60s\" is not an absolute path", words[0]);
	free(words);
}

void conf_check_exec(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors)
{
	check_command(queue, set, errors);
	if (queue->k.mode != CONF_MODE_PERSISTENT && queue->k.mode != CONF_MODE_BATCH && queue->k.mode != CONF_MODE_ONCE)
		conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_mode),
			"mode: of the handler exec it is persistent, batch or once");
	if (queue->k.rlimit_cpu % NS_PER_S != 0)
		conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_rlimit_cpu), "rlimit_cpu is counted in whole seconds");
}

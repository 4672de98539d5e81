/*
 * handlers/registry.c: handlers by name, for the worker that is to run one.
 *
 * Runs in workers; constant. A new handler is one file, one line here and one in tbl/config.def.
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "handlers/registry.h"
#include "jobq/handler.h"

static const struct jobq_handler *const handlers[] = {
	&handler_email,
	&handler_exec,
	&handler_import,
	&handler_null,
	&handler_sleep,
	&handler_sms,
	&handler_sql,
	&handler_sync,
	&handler_webhook,
};

const struct jobq_handler *jobq_handler_find(const char *name)
{
	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		if (strcmp(handlers[i]->name, name) == 0)
			return handlers[i];
	return NULL;
}

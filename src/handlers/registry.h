/* handlers/registry.h: the tables that the handlers of this room are. */
#ifndef JOBQ_HANDLERS_REGISTRY_H
#define JOBQ_HANDLERS_REGISTRY_H

#include "jobq/handler.h"

extern const struct jobq_handler handler_email, handler_exec, handler_import, handler_null, handler_sleep, handler_sms, handler_sql, handler_sync,
	handler_webhook;

#endif

/* conf/secret.h: file:PATH and env:NAME. Private to conf. */
#ifndef JOBQ_CONF_SECRET_H
#define JOBQ_CONF_SECRET_H

#include <stdbool.h>

#include "conf/keep.h"
#include "conf/value.h"

bool conf_secret_is_reference(const char *text); /* file:… or env:… */
/* The secret itself, kept in keep; a text that is no reference is returned as it is. NULL with the reason in why. A file that
 * everybody may read is a warning in the log, with `where`. */
const char *conf_secret_resolve(const char *text, char *const *environment, const char *where, struct conf_keep *keep,
	char why[CONF_WHY_MAX]);

#endif

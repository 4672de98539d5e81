/* master/reload.h: swaps in a new configuration, or refuses it and keeps the old one. */
#ifndef JOBQ_MASTER_RELOAD_H
#define JOBQ_MASTER_RELOAD_H

#include <stdbool.h>

#include "conf/conf.h"

struct master;

/* false: refused, with all reasons in err; nothing has changed. The rolling that follows is master_roll's. */
bool master_reload(struct master *m, bool *changed, char err[CONF_ERROR_MAX]);
void master_reload_marked(struct master *m); /* SIGHUP: a storm of them is one */

#endif

/* conf/oldenv.h: variables of the systems that jobq takes over from (CONF_OLD_ENV_X of the table). Private to conf. */
#ifndef JOBQ_CONF_OLDENV_H
#define JOBQ_CONF_OLDENV_H

#include "conf/raw.h"

void conf_oldenv_read(struct conf_raw *raw); /* adds settings of the lowest layer, for every queue */

#endif

/* conf/env.h: the JOBQ_… variables of the environment as settings. Private to conf. */
#ifndef JOBQ_CONF_ENV_H
#define JOBQ_CONF_ENV_H

#include "conf/raw.h"

/* [jobqd] key: JOBQ_KEY; key of a queue that has a section: JOBQ_QUEUE_NAME_KEY; upper case, all else than letters and digits
 * an underscore. One that fits nothing, or two things, is a problem. Call after conf_read_file. */
void conf_env_read(struct conf_raw *raw);

#endif

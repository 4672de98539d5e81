/* conf/read.h: a configuration file and what it includes, into a struct conf_raw. Private to conf. */
#ifndef JOBQ_CONF_READ_H
#define JOBQ_CONF_READ_H

#include "conf/raw.h"

#define CONF_FILE_MAX (1024u * 1024u) /* bytes of one file */
#define CONF_INCLUDE_DEPTH 8u
#define CONF_INCLUDE_FILES 256u       /* files of one configuration */

void conf_read_file(struct conf_raw *raw, const char *path); /* problems go to raw->errors; it goes on after each */

#endif

/* conf/manual.h: the text of jobqd.conf(5). Private to conf. */
#ifndef JOBQ_CONF_MANUAL_H
#define JOBQ_CONF_MANUAL_H

#include <stdio.h>

void conf_manual_print(FILE *out);

#endif

/* conf/print.h: shared by what writes text. Private to conf. */
#ifndef JOBQ_CONF_PRINT_H
#define JOBQ_CONF_PRINT_H

#include <stdio.h>

#include "base/buf.h"

void conf_print_buf(struct buf *buf, FILE *out); /* writes and frees it; ask ferror(out) whether it got there */

#endif

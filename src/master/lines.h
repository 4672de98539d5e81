/* master/lines.h: lines out of a stream that a stranger writes. Pure. */
#ifndef JOBQ_MASTER_LINES_H
#define JOBQ_MASTER_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct lines {
	struct buf in;
	size_t seen; /* bytes of `in` that hold no newline */
};

/* The next whole line without its newline, or NULL; valid until lines_take. */
const char *master_lines_next(struct lines *l, size_t *len);
void master_lines_take(struct lines *l, size_t len); /* drops the line of that length and its newline */
void master_lines_free(struct lines *l);

#endif

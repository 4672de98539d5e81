/*
 * master/lines.c: cuts a stream into lines without ever looking at a byte twice.
 *
 * Pure; used by the master for clients of the control socket and for the dispatcher. The owner reads into `in` and decides
 * how long a line may become; a half line stays where it is until its end arrives.
 */
#include "config.h"

#include "master/lines.h"

#include <string.h>

const char *master_lines_next(struct lines *l, size_t *len)
{
	if (l->seen >= l->in.len)
		return NULL;
	const char *nl = memchr(l->in.data + l->seen, '\n', l->in.len - l->seen);
	if (nl == NULL) {
		l->seen = l->in.len;
		return NULL;
	}
	*len = (size_t)(nl - l->in.data);
	l->seen = *len; /* asked again, it finds the same one */
	return l->in.data;
}

void master_lines_take(struct lines *l, size_t len)
{
	buf_drop(&l->in, len + 1);
	l->seen = 0;
	if (l->in.len == 0)
		buf_free(&l->in); /* a large request leaves nothing behind */
}

void master_lines_free(struct lines *l)
{
	buf_free(&l->in);
	l->seen = 0;
}

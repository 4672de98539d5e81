/*
 * dispatcher/filter.h: the WHERE of `jobs`, `retry` and `cancel`: only the conditions that were asked for, so that each
 * combination gets a plan of its own, by its index. Values stay parameters.
 */
#ifndef JOBQ_DISPATCHER_FILTER_H
#define JOBQ_DISPATCHER_FILTER_H

#include <jansson.h>

struct pg_stmt;

/* The statement `name` with %FILTER% replaced; it finds the values in $1 -> 'filter'. */
const struct pg_stmt *filter_stmt(const char *name, const json_t *filter);
void filter_globs(json_t *filter); /* error: a glob becomes LIKE's pattern */

#endif

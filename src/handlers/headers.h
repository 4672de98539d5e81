/*
 * handlers/headers.h: the `headers` of a queue's configuration, for requests that carry them as they are. Pure.
 */
#ifndef JOBQ_HANDLERS_HEADERS_H
#define JOBQ_HANDLERS_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "handlers/http.h"

struct headers;

/* `text`: one "Name: value" a line. NULL: one is not of that form, or holds a control character. */
struct headers *headers_parse(const char *text);
void headers_free(struct headers *h); /* h may be NULL */
bool headers_has(const struct headers *h, const char *name); /* in any case */
void headers_add(const struct headers *h, struct http_request *r);

#endif

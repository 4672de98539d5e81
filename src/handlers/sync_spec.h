/* handlers/sync_spec.h: what a sync's payload asks for, checked. Pure. */
#ifndef JOBQ_HANDLERS_SYNC_SPEC_H
#define JOBQ_HANDLERS_SYNC_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/ident.h"
#include "handlers/url.h"

struct sync_rules { /* the queue's */
	const char *tables;        /* that may be synced, separated by commas */
	const char *tenant_column;
	const char *allow_hosts;   /* "": any */
	bool allow_private;
};

enum sync_paging { SYNC_LINKS, SYNC_CURSOR, SYNC_NUMBERS };

struct sync_name {
	const char *column; /* of the table */
	const char *member; /* of an item; pull: "a.b" descends */
};

struct sync_spec {
	json_t *payload;    /* all texts below are of it */
	bool push, full, collect; /* collect: bad items are passed over */
	const char *url, *table_name, *items, *next, *cursor, *cursor_param, *page, *version, *method; /* "" = not given */
	char table[IDENT_RELATION_MAX]; /* quoted, fit for a statement */
	char host[URL_HOST_MAX];
	enum sync_paging paging;
	const char **key;   /* columns, without the tenant's */
	size_t nkey;
	struct sync_name *columns; /* n 0: those of the same name */
	size_t n;
	size_t size;        /* push: rows of a request */
	bool each;          /* push: the URL names a {column}, so each row has a request of its own */
};

/* NULL with what is wrong in err. */
struct sync_spec *sync_spec_read(const char *payload, size_t len, const struct sync_rules *rules, char *err, size_t errlen);
void sync_spec_free(struct sync_spec *spec); /* NULL is fine */
/* Names what is synced with what, and how: a position holds for as long as this is the same. Appends 32 hexadecimal digits. */
void sync_spec_source(const struct sync_spec *spec, struct buf *out);
/* The member under which a column stands in items; NULL: it is not synced. */
const char *sync_spec_member(const struct sync_spec *spec, const char *column);
/* "" is the value itself; else "a.b.0" descends into objects and lists. NULL: there is nothing. */
const json_t *sync_spec_find(const json_t *in, const char *path);
/* A push's URL with each {column} replaced by that member of the row; NULL: the row has no text or number there. The caller frees it. */
char *sync_spec_url(const struct sync_spec *spec, const json_t *row);

#endif

/* handlers/sync_page.h: what an answer holds: a page of items and the way to the next, or what became of pushed rows. Pure. */
#ifndef JOBQ_HANDLERS_SYNC_PAGE_H
#define JOBQ_HANDLERS_SYNC_PAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "handlers/sync_plan.h"
#include "handlers/sync_spec.h"

#define SYNC_ITEMS_MAX 10000u /* of an answer's list */

struct sync_page {
	const char *path;           /* of the list, in the answer */
	size_t items;
	struct sync_group *groups;  /* every good item is in one */
	size_t ngroups;
	char *next;                 /* the link or cursor that it names; NULL: none */
	size_t bad;                 /* items that are in no group, when the payload says "collect" */
	json_t *errors;             /* of the first of them */
};

/* A number beyond 64 bits is no reason to refuse a document: it only looks like another here. NULL with the reason in error. */
json_t *sync_page_load(const char *body, size_t len, json_error_t *error);
/* link: the Link header, or NULL. false with the reason in err: this is no page, or an item is not what it should be. */
bool sync_page_read(struct sync_page *page, const struct sync_spec *spec, const struct sync_table *table, const char *body, size_t len, const char *link,
	char *err, size_t errlen);
void sync_page_free(struct sync_page *page);
/* Takes an item, by its number, out of its group: the table does not want it. */
void sync_page_drop(struct sync_page *page, size_t item, const char *error);
/* The group of an item; NULL: it is in none. */
const struct sync_group *sync_page_group(const struct sync_page *page, size_t item);
/* The target of rel="next" in a Link header (RFC 8288); NULL: none. The caller frees it. */
char *sync_page_link(const char *header);

enum sync_said { SYNC_TAKEN, SYNC_REFUSED, SYNC_AGAIN };
/* The answer's list of what became of rows; NULL: it has none, so all are taken. json_decref what comes in *doc. */
const json_t *sync_page_outcomes(const struct sync_spec *spec, const char *body, size_t len, json_t **doc);
/* What the list says of the row that was sent as this item; error: a text of the list, or NULL. */
enum sync_said sync_page_outcome(const struct sync_spec *spec, const json_t *list, const json_t *item, const char **error);

#endif

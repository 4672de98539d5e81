/*
 * handlers/sync_page.c: what an answer holds (see sync_page.h).
 *
 * Pure; runs in workers. Answers are strangers' texts: their size was bounded by the client, their depth is by the parser, and here
 * each item is looked at before the database sees it. Values stay in the text; this finds out what is where.
 */
#include "config.h"

#include "handlers/sync_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define GROUPS_MAX 64u
#define ERRORS_MAX 10u

struct reading {
	struct sync_page *page;
	const struct sync_spec *spec;
	const struct sync_table *table;
	char *err;
	size_t errlen;
};

static bool wrong(const struct reading *r, const char *what, size_t item, const char *name)
{
	int n = item == 0 ? snprintf(r->err, r->errlen, "%s%s", what, name)
		: snprintf(r->err, r->errlen, "item %zu %s%.100s", item, what, name);

	if (n < 0)
		r->err[0] = '\0';
	return false;
}

/* The group of items with these columns, or a new one. NULL: there are too many kinds. */
static struct sync_group *group_of(const struct reading *r, const bool *has)
{
	struct sync_page *p = r->page;

	for (size_t i = 0; i < p->ngroups; i++)
		if (memcmp(p->groups[i].has, has, r->table->n * sizeof *has) == 0)
			return &p->groups[i];
	if (p->ngroups == GROUPS_MAX)
		return NULL;
	p->groups = xreallocarray(p->groups, p->ngroups + 1, sizeof *p->groups);
	struct sync_group *g = &p->groups[p->ngroups++];
	*g = (struct sync_group){.has = xcalloc(r->table->n + 1, sizeof *has), .items = xcalloc(p->items, sizeof *g->items)};
	memcpy(g->has, has, r->table->n * sizeof *has);
	return g;
}

static bool read_item(const struct reading *r, const json_t *item, size_t at, bool *has)
{
	if (!json_is_object(item))
		return wrong(r, "is not an object", at, "");
	for (size_t i = 0; i < r->table->n; i++) {
		const char *member = r->table->columns[i].member;
		has[i] = member != NULL && sync_spec_find(item, member) != NULL;
	}
	for (size_t k = 0; k < r->spec->nkey; k++) {
		const char *member = sync_spec_member(r->spec, r->spec->key[k]);
		const json_t *v = sync_spec_find(item, member);
		if (v == NULL || json_is_null(v))
			return wrong(r, "has no key: it lacks ", at, member);
		if (json_is_object(v) || json_is_array(v))
			return wrong(r, "has a key that is neither text nor number: ", at, member);
	}
	struct sync_group *g = group_of(r, has);
	if (g == NULL)
		return wrong(r, "differs from those before it: a page may have items of 64 kinds", at, "");
	g->items[g->n++] = (int64_t)at;
	return true;
}

static void bad_item(struct sync_page *page, const char *error)
{
	page->bad++;
	if (json_array_size(page->errors) >= ERRORS_MAX)
		return;
	json_t *text = json_string(error);
	if (text != NULL && json_array_append_new(page->errors, text) != 0) /* NULL: it is not UTF-8 */
		mem_exhausted(0);
}

static bool read_items(const struct reading *r, const json_t *list)
{
	bool *has = xcalloc(r->table->n + 1, sizeof *has), good = true;

	for (size_t i = 0; good && i < r->page->items; i++) {
		good = read_item(r, json_array_get(list, i), i + 1, has);
		if (!good && r->spec->collect) {
			bad_item(r->page, r->err);
			good = true;
		}
	}
	free(has);
	return good;
}

char *sync_page_link(const char *header)
{
	while (header != NULL && *header != '\0') {
		const char *open = strchr(header, '<'), *close = open == NULL ? NULL : strchr(open, '>');
		if (close == NULL)
			return NULL;
		size_t params = strcspn(close, ","); /* a quoted comma in a parameter is nothing that anybody sends */
		for (const char *at = close; at + 4 < close + params; at++)
			if (strncasecmp(at, "rel=", 4) == 0 && strncasecmp(at + 4 + (at[4] == '"'), "next", 4) == 0)
				return xstrndup(open + 1, (size_t)(close - open - 1));
		header = close + params + (close[params] == ',');
	}
	return NULL;
}

static char *next_of(const struct sync_spec *spec, const json_t *doc, const char *link)
{
	const char *path = spec->paging == SYNC_CURSOR ? spec->cursor : *spec->next != '\0' ? spec->next : "next";
	const json_t *v = spec->paging == SYNC_NUMBERS || !json_is_object(doc) ? NULL : sync_spec_find(doc, path);

	if (json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) <= URL_MAX)
		return xstrdup(json_string_value(v));
	if (json_is_integer(v))
		return xasprintf("%lld", (long long)json_integer_value(v));
	return spec->paging == SYNC_LINKS ? sync_page_link(link) : NULL;
}

json_t *sync_page_load(const char *body, size_t len, json_error_t *error)
{
	json_t *doc = json_loadb(body, len, 0, error);

	if (doc == NULL && json_error_code(error) == json_error_numeric_overflow)
		doc = json_loadb(body, len, JSON_DECODE_INT_AS_REAL, error);
	return doc;
}

bool sync_page_read(struct sync_page *page, const struct sync_spec *spec, const struct sync_table *table, const char *body, size_t len, const char *link,
	char *err, size_t errlen)
{
	const struct reading r = {.page = page, .spec = spec, .table = table, .err = err, .errlen = errlen};
	json_error_t error;
	json_t *doc = sync_page_load(body, len, &error);

	*page = (struct sync_page){.path = *spec->items == '\0' && json_is_object(doc) ? "items" : spec->items, .errors = json_array()};
	const json_t *list = sync_spec_find(doc, page->path);
	bool good = true;
	if (doc == NULL)
		good = wrong(&r, "the answer is not JSON: ", 0, error.text);
	else if (!json_is_array(list))
		good = wrong(&r, "the answer has no list of items at ", 0, *page->path == '\0' ? "its top" : page->path);
	else if ((page->items = json_array_size(list)) > SYNC_ITEMS_MAX)
		good = wrong(&r, "the answer has more than 10000 items: ask for smaller pages", 0, "");
	good = good && read_items(&r, list);
	if (good)
		page->next = next_of(spec, doc, link);
	json_decref(doc);
	return good;
}

void sync_page_free(struct sync_page *page)
{
	for (size_t i = 0; i < page->ngroups; i++) {
		free(page->groups[i].has);
		free(page->groups[i].items);
	}
	free(page->groups);
	json_decref(page->errors);
	free(page->next);
	*page = (struct sync_page){0};
}

void sync_page_drop(struct sync_page *page, size_t item, const char *error)
{
	for (size_t i = 0; i < page->ngroups; i++) {
		struct sync_group *g = &page->groups[i];
		for (size_t at = 0; at < g->n; at++)
			if (g->items[at] == (int64_t)item) {
				memmove(&g->items[at], &g->items[at + 1], (g->n - at - 1) * sizeof *g->items);
				g->n--;
				bad_item(page, error);
				return;
			}
	}
}

const struct sync_group *sync_page_group(const struct sync_page *page, size_t item)
{
	for (size_t i = 0; i < page->ngroups; i++)
		for (size_t at = 0; at < page->groups[i].n; at++)
			if (page->groups[i].items[at] == (int64_t)item)
				return &page->groups[i];
	return NULL;
}

const json_t *sync_page_outcomes(const struct sync_spec *spec, const char *body, size_t len, json_t **doc)
{
	json_error_t error;

	*doc = sync_page_load(body, len, &error);
	const json_t *list = json_object_get(*doc, *spec->items == '\0' ? "items" : spec->items);

	return json_is_array(list) ? list : NULL;
}

/* Texts and numbers of the same digits are the same: "7" and 7. */
static bool same(const json_t *a, const json_t *b)
{
	char n[2][32];
	const json_t *v[2] = {a, b};
	const char *text[2];

	for (int i = 0; i < 2; i++) {
		text[i] = json_string_value(v[i]);
		if (json_is_integer(v[i]) && snprintf(n[i], sizeof n[i], "%lld", (long long)json_integer_value(v[i])) > 0)
			text[i] = n[i];
	}
	return text[0] != NULL && text[1] != NULL ? strcmp(text[0], text[1]) == 0 : json_equal(a, b);
}

enum sync_said sync_page_outcome(const struct sync_spec *spec, const json_t *list, const json_t *item, const char **error)
{
	*error = NULL;
	for (size_t at = 0; at < json_array_size(list); at++) {
		const json_t *one = json_array_get(list, at);
		size_t k = 0;
		for (; k < spec->nkey; k++) {
			const char *member = sync_spec_member(spec, spec->key[k]);
			const json_t *v = json_object_get(one, member);
			if (v == NULL || !same(v, json_object_get(item, member)))
				break;
		}
		if (k < spec->nkey)
			continue;
		const char *outcome = json_string_value(json_object_get(one, "outcome"));
		*error = json_string_value(json_object_get(one, "error"));
		if (outcome == NULL)
			return *error == NULL ? SYNC_TAKEN : SYNC_REFUSED;
		return strcmp(outcome, "done") == 0 ? SYNC_TAKEN : strcmp(outcome, "fail") == 0 ? SYNC_REFUSED : SYNC_AGAIN;
	}
	*error = "the answer does not name it";
	return SYNC_AGAIN;
}

/*
 * import_spec.c: reads and checks the payload of an import (see import_spec.h).
 *
 * Pure; runs in a worker, before the job is admitted. Owns the struct until import_spec_free. Invariant: a spec that is returned
 * names an allowed table, columns that fit into a statement, and nothing that this version does not know: a misspelt key of
 * a payload fails its job instead of being passed over.
 */
#include "config.h"

#include "handlers/import_spec.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"

#define SOURCE_MAX 2048

struct reading {
	struct import_spec *spec;
	const json_t *payload;
	const char *tenant_column;
	char *err;
	size_t errlen;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct reading *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(r->err, r->errlen, format, ap);
	va_end(ap);
	return false;
}

/* A text under `key`, or `fallback` when there is none; NULL: it is there and is no text (told). */
static const char *text_of(struct reading *r, const char *key, const char *fallback)
{
	const json_t *v = json_object_get(r->payload, key);

	if (v == NULL || json_is_null(v))
		return fallback;
	if (!json_is_string(v) || json_string_length(v) != strlen(json_string_value(v))) {
		wrong(r, "\"%s\" is not a text", key);
		return NULL;
	}
	return json_string_value(v);
}

/* The number of the word in `words` (NULL-terminated) under `key`; 0 when it is not given, -1 when it is none of them (told). */
static int choice_of(struct reading *r, const char *key, const char *const *words)
{
	const char *text = text_of(r, key, words[0]);

	for (int i = 0; text != NULL && words[i] != NULL; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	if (text != NULL)
		wrong(r, "\"%s\" is not %s%s%s%s%s", key, words[0], words[2] != NULL ? ", " : " or ", words[1], words[2] != NULL ? " or " : "",
			words[2] != NULL ? words[2] : "");
	return -1;
}

static bool known_keys(struct reading *r)
{
	static const char *const known[] = {"source", "format", "table", "columns", "key", "on_conflict", "bad_rows", "delimiter", "header"};
	const size_t n = sizeof known / sizeof *known;
	const char *key;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)r->payload, key, value) {
		size_t i = 0;

		while (i < n && strcmp(known[i], key) != 0)
			i++;
		int near = i == n ? text_nearest(key, known, n) : -1;
		if (i == n)
			return wrong(r, "the payload has an unknown key \"%.60s\"%s%s%s", key, near >= 0 ? "; did you mean \"" : "",
				near >= 0 ? known[near] : "", near >= 0 ? "\"?" : "");
	}
	return true;
}

static bool ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && strcasecmp(text + a - b, end) == 0;
}

static bool read_source(struct reading *r)
{
	static const char *const formats[] = {"csv", "jsonl", NULL};
	struct import_spec *s = r->spec;
	const char *source = text_of(r, "source", "");
	int format = choice_of(r, "format", formats);

	if (source == NULL || format < 0)
		return false;
	if (*source == '\0')
		return wrong(r, "\"source\" is missing: the name of a file, or a URL");
	if (strlen(source) > SOURCE_MAX)
		return wrong(r, "\"source\" is longer than %d bytes", SOURCE_MAX);
	s->source = xstrdup(source);
	s->url = strstr(source, "://") != NULL;
	s->jsonl = json_object_get(r->payload, "format") != NULL ? format == 1 : ends_with(source, ".jsonl") || ends_with(source, ".ndjson");
	return true;
}

static bool read_delimiter(struct reading *r)
{
	const char *text = text_of(r, "delimiter", ",");

	if (text == NULL)
		return false;
	if (strlen(text) != 1 || strchr(",;|\t:^~#/ ", *text) == NULL)
		return wrong(r, "\"delimiter\" is not one of , ; | : ^ ~ # / a tab or a blank");
	r->spec->delimiter = *text;
	return true;
}

bool import_spec_table(const char *text, size_t len, char dst[IDENT_RELATION_MAX])
{
	char name[IDENT_RELATION_MAX];
	const char *end = text + len;

	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	len = (size_t)(end - text);
	if (len == 0 || len > sizeof name - sizeof "public." || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	if (ident_relation(name, dst, IDENT_RELATION_MAX))
		return true;
	memcpy(name, "public.", 7);
	memcpy(name + 7, text, len);
	name[7 + len] = '\0';
	return ident_relation(name, dst, IDENT_RELATION_MAX);
}

/* Commas inside double quotes are part of a name. */
static size_t item_len(const char *list)
{
	bool quoted = false;
	size_t n = 0;

	for (; list[n] != '\0' && (quoted || list[n] != ','); n++)
		quoted ^= list[n] == '"';
	return n;
}

static bool read_table(struct reading *r, const char *tables)
{
	const char *asked = text_of(r, "table", NULL);
	char allowed[IDENT_RELATION_MAX];
	struct import_spec *s = r->spec;

	if (asked == NULL)
		return json_object_get(r->payload, "table") != NULL && !json_is_null(json_object_get(r->payload, "table"))
			? false : wrong(r, "\"table\" is missing");
	if (strlen(asked) >= sizeof s->table_name || !import_spec_table(asked, strlen(asked), s->table))
		return wrong(r, "\"table\" is not the name of a table, like products or shop.products");
	memcpy(s->table_name, asked, strlen(asked) + 1);
	for (size_t len = item_len(tables); *tables != '\0'; len = item_len(tables)) {
		if (import_spec_table(tables, len, allowed) && strcmp(allowed, s->table) == 0)
			return true;
		tables += len + (tables[len] == ',');
	}
	return wrong(r, "the table %s is not one that this queue may write (its key `tables`)", asked);
}

static bool good_column(struct reading *r, const json_t *name, const char *where)
{
	const char *text = json_string_value(name);

	if (text == NULL || *text == '\0' || json_string_length(name) != strlen(text) || strlen(text) > IMPORT_NAME_MAX)
		return wrong(r, "\"%s\" holds something that is no column's name", where);
	return true;
}

static bool add_column(struct reading *r, const char *file, const json_t *target)
{
	struct import_spec *s = r->spec;
	struct import_column *c = &s->columns[s->n];

	if (!json_is_null(target) && !good_column(r, target, "columns"))
		return false;
	const char *table = json_string_value(target);
	if (table != NULL && strcmp(table, r->tenant_column) == 0)
		return wrong(r, "\"columns\" names %s, which is always the job's tenant", table);
	for (size_t i = 0; table != NULL && i < s->n; i++)
		if (s->columns[i].table != NULL && strcmp(s->columns[i].table, table) == 0)
			return wrong(r, "\"columns\" fills the column %s twice", table);
	c->file = file != NULL ? xstrdup(file) : NULL;
	c->table = table != NULL ? xstrdup(table) : NULL;
	s->n++;
	return true;
}

static bool read_columns(struct reading *r)
{
	json_t *columns = json_object_get(r->payload, "columns"), *item;
	struct import_spec *s = r->spec;
	const json_t *header = json_object_get(r->payload, "header");
	const char *name;
	size_t i;

	if (header != NULL && !json_is_boolean(header))
		return wrong(r, "\"header\" is not true or false");
	s->header = !s->jsonl && (header != NULL ? json_is_true(header) : !json_is_array(columns));
	if (columns == NULL || json_is_null(columns))
		return s->header || s->jsonl ? true : wrong(r, "\"columns\" is missing: a file without header needs the list of its columns");
	if (json_is_array(columns) ? s->jsonl : !json_is_object(columns) || !(s->header || s->jsonl))
		return wrong(r, s->jsonl || s->header ? "\"columns\" is not an object of names in the file and columns of the table"
			: "\"columns\" is not the list of the file's columns (null: passed over)");
	size_t n = json_is_array(columns) ? json_array_size(columns) : json_object_size(columns);
	if (n == 0 || n > IMPORT_COLUMNS_MAX)
		return wrong(r, "\"columns\" has %zu; 1 to %d can be imported", n, IMPORT_COLUMNS_MAX);
	s->columns = xcalloc(n, sizeof *s->columns);
	if (json_is_array(columns)) {
		json_array_foreach(columns, i, item)
			if (!add_column(r, NULL, item))
				return false;
		return true;
	}
	json_object_foreach(columns, name, item)
		if (!add_column(r, name, item))
			return false;
	return true;
}

static bool read_key(struct reading *r)
{
	static const char *const conflicts[] = {"update", "ignore", "fail", NULL};
	json_t *key = json_object_get(r->payload, "key"), *item;
	struct import_spec *s = r->spec;
	int conflict = choice_of(r, "on_conflict", conflicts);
	size_t i;

	if (conflict < 0)
		return false;
	if (key != NULL && !json_is_null(key)) {
		if (!json_is_array(key) || json_array_size(key) == 0 || json_array_size(key) > 32)
			return wrong(r, "\"key\" is not a list of 1 to 32 columns");
		s->key = xcalloc(json_array_size(key), sizeof *s->key);
		json_array_foreach(key, i, item) {
			if (!good_column(r, item, "key"))
				return false;
			s->key[s->nkey++] = xstrdup(json_string_value(item));
		}
	}
	bool given = json_object_get(r->payload, "on_conflict") != NULL;
	s->conflict = !given && s->nkey == 0 ? IMPORT_REFUSE : (enum import_conflict)conflict;
	if (s->conflict == IMPORT_UPDATE && s->nkey == 0)
		return wrong(r, "\"key\" is missing: the columns by which rows are known, for on_conflict update");
	return true;
}

static bool read_all(struct reading *r, const char *tables)
{
	static const char *const bad[] = {"fail", "collect", NULL};

	if (!json_is_object(r->payload))
		return wrong(r, "the payload is not an object");
	if (!known_keys(r) || !read_source(r) || !read_delimiter(r) || !read_table(r, tables) || !read_columns(r) || !read_key(r))
		return false;
	int collect = choice_of(r, "bad_rows", bad);
	r->spec->collect = collect == 1;
	return collect >= 0;
}

struct import_spec *import_spec_read(const char *payload, size_t len, const char *tables, const char *tenant_column, char *err, size_t errlen)
{
	json_t *root = json_loadb(payload, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	struct reading r = {.spec = xcalloc(1, sizeof *r.spec), .payload = root, .tenant_column = tenant_column, .err = err, .errlen = errlen};
	bool good = read_all(&r, tables);

	json_decref(root);
	if (good)
		return r.spec;
	import_spec_free(r.spec);
	return NULL;
}

void import_spec_free(struct import_spec *spec)
{
	if (spec == NULL)
		return;
	for (size_t i = 0; i < spec->n; i++) {
		free(spec->columns[i].file);
		free(spec->columns[i].table);
	}
	for (size_t i = 0; i < spec->nkey; i++)
		free(spec->key[i]);
	free(spec->columns);
	free(spec->key);
	free(spec->source);
	free(spec);
}

char **import_spec_fields(const char *row, size_t len, char delimiter, size_t max, size_t *n)
{
	char **list = xcalloc(1, (max + 1) * sizeof *list + len + max + 1);
	char *out = (char *)(list + max + 1);
	const char *end = row + len;
	bool quoted = false;

	*n = 0;
	list[(*n)++] = out;
	for (; row < end; row++) {
		if (*row == '"' && quoted && row + 1 < end && row[1] == '"') {
			*out++ = *row++;
		} else if (*row == '"') {
			quoted = !quoted;
		} else if (*row == delimiter && !quoted) {
			*out++ = '\0';
			if (*n == max)
				break;
			list[(*n)++] = out;
		} else {
			*out++ = *row;
		}
	}
	return list;
}

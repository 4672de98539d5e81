/*
 * handlers/sync_spec.c: what a sync's payload asks for, checked (see sync_spec.h; docs/sync.md lists the keys).
 *
 * Pure; runs in workers. The payload is a tenant's: its URL has to be one that this queue may call, its table one that it may write,
 * and a key that nobody knows is an error, as it is more likely misspelt than meant. Owns the parsed payload.
 */
#include "config.h"

#include "handlers/sync_spec.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "handlers/webhook_sign.h"

#define KEY_MAX 16u       /* columns of a key */
#define COLUMNS_MAX 256u
#define NAME_MAX_BYTES 200u
#define SIZE_DEFAULT 100
#define SIZE_MOST 1000

struct reading {
	struct sync_spec *s;
	char *err;
	size_t errlen;
};

static const char *const known[] = {"url", "direction", "table", "key", "columns", "items", "next", "cursor", "cursor_param", "page", "version",
	"full", "method", "size", "bad_rows"};

__attribute__((format(printf, 2, 3))) static bool wrong(const struct reading *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(r->err, r->errlen, format, ap) < 0)
		r->err[0] = '\0';
	va_end(ap);
	return false;
}

/* A text of the payload, "" when it is not there. */
static bool text_of(const struct reading *r, const char *name, const char **out)
{
	const json_t *v = json_object_get(r->s->payload, name);

	*out = "";
	if (v == NULL || json_is_null(v))
		return true;
	if (!json_is_string(v) || json_string_length(v) > (strcmp(name, "url") == 0 ? URL_MAX : NAME_MAX_BYTES))
		return wrong(r, "\"%s\" is not a text of at most %u bytes", name, NAME_MAX_BYTES);
	*out = json_string_value(v);
	return true;
}

static bool read_texts(const struct reading *r)
{
	struct sync_spec *s = r->s;

	return text_of(r, "url", &s->url) && text_of(r, "table", &s->table_name) && text_of(r, "items", &s->items) && text_of(r, "next", &s->next)
		&& text_of(r, "cursor", &s->cursor) && text_of(r, "cursor_param", &s->cursor_param) && text_of(r, "page", &s->page)
		&& text_of(r, "version", &s->version) && text_of(r, "method", &s->method);
}

static bool read_known(const struct reading *r)
{
	const char *key;
	json_t *value;

	json_object_foreach(r->s->payload, key, value) {
		size_t i = 0;
		while (i < sizeof known / sizeof known[0] && strcmp(known[i], key) != 0)
			i++;
		if (i < sizeof known / sizeof known[0])
			continue;
		int near = text_nearest(key, known, sizeof known / sizeof known[0]);
		return wrong(r, "unknown key \"%.60s\"%s%s%s", key, near >= 0 ? "; did you mean \"" : "", near >= 0 ? known[near] : "", near >= 0 ? "\"?" : "");
	}
	return true;
}

static bool read_direction(const struct reading *r)
{
	struct sync_spec *s = r->s;
	const char *direction;

	if (!text_of(r, "direction", &direction))
		return false;
	s->push = strcmp(direction, "push") == 0;
	if (!s->push && strcmp(direction, "pull") != 0)
		return wrong(r, "\"direction\" is neither \"pull\" nor \"push\"");
	const json_t *full = json_object_get(s->payload, "full");
	if (full != NULL && !json_is_boolean(full))
		return wrong(r, "\"full\" is neither true nor false");
	s->full = json_is_true(full);
	const char *bad;
	if (!text_of(r, "bad_rows", &bad))
		return false;
	s->collect = strcmp(bad, "collect") == 0;
	return s->collect || *bad == '\0' || strcmp(bad, "fail") == 0 || wrong(r, "\"bad_rows\" is neither \"fail\" nor \"collect\"");
}

static bool read_url(const struct reading *r, const struct sync_rules *rules)
{
	struct sync_spec *s = r->s;
	char *plain = xstrdup(s->url);

	s->each = s->push && strchr(s->url, '{') != NULL;
	for (char *c = plain; s->each && *c != '\0'; c++)
		if (*c == '{' || *c == '}')
			*c = '_';
	const char *problem = url_wrong(plain, rules->allow_private ? URL_PRIVATE : 0), *scheme = strstr(plain, "://");
	bool good = problem == NULL && scheme != NULL && url_host(plain, s->host);
	size_t origin = good ? (size_t)(scheme - plain) + 3 : 0;
	origin += strcspn(plain + origin, "/?#");
	bool where = good && s->each && memchr(s->url, '{', origin) != NULL;
	free(plain);
	if (!good)
		return wrong(r, "\"url\" %s", problem != NULL ? problem : "names no host");
	if (where)
		return wrong(r, "\"url\" may have a {column} in its path or query alone");
	if (*rules->allow_hosts != '\0' && !url_host_listed(s->host, rules->allow_hosts))
		return wrong(r, "\"url\": the host %.100s is not one that this queue may call (its key allow_hosts)", s->host);
	return true;
}

/* A table as people write it; one without a schema is in `public`. */
static bool relation(const char *text, size_t len, char dst[IDENT_RELATION_MAX])
{
	char name[IDENT_RELATION_MAX];

	while (len > 0 && (*text == ' ' || *text == '\t')) {
		text++;
		len--;
	}
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	if (len == 0 || len > sizeof name - sizeof "public.")
		return false;
	for (size_t skip = 0; skip <= 7; skip += 7) {
		memcpy(name, "public.", skip);
		memcpy(name + skip, text, len);
		name[skip + len] = '\0';
		if (ident_relation(name, dst, IDENT_RELATION_MAX))
			return true;
	}
	return false;
}

static bool read_table(const struct reading *r, const char *tables)
{
	struct sync_spec *s = r->s;
	char allowed[IDENT_RELATION_MAX];

	if (!relation(s->table_name, strlen(s->table_name), s->table))
		return wrong(r, "\"table\" is not the name of a table");
	while (*tables != '\0') {
		size_t len = strcspn(tables, ",");
		if (relation(tables, len, allowed) && strcmp(allowed, s->table) == 0)
			return true;
		tables += len + (tables[len] == ',');
	}
	return wrong(r, "the table %.100s is not one that this queue may sync (its key tables)", s->table_name);
}

static bool read_key(const struct reading *r, const char *tenant_column)
{
	struct sync_spec *s = r->s;
	const json_t *list = json_object_get(s->payload, "key"), *one = json_is_string(list) ? list : NULL;
	size_t n = one != NULL ? 1 : json_array_size(list);

	if (n == 0 || n > KEY_MAX)
		return wrong(r, "\"key\" is not a list of 1 to %u columns", KEY_MAX);
	s->key = xcalloc(n, sizeof *s->key);
	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(one != NULL ? one : json_array_get(list, i));
		if (name == NULL || *name == '\0' || strlen(name) > 63)
			return wrong(r, "\"key\" is not a list of 1 to %u columns", KEY_MAX);
		if (strcmp(name, tenant_column) != 0)
			s->key[s->nkey++] = name;
	}
	return s->nkey > 0 || wrong(r, "\"key\" names nothing but the tenant's column");
}

/* {"member": "column"}, as it stands in items first */
static bool read_columns(const struct reading *r, const char *tenant_column)
{
	struct sync_spec *s = r->s;
	json_t *map = json_object_get(s->payload, "columns"), *value;
	const char *member;

	if (map == NULL || json_is_null(map))
		return true;
	if (!json_is_object(map) || json_object_size(map) == 0 || json_object_size(map) > COLUMNS_MAX)
		return wrong(r, "\"columns\" is not an object of 1 to %u columns, such as {\"stock\": \"quantity\"}", COLUMNS_MAX);
	s->columns = xcalloc(json_object_size(map), sizeof *s->columns);
	json_object_foreach(map, member, value) {
		const char *column = json_string_value(value);
		if (column == NULL || *column == '\0' || strlen(column) > 63 || *member == '\0' || strlen(member) > NAME_MAX_BYTES)
			return wrong(r, "\"columns\": \"%.60s\" does not name a column", member);
		if (strcmp(column, tenant_column) == 0)
			return wrong(r, "\"columns\": the column %.63s is always the job's tenant", column);
		for (size_t i = 0; i < s->n; i++)
			if (strcmp(s->columns[i].column, column) == 0)
				return wrong(r, "\"columns\": the column %.63s is named twice", column);
		s->columns[s->n++] = (struct sync_name){.column = column, .member = member};
	}
	for (size_t i = 0; i < s->nkey; i++)
		if (sync_spec_member(s, s->key[i]) == NULL)
			return wrong(r, "\"columns\" does not name %.63s, which is in the key", s->key[i]);
	if (*s->version != '\0' && sync_spec_member(s, s->version) == NULL)
		return wrong(r, "\"columns\" does not name %.63s, which is the version", s->version);
	return true;
}

static bool read_ways(const struct reading *r)
{
	struct sync_spec *s = r->s;
	const json_t *size = json_object_get(s->payload, "size");

	s->paging = *s->page != '\0' ? SYNC_NUMBERS : *s->cursor != '\0' ? SYNC_CURSOR : SYNC_LINKS;
	if (*s->page != '\0' && (*s->cursor != '\0' || *s->next != '\0'))
		return wrong(r, "of \"page\", \"cursor\" and \"next\" only one can be");
	if (*s->cursor != '\0' && *s->next != '\0')
		return wrong(r, "of \"page\", \"cursor\" and \"next\" only one can be");
	if (*s->cursor_param == '\0')
		s->cursor_param = "cursor";
	if (*s->method == '\0')
		s->method = s->each ? "PUT" : "POST";
	if (strcmp(s->method, "PUT") != 0 && strcmp(s->method, "POST") != 0)
		return wrong(r, "\"method\" is neither \"POST\" nor \"PUT\"");
	s->size = SIZE_DEFAULT;
	if (size != NULL && (!json_is_integer(size) || json_integer_value(size) < 1 || json_integer_value(size) > SIZE_MOST))
		return wrong(r, "\"size\" is not a number from 1 to %d", SIZE_MOST);
	if (size != NULL)
		s->size = (size_t)json_integer_value(size);
	return true;
}

struct sync_spec *sync_spec_read(const char *payload, size_t len, const struct sync_rules *rules, char *err, size_t errlen)
{
	struct sync_spec *s = xcalloc(1, sizeof *s);
	const struct reading r = {.s = s, .err = err, .errlen = errlen};

	s->payload = json_loadb(payload, len, 0, NULL);
	bool good = json_is_object(s->payload) || wrong(&r, "the payload is not a JSON object");
	if (good && read_known(&r) && read_texts(&r) && read_direction(&r) && read_url(&r, rules) && read_table(&r, rules->tables)
		&& read_key(&r, rules->tenant_column) && read_columns(&r, rules->tenant_column) && read_ways(&r))
		return s;
	sync_spec_free(s);
	return NULL;
}

void sync_spec_free(struct sync_spec *s)
{
	if (s == NULL)
		return;
	json_decref(s->payload);
	free(s->key);
	free(s->columns);
	free(s);
}

void sync_spec_source(const struct sync_spec *s, struct buf *out)
{
	json_t *copy = json_copy(s->payload);

	if (copy == NULL)
		mem_exhausted(0);
	(void)json_object_del(copy, "full"); /* neither changes what the position means; -1: it was not there */
	(void)json_object_del(copy, "size");
	(void)json_object_del(copy, "bad_rows");
	char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		mem_exhausted(0);
	webhook_digest(text, strlen(text), out);
	free(text);
	json_decref(copy);
}

const char *sync_spec_member(const struct sync_spec *s, const char *column)
{
	if (s->n == 0)
		return column;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->columns[i].column, column) == 0)
			return s->columns[i].member;
	return NULL;
}

const json_t *sync_spec_find(const json_t *in, const char *path)
{
	while (in != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");
		if (json_is_array(in)) {
			char *end;
			unsigned long index = strtoul(path, &end, 10);
			in = end == path + len && len > 0 && *path >= '0' && *path <= '9' ? json_array_get(in, index) : NULL;
		} else {
			in = json_object_getn(in, path, len);
		}
		path += len + (path[len] == '.');
	}
	return in;
}

/* A member that a URL can hold, percent-encoded; NULL: it cannot. curl_free it. */
static char *url_value(const json_t *row, const char *name, size_t len)
{
	const json_t *v = json_object_getn(row, name, len);
	char number[32];

	if (json_is_string(v) && strspn(json_string_value(v), ".") == json_string_length(v))
		return NULL; /* nothing, or dots, which would climb */
	if (json_is_string(v))
		return curl_easy_escape(NULL, json_string_value(v), (int)json_string_length(v));
	if (!json_is_integer(v) || snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v)) < 0)
		return NULL;
	return curl_easy_escape(NULL, number, 0);
}

char *sync_spec_url(const struct sync_spec *s, const json_t *row)
{
	struct buf out = {0};
	bool good = true;

	for (const char *at = s->url; good && *at != '\0';) {
		size_t len = strcspn(at, "{");
		buf_add(&out, at, len);
		at += len;
		if (*at == '\0')
			break;
		size_t name = strcspn(at + 1, "}");
		char *value = url_value(row, at + 1, name);
		good = value != NULL && at[1 + name] == '}';
		if (good)
			buf_puts(&out, value);
		curl_free(value);
		at += 1 + name + (at[1 + name] == '}');
	}
	char *url = good && out.len <= URL_MAX ? xstrdup(buf_str(&out)) : NULL;
	buf_free(&out);
	return url;
}

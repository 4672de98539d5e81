/*
 * dispatcher/filter.c: see filter.h.
 *
 * Runs in the dispatcher. Pure text; owns nothing (db.c keeps the statements). What a key means stands once, in the table. A
 * status also says in which partitions to look: unfinished rows are in the live one, finished ones in the leaves.
 */
#include "config.h"

#include "dispatcher/filter.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "dispatcher/dispatcher.h"

#define VALUE(key) "($1::jsonb -> 'filter' ->> '" key "')"

static const struct {
	const char *key, *condition;
} conditions[] = {
	{"queue", " AND j.queue = " VALUE("queue")},
	{"tenant", " AND j.tenant_id = " VALUE("tenant")},
	{"user", " AND j.user_id = " VALUE("user")},
	{"status", " AND j.status = " VALUE("status")},
	{"type", " AND j.type = " VALUE("type")},
	{"error", " AND j.error_message LIKE " VALUE("error")},
	{"since_s", " AND j.created_at >= now() - " VALUE("since_s") "::float8 * interval '1 second'"},
};

/* A glob as LIKE's pattern: * and ? become % and _, what LIKE knows is escaped. */
void filter_globs(json_t *filter)
{
	const char *glob = json_string_value(json_object_get(filter, "error"));
	struct buf out = {0};
	if (!glob)
		return;
	for (; *glob; glob++) {
		bool literal = *glob == '\\' && glob[1];
		if (literal)
			glob++;
		if (!literal && *glob == '*')
			buf_putc(&out, '%');
		else if (!literal && *glob == '?')
			buf_putc(&out, '_');
		else {
			if (strchr("%_\\", *glob))
				buf_putc(&out, '\\');
			buf_putc(&out, *glob);
		}
	}
	json_object_set_new(filter, "error", json_string(buf_str(&out)));
	buf_free(&out);
}

static bool is_live(const char *status)
{
	static const char *const live[] = {"pending", "claimed", "running", "held"};
	for (size_t i = 0; i < sizeof live / sizeof live[0]; i++)
		if (strcmp(status, live[i]) == 0)
			return true;
	return false;
}

static void add_partitions(struct buf *where, struct buf *key, const char *status)
{
	buf_puts(where, is_live(status) ? " AND j.expire_on = 'infinity'" : " AND j.expire_on < 'infinity'");
	buf_puts(key, is_live(status) ? "l" : "h");
}

const struct pg_stmt *filter_stmt(const char *name, const json_t *filter)
{
	struct buf where = {0}, key = {0};
	buf_putc(&key, 'f');
	for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
		const json_t *value = json_object_get(filter, conditions[i].key);
		const char *text = json_string_value(value);
		if (!value || json_is_null(value))
			continue;
		bool no_tenant = i == 1 && text && *text == '\0';
		buf_puts(&where, no_tenant ? " AND coalesce(j.tenant_id, '') = ''" : conditions[i].condition);
		buf_printf(&key, "%zu%s", i, no_tenant ? "n" : "");
		if (strcmp(conditions[i].key, "status") == 0 && text)
			add_partitions(&where, &key, text);
	}
	const struct pg_stmt *stmt = db_stmt_with(name, buf_str(&key), "%FILTER%", buf_str(&where));
	buf_free(&where);
	buf_free(&key);
	return stmt;
}

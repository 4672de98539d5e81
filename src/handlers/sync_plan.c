/*
 * handlers/sync_plan.c: a table's columns, and the statements of a sync (see sync_plan.h).
 *
 * Pure; runs in workers. Invariant: what stands in a statement is a quoted identifier, a type as the server itself spelled it, or a
 * number; texts of payloads and answers are parameters. The tenant is part of the conflict target and of every condition, so
 * no answer can touch another tenant's row, and whatever it says of the tenant's column is passed over.
 *
 * What changed is told by xmin: a row written by a transaction that was under way, or not yet begun, when the last push looked has an
 * xmin of at least that snapshot's xmin (subtransactions too: their numbers are higher than their parents'). So a change is never
 * missed, whenever its transaction commits and whatever its clock says; some are sent twice. Frozen rows keep their xmin.
 */
#include "config.h"

#include "handlers/sync_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "base/mem.h"
#include "base/text.h"

const struct sync_column *sync_table_column(const struct sync_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

static bool no_column(const struct sync_table *t, const char *table, const char *name, char *err, size_t errlen)
{
	const char **names = xcalloc(t->n + 1, sizeof *names);

	for (size_t i = 0; i < t->n; i++)
		names[i] = t->columns[i].name;
	int near = text_nearest(name, names, t->n);
	if (snprintf(err, errlen, "the table %.100s has no column \"%.63s\"%s%.63s%s", table, name, near >= 0 ? "; did you mean \"" : "",
			near >= 0 ? names[near] : "", near >= 0 ? "\"?" : "") < 0)
		err[0] = '\0';
	free(names);
	return false;
}

bool sync_table_fit(struct sync_table *t, const struct sync_spec *spec, const char *tenant_column, char *err, size_t errlen)
{
	for (size_t i = 0; i < t->n; i++) {
		struct sync_column *c = &t->columns[i];
		c->tenant = strcmp(c->name, tenant_column) == 0;
		c->member = c->tenant || (c->fixed && !spec->push) ? NULL : sync_spec_member(spec, c->name);
	}
	if (sync_table_column(t, tenant_column) == NULL)
		return no_column(t, spec->table_name, tenant_column, err, errlen);
	for (size_t i = 0; i < spec->n; i++)
		if (sync_table_column(t, spec->columns[i].column) == NULL)
			return no_column(t, spec->table_name, spec->columns[i].column, err, errlen);
	if (*spec->version != '\0' && sync_table_column(t, spec->version) == NULL)
		return no_column(t, spec->table_name, spec->version, err, errlen);
	for (size_t i = 0; i < spec->nkey; i++)
		if (sync_table_column(t, spec->key[i]) == NULL)
			return no_column(t, spec->table_name, spec->key[i], err, errlen);
	return true;
}

void sync_table_free(struct sync_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->columns[i].name);
		free(t->columns[i].type);
	}
	free(t->columns);
	*t = (struct sync_table){0};
}

static bool in_key(const struct sync_spec *spec, const char *column)
{
	for (size_t i = 0; i < spec->nkey; i++)
		if (strcmp(spec->key[i], column) == 0)
			return true;
	return false;
}

/* before"k1", before"k2" */
static void key_list(const struct sync_spec *spec, const char *before, struct buf *sql)
{
	for (size_t i = 0; i < spec->nkey; i++) {
		buf_printf(sql, "%s%s", i > 0 ? ", " : "", before);
		ident_quote(sql, spec->key[i]);
	}
}

/* The columns of a group and the tenant's. */
static void column_list(const struct sync_table *t, const struct sync_group *g, const char *before, struct buf *sql)
{
	const char *comma = "";

	for (size_t i = 0; i < t->n; i++) {
		if (!g->has[i] && !t->columns[i].tenant)
			continue;
		buf_printf(sql, "%s%s", comma, before);
		ident_quote(sql, t->columns[i].name);
		comma = ", ";
	}
}

static bool is_updated(const struct sync_table *t, const struct sync_spec *spec, const struct sync_group *g, size_t i)
{
	return g->has[i] && !in_key(spec, t->columns[i].name);
}

static void update_set(const struct sync_table *t, const struct sync_spec *spec, const struct sync_group *g, struct buf *sql)
{
	const char *comma = "DO UPDATE SET ";

	for (size_t i = 0; i < t->n; i++) {
		if (!is_updated(t, spec, g, i))
			continue;
		buf_puts(sql, comma);
		ident_quote(sql, t->columns[i].name);
		buf_puts(sql, " = excluded.");
		ident_quote(sql, t->columns[i].name);
		comma = ", ";
	}
	if (comma[0] == 'D') {
		buf_puts(sql, "DO NOTHING");
		return;
	}
	comma = " WHERE (";
	for (size_t i = 0; i < t->n; i++) { /* as text: not every type knows equality */
		if (!is_updated(t, spec, g, i))
			continue;
		buf_printf(sql, "%st.", comma);
		ident_quote(sql, t->columns[i].name);
		buf_puts(sql, "::text IS DISTINCT FROM excluded.");
		ident_quote(sql, t->columns[i].name);
		buf_puts(sql, "::text");
		comma = " OR ";
	}
	buf_putc(sql, ')');
	if (*spec->version == '\0')
		return;
	buf_puts(sql, " AND (t.");
	ident_quote(sql, spec->version);
	buf_puts(sql, " IS NULL OR excluded.");
	ident_quote(sql, spec->version);
	buf_puts(sql, " >= t.");
	ident_quote(sql, spec->version);
	buf_putc(sql, ')');
}

/* The rows that a group's items become; of one key the newest, or the last. */
static void page_rows(const struct sync_table *t, const struct sync_spec *spec, struct buf *sql)
{
	const char *tenant = "";

	for (size_t i = 0; i < t->n; i++)
		if (t->columns[i].tenant)
			tenant = t->columns[i].name;
	buf_puts(sql, "WITH page AS (SELECT DISTINCT ON (");
	key_list(spec, "r.", sql);
	buf_puts(sql, ") r.* FROM jsonb_array_elements($1::jsonb #> $2::text[]) WITH ORDINALITY AS e (v, n) CROSS JOIN LATERAL "
		"jsonb_populate_record(NULL::");
	buf_puts(sql, spec->table);
	buf_puts(sql, ", (SELECT jsonb_object_agg(m.c, e.v #> string_to_array(m.p, '.')) FROM unnest($4::text[], $5::text[]) AS m (c, p)) || "
		"jsonb_build_object('");
	for (const char *c = tenant; *c != '\0'; c++) {
		if (*c == '\'')
			buf_putc(sql, '\'');
		buf_putc(sql, *c);
	}
	buf_puts(sql, "'::text, $6::text)) AS r WHERE e.n = ANY ($3::int8[]) ORDER BY ");
	key_list(spec, "r.", sql);
	if (*spec->version != '\0') {
		buf_puts(sql, ", r.");
		ident_quote(sql, spec->version);
		buf_puts(sql, " DESC NULLS LAST");
	}
	buf_puts(sql, ", e.n DESC)");
}

void sync_plan_merge(const struct sync_table *t, const struct sync_spec *spec, const struct sync_group *g, struct buf *sql)
{
	page_rows(t, spec, sql);
	buf_printf(sql, ", merged AS (INSERT INTO %s AS t (", spec->table);
	column_list(t, g, "", sql);
	buf_puts(sql, ") SELECT ");
	column_list(t, g, "page.", sql);
	buf_puts(sql, " FROM page ORDER BY ");
	key_list(spec, "page.", sql);
	buf_puts(sql, " ON CONFLICT (");
	for (size_t i = 0; i < t->n; i++)
		if (t->columns[i].tenant)
			ident_quote(sql, t->columns[i].name);
	buf_puts(sql, ", ");
	key_list(spec, "", sql);
	buf_puts(sql, ") ");
	update_set(t, spec, g, sql);
	buf_puts(sql, " RETURNING (t.xmax = 0) AS inserted) SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged");
}

/* A path as an array of its parts; "" is the empty array. */
static void path_param(const char *path, struct pg_params *params)
{
	size_t n = *path == '\0' ? 0 : 1;

	for (const char *c = path; *c != '\0'; c++)
		n += *c == '.';
	pg_array_begin(params, PG_TEXT, n);
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(path, ".");
		pg_array_text(params, path, len);
		path += len + (path[len] == '.');
	}
	pg_array_end(params);
}

void sync_plan_merge_params(const struct sync_table *t, const char *items, const struct sync_group *g, const char *tenant, const char *body,
	size_t len, struct pg_params *params)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += g->has[i];
	pg_params_reset(params);
	pg_param_textn(params, body, len);
	path_param(items, params);
	pg_array_begin(params, PG_INT8, g->n);
	for (size_t i = 0; i < g->n; i++)
		pg_array_int8(params, g->items[i]);
	pg_array_end(params);
	for (int members = 0; members < 2; members++) {
		pg_array_begin(params, PG_TEXT, n);
		for (size_t i = 0; i < t->n; i++) {
			const char *text = members ? t->columns[i].member : t->columns[i].name;
			if (g->has[i])
				pg_array_text(params, text, strlen(text));
		}
		pg_array_end(params);
	}
	pg_param_text(params, tenant);
}

void sync_plan_changes(const struct sync_table *t, const struct sync_spec *spec, struct buf *sql)
{
	const struct sync_column *tenant = NULL;

	for (size_t i = 0; i < t->n; i++)
		if (t->columns[i].tenant)
			tenant = &t->columns[i];
	/* the transaction's whole number: the nearest below the current one that ends in xmin */
	buf_puts(sql, "SELECT (SELECT jsonb_object_agg(m.p, to_jsonb(t) -> m.c) FROM unnest($5::text[], $6::text[]) AS m (c, p))::text, k.key::text FROM ");
	buf_puts(sql, spec->table);
	buf_puts(sql, " AS t CROSS JOIN LATERAL (SELECT jsonb_build_object(");
	for (size_t i = 0; i < spec->nkey; i++) {
		buf_printf(sql, "%s($7::text[])[%zu], t.", i > 0 ? ", " : "", i + 1);
		ident_quote(sql, spec->key[i]);
	}
	buf_puts(sql, ") AS key) AS k CROSS JOIN (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8 AS now) AS x WHERE t.");
	if (tenant != NULL) {
		ident_quote(sql, tenant->name);
		buf_printf(sql, " = $1::text::%s", tenant->type);
	}
	buf_puts(sql, " AND ($2::int8 IS NULL OR x.now - ((x.now - t.xmin::text::int8) & 4294967295) >= $2::int8 "
		"OR k.key = ANY (ARRAY(SELECT jsonb_array_elements($8::jsonb)))) AND ($3::jsonb IS NULL OR (");
	key_list(spec, "t.", sql);
	buf_puts(sql, ") > (SELECT ");
	key_list(spec, "a.", sql);
	buf_printf(sql, " FROM jsonb_populate_record(NULL::%s, $3::jsonb) AS a)) ORDER BY ", spec->table);
	key_list(spec, "t.", sql);
	buf_puts(sql, " LIMIT $4::int8");
}

void sync_plan_changes_params(const struct sync_table *t, const struct sync_spec *spec, const char *tenant, int64_t base, const char *after,
	const char *again, int64_t limit, struct pg_params *params)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->columns[i].member != NULL;
	pg_params_reset(params);
	pg_param_text(params, tenant);
	if (base == INT64_MIN)
		pg_param_null(params);
	else
		pg_param_int8(params, base);
	pg_param_text(params, after);
	pg_param_int8(params, limit);
	for (int members = 0; members < 2; members++) {
		pg_array_begin(params, PG_TEXT, n);
		for (size_t i = 0; i < t->n; i++) {
			const char *text = members ? t->columns[i].member : t->columns[i].name;
			if (text != NULL && t->columns[i].member != NULL)
				pg_array_text(params, text, strlen(text));
		}
		pg_array_end(params);
	}
	pg_array_begin(params, PG_TEXT, spec->nkey);
	for (size_t i = 0; i < spec->nkey; i++)
		pg_array_text(params, spec->key[i], strlen(spec->key[i]));
	pg_array_end(params);
	pg_param_text(params, again);
}

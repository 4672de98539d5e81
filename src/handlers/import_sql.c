/*
 * import_sql.c: the statements of an import, from its plan (see import_plan.h).
 *
 * Pure; runs in a worker. Owns nothing. Invariant: what stands in a statement is a quoted identifier, a type as the server itself spelled
 * it, or a number; texts of the payload and of the file are parameters or rows of the COPY. A value is cast to its type without
 * its length, and the insert fits it to the column: so a text that is too long is an error, not cut.
 */
#include "config.h"

#include <string.h>

#include "base/ident.h"
#include "handlers/import_plan.h"

#define STAGE "pg_temp.jobq_import"

void import_plan_stage(const struct import_plan *plan, struct buf *sql)
{
	buf_puts(sql, "CREATE TEMPORARY TABLE jobq_import (line bigint NOT NULL");
	if (plan->spec->jsonl)
		buf_puts(sql, ", doc text NOT NULL");
	for (size_t i = 1; i <= plan->nfile; i++)
		buf_printf(sql, ", c%zu text", i);
	buf_puts(sql, ") ON COMMIT DROP");
}

void import_plan_copy(const struct import_plan *plan, struct buf *sql)
{
	buf_puts(sql, "COPY " STAGE " FROM STDIN (FORMAT ");
	if (plan->spec->jsonl)
		buf_puts(sql, "text");
	else
		buf_printf(sql, "csv, QUOTE '\"', DELIMITER '%c'", plan->spec->delimiter);
	buf_puts(sql, ", ENCODING 'UTF8')");
}

/* The number of a parameter: in the order of import_plan_params. */
static int param_keys(const struct import_plan *plan, bool probe)
{
	return plan->tenant_column != NULL && !probe ? 2 : 1;
}

static int param_range(const struct import_plan *plan, bool probe)
{
	return param_keys(plan, probe) + (plan->spec->jsonl ? 1 : 0);
}

/* The staged rows: s.line and s.c1 …, or s.d. OFFSET 0 keeps each document from being parsed once a column. */
static void staged(const struct import_plan *plan, const struct import_range *range, bool probe, struct buf *sql)
{
	int n = param_range(plan, probe);

	buf_puts(sql, plan->spec->jsonl ? "(SELECT i.line, i.doc::jsonb AS d FROM " STAGE " i" : STAGE " s");
	if (!range->all)
		buf_printf(sql, " WHERE line BETWEEN $%d::bigint AND $%d::bigint", n, n + 1);
	if (plan->spec->jsonl)
		buf_puts(sql, " OFFSET 0) s");
}

static void value(const struct import_plan *plan, size_t i, bool probe, struct buf *sql)
{
	const struct import_target *t = &plan->targets[i];

	if (plan->spec->jsonl)
		buf_printf(sql, "(s.d ->> ($%d::text[])[%zu])::%s", param_keys(plan, probe), i + 1, t->type);
	else
		buf_printf(sql, "s.c%zu::%s", t->at + 1, t->type);
}

static void values(const struct import_plan *plan, const char *names, struct buf *sql)
{
	const char *comma = "";

	if (plan->tenant_column != NULL) {
		buf_printf(sql, "$1::text::%s%s", plan->tenant_type, *names != '\0' ? " AS v0" : "");
		comma = ", ";
	}
	for (size_t i = 0; i < plan->n; i++, comma = ", ") {
		buf_puts(sql, comma);
		value(plan, i, false, sql);
		if (*names != '\0')
			buf_printf(sql, " AS %s%zu", names, i + 1);
	}
}

/* The values' names of the key, v0 being the tenant. */
static void key_values(const struct import_plan *plan, const char *between, struct buf *sql)
{
	for (size_t k = 0; k < plan->spec->nkey; k++) {
		size_t i = 0;

		while (i < plan->n && strcmp(plan->targets[i].column, plan->spec->key[k]) != 0)
			i++;
		buf_printf(sql, "%sv%zu", k > 0 ? between : "", i < plan->n ? i + 1 : 0);
	}
}

/* Of rows with one key the last; rows whose key holds a NULL are all different, as they are to an index. */
static void distinct_rows(const struct import_plan *plan, const struct import_range *range, struct buf *sql)
{
	struct buf key = {0};

	key_values(plan, ", ", &key);
	buf_puts(&key, ", CASE WHEN ");
	key_values(plan, " IS NULL OR ", &key);
	buf_puts(&key, " IS NULL THEN l END");
	buf_puts(sql, "SELECT ");
	for (size_t i = plan->tenant_column != NULL ? 0 : 1; i <= plan->n; i++)
		buf_printf(sql, "%sv%zu", i > (plan->tenant_column != NULL ? 0u : 1u) ? ", " : "", i);
	buf_printf(sql, " FROM (SELECT DISTINCT ON (%s) * FROM (SELECT s.line AS l, ", buf_str(&key));
	values(plan, "v", sql);
	buf_puts(sql, " FROM ");
	staged(plan, range, false, sql);
	buf_printf(sql, ") w ORDER BY %s, l DESC) w", buf_str(&key));
	buf_free(&key);
}

static bool in_key(const struct import_plan *plan, const char *column)
{
	for (size_t k = 0; k < plan->spec->nkey; k++)
		if (strcmp(plan->spec->key[k], column) == 0)
			return true;
	return false;
}

/* DO UPDATE SET …; DO NOTHING when there is nothing beyond the key. */
static void update(const struct import_plan *plan, struct buf *sql)
{
	bool some = false;

	for (size_t i = 0; i < plan->n; i++) {
		const char *column = plan->targets[i].column;

		if (in_key(plan, column))
			continue;
		buf_puts(sql, some ? ", " : "DO UPDATE SET ");
		some = true;
		ident_quote(sql, column);
		buf_puts(sql, " = excluded.");
		ident_quote(sql, column);
	}
	if (!some)
		buf_puts(sql, "DO NOTHING");
	if (!some || !plan->guard)
		return;
	buf_puts(sql, " WHERE t.");
	ident_quote(sql, plan->tenant_column);
	buf_puts(sql, " IS NOT DISTINCT FROM excluded.");
	ident_quote(sql, plan->tenant_column);
}

static void on_conflict(const struct import_plan *plan, struct buf *sql)
{
	const struct import_spec *spec = plan->spec;

	if (spec->conflict == IMPORT_REFUSE)
		return;
	buf_puts(sql, " ON CONFLICT ");
	for (size_t k = 0; k < spec->nkey; k++) {
		buf_puts(sql, k > 0 ? ", " : "(");
		ident_quote(sql, spec->key[k]);
	}
	if (spec->nkey > 0)
		buf_puts(sql, ") ");
	if (spec->conflict == IMPORT_IGNORE)
		buf_puts(sql, "DO NOTHING");
	else
		update(plan, sql);
}

/* How many of the rows' keys the table knew before: what a partitioned table cannot say of the rows themselves. */
static void known_keys(const struct import_plan *plan, const struct import_range *range, struct buf *sql)
{
	const struct import_spec *spec = plan->spec;

	buf_puts(sql, "SELECT count(*) AS n FROM (SELECT DISTINCT ");
	key_values(plan, ", ", sql);
	buf_puts(sql, plan->guard ? ", v0 FROM (SELECT " : " FROM (SELECT ");
	values(plan, "v", sql);
	buf_puts(sql, " FROM ");
	staged(plan, range, false, sql);
	buf_printf(sql, ") w) k WHERE EXISTS (SELECT FROM %s t WHERE ", spec->table);
	for (size_t i = 0; i < spec->nkey; i++) {
		size_t v = 0;

		while (v < plan->n && strcmp(plan->targets[v].column, spec->key[i]) != 0)
			v++;
		buf_puts(sql, i > 0 ? " AND t." : "t.");
		ident_quote(sql, spec->key[i]);
		buf_printf(sql, " = k.v%zu", v < plan->n ? v + 1 : 0);
	}
	if (plan->guard) {
		buf_puts(sql, " AND t.");
		ident_quote(sql, plan->tenant_column);
		buf_puts(sql, " = k.v0");
	}
	buf_putc(sql, ')');
}

/* The end of a merge: one row, inserted and updated. */
static void counted(const struct import_plan *plan, const struct import_range *range, struct buf *sql)
{
	if (plan->spec->conflict != IMPORT_UPDATE) {
		buf_puts(sql, " RETURNING 1) SELECT count(*), 0::bigint FROM merged");
	} else if (plan->parted) {
		buf_puts(sql, " RETURNING 1) SELECT m - least(m, n), least(m, n) FROM (SELECT count(*) AS m FROM merged) m, (");
		known_keys(plan, range, sql);
		buf_puts(sql, ") n");
	} else {
		buf_puts(sql, " RETURNING (t.xmax = 0) AS inserted) "
			"SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged");
	}
}

void import_plan_merge(const struct import_plan *plan, const struct import_range *range, bool distinct, struct buf *sql)
{
	const char *comma = "";

	buf_printf(sql, "WITH merged AS (INSERT INTO %s AS t (", plan->spec->table);
	if (plan->tenant_column != NULL) {
		ident_quote(sql, plan->tenant_column);
		comma = ", ";
	}
	for (size_t i = 0; i < plan->n; i++, comma = ", ") {
		buf_puts(sql, comma);
		ident_quote(sql, plan->targets[i].column);
	}
	buf_puts(sql, ") ");
	if (distinct) {
		distinct_rows(plan, range, sql);
	} else {
		buf_puts(sql, "SELECT ");
		values(plan, "", sql);
		buf_puts(sql, " FROM ");
		staged(plan, range, false, sql);
	}
	on_conflict(plan, sql);
	counted(plan, range, sql);
}

void import_plan_probe(const struct import_plan *plan, size_t target, const struct import_range *range, struct buf *sql)
{
	buf_puts(sql, "SELECT ");
	value(plan, target, true, sql);
	buf_puts(sql, " FROM ");
	staged(plan, range, true, sql);
}

void import_plan_params(const struct import_plan *plan, const char *tenant, const struct import_range *range, struct pg_params *params)
{
	pg_params_reset(params);
	if (plan->tenant_column != NULL && tenant != NULL)
		pg_param_text(params, tenant);
	if (plan->spec->jsonl) {
		pg_array_begin(params, PG_TEXT, plan->n);
		for (size_t i = 0; i < plan->n; i++)
			pg_array_text(params, plan->targets[i].key, strlen(plan->targets[i].key));
		pg_array_end(params);
	}
	if (!range->all) {
		pg_param_int8(params, range->first);
		pg_param_int8(params, range->last);
	}
}

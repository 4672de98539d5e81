/*
 * import_plan.c: fits a file's columns to a table's (see import_plan.h; the SQL is written by import_sql.c).
 *
 * Pure; runs in a worker. Owns the targets. Invariant: every target is a column of the table that can be written, once, and the columns
 * of the key are among them or the tenant's. What does not fit is named, with the nearest column.
 */
#include "config.h"

#include "handlers/import_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const struct import_table_column *find_column(const struct import_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (strcmp(table->columns[i].name, name) == 0)
			return &table->columns[i];
	return NULL;
}

struct making {
	struct import_plan *plan;
	const struct import_table *table;
	char *err;
	size_t errlen;
};

static bool unknown_column(const struct making *m, const char *name)
{
	const char **names = xcalloc(m->table->n + 1, sizeof *names);

	for (size_t i = 0; i < m->table->n; i++)
		names[i] = m->table->columns[i].name;
	int near = text_nearest(name, names, m->table->n);
	(void)snprintf(m->err, m->errlen, "the table %s has no column \"%.63s\"%s%.63s%s", m->plan->spec->table_name, name,
		near >= 0 ? "; did you mean \"" : "", near >= 0 ? names[near] : "", near >= 0 ? "\"?" : "");
	free(names);
	return false;
}

static bool add(const struct making *m, const char *column, size_t at, const char *key)
{
	const struct import_table_column *c = find_column(m->table, column);
	struct import_plan *plan = m->plan;

	if (c == NULL)
		return unknown_column(m, column);
	if (c->fixed) {
		(void)snprintf(m->err, m->errlen, "the column \"%.63s\" is generated; nothing can be imported into it", column);
		return false;
	}
	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->targets[i].column, column) == 0) {
			(void)snprintf(m->err, m->errlen, "the column \"%.63s\" is in the file twice", column);
			return false;
		}
	plan->targets[plan->n++] = (struct import_target){.column = c->name, .type = c->type, .at = at, .key = key};
	return true;
}

/* Everything that the file has goes into the column of its name; the tenant's is passed over. */
static bool by_name(const struct making *m, char *const *names, size_t n)
{
	const char *tenant = m->plan->tenant_column;

	for (size_t i = 0; i < n; i++)
		if ((tenant == NULL || strcmp(names[i], tenant) != 0) && !add(m, names[i], i, names[i]))
			return false;
	return true;
}

/* Is the file's column `at` named a second time? Nobody knows which of the two is meant. */
static bool named_twice(const struct making *m, char *const *names, size_t n, size_t at)
{
	for (size_t i = at + 1; i < n; i++)
		if (strcmp(names[i], names[at]) == 0) {
			(void)snprintf(m->err, m->errlen, "the file has the column \"%.100s\" twice", names[at]);
			return true;
		}
	return false;
}

/* As `columns` says. names NULL: `columns` is the list of the file's columns, or of keys. */
static bool by_map(const struct making *m, char *const *names, size_t n)
{
	const struct import_spec *spec = m->plan->spec;

	for (size_t c = 0; c < spec->n; c++) {
		const struct import_column *column = &spec->columns[c];
		size_t at = names == NULL ? c : 0;

		while (names != NULL && at < n && strcmp(names[at], column->file) != 0)
			at++;
		if (names != NULL && at == n) {
			(void)snprintf(m->err, m->errlen, "the file has no column \"%.100s\"", column->file);
			return false;
		}
		if (names != NULL && named_twice(m, names, n, at))
			return false;
		if (column->table != NULL && !add(m, column->table, at, column->file))
			return false;
	}
	return true;
}

static bool take_tenant(const struct making *m, const char *name)
{
	const struct import_table_column *c = *name != '\0' ? find_column(m->table, name) : NULL;

	m->plan->guard = c != NULL;
	if (*name != '\0' && c == NULL) {
		(void)snprintf(m->err, m->errlen, "the table %s has no column \"%.63s\", which the queue's key tenant_column names", m->plan->spec->table_name,
			name);
		return false;
	}
	if (c != NULL) {
		m->plan->tenant_column = c->name;
		m->plan->tenant_type = c->type;
	}
	return true;
}

static bool check_key(const struct making *m)
{
	struct import_plan *plan = m->plan;

	for (size_t k = 0; k < plan->spec->nkey; k++) {
		const char *key = plan->spec->key[k];
		bool found = plan->tenant_column != NULL && strcmp(plan->tenant_column, key) == 0;

		if (found)
			plan->guard = false;
		for (size_t i = 0; i < plan->n && !found; i++)
			found = strcmp(plan->targets[i].column, key) == 0;
		if (!found) {
			(void)snprintf(m->err, m->errlen, "the key's column \"%.63s\" is not among those that are imported", key);
			return false;
		}
	}
	return true;
}

bool import_plan_make(struct import_plan *plan, const struct import_spec *spec, const struct import_table *table, char *const *names, size_t n,
	const char *tenant_column, char *err, size_t errlen)
{
	const struct making m = {.plan = plan, .table = table, .err = err, .errlen = errlen};

	*plan = (struct import_plan){.spec = spec, .parted = table->parted, .nfile = spec->jsonl ? 0 : names != NULL ? n : spec->n};
	plan->targets = xcalloc((spec->n > n ? spec->n : n) + 1, sizeof *plan->targets);
	if (!take_tenant(&m, tenant_column) || !(spec->n > 0 ? by_map(&m, spec->jsonl ? NULL : names, n) : by_name(&m, names, n)) || !check_key(&m))
		return false;
	if (plan->n > 0)
		return true;
	(void)snprintf(err, errlen, "no column of the file goes into the table");
	return false;
}

void import_plan_free(struct import_plan *plan)
{
	free(plan->targets);
	plan->targets = NULL;
}

void import_table_free(struct import_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		free(table->columns[i].name);
		free(table->columns[i].type);
	}
	free(table->columns);
	*table = (struct import_table){0};
}

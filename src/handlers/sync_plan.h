/*
 * handlers/sync_plan.h: a table's columns, and the statements that merge a page into it and read what changed in it. Pure.
 *
 * Values never pass through C: PostgreSQL takes an answer as it came and takes it apart itself, so a number stays what it was.
 */
#ifndef JOBQ_HANDLERS_SYNC_PLAN_H
#define JOBQ_HANDLERS_SYNC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handlers/sync_spec.h"
#include "pg/conn.h"

struct sync_table { /* as the database has it */
	size_t n;
	struct sync_column {
		char *name, *type; /* type: as it stands in a cast */
		bool fixed;        /* generated: nobody writes it */
		bool tenant;
		const char *member; /* where it stands in items; NULL: not synced */
	} *columns;
};

/* Finds the payload's columns in the table. false with the reason in err. */
bool sync_table_fit(struct sync_table *t, const struct sync_spec *spec, const char *tenant_column, char *err, size_t errlen);
const struct sync_column *sync_table_column(const struct sync_table *t, const char *name); /* NULL: there is none */
void sync_table_free(struct sync_table *t);

/* Items of a page that have the same columns; others of a row are left alone. */
struct sync_group {
	bool *has;     /* of each column of the table */
	int64_t *items; /* their places in the page, from 1 */
	size_t n;
};

/* INSERT … ON CONFLICT; one row: inserted, updated. An item older than its row, by the version's column, changes nothing. */
void sync_plan_merge(const struct sync_table *t, const struct sync_spec *spec, const struct sync_group *g, struct buf *sql);
void sync_plan_merge_params(const struct sync_table *t, const char *items, const struct sync_group *g, const char *tenant, const char *body,
	size_t len, struct pg_params *params);

/*
 * Rows of the tenant, in the order of the key, of which each is the item and its key, as JSON: those behind `after` whose last
 * change is not older than the transaction `base` (INT64_MIN: all), and those whose keys are in `again`, a JSON list.
 */
void sync_plan_changes(const struct sync_table *t, const struct sync_spec *spec, struct buf *sql);
void sync_plan_changes_params(const struct sync_table *t, const struct sync_spec *spec, const char *tenant, int64_t base, const char *after,
	const char *again, int64_t limit, struct pg_params *params);

#endif

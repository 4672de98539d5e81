/*
 * handlers/import_plan.h: which column of the file goes where, and the statements that say so. Pure.
 *
 * Rows are staged as text in a temporary table, jobq_import (line, c1, c2, …) or, of JSON lines, (line, doc); the merge casts them
 * to the types of the table and inserts them. Parameters of a statement are those that import_plan_params gives for it.
 */
#ifndef JOBQ_HANDLERS_IMPORT_PLAN_H
#define JOBQ_HANDLERS_IMPORT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handlers/import_spec.h"
#include "pg/conn.h"

struct import_table { /* a table as the database has it */
	bool parted; /* partitioned: its rows show no xmax */
	size_t n;
	struct import_table_column {
		char *name, *type; /* type: as it stands in a cast */
		bool fixed;        /* generated: nobody writes it */
	} *columns;
};

struct import_target {
	const char *column, *type; /* of the table */
	size_t at;                 /* CSV: which column of the file, from 0 */
	const char *key;           /* JSON lines: which key */
};

struct import_plan {
	const struct import_spec *spec;
	size_t nfile;              /* columns of a row of the file; JSON lines: 0 */
	struct import_target *targets;
	size_t n;
	const char *tenant_column, *tenant_type; /* NULL: none is set */
	bool parted;
	bool guard;                /* the key does not say whose a row is: other tenants' rows are left alone */
};

/* What a merge is of: every row, or those of some lines. */
struct import_range {
	bool all;
	int64_t first, last;
};

/* names: of the file's columns (its header, or the keys of the first JSON line), NULL when `columns` says all. The plan points into
 * spec, table and names. false with the reason in err. */
bool import_plan_make(struct import_plan *plan, const struct import_spec *spec, const struct import_table *table, char *const *names, size_t n,
	const char *tenant_column, char *err, size_t errlen);
void import_plan_free(struct import_plan *plan);
void import_table_free(struct import_table *table);

void import_plan_stage(const struct import_plan *plan, struct buf *sql); /* CREATE TABLE */
void import_plan_copy(const struct import_plan *plan, struct buf *sql);  /* COPY */
/* INSERT; one row of results: inserted, updated. distinct: of rows with the same key the last one counts. */
void import_plan_merge(const struct import_plan *plan, const struct import_range *range, bool distinct, struct buf *sql);
/* Casts one target's value of the range, to see whether it is what a merge fails of. */
void import_plan_probe(const struct import_plan *plan, size_t target, const struct import_range *range, struct buf *sql);
/* probe: tenant is not among the parameters. */
void import_plan_params(const struct import_plan *plan, const char *tenant, const struct import_range *range, struct pg_params *params);

#endif

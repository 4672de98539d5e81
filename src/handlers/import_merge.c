/*
 * import_merge.c: the staged rows into the table, and the search for those that do not go.
 *
 * Runs in a worker; a struct import_run when all its rows are staged (see import.h). All rows go in one statement under a
 * savepoint. When a row is to blame for its failure, the rows are tried again in halves, and the halves that fail in halves of these,
 * down to the row: in order, so that of two rows with one key the later stays the later. A good half is merged once and kept; k
 * bad rows of n cost about log2(n/k) further statements each. The first bad row ends the import, or each is noted and passed over.
 *
 * A file that holds a key twice fails the first time for ON CONFLICT alone; then the last row of each key is picked.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "handlers/import.h"

#define MERGING 60.0 /* percent, when the rows are staged */

static void next_part(struct import_run *run);
static void whole(struct import_run *run);

/* Is a row to blame, not the statement or the server? */
static bool row_level(const struct pg_result *result)
{
	return strncmp(result->sqlstate, "22", 2) == 0 || strncmp(result->sqlstate, "23", 2) == 0 || strncmp(result->sqlstate, "44", 2) == 0
		|| strncmp(result->sqlstate, "P0", 2) == 0;
}

static void nothing(void *arg, const struct pg_result *result)
{
	(void)arg; /* its failure shows in the statement behind it */
	(void)result;
}

static void count(struct import_run *run, const PGresult *res)
{
	run->inserted += pg_get_int8(res, 0, 0);
	run->updated += pg_get_int8(res, 0, 1);
}

static void push(struct import_run *run, int64_t first, int64_t last)
{
	if (run->nstack == run->stack_room) {
		run->stack_room = run->stack_room > 0 ? 2 * run->stack_room : 64;
		run->stack = xreallocarray(run->stack, run->stack_room, sizeof *run->stack);
	}
	run->stack[run->nstack++] = (struct import_range){.first = first, .last = last};
}

/* Undoes what was sent since the savepoint; false: the run has ended. */
static bool undo_part(struct import_run *run)
{
	return import_send(run, "ROLLBACK TO SAVEPOINT part", false, nothing) && import_send(run, "RELEASE SAVEPOINT part", false, nothing);
}

/* ---- the bad row, and what about it is bad ---- */

static void answer_row(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;
	size_t len = 0;
	const char *row = "";

	if (result->status != PG_OK) {
		import_sql_failed(run, result, "looking at a bad row");
		return;
	}
	if (PQntuples(result->res) == 1)
		row = pg_get_text(result->res, 0, 0, &len);
	if (import_read_bad(run, run->range.first, run->reason, row, len)) {
		run->unmerged++;
		next_part(run);
	} else {
		import_fail(run, "%s", run->failed);
	}
}

static void bad_row(struct import_run *run)
{
	pg_params_reset(&run->params);
	pg_param_int8(&run->params, run->range.first);
	(void)import_send_named(run, "import_row", answer_row);
}

static void probe(struct import_run *run);

static void answer_probe(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status == PG_LOST) {
		import_sql_failed(run, result, "looking at a bad row");
		return;
	}
	if (result->status == PG_OK ? !import_send(run, "RELEASE SAVEPOINT part", false, nothing) : !undo_part(run))
		return;
	if (result->status == PG_OK) {
		run->probe++;
		probe(run);
		return;
	}
	if (!row_level(result)) {
		import_sql_failed(run, result, "looking at a bad row");
		return;
	}
	char *reason = xasprintf("column %s: %s", run->plan.targets[run->probe].column, result->error);
	free(run->reason);
	run->reason = reason;
	bad_row(run);
}

/* Which of its values cannot be cast? When all can, what the merge said is the reason. */
static void probe(struct import_run *run)
{
	if (run->probe == run->plan.n) {
		bad_row(run);
		return;
	}
	if (!import_send(run, "SAVEPOINT part", false, nothing))
		return;
	buf_reset(&run->sql);
	import_plan_probe(&run->plan, run->probe, &run->range, &run->sql);
	import_plan_params(&run->plan, NULL, &run->range, &run->params);
	(void)import_send(run, buf_str(&run->sql), true, answer_probe);
}

/* ---- parts ---- */

static void part_failed(struct import_run *run, const struct pg_result *result)
{
	const struct import_range r = run->range;
	int64_t middle = r.first + (r.last - r.first) / 2;

	if (!undo_part(run))
		return;
	if (r.first < r.last) {
		push(run, middle + 1, r.last);
		push(run, r.first, middle);
		next_part(run);
		return;
	}
	free(run->reason);
	run->reason = xstrdup(result->error);
	run->probe = 0;
	if (strncmp(result->sqlstate, "22", 2) == 0 || strcmp(result->sqlstate, "23514") == 0) /* a domain has checks as well */
		probe(run);
	else
		bad_row(run);
}

static void answer_part(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status == PG_OK) {
		count(run, result->res);
		if (import_send(run, "RELEASE SAVEPOINT part", false, nothing))
			next_part(run);
	} else if (row_level(result)) {
		part_failed(run, result);
	} else {
		import_sql_failed(run, result, "merging the rows");
	}
}

static void next_part(struct import_run *run)
{
	if (run->nstack == 0) {
		import_finish(run);
		return;
	}
	run->range = run->stack[--run->nstack];
	import_read_progress(run, MERGING + (99 - MERGING) * (double)run->range.first / (double)run->last_line, "merging, row by row where it fails");
	if (!import_send(run, "SAVEPOINT part", false, nothing))
		return;
	buf_reset(&run->sql);
	import_plan_merge(&run->plan, &run->range, run->spec->conflict == IMPORT_UPDATE, &run->sql);
	import_plan_params(&run->plan, run->job->tenant, &run->range, &run->params);
	(void)import_send(run, buf_str(&run->sql), true, answer_part);
}

static void answer_index(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status != PG_OK) {
		import_sql_failed(run, result, "indexing the staged rows");
		return;
	}
	push(run, 1, run->last_line);
	next_part(run);
}

static void split(struct import_run *run)
{
	if (import_send(run, "ROLLBACK TO SAVEPOINT whole", false, nothing))
		(void)import_send(run, "CREATE INDEX ON pg_temp.jobq_import (line)", false, answer_index);
}

/* ---- all at once ---- */

static void answer_whole(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status == PG_OK) {
		count(run, result->res);
		import_finish(run);
	} else if (strcmp(result->sqlstate, "21000") == 0 && !run->distinct && run->spec->conflict == IMPORT_UPDATE) {
		run->distinct = true;
		if (import_send(run, "ROLLBACK TO SAVEPOINT whole", false, nothing))
			whole(run);
	} else if (row_level(result)) {
		split(run);
	} else if (strcmp(result->sqlstate, "42P10") == 0) {
		import_fail(run, "the table %s has no unique index over the columns of \"key\"", run->spec->table_name);
	} else {
		import_sql_failed(run, result, "merging the rows");
	}
}

static void whole(struct import_run *run)
{
	const struct import_range all = {.all = true};

	if (!import_send(run, "SAVEPOINT whole", false, nothing))
		return;
	buf_reset(&run->sql);
	import_plan_merge(&run->plan, &all, run->distinct, &run->sql);
	import_plan_params(&run->plan, run->job->tenant, &all, &run->params);
	(void)import_send(run, buf_str(&run->sql), true, answer_whole);
}

void import_merge(struct import_run *run)
{
	run->told_ns = 0;
	import_read_progress(run, MERGING, "merging");
	if (run->rows == 0)
		import_finish(run);
	else
		whole(run);
}

/*
 * handlers/sync_bad.c: which items of a page the table does not want (see sync.h).
 *
 * Runs in a worker, when the merge of a page failed over its values: the page's transaction is gone, and each item is tried by itself,
 * under a savepoint that is always rolled back, in a transaction that never commits. With bad_rows = collect the bad ones are passed over and the
 * rest is merged; else the job FAILs with the first one's number. Invariant: nothing that is tried here stays.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "handlers/sync.h"

static void bad_next(struct sync_run *run);

/* All have been tried. */
static void bad_over(struct sync_run *run)
{
	sync_db_release(run);
	json_decref(run->list);
	run->list = NULL;
	run->tried = true;
	if (run->page.bad == 0) /* it is not one item's fault */
		sync_fail(run, "merging page %lld: %s", (long long)run->pages, run->error);
	else
		sync_pull_merge(run);
}

static void on_rolled_back(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	if (sync_db_good(run, result, "trying an item"))
		bad_next(run);
}

static void on_begun(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	(void)sync_db_good(run, result, "trying an item"); /* false: the run has ended */
}

static void on_tried(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;
	char text[500];

	if (result->status != PG_DATA) {
		(void)sync_db_good(run, result, "trying an item");
		return;
	}
	run->pending--;
	if (snprintf(text, sizeof text, "item %zu: %.400s", run->item, result->error) < 0)
		text[0] = '\0';
	if (run->spec->collect)
		sync_page_drop(&run->page, run->item, text);
	else
		sync_fail(run, "merging page %lld, %s", (long long)run->pages, text);
}

static bool bad_send(struct sync_run *run, const char *sql, pg_done *done)
{
	const struct pg_stmt stmt = {.name = NULL, .sql = sql};

	pg_params_reset(&run->params);
	return sync_db_send(run, &stmt, done);
}

/* The item as a page of its own. false: the run has ended. */
static bool bad_try(struct sync_run *run, const struct sync_group *g)
{
	const json_t *item = json_array_get(run->list, run->item - 1);
	char *text = json_dumps(item, JSON_COMPACT | JSON_ENCODE_ANY), *page;
	int64_t first = 1;
	const struct sync_group alone = {.has = g->has, .items = &first, .n = 1};

	if (text == NULL)
		mem_exhausted(0);
	page = xasprintf("[%s]", text);
	buf_reset(&run->sql);
	sync_plan_merge(&run->table, run->spec, &alone, &run->sql);
	const struct pg_stmt stmt = {.name = NULL, .sql = buf_str(&run->sql)};
	sync_plan_merge_params(&run->table, "", &alone, run->job->tenant, page, strlen(page), &run->params);
	free(text);
	free(page);
	return sync_db_send(run, &stmt, on_tried);
}

static void bad_next(struct sync_run *run)
{
	const struct sync_group *g = NULL;

	while (g == NULL && run->item < json_array_size(run->list))
		g = sync_page_group(&run->page, ++run->item);
	if (g == NULL)
		bad_over(run);
	else if (bad_send(run, "SAVEPOINT jobq_item", on_begun) && bad_try(run, g))
		(void)bad_send(run, "ROLLBACK TO SAVEPOINT jobq_item", on_rolled_back); /* false: the run has ended */
}

static void bad_begin(struct sync_run *run)
{
	if (bad_send(run, "BEGIN", on_begun))
		bad_next(run);
}

void sync_bad(struct sync_run *run, const char *error)
{
	(void)text_copy(run->error, sizeof run->error, error);
	sync_db_release(run);
	run->pending = 0;
	json_error_t why;
	json_t *doc = run->tried ? NULL : sync_page_load(run->body, run->body_len, &why);
	run->list = json_incref((json_t *)(uintptr_t)sync_spec_find(doc, run->page.path));
	json_decref(doc);
	run->item = 0;
	if (run->list == NULL)
		sync_fail(run, "merging page %lld: %s", (long long)run->pages, run->error);
	else
		sync_db_read(run, bad_begin);
}

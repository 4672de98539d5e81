/*
 * import_finish.c: the end of an import's transaction: bad rows noted, the job completed, COMMIT.
 *
 * Runs in a worker; a struct import_run when all its rows are merged (see import.h). jobq.complete is the last statement: when it
 * says false, somebody else has the job by now, and nothing of this run may stay. Once COMMIT is sent only its answer, or the
 * dispatcher's look at (id, token), tells what became of it. In a database that is not the queue's, the job is completed after
 * the COMMIT, and runs again if that gets lost: an update or an ignore of the same rows then changes nothing.
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "handlers/import.h"

#define SHOWN 10 /* bad rows in the result */

static char *result_text(const struct import_run *run)
{
	json_t *errors = json_array();
	int64_t bad = (int64_t)run->nbad, good = run->rows - run->unmerged;

	for (size_t i = 0; i < run->nbad && i < SHOWN; i++)
		if (json_array_append_new(errors, json_pack("{s:I,s:s}", "line", (json_int_t)run->bad[i].line, "reason", run->bad[i].reason)) != 0)
			mem_exhausted(0);
	json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rows", (json_int_t)(good + bad), "inserted", (json_int_t)run->inserted,
		"updated", (json_int_t)run->updated, "ignored", (json_int_t)(good - run->inserted - run->updated), "bad", (json_int_t)bad, "bytes", (json_int_t)run->read);
	if (run->nbad > 0 && json_object_set(o, "errors", errors) != 0)
		mem_exhausted(0);
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	json_decref(errors);
	if (text == NULL)
		mem_exhausted(0);
	return text;
}

static void answer_commit(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status == PG_OK && strcmp(PQcmdStatus(result->res), "COMMIT") == 0)
		import_end(run, run->import->home == HOME_HERE ? OUTCOME_COMMITTED : OUTCOME_DONE, -1, NULL, run->result);
	else if (result->status == PG_OK)
		import_end(run, OUTCOME_RETRY, -1, "the transaction was rolled back at its end", NULL);
	else
		import_sql_failed(run, result, "committing");
}

static void commit(struct import_run *run)
{
	run->committing = true;
	if (!import_send(run, "COMMIT", false, answer_commit))
		return;
	(void)FAULT(import_commit_sent);
}

static void answer_complete(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status != PG_OK)
		import_sql_failed(run, result, "completing the job");
	else if (PQntuples(result->res) == 1 && pg_get_bool(result->res, 0, 0))
		commit(run);
	else
		import_end(run, OUTCOME_RETRY, -1, "the job is somebody else's by now; nothing was imported", NULL);
}

static void complete(struct import_run *run)
{
	(void)FAULT(import_merged);
	if (run->import->home != HOME_HERE) {
		commit(run);
		return;
	}
	pg_params_reset(&run->params);
	pg_param_int8(&run->params, run->job->id);
	pg_param_int8(&run->params, run->job->token);
	pg_param_text(&run->params, run->result);
	(void)import_send_named(run, "handler_complete", answer_complete);
}

static void answer_errors(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	if (result->status != PG_OK)
		import_sql_failed(run, result, "noting the bad rows");
	else
		complete(run);
}

static void note_errors(struct import_run *run)
{
	struct pg_params *p = &run->params;

	pg_params_reset(p);
	pg_param_int8(p, run->job->id);
	pg_param_int8(p, run->job->token);
	pg_array_begin(p, PG_INT8, run->nbad);
	for (size_t i = 0; i < run->nbad; i++)
		pg_array_int8(p, run->bad[i].line);
	pg_array_end(p);
	pg_array_begin(p, PG_TEXT, run->nbad);
	for (size_t i = 0; i < run->nbad; i++)
		pg_array_text(p, run->bad[i].reason, strlen(run->bad[i].reason));
	pg_array_end(p);
	pg_array_begin(p, PG_TEXT, run->nbad);
	for (size_t i = 0; i < run->nbad; i++)
		pg_array_text(p, run->bad[i].row, strlen(run->bad[i].row));
	pg_array_end(p);
	(void)import_send_named(run, "import_errors", answer_errors);
}

void import_finish(struct import_run *run)
{
	run->result = result_text(run);
	if (run->nbad > 0 && run->import->home == HOME_HERE)
		note_errors(run);
	else
		complete(run);
}

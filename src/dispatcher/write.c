/*
 * dispatcher/write.c: the statements of a round of completions: which one writes a kind of fate, and its parameters.
 *
 * Runs in the dispatcher. Owns nothing. Every statement begins with the ids, ascending, and their tokens: the fence. The
 * parameters stand in the order of the statement's own head (sql/statements/).
 */
#include "config.h"

#include "dispatcher/write.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/leaf.h"

static const char *const end_texts[] = {"completed", "failed", "cancelled"};

static void param_ints(struct pg_params *p, const struct call *call, int (*of)(const struct job *))
{
	pg_array_begin(p, PG_INT4, call->n);
	for (size_t i = 0; i < call->n; i++)
		pg_array_int4(p, of(call->jobs[i]));
	pg_array_end(p);
}

static int charge_of(const struct job *job) { return job->charge; }
static int crashes_of(const struct job *job) { return job->new_crashes; }

static void param_errors(struct pg_params *p, const struct call *call)
{
	pg_array_begin(p, PG_TEXT, call->n);
	for (size_t i = 0; i < call->n; i++)
		pg_array_text(p, call->jobs[i]->error, call->jobs[i]->error_len);
	pg_array_end(p);
}

static void param_results(struct pg_params *p, const struct call *call)
{
	pg_array_begin(p, PG_JSONB, call->n);
	for (size_t i = 0; i < call->n; i++)
		pg_array_jsonb(p, call->jobs[i]->result, call->jobs[i]->result_len);
	pg_array_end(p);
}

static void param_places(struct pg_params *p, const struct call *call)
{
	pg_array_begin(p, PG_TID, call->n);
	for (size_t i = 0; i < call->n; i++)
		pg_array_tid(p, call->jobs[i]->place);
	pg_array_end(p);
}

static void param_batches(struct pg_params *p, const struct call *call)
{
	pg_array_begin(p, PG_INT8, call->n);
	for (size_t i = 0; i < call->n; i++)
		pg_array_int8(p, (int64_t)call->jobs[i]->batch_id);
	pg_array_end(p);
}

static void param_move(struct pg_params *p, const struct call *call)
{
	pg_array_begin(p, PG_TEXT, call->n);
	for (size_t i = 0; i < call->n; i++)
		pg_array_text(p, end_texts[call->jobs[i]->end], strlen(end_texts[call->jobs[i]->end]));
	pg_array_end(p);
	param_results(p, call);
	param_errors(p, call);
}

static void param_back(struct pg_params *p, const struct call *call)
{
	param_ints(p, call, charge_of);
	pg_array_begin(p, PG_INT8, call->n);
	for (size_t i = 0; i < call->n; i++)
		pg_array_int8(p, call->jobs[i]->delay_us);
	pg_array_end(p);
	param_ints(p, call, crashes_of);
	param_errors(p, call);
	param_results(p, call);
}

static const struct pg_stmt *params_of(struct pg_params *p, const struct call *call)
{
	switch (call->kind) {
	case KIND_DELETE:
		param_places(p, call);
		return db_stmt("finish_delete");
	case KIND_MOVE_DONE:
		param_places(p, call);
		pg_param_int4(p, call->expire_on);
		param_batches(p, call);
		return leaf_stmt(call->leaf, "finish_move_done");
	case KIND_MOVE:
		param_places(p, call);
		/* fall through */
	case KIND_FINISH_TIED:
		pg_param_int4(p, call->expire_on);
		param_batches(p, call);
		param_move(p, call);
		return call->kind == KIND_MOVE ? leaf_stmt(call->leaf, "finish_move") : db_stmt("finish_tied");
	case KIND_BACK:
	case KIND_BACK_TIED:
		param_back(p, call);
		return db_stmt(call->kind == KIND_BACK ? "back" : "back_tied");
	case KIND_HOLD:
	case KIND_HOLD_TIED:
		param_errors(p, call);
		param_results(p, call);
		return db_stmt(call->kind == KIND_HOLD ? "hold" : "hold_tied");
	case KIND_VERIFY:
		break;
	}
	return db_stmt("find_ended");
}

bool write_send(struct dispatcher *d, struct call *call, pg_done *done)
{
	struct pg_params *p = db_params(d);
	qsort(call->jobs, call->n, sizeof call->jobs[0], job_by_id);
	db_param_refs(d, call->jobs, call->n);
	const struct pg_stmt *stmt = params_of(p, call);
	return pg_conn_send(d->link[DB_ACK], stmt, p, false, done, call);
}

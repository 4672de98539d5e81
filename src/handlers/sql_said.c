/*
 * handlers/sql_said.c: reads the rows that the function returned (see sql_said.h).
 *
 * Pure; runs in workers. The columns are those of sql_law.c's statement, in binary. A row of a job that was not asked for, two rows
 * of one job, or a word that is no outcome: then the whole answer counts for nothing, as nobody knows what else it got wrong.
 * Texts are copied, since the result is freed before the transaction's end; error and result lie in one allocation.
 */
#include "config.h"

#include "handlers/sql_said.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg/conn.h"

#define AFTER_MAX_MS (INT64_C(30) * 24 * 3600 * 1000) /* nobody may put a job off for longer */

enum { COL_ID, COL_OUTCOME, COL_RESULT, COL_ERROR, COL_AFTER, COLS };

void sql_said_free(struct dialect_outcome *said)
{
	free(said->result);
	*said = (struct dialect_outcome){.o.after_ns = -1};
}

static int64_t said_after(const PGresult *res, int row)
{
	int64_t ms = pg_get_int8(res, row, COL_AFTER);

	if (pg_get_isnull(res, row, COL_AFTER))
		return -1;
	return (ms < 0 ? 0 : ms > AFTER_MAX_MS ? AFTER_MAX_MS : ms) * NS_PER_MS;
}

/* Both texts, each with a NUL behind it. */
static void said_texts(const PGresult *res, int row, struct dialect_outcome *said)
{
	size_t nerror = 0, nresult = 0;
	const char *error = pg_get_text(res, row, COL_ERROR, &nerror), *result = pg_get_jsonb(res, row, COL_RESULT, &nresult);
	char *both = xmalloc(nerror + nresult + 2);

	memcpy(both, result, nresult);
	both[nresult] = '\0';
	memcpy(both + nresult + 1, error, nerror);
	both[nresult + 1 + nerror] = '\0';
	said->result = both;
	if (!pg_get_isnull(res, row, COL_RESULT)) {
		said->o.result = both;
		said->o.result_len = nresult;
	}
	if (!pg_get_isnull(res, row, COL_ERROR)) {
		said->o.error = both + nresult + 1;
		said->o.error_len = nerror;
	}
}

static size_t said_of(const PGresult *res, int row, struct jobq_job *const *jobs, size_t n)
{
	size_t i = 0;

	while (i < n && (jobs[i] == NULL || pg_get_isnull(res, row, COL_ID) || jobs[i]->id != pg_get_int8(res, row, COL_ID)))
		i++;
	return i;
}

const char *sql_said_read(const PGresult *res, struct jobq_job *const *jobs, struct dialect_outcome *said, size_t n)
{
	static const char silent[] = "the function said nothing of this job";

	for (size_t i = 0; i < n; i++) {
		sql_said_free(&said[i]);
		said[i].o.kind = OUTCOME_RETRY;
		said[i].o.error = silent;
		said[i].o.error_len = sizeof silent - 1;
	}
	if (PQnfields(res) != COLS)
		return "the function's answer has not the columns id, outcome, result, error, after";
	for (int row = 0; row < PQntuples(res); row++) {
		size_t i = said_of(res, row, jobs, n);
		if (i == n)
			return "the function returned a row for a job that it was not called with";
		if (said[i].result != NULL)
			return "the function returned two rows for one job";
		if (!dialect_outcome_kind(pg_get_text(res, row, COL_OUTCOME, NULL), &said[i].o.kind))
			return "the function returned an outcome that is not one of done, retry, snooze, fail, uncertain, committed";
		said[i].o.error = NULL;
		said[i].o.error_len = 0;
		said[i].o.after_ns = said_after(res, row);
		said_texts(res, row, &said[i]);
	}
	return NULL;
}

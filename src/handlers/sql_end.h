/*
 * handlers/sql_end.h: how the jobs of a run end, or go again, when its transaction did not (sql_end.c); between the files of the handler sql.
 *
 * Every function that says so may free the run: it is the last thing that its caller does with it.
 */
#ifndef JOBQ_HANDLERS_SQL_END_H
#define JOBQ_HANDLERS_SQL_END_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "handlers/sql_law.h"
#include "handlers/sql_run.h"

#define SQL_AWAY_NS (2 * NS_PER_S) /* the database is away: look again */

size_t sql_end_left(const struct sql_run *run, size_t from, size_t to); /* jobs that have not ended */
void sql_end_at(struct sql_run *run, size_t i, const struct jobq_outcome *o);
void sql_end_forget_said(struct sql_run *run);
void sql_end_let_go(struct sql_run *run); /* of its connection, and of its place in the line for one */
void sql_end_free(struct sql_run *run);
/* These may free it. */
void sql_end_all(struct sql_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error);
void sql_end_away(struct sql_run *run, const char *error);                             /* all wait for the database */
void sql_end_died(struct sql_run *run, const char *error);                             /* the session ended during the call */
void sql_end_failed(struct sql_run *run, const struct pg_result *result);              /* a request of the transaction failed */
void sql_end_undo(struct sql_run *run, enum sql_verdict verdict, const char *error);   /* ROLLBACK, then sql_end_part */
void sql_end_part(struct sql_run *run, enum sql_verdict verdict, const char *error);   /* it is rolled back: again, halved, or ended */

#endif

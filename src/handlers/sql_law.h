/*
 * handlers/sql_law.h: what the handler `sql` may call, and what the database's refusals mean. Pure.
 */
#ifndef JOBQ_HANDLERS_SQL_LAW_H
#define JOBQ_HANDLERS_SQL_LAW_H

#include <stdbool.h>

#include "base/buf.h"

enum sql_verdict {
	SQL_LOST,    /* the connection went: nothing of this transaction stays, but for a commit that may have come through */
	SQL_AWAY,    /* the database cannot now, whatever the jobs */
	SQL_REFUSED, /* no job will fare better until somebody changes function, rights or configuration */
	SQL_AGAIN,   /* ran into another transaction: the same again */
	SQL_RETRY,   /* some job of it is at fault, or unlucky */
	SQL_FAIL,    /* some job of it is at fault, and always will be */
};

/* Appends the statement that calls `function` ("schema.name") with $1. false: it is no such name, and nothing is appended. */
bool sql_statement(const char *function, struct buf *out);
/* `inside`: raised while the function ran, not by the call itself. */
enum sql_verdict sql_verdict(const char *sqlstate, bool inside);

#endif

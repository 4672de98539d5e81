/* handlers/sql_said.h: what the function said of its jobs. Pure. */
#ifndef JOBQ_HANDLERS_SQL_SAID_H
#define JOBQ_HANDLERS_SQL_SAID_H

#include <libpq-fe.h>
#include <stddef.h>

#include "handlers/dialect.h"

/* Fills said[i] for jobs[i] (NULL: not asked for). A job of which nothing is said is to be retried. NULL, or what is wrong with the answer,
 * whose values may be half filled then. */
const char *sql_said_read(const PGresult *res, struct jobq_job *const *jobs, struct dialect_outcome *said, size_t n);
void sql_said_free(struct dialect_outcome *said);

#endif

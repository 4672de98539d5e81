/*
 * dispatcher/leaf.h: history leaves of jobq.jobs: which one a finished row goes to, and whether it is there.
 *
 * Runs in the dispatcher. Days are counted from 2000-01-01 (UTC), as PostgreSQL's date does. A leaf holds the seven days from
 * a Monday and is called jobs_h_YYYYMMDD after it; jobq.ensure_leaf makes it.
 */
#ifndef JOBQ_DISPATCHER_LEAF_H
#define JOBQ_DISPATCHER_LEAF_H

#include <stdbool.h>
#include <stdint.h>

struct dispatcher;
struct job;
struct pg_stmt;

int32_t leaf_expiry(int64_t db_now_us, int64_t keep_ns); /* the first day on which the row may go */
int32_t leaf_job_expiry(const struct dispatcher *d, const struct job *job); /* by its queue's retention and how it ended; 0 = nothing is kept */
int32_t leaf_of(int32_t day);                            /* the Monday of its week */
bool leaf_there(const struct dispatcher *d, int32_t leaf);
void leaf_make(struct dispatcher *d, int32_t day);       /* asks once; pumps when it is there */
void leaf_forget(struct dispatcher *d, int32_t leaf);    /* a statement did not find it */
void leaf_name(int32_t leaf, char dst[32]);              /* jobs_h_YYYYMMDD */
const struct pg_stmt *leaf_stmt(int32_t leaf, const char *name); /* the statement `name` with %LEAF% replaced by that leaf */

#endif

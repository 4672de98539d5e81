/*
 * handlers/sql_run.h: jobs of one batch that go to the function together, until each of them has ended.
 *
 * Runs in a worker. A run has one connection of the pool at a time, and one transaction at a time: BEGIN, the call, the completion of
 * what it called done, COMMIT. A transaction that fails is rolled back and its jobs are halved, until the one at fault is alone.
 */
#ifndef JOBQ_HANDLERS_SQL_RUN_H
#define JOBQ_HANDLERS_SQL_RUN_H

#include <stdint.h>
#include <sys/queue.h>

#include "handlers/dialect.h"
#include "jobq/handler.h"
#include "pg/conn.h"

struct event;
struct pg_pool;
struct pg_wait;
struct conf_queue;

TAILQ_HEAD(sql_runs, sql_run);

struct sql {
	const struct conf_queue *queue;
	struct pg_pool *pool;
	struct event *turn;
	struct sql_runs open;       /* still taking jobs, in this turn of the loop */
	char *text;
	struct pg_stmt call, complete;
	struct pg_params params;    /* scratch */
};

enum sql_phase { SQL_OPEN, SQL_WAITING, SQL_CALLING, SQL_COMPLETING, SQL_COMMITTING, SQL_UNDOING };

struct sql_run {
	struct sql *sql;
	uint64_t batch_id;
	bool alone;                 /* one job under suspicion: takes no other */
	enum sql_phase phase;
	struct pg_wait *wait;
	struct pg_conn *conn;
	struct jobq_job **jobs;     /* of `count`; NULL: has ended */
	struct dialect_outcome *said; /* what the function said of each; valid from COMPLETING on */
	size_t count;
	size_t from, to;            /* those of the transaction */
	size_t *stack, depth;       /* ends of the parts behind `to`: the next one begins at `to` */
	unsigned again;             /* how often this part ran into others */
	TAILQ_ENTRY(sql_run) link;  /* in sql->open while OPEN */
};

/* How often the session died under earlier calls with this job in it; it says so itself, in the result that it left. */
int64_t sql_run_deaths(const struct jobq_job *job);
struct sql_run *sql_run_new(struct sql *sql, uint64_t batch_id, bool alone);
void sql_run_add(struct sql_run *run, struct jobq_job *job); /* only while it is OPEN */
void sql_run_start(struct sql_run *run);
void sql_run_begin(struct sql_run *run); /* the transaction of its part, on a connection; may free it */
void sql_run_next(struct sql_run *run);  /* the part is over: the next one, or the end of the run */
/* Takes the job out and ends it so. A transaction that it is in is given up, and the others go again; then nothing of it stays. Not
 * once COMMIT was sent: then only the job is let go. May free the run. */
void sql_run_take_out(struct sql_run *run, struct jobq_job *job, const struct jobq_outcome *o);

#endif

/*
 * handlers/sync.h: the inside of the sync handler, shared by its files. Private to sync*.c.
 *
 * One struct sync_run a begun job, from go to jobq_end. The files:
 *   sync.c        the handler; every way in which a run ends
 *   sync_db.c     connections: the look before it begins, the transaction of each step, waits
 *   sync_pull.c   asks for pages; each is merged in one step
 *   sync_bad.c    which items of a page the table does not want
 *   sync_push.c   reads what changed, sends it; what became of it is a step
 * and the pure ones: sync_spec.c (payload), sync_plan.c (SQL), sync_page.c (answers).
 *
 * A step is a transaction: the new state first (jobq.sync_keep, which only one of two can take), then rows, then progress or the job's own
 * completion. No connection is held while a request is out.
 */
#ifndef JOBQ_HANDLERS_SYNC_H
#define JOBQ_HANDLERS_SYNC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handlers/http.h"
#include "handlers/sync_page.h"
#include "handlers/sync_plan.h"
#include "handlers/sync_spec.h"
#include "jobq/handler.h"
#include "pg/conn.h"

#define SYNC_ERRORS_KEPT 10 /* of rows that were refused, in the result */

struct headers;
struct pg_pool;
struct pg_wait;
struct sync_run;
typedef void sync_then(struct sync_run *run);

struct sync { /* the handler's state */
	const struct conf_queue *queue;
	struct pg_pool *pool;
	struct http *http;
	struct headers *headers;
	struct sync_rules rules;
};

struct sync_row { /* a push's */
	json_t *item;
	char *text, *key; /* JSON, as the database wrote it */
};

struct sync_run {
	struct sync *sync;
	struct jobq_job *job;
	struct sync_spec *spec;
	struct buf source;
	struct sync_table table;
	struct http_call *call;
	struct pg_wait *wait;
	struct pg_conn *conn;
	struct pg_params params;
	sync_then *then;         /* when there is a connection */

	/* what the look found */
	bool home;               /* the database is the queue's */
	int64_t seq, horizon;
	json_t *state;           /* an object */
	int waits;               /* failures in a row of this host */

	/* a step (sync_db.c) */
	sync_then *rows_of;      /* adds the statements of its rows */
	sync_then *after;        /* it is committed */
	bool telling;            /* its rows are there; progress or completion is out */
	bool last;               /* with the job's completion */
	bool committing;         /* COMMIT is sent: only its answer says what became of it */
	bool cancelled;          /* end after this step */
	struct buf sql;
	size_t pending;          /* statements that were not answered */

	/* pull */
	char *url;               /* asked for now */
	char *body;
	size_t body_len;
	struct sync_page page;
	int64_t number;          /* SYNC_NUMBERS: of the page */
	bool conditional;        /* it is asked only for what is new */
	bool unchanged;          /* and there was nothing */
	int64_t pages, items, inserted, updated, bad;
	int64_t page_inserted, page_updated;
	json_t *list;            /* sync_bad.c: the items of a page that was refused */
	size_t item;             /* which of them is tried, from 1 */
	bool tried;              /* all of this page's were */

	/* push */
	struct sync_row *rows;
	size_t nrows, at;        /* at: the row that is out, of a URL with {column} */
	int64_t base, target;    /* base INT64_MIN: everything */
	json_t *again, *pending_keys; /* to be sent once more: what this round takes up, and what it leaves */
	int64_t sent, refused;

	json_t *errors;          /* the first refusals of either way, as texts */

	/* the end, while a wait is noted */
	enum jobq_outcome_kind kind;
	int64_t after_ns;
	char error[600];
};

/* sync.c: these end the job and free the run: return at once */
void sync_end(struct sync_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error);
void sync_fail(struct sync_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sync_lost(struct sync_run *run, const char *why); /* the database is away */
void sync_sql_failed(struct sync_run *run, const char *doing, const struct pg_result *result);
void sync_finished(struct sync_run *run);              /* the last step is committed */
char *sync_result(const struct sync_run *run);         /* what was done so far, as JSON; the caller frees it */
/* Sends the request, with what is common to all; false: the run has ended. */
bool sync_ask(struct sync_run *run, struct http_request *r);
/* An answer that is no success: ends the job, now or when a wait is noted. what: of which request */
void sync_refused(struct sync_run *run, const struct http_reply *reply, const char *what);

/* sync_db.c */
void sync_db_look(struct sync_run *run, sync_then *then);
/* A step: keeps run->state; `rows` adds statements by sync_db_send; `then` follows the commit. */
void sync_db_step(struct sync_run *run, sync_then *rows, sync_then *then);
void sync_db_read(struct sync_run *run, sync_then *then); /* a connection, for sync_db_send; give it back by sync_db_release */
bool sync_db_send(struct sync_run *run, const struct pg_stmt *stmt, pg_done *done); /* with run->params; false: the run has ended */
/* Each answer of a step's statement: whether it is good, else the run has ended. After the last, COMMIT. */
bool sync_db_good(struct sync_run *run, const struct pg_result *result, const char *doing);
void sync_db_settle(struct sync_run *run);
void sync_db_release(struct sync_run *run);
/* Notes that the host is to be left alone (after_ns < 0: for a time that grows), and ends the job. */
void sync_db_put_off(struct sync_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error);

void sync_pull(struct sync_run *run);       /* sync_pull.c */
void sync_pull_merge(struct sync_run *run); /* the step of the page that is here */
void sync_bad(struct sync_run *run, const char *error); /* sync_bad.c: the table refused the page, or one of its items */
void sync_push(struct sync_run *run);       /* sync_push.c */
void sync_push_free(struct sync_run *run);  /* its rows */

#endif

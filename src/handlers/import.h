/*
 * handlers/import.h: the inside of the import handler, shared by its files. Private to import*.c.
 *
 * One struct import_run a begun job, from go to jobq_end. The files, in the order of a run:
 *   import.c         the handler; acquiring a connection; every way in which a run ends
 *   import_start.c   whose database, which table, the file's header; then BEGIN and the staging table
 *   import_read.c    the source through the splitter into COPY; progress; bad rows
 *   import_merge.c   the merge, and the search for what is wrong with it
 *   import_finish.c  bad rows noted, the job completed, COMMIT
 * and import_file.c, import_url.c: where the bytes come from.
 */
#ifndef JOBQ_HANDLERS_IMPORT_H
#define JOBQ_HANDLERS_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "handlers/import_plan.h"
#include "handlers/import_spec.h"
#include "handlers/import_split.h"
#include "jobq/handler.h"
#include "pg/conn.h"

#define IMPORT_BAD_MAX 1000 /* rows that are set aside; one more and the import fails */
#define IMPORT_TEXT_MAX 1000 /* bytes of a bad row that are kept */

struct event;
struct event_base;
struct import_run;
struct pg_pool;
struct pg_wait;

struct import { /* the handler's state */
	struct event_base *base;
	const struct conf_queue *queue;
	struct pg_pool *pool;
	const char *user_agent;
	enum import_home { HOME_UNKNOWN, HOME_HERE, HOME_ELSEWHERE } home; /* the pool's database is that of the queue */
	struct import_url *url; /* NULL: allow_url is off */
};

struct import_bad {
	int64_t line;
	char *reason, *row; /* valid UTF-8 */
};

struct import_run {
	struct import *import;
	struct jobq_job *job;
	struct import_spec *spec;
	struct import_table table;
	struct import_plan plan;
	char **names;            /* of the file's columns, or NULL: one block */
	size_t nnames;
	struct pg_wait *wait;    /* for a connection */
	struct pg_conn *conn;
	struct pg_params params;
	struct buf sql;

	/* import_read.c */
	struct import_split split;
	struct event *turn;      /* goes on with reading, a loop turn later */
	struct buf out;          /* rows for the COPY */
	bool splitting;          /* split is open */
	char *chunk;             /* what a file is read into */
	char *failed;            /* why the import cannot go on; whoever reads looks here */
	bool looking;            /* reading only until the columns are known */
	bool header_due;         /* the next row names the columns */
	bool copying;            /* the staging table is there */
	bool wanted;             /* the COPY takes data */
	bool ended;              /* the source is at its end */
	int64_t read, size;      /* bytes so far; of all, 0 = not known */
	int64_t rows, last_line; /* staged */
	int64_t told_ns;         /* the last progress */
	struct import_bad *bad;
	size_t nbad;

	/* import_file.c, import_url.c */
	int fd;                  /* -1 = none */
	struct { int64_t size, mtime_ns; } stat; /* as it was opened */
	struct import_fetch *fetch;

	/* import_merge.c */
	int64_t inserted, updated, unmerged; /* unmerged: staged, and found bad */
	bool distinct;           /* the file holds a key twice: the last row counts */
	struct import_range *stack;
	size_t nstack, stack_room;
	struct import_range range;
	size_t probe;            /* the target whose cast is tried */
	char *reason;            /* of the bad row whose column is looked for */

	/* import_finish.c */
	char *result;            /* JSON */
	bool committing;         /* COMMIT is sent: only its answer says what became of it */
};

/* import.c. Each of these ends the job and frees the run: return at once. */
void import_fail(struct import_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void import_end(struct import_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error, const char *result);
void import_sql_failed(struct import_run *run, const struct pg_result *result, const char *doing); /* what the error means for the job */
void import_lost(struct import_run *run); /* the connection is */
/* Sends a statement with run->params, or without parameters; false: the connection is lost, and the run has ended. */
bool import_send(struct import_run *run, const char *sql, bool with_params, pg_done *done);
bool import_send_named(struct import_run *run, const char *name, pg_done *done); /* of sql/statements, with run->params */

void import_start(struct import_run *run);  /* import_start.c: the connection is there */
void import_known(struct import_run *run);  /* import_start.c: the file's columns are known, or need not be */

/* import_read.c */
void import_read_open(struct import_run *run);
void import_read_close(struct import_run *run);
void import_read_go(struct import_run *run);     /* reads on, until enough is known or the COPY has enough */
void import_read_copy(struct import_run *run);   /* the staging table is there: COPY */
void import_read_fed(struct import_run *run, const char *data, size_t len); /* from a source that pushes */
void import_read_ended(struct import_run *run);
bool import_read_full(const struct import_run *run); /* a source that pushes should wait */
void import_read_progress(struct import_run *run, double percent, const char *doing); /* at most once a second */
/* Takes note of a bad row; false: it is one too many, run->failed says so. */
bool import_read_bad(struct import_run *run, int64_t line, const char *reason, const char *row, size_t len);

/* import_file.c */
bool import_file_open(struct import_run *run);   /* false: the run has ended */
ssize_t import_file_read(struct import_run *run, char *data, size_t size); /* 0 at the end, -1 and errno */
bool import_file_same(const struct import_run *run); /* nobody changed it while it was read */
void import_file_close(struct import_run *run);

/* import_url.c */
struct import_url *import_url_new(const struct import *im, char *err, size_t errlen);
void import_url_free(struct import_url *url);
bool import_url_open(struct import_run *run);    /* false: the run has ended */
void import_url_resume(struct import_run *run);
void import_url_close(struct import_run *run);

void import_merge(struct import_run *run);  /* import_merge.c: all rows are staged */
void import_finish(struct import_run *run); /* import_finish.c: all rows are merged */

#endif

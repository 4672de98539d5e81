/*
 * pg/conn.h: one asynchronous PostgreSQL connection on libevent, always in pipeline mode, that comes back by itself.
 *
 * Runs in the dispatcher and, in a pool (pg/pool.h), in workers. Owns the PGconn, its events, the queue of requests under way.
 * Each request is its own transaction (one sync point a request), so one failing does not abort its neighbours. Callbacks
 * come in the order of sending, from the event loop, never from inside pg_conn_send. When the connection is lost, every
 * request that was sent or queued is called back with PG_LOST: the caller must treat its effect as unknown. While the
 * connection is not ready, sending is refused (false): the database being away is a state, not an error.
 *
 * Reconnects for ever with backoff (0.1 s doubling to 5 s, jitter). Statements are prepared lazily, once a connection,
 * unless `pooler` says otherwise. After connecting it runs the `setup` statements (SET …; skipped behind a pooler).
 */
#ifndef JOBQ_PG_CONN_H
#define JOBQ_PG_CONN_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct event_base;
struct pg_conn;

/* A statement C sends: text from sql/statements/ (see pg/sql.h) or made from a template. Lives as long as the connection. */
struct pg_stmt {
	const char *name; /* unique; the prepared statement's name. NULL: sent without one, and sql may go after the call */
	const char *sql;
};

enum pg_status {
	PG_OK,
	PG_LOST,      /* the connection went away: effect unknown */
	PG_TRANSIENT, /* rolled back, worth trying again: serialization, deadlock, resources, admin shutdown, lock timeout, read only */
	PG_SCHEMA,    /* no such table, column, function, or no permission: the database is not as we know it */
	PG_DATA,      /* this request's values are at fault */
};

struct pg_result {
	enum pg_status status;
	PGresult *res;        /* PG_OK: rows in binary format unless asked for text; freed after the callback. Else may be NULL */
	const char *error;    /* primary message, cleaned, never with values; "" when OK */
	char sqlstate[6];
	bool inside;          /* an error that was raised within a function, not by the statement itself */
};
typedef void pg_done(void *arg, const struct pg_result *result);

struct pg_calls {
	void (*ready)(void *arg, struct pg_conn *conn);                    /* connected and set up */
	void (*down)(void *arg, struct pg_conn *conn, const char *error);  /* lost, or a connection attempt failed; it tries again by itself */
	void (*notify)(void *arg, struct pg_conn *conn, const char *channel, const char *payload);
};

struct pg_opts {
	const char *name;        /* of this connection, for logs and application_name ("jobqd claim") */
	const char *conninfo;    /* conninfo or URI, several hosts allowed; copied */
	bool pooler;             /* behind a transaction pooler: no SET, no named statements */
	const char *const *setup; /* NULL-terminated SQL commands, or NULL */
	bool once;               /* lost after it was ready, it stays down: whoever has it must see that his transaction is gone */
};

/* Parameters in binary: add them in order of $1, $2, … ; keeps its memory between uses (pg_params_reset). */
#define PG_PARAMS_MAX 24
struct pg_params {
	int n;
	size_t at[PG_PARAMS_MAX];  /* start of each value in data */
	int len[PG_PARAMS_MAX];    /* -1 = NULL */
	int format[PG_PARAMS_MAX]; /* 0 text, 1 binary */
	struct buf data;
	uint32_t elems; /* of the array being built */
	bool nulls;     /* it has NULL elements */
};
void pg_params_reset(struct pg_params *p);
void pg_params_free(struct pg_params *p);
void pg_param_null(struct pg_params *p);
void pg_param_int4(struct pg_params *p, int32_t v);
void pg_param_int8(struct pg_params *p, int64_t v);
void pg_param_bool(struct pg_params *p, bool v);
void pg_param_text(struct pg_params *p, const char *text);              /* NULL pointer = NULL; sent as text, any type */
void pg_param_textn(struct pg_params *p, const char *text, size_t len); /* no NUL inside */
/* One-dimensional arrays; begin, then n elements, then end. */
enum pg_elem { PG_INT2 = 21, PG_INT4 = 23, PG_INT8 = 20, PG_TEXT = 25, PG_JSONB = 3802, PG_BOOL = 16, PG_FLOAT8 = 701, PG_TIMESTAMPTZ = 1184, PG_TID = 27 };
#define PG_NO_TID INT64_C(-1)
void pg_array_begin(struct pg_params *p, enum pg_elem elem, size_t n);
void pg_array_int2(struct pg_params *p, int16_t v);
void pg_array_int4(struct pg_params *p, int32_t v);
void pg_array_int8(struct pg_params *p, int64_t v);
void pg_array_timestamp_us(struct pg_params *p, int64_t us); /* since 1970; INT64_MIN, INT64_MAX = -infinity, infinity */
void pg_array_tid(struct pg_params *p, int64_t tid);         /* as pg_get_tid gave it; PG_NO_TID = NULL element */
void pg_array_float8(struct pg_params *p, double v);
void pg_array_text(struct pg_params *p, const char *text, size_t len);  /* NULL pointer = NULL element */
void pg_array_jsonb(struct pg_params *p, const char *text, size_t len); /* NULL pointer = NULL element; text must be JSON */
void pg_array_end(struct pg_params *p);

struct pg_conn *pg_conn_new(struct event_base *base, const struct pg_opts *opts, const struct pg_calls *calls, void *arg);
void pg_conn_free(struct pg_conn *conn);      /* closes; callbacks of requests under way are not called */
bool pg_conn_ready(const struct pg_conn *conn);
void pg_conn_reset(struct pg_conn *conn, const char *why); /* drop it and reconnect at once (PG_LOST for what is under way) */
/* Sends `stmt` (results binary) or, text = true, with results in text. false: not connected, nothing happens. */
bool pg_conn_send(struct pg_conn *conn, const struct pg_stmt *stmt, const struct pg_params *params, bool text, pg_done *done, void *arg);
/* One command without parameters, run outside the statement cache ("LISTEN jobq_wake"); results in text. */
bool pg_conn_exec(struct pg_conn *conn, const char *sql, pg_done *done, void *arg);
/*
 * COPY … FROM STDIN (conn_copy.c), for which the connection leaves its pipeline: nothing else may be under way or sent until
 * `done`. `more` asks for data, again and again, from the event loop; give it with pg_copy_put until that says false (it has all it
 * can take, `more` follows), and end with pg_copy_end. The server's complaint comes with `done`, as the loss of the connection
 * does: then nothing more is asked for.
 */
typedef void pg_more(void *arg);
bool pg_conn_copy(struct pg_conn *conn, const char *sql, pg_more *more, pg_done *done, void *arg); /* false: not ready, or busy */
bool pg_copy_put(struct pg_conn *conn, const char *data, size_t len); /* all of it is taken, whatever it returns */
void pg_copy_end(struct pg_conn *conn, const char *error);            /* error: the server is to give up, for this reason */
/* Asks the server to stop what it does for this connection, on a connection and in a thread of its own; never waits for it. */
void pg_conn_cancel(struct pg_conn *conn);
bool pg_conn_idle(const struct pg_conn *conn); /* ready, nothing under way, no transaction open */
size_t pg_conn_pending(const struct pg_conn *conn); /* requests sent and not answered */
uint64_t pg_conn_answered(const struct pg_conn *conn); /* requests called back so far: pending and no progress here = silence */
const char *pg_conn_error(const struct pg_conn *conn); /* why it is down, without secrets; "" when it is not */

/* Reading binary results; a NULL or a wrong length gives 0, "" or false. */
int16_t pg_get_int2(const PGresult *res, int row, int col);
int32_t pg_get_int4(const PGresult *res, int row, int col);
int64_t pg_get_int8(const PGresult *res, int row, int col);
bool pg_get_bool(const PGresult *res, int row, int col);
double pg_get_float8(const PGresult *res, int row, int col);
const char *pg_get_text(const PGresult *res, int row, int col, size_t *len); /* points into res, NUL terminated */
const char *pg_get_jsonb(const PGresult *res, int row, int col, size_t *len); /* JSON text behind the version byte */
int64_t pg_get_timestamp_us(const PGresult *res, int row, int col);           /* timestamptz: us since 1970; INT64_MAX for infinity */
int64_t pg_get_tid(const PGresult *res, int row, int col);   /* a row's place: block << 16 | line, >= 0; PG_NO_TID for NULL */
bool pg_get_isnull(const PGresult *res, int row, int col);

/* Class of an error by SQLSTATE (NULL or "" = the connection): pure, for tests and for blocking users of libpq. */
enum pg_status pg_error_class(const char *sqlstate);
/* "host/dbname" of a conninfo or URI for people: no user, no password. */
void pg_target_text(const char *conninfo, char *dst, size_t size);

#endif

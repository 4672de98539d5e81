/*
 * pg/conn_int.h: the inside of a connection, shared by conn.c (its life), conn_io.c (its traffic) and conn_copy.c (COPY).
 * Private to src/pg.
 */
#ifndef JOBQ_PG_CONN_INT_H
#define JOBQ_PG_CONN_INT_H

#include <sys/queue.h>
#include <uthash.h>

#include "pg/conn.h"

enum conn_state {
	CONN_WAITING,    /* for the timer, then an attempt */
	CONN_CONNECTING, /* PQconnectPoll */
	CONN_SETUP,      /* setup commands are under way */
	CONN_READY,
	CONN_BROKEN,     /* to be closed by the timer, at once: so that callbacks come from the event loop alone */
};

/* One statement this connection knows by name. `serial` tells a new preparation from one that failed or went stale. */
struct prepared {
	UT_hash_handle hh;
	char *name;
	unsigned serial;
	bool known; /* prepared, or its preparation is under way */
};

struct request {
	STAILQ_ENTRY(request) next;
	pg_done *done;
	void *arg;
	struct prepared *prepared; /* NULL: sent without a name */
	unsigned serial;
	bool preparing;            /* the next result is that of the preparation */
	bool fatal;                /* the server is ending the connection */
	bool stale;                /* its plan must be made again */
	bool read_only;            /* the server is no primary (any more) */
	struct pg_result result;
	char error[512];
};
STAILQ_HEAD(request_list, request);

enum copy_state {
	COPY_ASKED,  /* the statement is sent */
	COPY_TAKING, /* the server takes data */
	COPY_ENDING  /* it was told the end, or refused */
};
struct copy {
	enum copy_state state;
	pg_more *more;
	bool full; /* told to wait; `more` when libpq's buffer is empty */
	struct request request;
};

struct pg_conn {
	struct event_base *base;
	struct pg_calls calls;
	void *arg;
	char *name;
	char *conninfo;
	char **setup; /* NULL-terminated */
	bool pooler;

	enum conn_state state;
	PGconn *pq;
	struct event *io;    /* readable; while connecting, whatever libpq waits for */
	struct event *write; /* only while libpq has bytes it could not send */
	struct event *timer;
	struct request_list requests;
	size_t pending;
	uint64_t answered;   /* requests called back */
	struct prepared *prepared;
	unsigned turn;     /* which host comes first */
	unsigned failures; /* attempts in a row */
	size_t setup_left;
	bool at_once;      /* after CONN_BROKEN no backoff */
	bool once, spent;  /* once: stays down when it is lost after it was ready (spent) */
	struct copy *copy; /* under way, instead of requests */
	unsigned depth;    /* inside callbacks: freeing waits for the outermost */
	bool freed;
	char error[512];
};

/* conn.c: breaks the connection from the event loop, a moment later; `why` is cleaned and masked. */
void pg_conn_fail(struct pg_conn *conn, const char *why, bool at_once);

/* conn_io.c */
void conn_io_exec(struct pg_conn *conn, const char *sql, pg_done *done, void *arg);
void conn_io_read(struct pg_conn *conn);   /* the socket is readable: results and notifications are called back */
void conn_io_flush(struct pg_conn *conn);
void conn_io_lost(struct pg_conn *conn);   /* calls back everything under way with PG_LOST; pq is closed already */
void conn_io_discard(struct pg_conn *conn); /* drops everything under way without a call */
void conn_io_note_failure(struct request *r, const PGresult *res); /* the first error of a request stands */
void conn_io_forget(struct pg_conn *conn); /* names of prepared statements */

/* conn_copy.c */
void conn_copy_read(struct pg_conn *conn);    /* input was consumed */
void conn_copy_flushed(struct pg_conn *conn); /* libpq's buffer may be empty */
void conn_copy_lost(struct pg_conn *conn);    /* calls it back with PG_LOST, unless the connection is being freed */

#endif

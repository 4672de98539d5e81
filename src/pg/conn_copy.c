/*
 * conn_copy.c: COPY … FROM STDIN on an asynchronous connection, and cancelling what it does.
 *
 * Runs on the event loop of the process that owns the connection (a worker); the cancel request alone runs in a thread, as
 * libpq's PQcancel blocks and nothing else does it. libpq knows no COPY in its pipeline mode, so the connection leaves it while a
 * copy is under way and takes it up again before `done`. What libpq cannot send at once is kept in its buffer; pg_copy_put then
 * says "enough", so memory holds one piece of the caller's beyond the socket.
 *
 * Invariant: while conn->copy is there, no request is under way and none is accepted. A complaint of the server in the middle is
 * read at the end: libpq does not look for it earlier, and the server throws away what follows it.
 */
#include "config.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "pg/conn_int.h"

bool pg_conn_copy(struct pg_conn *conn, const char *sql, pg_more *more, pg_done *done, void *arg)
{
	if (conn->state != CONN_READY || conn->copy != NULL || !STAILQ_EMPTY(&conn->requests))
		return false;
	conn->copy = xcalloc(1, sizeof *conn->copy);
	conn->copy->more = more;
	conn->copy->request.done = done;
	conn->copy->request.arg = arg;
	if (PQexitPipelineMode(conn->pq) != 1 || PQsendQuery(conn->pq, sql) != 1)
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
	else
		conn_io_flush(conn);
	return true;
}

bool pg_copy_put(struct pg_conn *conn, const char *data, size_t len)
{
	struct copy *copy = conn->copy;

	if (copy == NULL || copy->state != COPY_TAKING || conn->state != CONN_READY)
		return false;
	if (len > INT32_MAX || PQputCopyData(conn->pq, data, (int)len) != 1) {
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
		return false;
	}
	int left = PQflush(conn->pq);
	if (left == 0)
		return true;
	if (left < 0) {
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
		return false;
	}
	/* `more` hangs on this event, so it is added whatever the server takes meanwhile: no second look at the buffer here */
	copy->full = true;
	if (event_add(conn->write, NULL) != 0)
		pg_conn_fail(conn, "cannot watch the connection's socket", false);
	return false;
}

void pg_copy_end(struct pg_conn *conn, const char *error)
{
	if (conn->copy == NULL || conn->copy->state != COPY_TAKING || conn->state != CONN_READY)
		return;
	conn->copy->state = COPY_ENDING;
	if (PQputCopyEnd(conn->pq, error) != 1) {
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
		return;
	}
	conn_io_flush(conn);
	if (conn->copy != NULL && conn->state == CONN_READY)
		event_active(conn->io, EV_READ, 0); /* a complaint that came in the middle lies in libpq's buffer: the socket says nothing more */
}

/* The last answer has come: back into the pipeline, then the caller is told. */
static void finish(struct pg_conn *conn)
{
	struct copy *copy = conn->copy;

	if (PQenterPipelineMode(conn->pq) != 1) {
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
		return;
	}
	conn->copy = NULL;
	conn->answered++;
	copy->request.result.error = copy->request.error;
	copy->request.done(copy->request.arg, &copy->request.result);
	PQclear(copy->request.result.res);
	free(copy);
}

static void take(struct pg_conn *conn, PGresult *res)
{
	struct copy *copy = conn->copy;

	switch (PQresultStatus(res)) {
	case PGRES_COPY_IN:
		PQclear(res);
		copy->state = COPY_TAKING;
		copy->more(copy->request.arg);
		return;
	case PGRES_COMMAND_OK:
		PQclear(copy->request.result.res);
		copy->request.result.res = res;
		return;
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		pg_conn_fail(conn, "the statement is no COPY FROM STDIN", false);
		break;
	default:
		copy->state = COPY_ENDING;
		conn_io_note_failure(&copy->request, res);
		if (copy->request.fatal)
			pg_conn_fail(conn, copy->request.error, false);
		break;
	}
	PQclear(res);
}

void conn_copy_read(struct pg_conn *conn)
{
	while (!conn->freed && conn->state == CONN_READY && conn->copy != NULL && conn->copy->state != COPY_TAKING && !PQisBusy(conn->pq)) {
		PGresult *res = PQgetResult(conn->pq);

		if (res == NULL) {
			finish(conn);
			return;
		}
		take(conn, res);
	}
}

void conn_copy_flushed(struct pg_conn *conn)
{
	struct copy *copy = conn->copy;

	if (conn->freed || conn->state != CONN_READY || copy->state != COPY_TAKING || !copy->full || PQflush(conn->pq) != 0)
		return;
	copy->full = false;
	copy->more(copy->request.arg);
}

void conn_copy_lost(struct pg_conn *conn)
{
	struct copy *copy = conn->copy;

	if (copy == NULL)
		return;
	conn->copy = NULL;
	PQclear(copy->request.result.res);
	copy->request.result = (struct pg_result){.status = PG_LOST, .error = conn->error};
	if (!conn->freed)
		copy->request.done(copy->request.arg, &copy->request.result);
	free(copy);
}

/* ---- cancel ---- */

static void *cancel_thread(void *arg)
{
	PGcancel *cancel = arg;
	char err[256];

	/* what it could not stop goes on to its end, or to that of the connection */
	if (PQcancel(cancel, err, sizeof err) != 1)
		log_warn("a cancel request did not reach the server: %.200s", err);
	PQfreeCancel(cancel);
	return NULL;
}

void pg_conn_cancel(struct pg_conn *conn)
{
	PGcancel *cancel = conn->pq != NULL ? PQgetCancel(conn->pq) : NULL;
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;

	if (cancel == NULL)
		return;
	bool started = false;
	if (pthread_attr_init(&attr) == 0) {
		/* signals are the event loop's */
		started = sigfillset(&all) == 0 && pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0
			&& pthread_sigmask(SIG_SETMASK, &all, &old) == 0;
		if (started) {
			started = pthread_create(&thread, &attr, cancel_thread, cancel) == 0;
			(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
		}
		(void)pthread_attr_destroy(&attr);
	}
	if (!started) {
		log_warn("a cancel request could not be sent");
		PQfreeCancel(cancel);
	}
}

/*
 * conn_io.c: the traffic of one connection: requests into libpq's pipeline, results out of it, in order.
 *
 * Runs on the owner's event loop; owns the queue of requests and the names of prepared statements. Each request is
 * (PREPARE, once) + execution + sync, so it is a transaction of its own and is called back when the sync point came: what
 * PG_OK says is committed. A statement is prepared in the same pipeline as its first use. When that fails, or its plan
 * goes stale, the name is given up and the next request prepares it under a new one; requests already sent with the old
 * name fail with 26000 (PG_TRANSIENT). A FATAL error is a loss, whatever its state: nobody knows where the server stopped.
 */
#include "config.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "pg/conn_int.h"

static struct prepared *find_prepared(struct pg_conn *conn, const char *name)
{
	struct prepared *p;

	HASH_FIND_STR(conn->prepared, name, p);
	if (p == NULL) {
		p = xcalloc(1, sizeof *p);
		p->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, conn->prepared, p->name, strlen(p->name), p);
	}
	return p;
}

void conn_io_forget(struct pg_conn *conn)
{
	struct prepared *p, *next;

	HASH_ITER(hh, conn->prepared, p, next) {
		p->known = false;
		p->serial = 0;
	}
}

static struct request *push(struct pg_conn *conn, pg_done *done, void *arg)
{
	struct request *r = xcalloc(1, sizeof *r);

	r->done = done;
	r->arg = arg;
	STAILQ_INSERT_TAIL(&conn->requests, r, next);
	conn->pending++;
	return r;
}

void conn_io_flush(struct pg_conn *conn)
{
	int left = PQflush(conn->pq);

	if (left < 0)
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
	else if (left > 0 && event_add(conn->write, NULL) != 0)
		pg_conn_fail(conn, "cannot watch the connection's socket", false);
}

/* Ends what `sent` began; a failure to send breaks the connection, and the request is called back as lost. */
static void sync_request(struct pg_conn *conn, bool sent)
{
	if (!sent || PQpipelineSync(conn->pq) != 1)
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
	else
		conn_io_flush(conn);
}

void conn_io_exec(struct pg_conn *conn, const char *sql, pg_done *done, void *arg)
{
	(void)push(conn, done, arg);
	sync_request(conn, PQsendQueryParams(conn->pq, sql, 0, NULL, NULL, NULL, NULL, 0) == 1);
}

bool pg_conn_exec(struct pg_conn *conn, const char *sql, pg_done *done, void *arg)
{
	if (conn->state != CONN_READY || conn->copy != NULL)
		return false;
	conn_io_exec(conn, sql, done, arg);
	return true;
}

/* Sends under the statement's name, preparing it first when this connection does not know it. */
static bool send_prepared(struct pg_conn *conn, struct request *r, const struct pg_stmt *stmt, const struct pg_params *params,
			  const char *const *values, int format)
{
	struct prepared *p = find_prepared(conn, stmt->name);
	char name[64];

	r->preparing = !p->known;
	if (r->preparing)
		p->serial++;
	p->known = true;
	r->prepared = p;
	r->serial = p->serial;
	snprintf(name, sizeof name, p->serial == 1 ? "%.40s" : "%.40s#%u", p->name, p->serial);
	if (r->preparing && PQsendPrepare(conn->pq, name, stmt->sql, 0, NULL) != 1)
		return false;
	return PQsendQueryPrepared(conn->pq, name, params->n, values, params->len, params->format, format) == 1;
}

bool pg_conn_send(struct pg_conn *conn, const struct pg_stmt *stmt, const struct pg_params *params, bool text, pg_done *done, void *arg)
{
	static const struct pg_params none;
	const char *values[PG_PARAMS_MAX];
	struct request *r;
	int format = text ? 0 : 1;

	if (conn->state != CONN_READY || conn->copy != NULL)
		return false;
	if (params == NULL)
		params = &none;
	for (int i = 0; i < params->n; i++)
		values[i] = params->len[i] < 0 ? NULL : params->data.data + params->at[i];
	r = push(conn, done, arg);
	sync_request(conn, conn->pooler || stmt->name == NULL ? PQsendQueryParams(conn->pq, stmt->sql, params->n, NULL, values, params->len, params->format, format) == 1
					: send_prepared(conn, r, stmt, params, values, format));
	return true;
}

static bool field_is(const PGresult *res, int field, const char *value)
{
	const char *text = PQresultErrorField(res, field);

	return text != NULL && strcmp(text, value) == 0;
}

/* Notes the first error of a request; later ones ("pipeline aborted") say nothing new. */
void conn_io_note_failure(struct request *r, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (r->result.status != PG_OK)
		return;
	if (message == NULL)
		message = PQresultErrorMessage(res);
	text_clean(r->error, sizeof r->error, message, strlen(message));
	r->result.status = pg_error_class(state);
	text_copy(r->result.sqlstate, sizeof r->result.sqlstate, state == NULL ? "" : state);
	r->result.inside = PQresultErrorField(res, PG_DIAG_CONTEXT) != NULL;
	r->fatal = state == NULL || field_is(res, PG_DIAG_SEVERITY_NONLOCALIZED, "FATAL") || field_is(res, PG_DIAG_SEVERITY_NONLOCALIZED, "PANIC");
	if (r->fatal)
		r->result.status = PG_LOST;
	/* "cached plan must not change result type": 0A000 as well, told apart by where it was raised */
	if (r->prepared != NULL && state != NULL && strcmp(state, "0A000") == 0 && field_is(res, PG_DIAG_SOURCE_FUNCTION, "RevalidateCachedQuery"))
		r->stale = true;
	if (r->preparing || (state != NULL && strcmp(state, "26000") == 0))
		r->stale = true;
	if (r->stale && !r->preparing && r->result.status != PG_LOST)
		r->result.status = PG_TRANSIENT;
	r->read_only = state != NULL && strcmp(state, "25006") == 0;
}

static void take(struct request *r, PGresult *res)
{
	switch (PQresultStatus(res)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		if (r->preparing) {
			r->preparing = false;
			break;
		}
		PQclear(r->result.res);
		r->result.res = res;
		return;
	case PGRES_PIPELINE_ABORTED:
		break;
	default:
		conn_io_note_failure(r, res);
		break;
	}
	PQclear(res);
}

/* The head of the queue is complete: off the queue, called back, freed. */
static void finish(struct pg_conn *conn)
{
	struct request *r = STAILQ_FIRST(&conn->requests);
	bool read_only = r->read_only;

	STAILQ_REMOVE_HEAD(&conn->requests, next);
	conn->pending--;
	if (r->stale && r->prepared->serial == r->serial)
		r->prepared->known = false;
	r->result.error = r->error;
	conn->answered++;
	r->done(r->arg, &r->result);
	PQclear(r->result.res);
	free(r);
	if (read_only && !conn->freed)
		pg_conn_fail(conn, "the server is read only (a standby, or a demoted primary)", false);
}

/* Everything that can be read without waiting. Stops when a callback breaks or frees the connection. */
static void results(struct pg_conn *conn)
{
	int empty = 0;

	while (!conn->freed && conn->pq != NULL && conn->state != CONN_BROKEN && !STAILQ_EMPTY(&conn->requests) && !PQisBusy(conn->pq)) {
		struct request *r = STAILQ_FIRST(&conn->requests);
		PGresult *res = PQgetResult(conn->pq);

		if (res == NULL) { /* the end of one command; more than one in a row: nothing is to come */
			if (++empty > 2) {
				pg_conn_fail(conn, "the server's answers are out of step", false);
				return;
			}
			continue;
		}
		empty = 0;
		if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
			PQclear(res);
			finish(conn);
			continue;
		}
		take(r, res);
		if (r->fatal) {
			pg_conn_fail(conn, r->error, false);
			return;
		}
	}
}

static void notifications(struct pg_conn *conn)
{
	PGnotify *n;

	while (!conn->freed && conn->state != CONN_BROKEN && (n = PQnotifies(conn->pq)) != NULL) {
		if (conn->calls.notify != NULL)
			conn->calls.notify(conn->arg, conn, n->relname, n->extra);
		PQfreemem(n);
	}
}

void conn_io_read(struct pg_conn *conn)
{
	bool alive = PQconsumeInput(conn->pq) == 1;

	/* what came before the end of the connection still counts */
	results(conn);
	if (!conn->freed && conn->copy != NULL && conn->state != CONN_BROKEN)
		conn_copy_read(conn);
	if (!conn->freed && conn->state != CONN_BROKEN && STAILQ_EMPTY(&conn->requests) && conn->copy == NULL)
		(void)PQisBusy(conn->pq); /* parses what came unasked */
	notifications(conn);
	if (!conn->freed && (!alive || PQstatus(conn->pq) == CONNECTION_BAD))
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
}

void conn_io_lost(struct pg_conn *conn)
{
	struct request_list old = STAILQ_HEAD_INITIALIZER(old);
	struct request *r;

	conn_copy_lost(conn);
	STAILQ_CONCAT(&old, &conn->requests);
	conn->pending = 0;
	while ((r = STAILQ_FIRST(&old)) != NULL) {
		STAILQ_REMOVE_HEAD(&old, next);
		PQclear(r->result.res);
		r->result = (struct pg_result){ .status = PG_LOST, .error = conn->error };
		if (!conn->freed)
			r->done(r->arg, &r->result);
		free(r);
	}
}

void conn_io_discard(struct pg_conn *conn)
{
	struct request *r;
	struct prepared *p, *next;

	conn_copy_lost(conn);
	while ((r = STAILQ_FIRST(&conn->requests)) != NULL) {
		STAILQ_REMOVE_HEAD(&conn->requests, next);
		PQclear(r->result.res);
		free(r);
	}
	HASH_ITER(hh, conn->prepared, p, next) {
		HASH_DEL(conn->prepared, p);
		free(p->name);
		free(p);
	}
}

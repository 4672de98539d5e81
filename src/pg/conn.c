/*
 * conn.c: the life of one PostgreSQL connection: attempt, setup, ready, lost, again, for ever.
 *
 * Runs on the event loop of the process that owns it (the dispatcher); owns the PGconn, its events and the timer. One
 * timer serves every state: backoff while waiting, the limit of an attempt while connecting and setting up, and "at once"
 * when something broke inside a callback. Invariant: callbacks are called from the event loop only, and the connection may
 * be freed or reset inside any of them. libpq's socket may change between two polls, so its event is made anew each time.
 * Name resolution is libpq's own and blocks: give addresses, or a local resolver.
 *
 *   WAITING -timer-> CONNECTING -polled-> SETUP -all done-> READY
 *      ^------------- lost: PG_LOST for what was under way, then down() ----'
 */
#include "config.h"

#include <event2/event.h>
#include <event2/util.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "pg/conn_int.h"
#include "pg/conninfo.h"

#define BACKOFF_FIRST (100 * NS_PER_MS)
#define BACKOFF_MAX (5 * NS_PER_S)

static void attempt(struct pg_conn *conn);
static void poll_connect(struct pg_conn *conn);

static void set_timer(struct pg_conn *conn, int64_t ns)
{
	struct timeval tv = clock_timeval(ns);

	if (evtimer_add(conn->timer, &tv) != 0) {
		log_error("%s: cannot set a timer", conn->name);
		abort();
	}
}

static void free_event(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

static void close_socket(struct pg_conn *conn)
{
	free_event(&conn->io);
	free_event(&conn->write);
	PQfinish(conn->pq);
	conn->pq = NULL;
	conn_io_forget(conn);
}

static void destroy(struct pg_conn *conn)
{
	close_socket(conn);
	free_event(&conn->timer);
	conn_io_discard(conn);
	for (size_t i = 0; conn->setup[i] != NULL; i++)
		free(conn->setup[i]);
	free(conn->setup);
	free(conn->name);
	free(conn->conninfo);
	free(conn);
}

static void enter(struct pg_conn *conn)
{
	conn->depth++;
}

static void leave(struct pg_conn *conn)
{
	if (--conn->depth == 0 && conn->freed)
		destroy(conn);
}

/* 0.1 s doubling to 5 s, a quarter of jitter either way. */
static int64_t backoff(unsigned failures)
{
	int64_t ns = BACKOFF_FIRST;
	uint32_t dice;

	for (unsigned i = 1; i < failures && ns < BACKOFF_MAX; i++)
		ns *= 2;
	if (ns > BACKOFF_MAX)
		ns = BACKOFF_MAX;
	evutil_secure_rng_get_bytes(&dice, sizeof dice);
	return ns - ns / 4 + (int64_t)(dice % 1024) * (ns / 2) / 1024;
}

/* Keeps `why` for people: one line, clean, without the password. */
static void note_error(struct pg_conn *conn, const char *why)
{
	struct conninfo ci;
	char line[sizeof conn->error], err[8];
	size_t len = strlen(why);

	while (len > 0 && why[len - 1] == '\n')
		len--;
	text_clean(line, sizeof line, why, len);
	for (char *p = line; *p != '\0'; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	if (conninfo_parse(&ci, conn->conninfo, "", 0, err, sizeof err)) {
		conninfo_mask(&ci, line);
		conninfo_free(&ci);
	}
	text_copy(conn->error, sizeof conn->error, line[0] != '\0' ? line : "connection lost");
}

/* The connection is gone: tell everybody, and wait for the next attempt. From the event loop only. */
static void lost(struct pg_conn *conn)
{
	bool at_once = conn->at_once;

	close_socket(conn);
	conn->state = CONN_WAITING;
	conn->at_once = false;
	if (!at_once)
		conn->failures++;
	if (!conn->once || !conn->spent)
		set_timer(conn, at_once ? 0 : backoff(conn->failures));
	conn_io_lost(conn);
	if (!conn->freed)
		conn->calls.down(conn->arg, conn, conn->error);
}

void pg_conn_fail(struct pg_conn *conn, const char *why, bool at_once)
{
	if (conn->state == CONN_BROKEN || conn->state == CONN_WAITING)
		return;
	note_error(conn, why);
	conn->state = CONN_BROKEN;
	conn->at_once = at_once;
	free_event(&conn->io);
	free_event(&conn->write);
	set_timer(conn, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pg_conn *conn = arg;

	(void)fd;
	(void)what;
	enter(conn);
	switch (conn->state) {
	case CONN_WAITING:
		attempt(conn);
		break;
	case CONN_CONNECTING:
	case CONN_SETUP:
		conn->turn++; /* the host that never answered comes last now */
		note_error(conn, "no answer within the connect timeout");
		lost(conn);
		break;
	case CONN_BROKEN:
		lost(conn);
		break;
	case CONN_READY:
		break;
	}
	leave(conn);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_conn *conn = arg;

	(void)fd;
	(void)what;
	enter(conn);
	if (conn->state == CONN_CONNECTING)
		poll_connect(conn);
	else
		conn_io_read(conn);
	leave(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_conn *conn = arg;

	(void)fd;
	(void)what;
	enter(conn);
	conn_io_flush(conn);
	if (conn->copy != NULL)
		conn_copy_flushed(conn);
	leave(conn);
}

static void watch(struct pg_conn *conn, short what)
{
	free_event(&conn->io);
	conn->io = event_new(conn->base, PQsocket(conn->pq), what, on_readable, conn);
	if (conn->io == NULL || event_add(conn->io, NULL) != 0)
		pg_conn_fail(conn, "cannot watch the connection's socket", false);
}

static void notice(void *arg, const char *message)
{
	struct pg_conn *conn = arg;
	size_t len = strlen(message);

	if (len > 0 && message[len - 1] == '\n')
		len--;
	log_debug("%s: %.*s", conn->name, (int)(len > 1000 ? 1000 : len), message);
}

static void become_ready(struct pg_conn *conn)
{
	conn->state = CONN_READY;
	conn->spent = true;
	conn->failures = 0;
	conn->error[0] = '\0';
	(void)evtimer_del(conn->timer);
	conn->calls.ready(conn->arg, conn);
}

static void setup_done(void *arg, const struct pg_result *result)
{
	struct pg_conn *conn = arg;
	char why[sizeof conn->error];

	if (result->status == PG_LOST || conn->state != CONN_SETUP)
		return;
	if (result->status != PG_OK) {
		snprintf(why, sizeof why, "setup of the connection failed: %.400s", result->error);
		pg_conn_fail(conn, why, false);
	} else if (--conn->setup_left == 0) {
		become_ready(conn);
	}
}

static void start_setup(struct pg_conn *conn)
{
	if (PQsetnonblocking(conn->pq, 1) != 0 || PQenterPipelineMode(conn->pq) != 1) {
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
		return;
	}
	conn->write = event_new(conn->base, PQsocket(conn->pq), EV_WRITE, on_writable, conn);
	if (conn->write == NULL) {
		pg_conn_fail(conn, "cannot watch the connection's socket", false);
		return;
	}
	conn->state = CONN_SETUP;
	watch(conn, EV_READ | EV_PERSIST);
	conn->setup_left = 0;
	if (!conn->pooler)
		while (conn->setup[conn->setup_left] != NULL)
			conn->setup_left++;
	if (conn->setup_left == 0)
		become_ready(conn);
	for (size_t i = 0; conn->state == CONN_SETUP && conn->setup[i] != NULL; i++)
		conn_io_exec(conn, conn->setup[i], setup_done, conn);
}

static void poll_connect(struct pg_conn *conn)
{
	switch (PQconnectPoll(conn->pq)) {
	case PGRES_POLLING_READING:
		watch(conn, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		watch(conn, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		start_setup(conn);
		break;
	case PGRES_POLLING_ACTIVE:
	case PGRES_POLLING_FAILED:
		pg_conn_fail(conn, PQerrorMessage(conn->pq), false);
		break;
	}
}

static void attempt(struct pg_conn *conn)
{
	struct conninfo ci;

	conn->state = CONN_CONNECTING;
	if (!conninfo_parse(&ci, conn->conninfo, conn->name, conn->turn, conn->error, sizeof conn->error)) {
		lost(conn);
		return;
	}
	set_timer(conn, ci.timeout_ns);
	conn->pq = PQconnectStartParams(ci.keys, ci.values, 0);
	conninfo_free(&ci);
	if (conn->pq == NULL || PQstatus(conn->pq) == CONNECTION_BAD) {
		pg_conn_fail(conn, conn->pq == NULL ? "out of memory" : PQerrorMessage(conn->pq), false);
		return;
	}
	PQsetNoticeProcessor(conn->pq, notice, conn);
	watch(conn, EV_WRITE);
}

static char **copy_list(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	char **copy = xcalloc(n + 1, sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

struct pg_conn *pg_conn_new(struct event_base *base, const struct pg_opts *opts, const struct pg_calls *calls, void *arg)
{
	struct pg_conn *conn = xcalloc(1, sizeof *conn);

	conn->base = base;
	conn->calls = *calls;
	conn->arg = arg;
	conn->name = xstrdup(opts->name);
	conn->conninfo = xstrdup(opts->conninfo);
	conn->pooler = opts->pooler;
	conn->once = opts->once;
	conn->setup = copy_list(opts->setup);
	STAILQ_INIT(&conn->requests);
	conn->timer = evtimer_new(base, on_timer, conn);
	if (conn->timer == NULL) {
		log_error("%s: cannot make a timer", conn->name);
		abort();
	}
	text_copy(conn->error, sizeof conn->error, "not connected yet");
	set_timer(conn, 0);
	return conn;
}

void pg_conn_free(struct pg_conn *conn)
{
	if (conn == NULL)
		return;
	conn->freed = true;
	conn->state = CONN_WAITING;
	(void)evtimer_del(conn->timer);
	free_event(&conn->io);
	free_event(&conn->write);
	if (conn->depth == 0)
		destroy(conn);
}

bool pg_conn_ready(const struct pg_conn *conn)
{
	return conn->state == CONN_READY;
}

void pg_conn_reset(struct pg_conn *conn, const char *why)
{
	if (conn->state == CONN_WAITING && !conn->freed && !(conn->once && conn->spent))
		set_timer(conn, 0);
	else
		pg_conn_fail(conn, why, true);
}

bool pg_conn_idle(const struct pg_conn *conn)
{
	return conn->state == CONN_READY && STAILQ_EMPTY(&conn->requests) && conn->copy == NULL && PQtransactionStatus(conn->pq) == PQTRANS_IDLE;
}

size_t pg_conn_pending(const struct pg_conn *conn)
{
	return conn->pending;
}

uint64_t pg_conn_answered(const struct pg_conn *conn)
{
	return conn->answered;
}

const char *pg_conn_error(const struct pg_conn *conn)
{
	return conn->error;
}

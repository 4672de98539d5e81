/*
 * pool.c: lends connections, opens what is wanted, closes what is idle (see pool.h).
 *
 * Runs on the worker's event loop; owns the connections, the line of waiters and their timers. A connection is OPENING (an attempt
 * under way, or waiting for the next one: pg/conn.h tries for ever), IDLE or LENT. New ones are opened only for waiters that
 * no opening one will serve, and up to `min`. The last one returned is the first one lent, so those beyond need grow idle.
 *
 * Invariant: entries are at most max; a waiter is in the line until its callback is called, which happens once, from the `turn`
 * event or its timer. An attempt that fails is counted and told to those whose time ends; the database away is a state.
 */
#include "config.h"

#include "pg/pool.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "pg/conn.h"

enum entry_state { ENTRY_OPENING, ENTRY_IDLE, ENTRY_LENT };

struct entry {
	struct pg_pool *pool;
	struct pg_conn *conn;
	enum entry_state state;
	int64_t idle_since_ns;
	TAILQ_ENTRY(entry) link; /* idle ones first, the last returned at the head */
};

struct pg_wait {
	struct pg_pool *pool;
	pg_acquired *done;
	void *arg;
	struct event *timer;
	TAILQ_ENTRY(pg_wait) link;
};

struct pg_pool {
	struct event_base *base;
	struct pg_pool_opts opts; /* name and conninfo are ours */
	struct event *turn, *evict;
	TAILQ_HEAD(entries, entry) entries;
	TAILQ_HEAD(waits, pg_wait) waits;
	size_t count, opening;
	struct pg_pool_stats stats;
	char error[256]; /* of the last attempt that failed; "" since one came through */
};

/* The server looks whether its client is still there while it works: what a dead worker began ends soon. (Not every server can.) */
static const char *const setup[] = {
	"DO $$BEGIN SET client_connection_check_interval = '1s'; EXCEPTION WHEN OTHERS THEN NULL; END$$", NULL};

static void tell(struct pg_pool *pool)
{
	if (pool->opts.changed != NULL)
		pool->opts.changed(pool->opts.arg, &pool->stats);
}

static void wake(struct pg_pool *pool)
{
	event_active(pool->turn, EV_TIMEOUT, 0);
}

static void set_state(struct entry *e, enum entry_state state)
{
	struct pg_pool *pool = e->pool;

	pool->opening -= e->state == ENTRY_OPENING;
	pool->stats.idle -= e->state == ENTRY_IDLE;
	pool->stats.in_use -= e->state == ENTRY_LENT;
	e->state = state;
	pool->opening += state == ENTRY_OPENING;
	pool->stats.idle += state == ENTRY_IDLE;
	pool->stats.in_use += state == ENTRY_LENT;
	TAILQ_REMOVE(&pool->entries, e, link);
	if (state == ENTRY_IDLE)
		TAILQ_INSERT_HEAD(&pool->entries, e, link);
	else
		TAILQ_INSERT_TAIL(&pool->entries, e, link);
}

static void drop(struct entry *e)
{
	struct pg_pool *pool = e->pool;

	set_state(e, ENTRY_OPENING);
	pool->opening--;
	pool->count--;
	TAILQ_REMOVE(&pool->entries, e, link);
	pg_conn_free(e->conn);
	free(e);
}

static void on_ready(void *arg, struct pg_conn *conn)
{
	struct entry *e = arg;

	(void)conn;
	e->pool->error[0] = '\0';
	e->idle_since_ns = clock_mono_ns();
	set_state(e, ENTRY_IDLE);
	tell(e->pool);
	wake(e->pool);
}

static void on_down(void *arg, struct pg_conn *conn, const char *error)
{
	struct entry *e = arg;
	struct pg_pool *pool = e->pool;

	(void)conn;
	pool->stats.errors++;
	if (pool->error[0] == '\0')
		log_warn("pool %s: %s", pool->opts.name, error);
	text_copy(pool->error, sizeof pool->error, error);
	if (e->state == ENTRY_IDLE)
		drop(e); /* a lent one is dropped when it is released; an attempt is repeated */
	tell(pool);
	wake(pool);
}

static void open_one(struct pg_pool *pool)
{
	static const struct pg_calls calls = {.ready = on_ready, .down = on_down};
	struct entry *e = xcalloc(1, sizeof *e);
	char name[64];

	snprintf(name, sizeof name, "jobqd pool %.40s", pool->opts.name);
	const struct pg_opts opts = {.name = name, .conninfo = pool->opts.conninfo, .pooler = pool->opts.pooler, .setup = setup, .once = true};
	e->pool = pool;
	e->state = ENTRY_OPENING;
	TAILQ_INSERT_TAIL(&pool->entries, e, link);
	pool->count++;
	pool->opening++;
	e->conn = pg_conn_new(pool->base, &opts, &calls, e);
}

static void wait_free(struct pg_wait *w)
{
	TAILQ_REMOVE(&w->pool->waits, w, link);
	w->pool->stats.waiting--;
	event_free(w->timer);
	free(w);
}

/* The waiter's end: out of the line, then called. */
static void answer(struct pg_wait *w, struct pg_conn *conn, const char *error)
{
	pg_acquired *done = w->done;
	struct pg_pool *pool = w->pool;
	void *arg = w->arg;

	wait_free(w);
	tell(pool);
	done(arg, conn, error);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct pg_pool *pool = arg;
	struct pg_wait *w;
	struct entry *e;

	(void)fd;
	(void)what;
	while ((w = TAILQ_FIRST(&pool->waits)) != NULL && (e = TAILQ_FIRST(&pool->entries)) != NULL && e->state == ENTRY_IDLE) {
		set_state(e, ENTRY_LENT);
		pool->stats.acquired++;
		answer(w, e->conn, NULL);
	}
	while (pool->count < pool->opts.max && (pool->opening < pool->stats.waiting || pool->count < pool->opts.min))
		open_one(pool);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct pg_wait *w = arg;
	struct pg_pool *pool = w->pool;
	char text[512];

	(void)fd;
	(void)what;
	pool->stats.timeouts++;
	snprintf(text, sizeof text, "no connection of pool %.63s within %.1f s: %s", pool->opts.name, (double)pool->opts.acquire_ns / (double)NS_PER_S,
		pool->error[0] != '\0' ? pool->error : pool->opening > 0 ? "the database does not answer" : "all are in use");
	answer(w, NULL, text);
}

static void on_evict(evutil_socket_t fd, short what, void *arg)
{
	struct pg_pool *pool = arg;
	int64_t now = clock_mono_ns();
	struct entry *e, *before;

	(void)fd;
	(void)what;
	for (e = TAILQ_LAST(&pool->entries, entries); e != NULL && pool->count > pool->opts.min; e = before) { /* the longest idle first */
		before = TAILQ_PREV(e, entries, link);
		if ((e->state == ENTRY_IDLE && now - e->idle_since_ns >= pool->opts.idle_ns)
			|| (e->state == ENTRY_OPENING && pool->opening > pool->stats.waiting))
			drop(e);
	}
	tell(pool);
}

struct pg_pool *pg_pool_new(struct event_base *base, const struct pg_pool_opts *opts)
{
	struct pg_pool *pool = xcalloc(1, sizeof *pool);
	struct timeval evict = clock_timeval(opts->evict_ns);

	pool->base = base;
	pool->opts = *opts;
	pool->opts.name = xstrdup(opts->name);
	pool->opts.conninfo = xstrdup(opts->conninfo);
	TAILQ_INIT(&pool->entries);
	TAILQ_INIT(&pool->waits);
	pool->turn = event_new(base, -1, 0, on_turn, pool);
	pool->evict = event_new(base, -1, EV_PERSIST, on_evict, pool);
	if (pool->turn == NULL || pool->evict == NULL || event_add(pool->evict, &evict) != 0)
		mem_exhausted(0);
	tell(pool);
	wake(pool);
	return pool;
}

void pg_pool_free(struct pg_pool *pool)
{
	struct entry *e;
	struct pg_wait *w;

	if (pool == NULL)
		return;
	while ((w = TAILQ_FIRST(&pool->waits)) != NULL)
		wait_free(w);
	while ((e = TAILQ_FIRST(&pool->entries)) != NULL)
		drop(e);
	tell(pool);
	event_free(pool->turn);
	event_free(pool->evict);
	free((char *)(uintptr_t)pool->opts.name);
	free((char *)(uintptr_t)pool->opts.conninfo);
	free(pool);
}

struct pg_wait *pg_pool_acquire(struct pg_pool *pool, pg_acquired *done, void *arg)
{
	struct pg_wait *w = xcalloc(1, sizeof *w);
	struct timeval tv = clock_timeval(pool->opts.acquire_ns);

	w->pool = pool;
	w->done = done;
	w->arg = arg;
	w->timer = evtimer_new(pool->base, on_timeout, w);
	if (w->timer == NULL || evtimer_add(w->timer, &tv) != 0)
		mem_exhausted(0);
	TAILQ_INSERT_TAIL(&pool->waits, w, link);
	pool->stats.waiting++;
	tell(pool);
	wake(pool);
	return w;
}

void pg_pool_forget(struct pg_pool *pool, struct pg_wait *wait)
{
	wait_free(wait);
	tell(pool);
}

void pg_pool_release(struct pg_pool *pool, struct pg_conn *conn)
{
	struct entry *e;

	TAILQ_FOREACH(e, &pool->entries, link)
		if (e->conn == conn)
			break;
	if (e == NULL || e->state != ENTRY_LENT) {
		log_error("pool %s: a connection was released that was not lent", pool->opts.name);
		return;
	}
	pool->stats.released++;
	if (pg_conn_idle(conn)) {
		e->idle_since_ns = clock_mono_ns();
		set_state(e, ENTRY_IDLE);
	} else {
		drop(e);
	}
	tell(pool);
	wake(pool);
}

size_t pg_pool_max(const struct pg_pool *pool)
{
	return pool->opts.max;
}

size_t pg_pool_share(size_t total, size_t processes, size_t number)
{
	return total / processes + (number < total % processes ? 1 : 0);
}

/*
 * pg/pool.h: connections for handlers, lent one at a time, on the process's event loop.
 *
 * Runs in a worker; one pool a process. Whoever acquires a connection has it alone until he releases it: requests, transactions
 * of several statements, COPY and cancel are those of pg/conn.h. A connection that is lost stays down (never another session
 * under a lent one) and is replaced when it is released. Whatever is released in the middle of something (requests under way, a
 * transaction open) is closed, which rolls back: so releasing is right in any state. Waiters are served in their order.
 */
#ifndef JOBQ_PG_POOL_H
#define JOBQ_PG_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct pg_conn;
struct pg_pool;
struct pg_wait;

struct pg_pool_stats {
	uint64_t in_use, idle, waiting;                     /* now */
	uint64_t acquired, released, timeouts, errors;      /* since the pool was made; errors: attempts that failed, connections lost */
};

struct pg_pool_opts {
	const char *name;     /* for logs and application_name */
	const char *conninfo;
	bool pooler;          /* as in struct pg_opts */
	size_t max, min;      /* connections of this process; max >= 1 */
	int64_t acquire_ns, idle_ns, evict_ns;
	void (*changed)(void *arg, const struct pg_pool_stats *stats); /* after every change; NULL = nobody looks */
	void *arg;
};

/* conn, or NULL with the reason (the time is over; why the database is away). Called from the event loop, never from within
 * pg_pool_acquire. */
typedef void pg_acquired(void *arg, struct pg_conn *conn, const char *error);

struct pg_pool *pg_pool_new(struct event_base *base, const struct pg_pool_opts *opts); /* opens `min` connections */
void pg_pool_free(struct pg_pool *pool); /* nothing is lent, nobody waits; NULL is fine */
struct pg_wait *pg_pool_acquire(struct pg_pool *pool, pg_acquired *done, void *arg);
void pg_pool_forget(struct pg_pool *pool, struct pg_wait *wait); /* no longer wanted; only before `done` was called */
void pg_pool_release(struct pg_pool *pool, struct pg_conn *conn);
size_t pg_pool_max(const struct pg_pool *pool);
/* What process `number` (0..) of `processes` may have of `total` connections: the shares add up to it. */
size_t pg_pool_share(size_t total, size_t processes, size_t number);

#endif

/*
 * jobq/handler.h: the contract between a worker process and the code that has a job's effect.
 *
 * A handler is a constant table of functions in a file of its own (src/handlers/). It runs in a worker, on the worker's
 * event loop, and knows nothing of queues, claims, leases or the database. One run() call brings a batch; each job goes
 *
 *     run(batch) -> jobq_admit(job, go) ... go(job) -> effect ... -> jobq_end(job, outcome)
 *
 * jobq_admit waits for the rate limit, looks at the lease and at cancel requests, and marks the job begun; `go` may be
 * called before jobq_admit returns. If the job may no longer start, the worker ends it itself and `go` is never called:
 * so keep nothing for a job before `go`. After `go`, end the job exactly once, as soon as its outcome is known, in any
 * order; then `job` is gone. A handler never blocks: a call that hangs is killed by the master with its process.
 *
 * Before the effect check the payload; what it cannot use ends FAIL with the reason, its neighbours go on.
 */
#ifndef JOBQ_HANDLER_H
#define JOBQ_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "jobq/wire.h" /* enum jobq_outcome_kind */

struct event_base;
struct conf_queue;
struct jobq_batch;
struct pg_pool;
struct worker;

struct jobq_job {
	int64_t id;
	int64_t token;
	const char *type;    /* "" = none; NUL terminated like tenant and user_id; all live until the job ends */
	const char *tenant;  /* "" = none */
	const char *user_id; /* "" = none */
	const char *payload; /* JSON text, NUL terminated, of a PostgreSQL jsonb */
	size_t payload_len;
	const char *result;  /* JSON that an earlier attempt left with its RETRY, SNOOZE or UNCERTAIN; "" = none */
	size_t result_len;
	int64_t deadline_us; /* database time, microseconds since 1970; 0 = none */
	int64_t created_us;  /* the same clock: when it was enqueued */
	int64_t run;         /* 0; another number when a producer has replaced the job after it had begun */
	int priority;        /* 1, 2, 5, 10 */
	int attempt;         /* 1 = the first */
	int max_retries;
	struct jobq_batch *batch;
	void *data;          /* the handler's, between go and jobq_end */
};

struct jobq_batch {
	uint64_t id;
	size_t count;
	struct jobq_job *const *jobs;
};

/* What an outcome tells of the receiver, beside the job: the queue's rate and its gate follow it. */
enum jobq_cause {
	JOBQ_CAUSE_NONE,     /* nothing: it answered, or was not asked */
	JOBQ_CAUSE_REFUSED,  /* it wants less: 429, "too many" */
	JOBQ_CAUSE_DOWN,     /* it could not: 5xx, no answer in time */
	JOBQ_CAUSE_UNREACHED, /* it was not there: no name, no connection. Whatever the job: it burns no try */
	JOBQ_CAUSES
}; /* REFUSED, DOWN with after_ns > 0: it said when (Retry-After); until then the queue's gate is shut. -1: it did not */

struct jobq_outcome {
	enum jobq_outcome_kind kind;
	enum jobq_cause cause;
	int64_t after_ns;    /* RETRY, SNOOZE: not before; -1 = as the queue's backoff says */
	const char *error;   /* any bytes; the worker cleans and clips them; NULL = none */
	size_t error_len;
	const char *result;  /* JSON text, or NULL; of a job that is not over: kept, and given to its next attempt */
	size_t result_len;
};

enum jobq_stop { JOBQ_STOP_CANCEL, JOBQ_STOP_TIMEOUT }; /* why a begun job is to stop */

struct jobq_env { /* what the worker lends to its handler, for the handler's life */
	struct event_base *base;
	const struct conf_queue *queue;
	const char *user_agent;
	/* Connections (pg/pool.h), for handlers whose queues have the key `pool`; else NULL. Not always to the queue's own database:
	 * whether jobq.complete can be called there is for the handler to find out. Its `width` should be pg_pool_max, so that no
	 * begun job waits for a connection. */
	struct pg_pool *pool;
	struct worker *worker; /* the worker's own: for services that belong to no job */
};

struct jobq_handler {
	const char *name;
	unsigned flags;
	/* 0, or -1 with the reason in err (then the worker leaves with JOBQ_EXIT_CONFIG). May allocate *state. */
	int (*open)(const struct jobq_env *env, void **state, char *err, size_t errlen);
	void (*run)(void *state, struct jobq_batch *batch);
	/* A begun job should stop. TIMEOUT: jobq_end it before returning. CANCEL: end it (CANCELLED) if its effect can still be
	 * prevented, else leave it. May be NULL: then a timed-out job costs the process. */
	void (*stop)(void *state, struct jobq_job *job, enum jobq_stop why);
	void (*close)(void *state); /* no job is under way */
	/* Of a batch that run() was given: all its jobs have begun or ended, no further `go` comes. May be NULL. */
	void (*filled)(void *state, struct jobq_batch *batch);
	/* How many of its jobs may be begun at a time (its connections, say): the rest waits before jobq_admit's door, where it has
	 * taken no token of the rate limit. Asked once, after open. NULL: as many as there are. */
	size_t (*width)(void *state);
	/* What the job takes of a rate limit by weight (`rate_unit`: segments, recipients), >= 1. Called at the door, before `go`;
	 * NULL: one a job. */
	int64_t (*cost)(void *state, const struct jobq_job *job);
};
#define JOBQ_HANDLER_OUTSIDE 1u /* its effect leaves this machine: a job begun and without outcome is `uncertain` */
#define JOBQ_HANDLER_OVERLAP 2u /* a batch frees its turn (`concurrency`) when its last job has begun: stragglers hold nobody up */

/* Services of the worker (src/worker/), or of a test's own little worker. */
typedef void jobq_go(void *state, struct jobq_job *job);
void jobq_admit(struct jobq_job *job, jobq_go *go);
void jobq_end(struct jobq_job *job, const struct jobq_outcome *outcome);
void jobq_end_error(struct jobq_job *job, enum jobq_outcome_kind kind, int64_t after_ns, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void jobq_progress(struct jobq_job *job, double percent, const char *note);
/* The receiver refuses all of us (wrong credentials; `retry_ns` = when to probe): loud, and burns nothing. Then end the job SNOOZE. */
void jobq_gate(struct jobq_job *job, int64_t retry_ns, const char *reason);
/* A program was forked and is to run, or is reaped with all of its group: whatever ends this process, the master kills the group.
 * False: too many are noted. */
bool jobq_program(struct worker *worker, pid_t leader, bool runs);
/* The same text on every attempt of this job: "<installation>-<id>"; another one when it runs again with what a producer has
 * put in its place. Valid until the next call. */
const char *jobq_idempotency_key(const struct jobq_job *job);

/* handlers by name (src/handlers/registry.c); NULL if there is none */
const struct jobq_handler *jobq_handler_find(const char *name);

#endif

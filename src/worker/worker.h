/*
 * worker/worker.h: what one worker process knows, shared by the files of this room.
 *
 * A job is here from its BATCH frame until the dispatcher acknowledges its outcome. Until it ends it is a `struct job`, in the
 * memory of its batch; from the beginning to the acknowledgement it is a `struct record`, which holds the outcome and its
 * entry in the slot's held table. There are at most SHM_HELD records, so nothing here grows with the work. All of it is
 * touched from the event loop alone.
 */
#ifndef JOBQ_WORKER_WORKER_H
#define JOBQ_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "jobq/child.h"
#include "jobq/handler.h"
#include "jobq/shm.h"
#include "base/buf.h"
#include "base/mem.h"

#define uthash_malloc(size) xmalloc(size) /* out of memory ends the process as everywhere (base/mem.h) */
#include <uthash.h>

struct event;
struct pg_pool;
struct stream;
struct worker;

struct record_key {
	int64_t id, token;
};

struct record {
	struct record_key key;
	int held;           /* entry in the slot; -1: the table was full, the job goes back unstarted */
	struct job *job;    /* until it ends */
	uint8_t outcome, cause; /* enum jobq_outcome_kind, enum jobq_cause; from here on valid once it ended */
	int64_t begun_ns, ended_ns, after_ns;
	uint32_t units;     /* of its limits that it took */
	char *text;         /* error, then result; owned; NULL when both are empty */
	size_t error_len, result_len;
	bool is_sent;       /* which list it is in */
	TAILQ_ENTRY(record) link; /* unsent or sent, once it ended */
	UT_hash_handle hh;
};
TAILQ_HEAD(records, record);

enum job_state {
	JOB_QUEUED,  /* its batch waits for its turn */
	JOB_OFFERED, /* the handler's run has it */
	JOB_WAITING, /* in the line before jobq_admit's door */
	JOB_BEGUN,
	JOB_ENDED
};

struct job {
	struct jobq_job pub; /* first: the handler's pointer is ours */
	struct batch *batch;
	struct record *record;
	enum job_state state;
	bool cancelled;      /* asked to stop before it was admitted */
	bool stopped;        /* stop(TIMEOUT) was called */
	jobq_go *go;
	int64_t cost;        /* units of its rate limits */
	uint32_t words[2], nwords; /* limits besides the queue's: indices in shared memory, checked */
	int64_t begun_ns;
	TAILQ_ENTRY(job) link; /* waiting or begun */
};
TAILQ_HEAD(jobs, job);

struct batch {
	struct jobq_batch pub; /* first */
	struct worker *worker;
	bool alone;            /* one suspect: nothing else runs beside it */
	bool running;          /* given to the handler */
	bool turn;             /* it counts towards `concurrency` */
	size_t count, left;    /* jobs in it, and those that have not ended */
	size_t unbegun;        /* running: jobs that have neither begun nor ended */
	int64_t start_ns;
	uint32_t done, retried, failed, snoozed;
	struct job *jobs;
	struct jobq_job **refs;
	TAILQ_ENTRY(batch) link;
};
TAILQ_HEAD(batches, batch);

enum drain {
	DRAIN_NO,
	DRAIN_RECYCLE, /* max_jobs_per_worker, max_rss: no hurry */
	DRAIN_STOP,    /* SIGTERM: within shutdown_timeout */
	DRAIN_ORPHAN   /* the master is gone: within a second */
};

struct worker {
	struct child *child;
	struct shm_global *global;
	struct shm_queue *queue;
	struct shm_slot *slot;
	const struct jobq_handler *handler;
	void *state;              /* the handler's */
	size_t width;             /* jobs begun at a time, at most */
	struct event *turn, *beat;

	/* link.c */
	struct stream *stream;    /* NULL: no connection */
	bool welcome;             /* the dispatcher of `generation` has answered our HELLO */
	uint32_t generation;
	bool complained;          /* its absence is in the log */
	bool drain_told;
	int64_t retry_ns;         /* the next pause before a connect */
	struct event *retry;

	/* batch.c */
	struct batches queued, running, finished;
	size_t nrunning;
	size_t njobs;             /* not ended */
	bool doing;               /* the slot says what we do */

	/* admit.c */
	struct jobs waiting, begun;
	size_t nbegun;
	bool pumping;
	int64_t gate_until_ns;    /* our own gate, until the dispatcher's is read */
	struct event *admit;

	/* outcome.c */
	struct record *pool;      /* SHM_HELD of them: entry i of the held table is record i */
	struct record *table;     /* by (id, token) */
	struct records unsent, sent;
	size_t kept_bytes, kept_max; /* of outcomes that nobody has acknowledged */
	uint32_t hint;
	uint64_t ended;           /* jobs that had their effect, or tried */

	/* begun.c */
	struct buf news;          /* bodies of a BEGUN frame */
	uint32_t nnews;
	/* pool.c */
	struct pg_pool *connections; /* the handler's; NULL: its queue has none */
	struct shm_pool_use *pool_row;
	uint64_t pool_base[POOL_STAT_COUNT];

	/* timeout.c */
	struct event *timeout;

	/* drain.c */
	enum drain drain;
	bool drained;             /* what had not begun is given back */
	bool hurried;             /* its time is over: begun jobs were asked to stop */
	struct event *deadline, *sigterm, *sigusr1, *lifeline;

	char installation[256];   /* prefix of idempotency keys; "" until it is known */
	char key[300];
};

void worker_turn(struct worker *w); /* work is left for the end of this turn of the loop */

#endif

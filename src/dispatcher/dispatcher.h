/*
 * dispatcher/dispatcher.h: the dispatcher's own structures, shared by the files of this folder alone.
 *
 * The dispatcher is the one process of a node with the queue's SQL. One job's way through it:
 *
 *   lanes.c    rows arrive        -> queue/backlog: which lanes are due
 *   claim.c    claim statement    -> struct job, in queue/buffer
 *   handout.c  batch to a worker  -> job ASSIGNED
 *   outcome.c  outcome of a job   -> what becomes of its row (enum fate), job ENDED, in d->fates
 *   complete.c statements, commit -> acknowledgement to the worker, job freed
 *
 * around it: db.c (connections), node.c (incarnation and lease), recover.c (claims of the one before), sweep.c (lost
 * nodes, lost replies), wake.c (sleeping and waking), workers.c (their sockets and deaths), tick.c (cancels, pauses, progress),
 * learn.c (batch sizes), receiver.c (the receiver's rate and gate), pace.c (the queue's rate limit),
 * roster.c (tenants and tiers), limit.c, words.c, slices.c and slice.c (their limits), counts.c (what shared memory shows), control.c and why.c (jobqctl), upkeep.c (partitions),
 * rest.c (the moment between two turns), leave.c (the end).
 *
 * Invariants: a job object exists exactly while its row is claimed under its token by this incarnation; only complete.c
 * and claim.c write rows of jobs; every write after the claim is fenced by (id, token). Losing the database loses nothing:
 * fates wait. Losing the process loses nothing: rows are found again through jobq.claims.
 */
#ifndef JOBQ_DISPATCHER_DISPATCHER_H
#define JOBQ_DISPATCHER_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "dispatcher/pace.h"
#include "dispatcher/receiver.h"
#include "jobq/child.h"
#include "pg/conn.h"
#include "queue/backlog.h"
#include "queue/buffer.h"
#include "queue/degrade.h"
#include "queue/flight.h"
#include "queue/flow.h"
#include "queue/limits.h"
#include "queue/tuner.h"
#include "queue/waits.h"
#include "shm/seg.h"
#include "wire/stream.h"

struct decision;
struct event;
struct dispatcher;
struct json_t;

enum db_link { DB_CLAIM, DB_ACK, DB_ADMIN, DB_GATE, DB_LISTEN, DB_LINKS }; /* LISTEN only with listen_database */

enum phase { /* of this incarnation; RUN is left by losing the lease or the process only */
	PHASE_CONNECT,  /* wait for connections and a schema that we know */
	PHASE_REGISTER, /* jobq.nodes, jobq.queues */
	PHASE_RECOVER,  /* take over what an earlier incarnation of this daemon had claimed */
	PHASE_RUN,
	PHASE_LEAVE,    /* drained: everything was released, the node's row is going */
};

enum job_state { JOB_BUFFERED, JOB_ASSIGNED, JOB_ENDED };

enum fate { /* what becomes of the row */
	FATE_FINISH, /* completed, failed or cancelled: deleted, or moved to its history leaf */
	FATE_BACK,   /* pending again, perhaps later */
	FATE_HOLD,   /* held: its outcome is uncertain */
	FATE_VERIFY, /* the handler's own transaction has completed it: nothing to write */
};

enum end_status { END_COMPLETED, END_FAILED, END_CANCELLED };

struct claim {                   /* one claim statement's rows */
	int64_t token;
	uint32_t outstanding;    /* jobs whose fate is not committed */
	UT_hash_handle hh;
};

struct job {
	struct buffer_item item;
	int64_t id, token;
	int64_t place;           /* of its row, as the claim left it (pg_get_tid); PG_NO_TID: to be looked for by id */
	struct queue *queue;
	struct claim *claim;
	struct worker *worker;   /* ASSIGNED and ENDED: who holds it; NULL when it is gone */
	uint32_t slot, slot_generation; /* ASSIGNED: of the worker, known even before it says hello again */
	int64_t run_at_us, due_us, deadline_us, created_us;
	int64_t run;             /* tied: what tells this run of the job from those before a replacement; 0 = nothing */
	int retry_count, max_retries;   /* max_retries resolved */
	int crashes;
	enum job_state state;
	bool alone, cancel, cancel_sent, running, lost_reply, timed_out;
	bool reserved;           /* limited, and not begun */
	struct limit_tenant *limited; /* limit.c counts it; NULL: it does not */
	bool maybe_committed;    /* ENDED: its handler's COMMIT got no answer, and nothing of it was seen so far */
	bool by_itself;          /* ENDED: a statement failed over some value: write it in one of its own */
	bool tied;               /* it has a unique key or a notify channel: its end is more than its row (jobq.finish_tied) */
	int64_t busy_until_ns;   /* ENDED, tied: somebody holds its row; not written before */
	uint64_t batch_id;
	/* progress, until written */
	bool progress_new;
	float progress;
	char *progress_note;
	int64_t assigned_mono_ns;
	/* ENDED */
	enum fate fate;
	enum end_status end;
	int charge;              /* BACK: retries that this outcome burns, 0 or 1 */
	int new_crashes;         /* BACK: 0 = unchanged */
	int64_t delay_us;        /* BACK: -1 = run_at stays */
	bool doubt;              /* whether it is charged depends on others: receiver.c */
	int64_t after_ns;        /* doubt: what its outcome said */
	char *error, *result;    /* owned; NULL = none */
	size_t error_len, result_len;
	double run_ms;
	TAILQ_ENTRY(job) link;   /* worker->jobs or d->adopted; then d->fates; then the round's list */
	UT_hash_handle hh;
	struct job *before;      /* an earlier claim of the same id whose end we have not seen yet; in no hash */
	/* texts, in one allocation behind the struct */
	const char *tenant, *type, *user_id, *payload, *prior; /* prior: the row's result, which an earlier attempt left */
	uint32_t tenant_len, type_len, user_id_len, payload_len, prior_len;
};
TAILQ_HEAD(job_list, job);

struct worker {                  /* one connected worker process */
	struct dispatcher *d;
	struct stream *stream;
	struct queue *queue;     /* NULL until HELLO */
	uint32_t slot, slot_generation;
	struct job_list jobs;    /* ASSIGNED */
	uint32_t assigned;       /* jobs without outcome */
	uint32_t held;           /* jobs it may still hold in its slot: assigned or not acknowledged */
	bool draining, alone;    /* alone: it has a suspect and gets nothing else */
	bool timed_out;          /* it is being killed for a job that does not stop */
	struct buf acks;         /* ACK entries to be sent */
	uint32_t nacks;
	uint64_t sample_cursor;
	TAILQ_ENTRY(worker) link;
};
TAILQ_HEAD(worker_list, worker);

struct queue {
	struct dispatcher *d;
	const char *name;
	const struct conf_queue *conf; /* NULL: claimed under a configuration that no longer has it; then nothing is claimed */
	uint32_t index;          /* in shared memory, or SHM_NO_QUEUE */
	struct shm_queue *shm;   /* NULL when index is SHM_NO_QUEUE */
	struct backlog backlog;
	struct buffer buffer;
	struct tuner tuner;
	struct degrade degrade;
	struct flight flight;    /* what one worker may have in flight */
	struct receiver receiver;
	struct pace pace;
	struct limits limits;    /* of tenants and tiers: limit.c */
	bool limited;            /* there are such */
	struct slice *slice;     /* of the queue's own limit: slices.c */
	int64_t alone_until_ns;  /* this node alone has the queue's limits; mono */
	struct waits waits;
	uint64_t waits_added, waits_ended; /* what had arrived, and ended, a second ago */
	unsigned buffer_level;   /* of its use, as the log knows it */
	uint64_t decided;        /* decisions of the tuner that stand in shared memory */
	uint64_t told_added, told_overflows; /* of the buffer's counts, those in shared memory */
	int64_t batch_size;      /* in force: learn.c */
	bool whole_batches;      /* its handler's batches can fail as a whole; jobs that overlap fail one by one */
	int64_t slow_until_ns;   /* degraded: no batch before */
	struct worker_list *workers;
	uint32_t nworkers;
	uint32_t in_flight;      /* job objects of this queue */
	uint32_t assigned;       /* in its workers, without outcome */
	bool claiming;           /* a claim is under way */
	int64_t claim_not_before_ns; /* after a failed claim */
	int64_t claim_sent_ns, claim_took_ns; /* smoothed duration */
	struct flow flow;        /* of its ends, as they are committed */
	bool paused, pause_unstored; /* unstored: asked for here while the database was away */
	uint64_t ended[60];      /* ended jobs by second, for throughput */
	int64_t ended_second;
	int64_t counted_pending, counted_scheduled, counted_held; /* last exact count */
	int64_t oldest_due_us;
	struct exceeded *exceeded; /* exceeded.c: who ran into a rate limit */
	struct {                 /* trend.c: what it has seen; peak: the most of the buffer in this minute, in percent */
		uint64_t flushes[FLUSH_REASONS], completed;
		unsigned peak;
		bool waited;     /* due jobs waited when the second began */
	} seen;
};

struct round {                   /* one set of completion statements under way */
	bool active;
	unsigned open;           /* statements not yet answered */
	struct job_list jobs;
};

struct wake {                    /* see wake.c */
	enum wake_state { WAKE_POLLING, WAKE_ASKED, WAKE_LISTENING } state;
	bool unlocking;
	bool polling;            /* an arrivals query is under way */
	bool scan_after_grant;
	int64_t next_poll_ns;    /* mono */
	int64_t poll_every_ns;   /* between poll_min and poll_max */
	int64_t high;            /* arrivals are read behind this id */
	int64_t poll_from;       /* the next poll starts here, if it is less than high; INT64_MAX = no wish */
	uint64_t arrived, notified; /* in this second */
	double arrivals_per_s;   /* smoothed */
};

struct dispatcher {
	struct child *child;
	const struct conf *conf;
	struct shm_global *global;
	struct event_base *base;
	struct event *tick, *listen, *control_reader, *control_writer, *lifeline, *sigterm, *sigquit, *sigusr1, *pump;
	struct pg_conn *link[DB_LINKS];
	struct link_watch {      /* db.c: when a link last made progress */
		uint64_t answered;
		int64_t since_ns;
	} watch[DB_LINKS];
	struct pg_params params; /* scratch: used and sent within one function */
	enum phase phase;
	bool draining;           /* claim nothing more */
	bool leaving;            /* SIGTERM: release and leave */
	bool schema_checked, lease_ok, scanning, scanned;
	bool pauses_read;        /* nothing is claimed before */
	bool exit_now;
	int exit_code;
	uint32_t generation;     /* global->dispatcher_generation at the fork */
	int64_t incarnation;
	int64_t lease_sent_boot_ns, lease_next_ns, connected_since_ns;
	int64_t db_offset_us, real_minus_mono_us;

	struct queue *queues;
	size_t nqueues;
	struct worker_list workers;
	struct job *jobs;        /* hash by id: the latest claim of each; see job.c */
	struct claim *claims;    /* hash by token */
	struct job_list adopted; /* ASSIGNED to a worker that has not said hello yet */
	struct job_list fates;   /* ENDED, not yet in a round */
	size_t fates_count, fates_bytes;
	int64_t unwritten_since_ns; /* when the first of them came, or the last round ended */
	int64_t complete_not_before_ns; /* after a failed statement */
	struct round round;
	struct buf dead_claims;  /* tokens (int64) of claims without jobs, to be deleted */
	struct buf dead_cancels; /* ids (int64) whose cancel request is settled */
	struct leaf *leaves;     /* history leaves that are there (leaf.c) */
	struct orphan *orphans;  /* tokens in jobq.claims that we do not know (sweep.c) */
	struct wake wake;
	struct roster *roster;   /* NULL: not read yet, and nothing is claimed (roster.c) */
	struct words *words;     /* words.c */
	struct slices *slices;   /* slices.c; NULL until a limit is used */
	uint64_t batch_serial;
	uint64_t random;
	struct buf control_in, control_out;
	/* when periodic work is due, mono ns */
	int64_t next_second_ns, next_scan_ns, next_count_ns, next_sweep_ns, next_upkeep_ns, next_tick_ns, next_schema_ns, next_unserved_ns, next_own_ns, next_heads_ns, next_roster_ns;
	bool renewing, sweeping, counting, ticking, expiring, upkeeping, checking, listing, reading_heads, roster_reading;
};

/* dispatcher.c */
void dispatcher_pump(struct dispatcher *d);  /* something changed: claim, hand out, complete at the end of this loop turn */
void dispatcher_leave(struct dispatcher *d, int exit_code);
int64_t dispatcher_db_now_us(const struct dispatcher *d);
uint64_t dispatcher_random(struct dispatcher *d);
struct queue *dispatcher_queue(struct dispatcher *d, const char *name);
bool dispatcher_may_hand_out(const struct dispatcher *d); /* the lease is long enough, fates have room, not leaving */
bool dispatcher_may_claim(const struct dispatcher *d);

/* leave.c */
void leave_begin(struct dispatcher *d);                /* may be called again */
void leave_step(struct dispatcher *d);                 /* often, once begun: what is there to be written goes */

/* job.c */
struct job_row { /* a row as the claim or the recovery returned it */
	int64_t id, token, place, run_at_us, created_at_us, deadline_us, run;
	int priority, retry_count, max_retries, crashes; /* max_retries -1 = the queue's */
	bool tied;
	const char *tenant, *type, *user_id, *payload, *prior;
	size_t tenant_len, type_len, user_id_len, payload_len, prior_len;
};
struct job *job_new(struct dispatcher *d, struct queue *queue, const struct job_row *row);
void job_free(struct dispatcher *d, struct job *job); /* its claim loses it; it must be in no list and not buffered */
struct job *job_find(struct dispatcher *d, int64_t id, int64_t token);
int job_by_id(const void *a, const void *b);          /* for qsort of struct job *: rows are locked in this order */
void job_unassign(struct dispatcher *d, struct job *job);                 /* out of its worker's list or the adopted ones */

/* db.c */
void db_start(struct dispatcher *d);
void db_stop(struct dispatcher *d);
bool db_up(const struct dispatcher *d);               /* every link is ready and the schema is known */
void db_second(struct dispatcher *d);                  /* once a second: the schema may have been migrated */
void db_publish(struct dispatcher *d, uint32_t state, const char *error);
const struct pg_stmt *db_stmt(const char *name);      /* the statement of sql/statements/NAME.sql, made once */
/* The same with `mark` replaced by `text` throughout; made once for each key, and kept (keys are few). */
const struct pg_stmt *db_stmt_with(const char *name, const char *key, const char *mark, const char *text);
struct pg_params *db_params(struct dispatcher *d);    /* the scratch parameters, reset */
/* Sends on a link. false = it is not connected and done will not be called. */
bool db_send(struct dispatcher *d, enum db_link link, const char *stmt, pg_done *done, void *arg);
bool db_send_text(struct dispatcher *d, enum db_link link, const char *stmt, pg_done *done, void *arg);
void db_param_refs(struct dispatcher *d, struct job *const *jobs, size_t n); /* two int8[]: ids, tokens */

/* node.c */
void node_register(struct dispatcher *d);
void node_renew(struct dispatcher *d);
void node_unregister(struct dispatcher *d, pg_done *done);
/* recover.c */
void recover_start(struct dispatcher *d);
/* lanes.c */
void lanes_scan(struct dispatcher *d);                /* every lane of every queue, from the index */
void lanes_poll(struct dispatcher *d);                /* what arrived behind wake.high */
void lanes_check(struct dispatcher *d);               /* heads of lanes after short claims */
/* wake.c */
void wake_start(struct dispatcher *d);                /* connected (again): look at everything */
void wake_notify(struct dispatcher *d, const char *payload);
void wake_step(struct dispatcher *d);                 /* often: polls when it is time */
void wake_polled(struct dispatcher *d, bool ok, int64_t fresh); /* lanes.c: the answer of a poll */
void wake_second(struct dispatcher *d);
void wake_lost(struct dispatcher *d);                 /* the gate's connection is gone, and the lock with it */
/* claim.c */
void claim_pump(struct dispatcher *d);
void claim_read_row(const PGresult *res, int row, struct job_row *out); /* columns as sql/statements/claim.sql returns them */
/* handout.c */
void handout_pump(struct dispatcher *d);
uint32_t handout_begun(const struct worker *worker);  /* jobs of it whose effect has begun, as its slot shows them */
/* learn.c */
void learn_start(struct queue *queue);
void learn_step(struct dispatcher *d);                /* reads what finished batches tell */
void learn_decided(struct queue *queue, const struct decision *decision); /* into the ring and the log */
void learn_queued(struct queue *queue, size_t jobs, int64_t took_ns); /* so many jobs were put into the buffer */
void learn_publish(struct queue *queue);              /* once a second */
/* workers.c */
void workers_accept(struct dispatcher *d);            /* from now on */
void workers_send_acks(struct dispatcher *d);
void workers_cancel(struct dispatcher *d, struct job *job);
void workers_second(struct dispatcher *d);            /* timeouts, dead slots */
void workers_bury(struct dispatcher *d);              /* soon after a worker's connection closed */
void workers_ack(struct dispatcher *d, struct worker *worker, int64_t id, int64_t token);
/* outcome.c */
struct msg_outcome;
void outcome_of(struct dispatcher *d, struct job *job, const struct msg_outcome *m, int64_t now_ns);
void outcome_crashed(struct dispatcher *d, struct job *job, bool sole, bool by_kill); /* begun when its worker died (by SIGKILL) */
void outcome_ended_unseen(struct dispatcher *d, struct job *job);         /* its outcome died with the worker */
void outcome_unstarted(struct dispatcher *d, struct job *job);            /* to the buffer, or to the database when leaving */
void outcome_timed_out(struct dispatcher *d, struct job *job);
void outcome_release(struct dispatcher *d, struct job *job);              /* to the database as it was */
void outcome_release_buffered(struct dispatcher *d, const struct queue *queue, const char *tenant); /* NULL: of all queues, all tenants */
void outcome_cancelled(struct dispatcher *d, struct job *job);
void outcome_too_large(struct dispatcher *d, struct job *job);            /* for any frame; in no list */
void outcome_decided(struct dispatcher *d, struct job *job, bool excused); /* was in doubt */
/* complete.c */
void complete_add(struct dispatcher *d, struct job *job); /* job is ENDED and its fate is set */
void complete_pump(struct dispatcher *d);
int64_t complete_when_ns(const struct dispatcher *d); /* mono: when the next round may begin; INT64_MAX: not before something else has happened */
bool complete_idle(const struct dispatcher *d);
/* rest.c */
void rest_take(const struct dispatcher *d); /* between two turns; sleeps for half a millisecond, or not at all */
/* sweep.c */
void sweep_second(struct dispatcher *d);              /* lost nodes, lost replies */
/* tick.c */
void tick_second(struct dispatcher *d);               /* cancels, pauses, progress */
void tick_pause(struct dispatcher *d, const char *queue, const char *tenant, bool paused, const char *by, const char *reason,
	int64_t since_us, int64_t until_us);          /* takes effect here at once; queue only: tenant NULL */
/* counts.c */
void counts_second(struct dispatcher *d);
void counts_publish(struct dispatcher *d);            /* cheap; from the second's timer */
void counts_ended(struct queue *queue, enum shm_counter counter, int64_t now_ns);
double counts_flow(const struct dispatcher *d, int64_t now_ns); /* ends a second lately, of all queues that have jobs in workers */
/* trend.c */
void trend_second(struct dispatcher *d);              /* what reports are made of; after counts_publish */
/* upkeep.c */
void upkeep_second(struct dispatcher *d);
/* control.c */
void control_start(struct dispatcher *d);
/* why.c */
struct json_t *why_job(struct dispatcher *d, const struct json_t *row);
struct json_t *why_unknown(const struct json_t *id);
struct json_t *why_queue(struct dispatcher *d, struct queue *queue);

static inline void counter_add(struct queue *queue, enum shm_counter counter, uint64_t n)
{
	if (queue->shm)
		atomic_fetch_add_explicit(&queue->shm->counters[counter], n, memory_order_relaxed);
}

#endif

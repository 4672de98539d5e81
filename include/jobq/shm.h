/*
 * jobq/shm.h: the layout of the shared-memory segment. A contract: change it only with SHM_VERSION. Drawn in docs/shm.md.
 *
 * One segment a daemon, made by the master before its first fork and inherited by every child (which never maps it again);
 * jobqctl may map it read-only. Every field has ONE writer, named beside it; the only words with several writers are the
 * tat of a limit. All fields that change are atomic: a reader may see an old value, never a torn one; texts are cells
 * (seqlock). No lock lives here, so no death can leave one behind. Readers check every index and count against the header.
 *
 * Times: *_mono_ns CLOCK_MONOTONIC, *_boot_ns CLOCK_BOOTTIME, *_real_us microseconds since 1970 (0 = never).
 */
#ifndef JOBQ_SHM_H
#define JOBQ_SHM_H

#include <stdatomic.h>
#include <stdint.h>

#define SHM_MAGIC UINT64_C(0x314d485351424f4a) /* "JOBQSHM1" in memory order on little-endian machines */
#define SHM_VERSION 1u
#define SHM_NAME_MAX 64      /* a queue's or node's name with its NUL */
#define SHM_HELD 1024u       /* jobs that one worker may hold at a time */
#define SHM_SAMPLES 128u     /* ring of batches, per worker */
#define SHM_DECISIONS 64u    /* ring of decisions, per queue; a power of two */
#define SHM_PROGRAMS 72u     /* programs of one worker: `concurrency` is at most 64 */
#define SHM_UNSERVED 16u
#define SHM_NODES 32u
#define SHM_TRENDS 64u       /* ring of minutes, per queue; a power of two */
#define SHM_HIST_SUB 8u      /* sub-buckets for each power of two of microseconds: error at most 1/8 */
#define SHM_HIST_BUCKETS (SHM_HIST_SUB * 40u)
#define SHM_NO_QUEUE UINT32_MAX
#define SHM_WORDS 16384u     /* limits of tenants and tiers in use at a time */
#define SHM_NO_WORD UINT32_MAX
#define SHM_GATE_SHUT 1u     /* of gate_state: no job goes */
#define SHM_GATE_PROBE 2u    /* one job at a time, until one comes through */
#define SHM_POOLS 16u        /* connection pools, over all configurations since the start */

#define FLUSH_X(name, help) SHM_FLUSH_##name,
enum { 
#include "tbl/flushes.def"
	SHM_FLUSHES
};
#undef FLUSH_X

typedef _Atomic uint32_t shm_u32;
typedef _Atomic uint64_t shm_u64;
typedef _Atomic int64_t shm_i64;

#define ROLE_X(name, text) ROLE_##name,
enum shm_role {
#include "tbl/roles.def"
	ROLE_COUNT
};
#undef ROLE_X
#define PROC_STATE_X(name, text) PROC_##name,
enum shm_proc_state {
#include "tbl/states.def"
	PROC_STATE_COUNT
};
#define QUEUE_STATE_X(name, text) QUEUE_##name,
enum shm_queue_state {
#include "tbl/states.def"
	QUEUE_STATE_COUNT
};
#define DB_STATE_X(name, text) DB_##name,
enum shm_db_state {
#include "tbl/states.def"
	DB_STATE_COUNT
};
#define COUNTER_X(name, unit, help) COUNTER_##name,
enum shm_counter {
#include "tbl/counters.def"
	COUNTER_COUNT
};
#undef COUNTER_X

#define POOL_X(name, now, help) POOL_##name,
enum shm_pool_stat {
#include "tbl/pools.def"
	POOL_STAT_COUNT
};
#undef POOL_X

/* A short text with one writer. seq is odd while it is being written; see shm/cell.h. */
#define SHM_CELL_WORDS 32u /* 256 bytes with the NUL */
struct shm_cell {
	shm_u32 seq;
	shm_u32 pad;
	shm_u64 words[SHM_CELL_WORDS];
};

struct shm_hist { /* counts of microseconds; see shm/hist.h */
	shm_u64 count;
	shm_u64 sum_us;
	shm_u64 buckets[SHM_HIST_BUCKETS];
};

struct shm_limit { /* GCRA; see queue/gcra.h and shm/limit.h */
	shm_i64 tat_ns;      /* MANY writers, by compare-and-swap: theoretical arrival time, mono */
	shm_i64 interval_ns; /* dispatcher: ns a unit; 0 = no limit */
	shm_i64 burst_ns;    /* dispatcher: how far tat may lie ahead of now */
	shm_i64 until_ns;    /* dispatcher: nothing is taken from then on, mono; 0 = no end; LIMIT_CHANGING while the law is changed */
};

struct shm_word { /* the limit of a tenant or a tier in one queue */
	struct shm_limit limit;
	shm_u64 key;         /* dispatcher: hash of queue, kind and name, by which the next dispatcher knows it; 0 = never used */
};

struct shm_global {
	/* master */
	shm_i64 start_real_us, start_mono_ns;
	shm_u32 master_pid, stopping;           /* stopping: 0 no, 1 graceful, 2 at once */
	shm_u32 config_generation, config_ok;
	shm_u32 dispatcher_generation;          /* raised before a dispatcher is forked: frames of an older one are void */
	shm_u32 embedded;
	struct shm_cell node, config_path, config_error;
	struct shm_pool {                       /* what its connections do stands in the slots of the processes that have them */
		struct shm_cell name;           /* "" = not used; a name keeps its row for good */
		shm_u32 max, pad;               /* of all queues together; 0: no longer configured */
	} pools[SHM_POOLS];
	/* dispatcher */
	shm_u32 db_state, schema;
	shm_i64 lease_deadline_boot_ns;         /* before every effect a worker looks here; 0 = no lease */
	shm_i64 lease_ns;                       /* the whole lease */
	shm_i64 incarnation;
	shm_i64 counts_mono_ns;                 /* when pending, scheduled and oldest were last counted; 0 = never */
	shm_i64 database_offset_us;             /* database clock minus CLOCK_REALTIME */
	struct shm_cell db_target, db_error, installation; /* installation: prefix of idempotency keys */
	shm_u32 unserved_count, node_count;
	struct shm_unserved {
		struct shm_cell name;
		shm_u64 pending;
		shm_i64 oldest_real_us;
	} unserved[SHM_UNSERVED];
	struct shm_node {
		struct shm_cell name, version;
		shm_i64 last_seen_real_us;
		shm_u32 leader, pad;
	} nodes[SHM_NODES];
	shm_u64 tenants, tenant_lookups, tenant_reads; /* in the roster; answered from it; times that it was read from the database */
	shm_u64 word_seed;                      /* of the keys of `words`; 0 = not chosen yet */
	struct shm_word words[SHM_WORDS];       /* a job's frame says which are its tenant's and its tier's */
};

struct shm_base { /* dispatcher: the counts at the last reset of the metrics; what people see is counted from here */
	shm_i64 since_real_us;                  /* 0 = since the daemon's start */
	shm_u64 counters[COUNTER_COUNT];
	shm_u64 flushes[SHM_FLUSHES];
	shm_u64 batch_count, batch_us;          /* of the histogram batch_us */
};

struct shm_trend { /* dispatcher: the counters as they stood at the end of one minute */
	shm_i64 at_mono_ns;
	shm_u64 completed, errors, sent, exceeded;
	shm_u64 batches, busy_us;               /* of the histogram batch_us: its count and sum */
	shm_u64 active_s, backlog_s, backlog_jobs;
	shm_u64 pending;                        /* then */
	shm_u32 buffer_peak, pad;               /* percent of the buffer, the most in that minute */
};

#define TUNED_X(name, unit, text) SHM_TUNED_##name,
enum shm_tuned {
#include "tbl/tuned.def"
	SHM_TUNED_COUNT
};
#undef TUNED_X
struct shm_decision {                           /* dispatcher: what it changed by itself, and why; read with shm/decision.h */
	shm_i64 at_mono_ns, at_real_us;
	shm_i64 from_milli, to_milli;           /* thousandths of the unit (tbl/tuned.def) */
	shm_i64 run_ns;                         /* batch_size: a batch of the size `from` took that long; 0 = not measured */
	shm_u64 score_milli;                    /* batch_size: jobs a second of one worker at `from`, thousandths */
	shm_u32 what, reason;                   /* enum shm_tuned; enum tune_reason (tbl/tunings.def) */
};

struct shm_queue {
	/* master */
	struct shm_cell name, handler;
	shm_u32 used, state;                    /* state: enum shm_queue_state without the pause */
	shm_u32 want_workers, generation;       /* generation: of its workers' configuration */
	/* dispatcher */
	shm_u64 counters[COUNTER_COUNT];
	shm_u64 pending, scheduled, in_flight, held;
	shm_i64 oldest_pending_real_us;         /* run_at of the oldest due job, on this machine's clock; 0 = none */
	shm_u64 throughput_milli;               /* outcomes that ended a job, per 1000 s, over the last 10 s */
	shm_u64 buffer_entries, buffer_bytes, buffer_max;
	shm_u32 batch_size, batch_min, batch_max, batch_last;
	shm_u64 flushes[SHM_FLUSHES];           /* batches handed out, by reason (tbl/flushes.def) */
	shm_u64 buffer_added, buffer_overflows; /* jobs put into the buffer; those put back though it was full */
	shm_u64 buffer_peak;                    /* the most jobs it held */
	shm_u64 buffer_add_ns, buffer_add_timed; /* what putting jobs into it took, and how many of them were timed */
	shm_i64 limit_interval_ns;              /* of the configured rate_limit; 0 = none */
	shm_i64 effective_interval_ns;          /* in force: slower when the receiver bears less; 0 = no limit */
	shm_u64 decided;                        /* decisions so far; entry i is at i % SHM_DECISIONS */
	struct shm_decision decisions[SHM_DECISIONS];
	struct shm_hist batch_us;               /* a batch, from its hand-out to its last outcome */
	struct shm_hist pickup_us;              /* a job, from when it was due and committed to its begin mark */
	shm_u32 paused, gate_state;            /* gate_state: 0 open, SHM_GATE_SHUT, SHM_GATE_PROBE */
	shm_u32 paused_tenants, pad_pause;      /* tenants that are paused by themselves */
	shm_i64 pause_since_real_us, pause_until_real_us; /* until: 0 = until resumed */
	struct shm_cell pause_by, pause_reason, pause_tenant; /* of the queue's pause, or else of one tenant's */
	shm_i64 gate_until_mono_ns;             /* when the gate is tried again */
	struct shm_cell gate_reason, last_error;
	struct shm_limit limit;                 /* the queue's rate limit */
	/* dispatcher: what metrics and reports are made of (shm/metrics.h, shm/report.h) */
	shm_u64 minute_milli;                   /* as throughput_milli, over the last 60 s */
	shm_u64 active_s;                       /* seconds with due or unfinished jobs */
	shm_u64 backlog_s, backlog_jobs;        /* seconds from whose beginning to whose end due jobs waited; and the jobs completed in these */
	shm_i64 flushed_real_us[SHM_FLUSHES];   /* the last batch handed out for that reason, to the second; 0 = none */
	shm_i64 batch_target_ns;                /* what the report measures against; 0 = nothing */
	shm_u64 throughput_target_milli;
	shm_u32 concurrency;                    /* batches that one worker runs at a time */
	shm_u32 flight_milli;                   /* thousandths of what a worker may have in flight that it may have now; 0 = all */
	struct shm_base base;
	shm_u64 trend_head;                     /* minutes written so far; entry i is at i % SHM_TRENDS */
	struct shm_trend trend[SHM_TRENDS];
};

enum shm_held_state { HELD_FREE, HELD_QUEUED, HELD_BEGUN, HELD_ENDED }; /* ENDED: outcome known, not yet acknowledged */
struct shm_held { /* worker; a new dispatcher releases only what stands in no living slot */
	shm_i64 id, token;
	shm_i64 begun_mono_ns;
	shm_u32 state, alone;                   /* alone: this job was handed out by itself */
};

struct shm_sample { /* worker: one finished batch */
	shm_i64 end_mono_ns, run_ns;
	shm_u64 batch_id;
	shm_u32 jobs, done, retried, failed, snoozed, pad;
};

struct shm_program { /* worker; the master clears it after the worker's death */
	shm_u64 start;                          /* of its leader: field 22 of /proc/PID/stat, 0 = unknown */
	shm_u32 group, pad;                     /* its process group, the leader's pid; 0 = no program. Written last */
};

struct shm_slot {
	/* master */
	shm_u32 role, queue, number;            /* queue: index, or SHM_NO_QUEUE; number: 0.. within the queue */
	shm_u32 pid, generation;                /* generation: one more with each fork into this slot */
	shm_u32 state;                          /* master; READY and DRAINING by the child */
	shm_u32 config_generation;              /* of the queue when it was forked */
	shm_u32 restarts;
	shm_i64 started_mono_ns, rss_bytes;
	shm_i64 exit_real_us;                   /* the last death; 0 = none */
	shm_u32 exit_code, exit_signal;
	struct shm_cell exit_doing;
	/* the child */
	struct shm_cell doing;
	shm_i64 beat_mono_ns;                   /* the event loop turned */
	shm_u32 worked;                         /* it did its work at least once: the next start is immediate */
	shm_u32 batch_jobs;                     /* worker: jobs of the oldest batch that its handler has */
	shm_i64 batch_since_ns;                 /* worker: when that batch was given to it; 0 = none */
	shm_u64 sample_head;                    /* samples written so far; entry i is at i % SHM_SAMPLES */
	struct shm_sample samples[SHM_SAMPLES];
	struct shm_held held[SHM_HELD];
	struct shm_program programs[SHM_PROGRAMS]; /* exec: killed by the master when it has reaped the worker */
	struct shm_pool_use {
		shm_u64 stats[POOL_STAT_COUNT]; /* tbl/pools.def; the counts go on where the slot's last process ended */
	} pools[SHM_POOLS];                     /* as global.pools */
	/* dispatcher */
	shm_u32 kill_generation;                /* the master kills the child if this equals generation */
	shm_u32 pad;
	struct shm_cell kill_reason;
};

struct shm_header {
	uint64_t magic;                         /* master; all but ready before the first fork */
	uint32_t version, table_hash;           /* hash of the tables and structure sizes: another build is refused */
	uint64_t size;
	uint32_t nqueues, nslots;
	uint64_t off_global, off_queues, off_slots;
	int32_t owner_pid;
	uint32_t pad;
	uint64_t owner_start;                   /* field 22 of /proc/PID/stat: tells a recycled pid */
	shm_u32 ready;                          /* written last */
};

#endif

/*
 * queue/buffer.h: claimed jobs of one queue that wait for a worker: when they are a batch, and which batch goes next.
 *
 * Pure; used by the dispatcher, which embeds an `item` in each job and owns it. Times are mono ns, given by the caller.
 *
 * Batches. Jobs of one tenant (mixed: of all) form a group. A group is released, that is may be taken, when it holds a full batch,
 * when the first of its jobs has waited its timeout (by priority: normal and low, high, urgent; never beyond max_age), when a
 * deadline is near, and, one group after the other, soonest due first, while the buffer is above 85% of its entries or
 * bytes (early; above 95%, and until it is below 85% again: emergency). With timeouts of 0, the default, nothing waits.
 * Never over max_entries: buffer_room() says how much may be claimed, so that the claim slows instead.
 *
 * Turns. Tenants with released jobs stand in a ring and take turns by weight (share.h); a turn is as many batches as the
 * deficit allows. Within a tenant the most urgent goes first, aged jobs share its batch, equals go by age. A newcomer joins at
 * the head, once a round. Suspects (jobs that stood begun in a worker that died) go alone, before all others.
 */
#ifndef JOBQ_QUEUE_BUFFER_H
#define JOBQ_QUEUE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "queue/heap.h"
#include "queue/share.h"

#define BUFFER_PRIORITIES 11 /* 0..10; a priority outside is treated as 10 */
#define BUFFER_NEVER INT64_MAX
#define BUFFER_EARLY 85      /* percent of entries or bytes */
#define BUFFER_EMERGENCY 95

#define FLUSH_X(name, help) FLUSH_##name,
enum flush_reason {
#include "tbl/flushes.def"
	FLUSH_REASONS
};
#undef FLUSH_X

struct buffer_item {
	TAILQ_ENTRY(buffer_item) link;
	struct buffer_tenant *tenant; /* NULL: not buffered, or a suspect */
	int64_t since_ns;             /* first buffered; 0 = never yet. Set by buffer_add, kept when a job comes back */
	int64_t due_ns;               /* caller: when it was due to run, for aging; 0 = since_ns */
	int64_t deadline_ns;          /* caller: 0 = none */
	uint32_t bytes;
	uint8_t priority;
	bool suspect;
	bool buffered;
};
TAILQ_HEAD(buffer_list, buffer_item);

struct buffer_group { /* jobs that may go in one batch */
	size_t count;
	size_t released;          /* of these may be taken: <= count */
	enum flush_reason reason; /* of the release, or of the wait */
	struct heap_node wait;    /* in the heap of those that wait; key: when it ends */
};

struct buffer_tenant {
	char *name;
	struct buffer_list by_priority[BUFFER_PRIORITIES];
	uint32_t mask;            /* priorities that are not empty */
	struct buffer_group group; /* mixed: only its count is used */
	struct share share;
	int64_t deficit;          /* thousandths of a job */
	bool in_ring, in_turn;
	uint8_t spin;             /* which of the sharing priorities begins a batch smaller than their number */
	uint64_t round;
	TAILQ_ENTRY(buffer_tenant) ring;
	UT_hash_handle hh;
};

enum { BUFFER_NORMAL, BUFFER_HIGH, BUFFER_URGENT, BUFFER_CLASSES }; /* of timeouts */

struct buffer_law {
	size_t batch;                       /* jobs of a full batch, >= 1 */
	bool mixed;                         /* a batch may hold jobs of any tenants */
	int64_t timeout_ns[BUFFER_CLASSES]; /* 0 = at once */
	int64_t max_age_ns;                 /* 0 = no bound */
	int64_t deadline_margin_ns;         /* a batch goes that long before the first deadline in it */
	int64_t aging_ns;                   /* 0 = off */
	size_t max_entries, max_bytes;      /* 0 = no bound */
};

struct buffer {
	struct buffer_law law;
	struct buffer_tenant *tenants; /* hash by name: only those with jobs, and recently served ones */
	TAILQ_HEAD(buffer_ring, buffer_tenant) ring;
	struct buffer_list suspects;
	struct buffer_group all;       /* mixed: the one group */
	struct heap waiting;           /* groups that wait for company */
	size_t entries, bytes;         /* suspects included */
	size_t released;               /* entries that may be taken, suspects included */
	size_t active;                 /* tenants in the ring */
	uint64_t weight;               /* of these */
	uint64_t round;
	size_t round_left;
	bool at_once;                  /* no timeouts: nothing waits */
	bool closing, emergency;
	share_fn *share;
	void *share_arg;
	/* since the start */
	uint64_t flushes[FLUSH_REASONS];
	uint64_t added, overflows;     /* overflows: entries added although the buffer was full (jobs that came back) */
};

struct buffer_flush { /* what was taken */
	enum flush_reason reason;
	bool alone;           /* a suspect: hand it out by itself */
	int64_t waited_ns;    /* of its oldest job in the buffer */
};

void buffer_init(struct buffer *b); /* nothing waits, no bounds, equal weights */
void buffer_free(struct buffer *b); /* the items are the caller's */
/* A new law, at once for what waits. `mixed` may change only while the buffer is empty. */
void buffer_set_law(struct buffer *b, const struct buffer_law *law, int64_t now_ns);
void buffer_set_batch(struct buffer *b, size_t batch, int64_t now_ns); /* the tuner's part of the law */
void buffer_set_shares(struct buffer *b, share_fn *share, void *arg);  /* NULL: all equal; asks again for every tenant */
/* Appends at the end of its priority (front: at its head, for jobs that come back). item: priority, bytes, suspect, due_ns and
 * deadline_ns are set. */
void buffer_add(struct buffer *b, const char *tenant, struct buffer_item *item, bool front, int64_t now_ns);
void buffer_remove(struct buffer *b, struct buffer_item *item, int64_t now_ns); /* it must be buffered */
/* The next batch: up to max items, and no more than a full batch. They are no longer buffered. Returns their number, 0 = none may go. */
size_t buffer_take(struct buffer *b, size_t max, int64_t now_ns, struct buffer_item *out[], struct buffer_flush *flush);
/* Any items, batch or not, to be given back: up to max. */
size_t buffer_drain(struct buffer *b, size_t max, int64_t now_ns, struct buffer_item *out[]);
void buffer_close(struct buffer *b, int64_t now_ns); /* from now on nothing waits (shutdown) */
bool buffer_ready(struct buffer *b, int64_t now_ns); /* buffer_take would return something */
/* The item waits for company; *until_ns: when that ends. */
bool buffer_waits(const struct buffer *b, const struct buffer_item *item, int64_t *until_ns);
int64_t buffer_due_ns(const struct buffer *b);       /* when the next group ends its wait; BUFFER_NEVER */
/* How many jobs may be claimed so that `ready` jobs lie ready and no bound is broken; bytes by the average of those that are here. */
size_t buffer_room(const struct buffer *b, size_t ready);
unsigned buffer_use_percent(const struct buffer *b); /* of entries or bytes, whichever is more; 0 without bounds */
size_t buffer_suspects(const struct buffer *b);
const char *flush_reason_name(enum flush_reason reason);

#endif

/*
 * queue/backlog.h: what is known of one queue's waiting rows in the database, and whose turn it is to be claimed.
 *
 * Pure; used by the dispatcher. A lane is (tenant, priority): it knows when its first waiting row is due and keeps a cursor
 * (run_at, id) past the rows already claimed, so that a claim never walks over the dead front of the index again. Tenants
 * with a due lane stand in a ring and take turns by weight (share.h); within a tenant the most urgent lane goes first, and
 * aged lanes share its turn. A tenant that becomes active joins at the head, once a round, so that a newcomer
 * never waits behind a backlog and cannot jump it again and again. A turn asks for whole batches (quanta) and keeps what is left
 * of it for the tenant's next; one that the claim's room cut short goes on at the head.
 *
 * A barred tenant (paused, or until its limit frees) keeps its lanes and is out of the ring and of the checks: its backlog is
 * neither claimed nor looked at, whatever its size. To bar costs O(log tenants).
 *
 * The knowledge is a hint: a lane that is wrongly thought due costs one empty claim; one wrongly thought idle is put right by
 * the dispatcher's scan. Times are the database's, microseconds since 1970; BACKLOG_NEVER = nothing known to wait.
 */
#ifndef JOBQ_QUEUE_BACKLOG_H
#define JOBQ_QUEUE_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "queue/heap.h"
#include "queue/share.h"

#define BACKLOG_NEVER INT64_MAX
#define BACKLOG_START INT64_MIN /* cursor before the first row */
#define BACKLOG_ASKS 64         /* lanes in one claim: more cost more than they bring */
#define BACKLOG_PRIORITIES 16   /* lanes of one tenant in one claim */

/* How many of `want` rows the tenant's limits let it claim now; if 0, *until_us is when to ask again (BACKLOG_NEVER: not before
 * backlog_bar_until lifts it). What is granted counts as reserved; want < 0 gives back what was granted and not claimed. */
typedef int64_t backlog_grant_fn(void *arg, const char *tenant, int64_t want, int64_t *until_us);

struct lane {
	struct lane_tenant *tenant;
	int priority;
	int64_t due_us;             /* set by backlog_* only: it is the heap's key */
	int64_t after_us, after_id; /* cursor: claim only rows behind it */
	int64_t known;              /* waiting rows heard of: an estimate, >= 0 */
	uint64_t touched;           /* serial of the last change */
	int64_t checked_mono_ns;    /* when its head was last read from the start */
	struct heap_node ahead;     /* in the heap of lanes due later */
	bool claiming;              /* asked for in a claim under way, */
	size_t ask;                 /* as this one of its asks */
	bool news;                  /* rows came in while it was being claimed */
	bool check;                 /* a short claim: its head must be read from the start */
	bool checking;              /* its head is being read */
	TAILQ_ENTRY(lane) checks;
};

struct lane_tenant {
	char *name;
	struct lane **lanes;        /* by priority, most urgent first */
	size_t nlanes;
	bool in_ring;               /* a lane is due, or being claimed */
	uint64_t served;            /* b->turns when it was last asked for rows */
	bool active;                /* a lane is due and not being claimed */
	bool in_turn;               /* its turn has begun, and deficit is left of it */
	unsigned barred;            /* enum backlog_bar: keeps its lanes, gets no turn */
	uint8_t spin;               /* which of the sharing lanes begins an ask smaller than their number */
	struct heap_node bar;       /* in the heap of those barred until a time */
	struct share share;
	int64_t deficit, turn;      /* thousandths of a row; turn: what the last one added */
	uint64_t round;             /* in which it was last served */
	TAILQ_ENTRY(lane_tenant) ring;
	UT_hash_handle hh;
};

struct backlog {
	struct lane_tenant *tenants; /* hash by name */
	TAILQ_HEAD(lane_ring, lane_tenant) ring;
	size_t in_ring, active;      /* tenants */
	size_t lanes;
	TAILQ_HEAD(lane_checks, lane) checks; /* oldest wish first */
	struct heap ahead;           /* lanes whose due time lies ahead */
	struct heap bars;            /* tenants barred until a time */
	uint64_t weight;             /* of the tenants in the ring */
	int64_t aging_us;            /* 0 = off */
	share_fn *share;
	backlog_grant_fn *grant;
	void *share_arg, *grant_arg;
	uint64_t serial, round, turns;
	size_t round_left;           /* tenants that have not had their turn in this round */
};

struct ask { /* one lane of a claim */
	struct lane *lane;
	int32_t n;
};

void backlog_init(struct backlog *b);
void backlog_free(struct backlog *b);
struct lane *backlog_lane(struct backlog *b, const char *tenant, int priority); /* found or made */
struct lane *backlog_find(struct backlog *b, const char *tenant, int priority); /* or NULL */

/* `count` rows came in, the first of them due at due_us: the lane's cursor moves back to it if need be. */
void backlog_arrived(struct backlog *b, struct lane *lane, int64_t count, int64_t due_us, int64_t now_us);
/* One claimed row went back to waiting, due at run_at_us. */
void backlog_returned(struct backlog *b, struct lane *lane, int64_t run_at_us, int64_t now_us);
/* The head was read from the start: due_us, or BACKLOG_NEVER. `serial`: backlog_serial() when the question was sent; older
 * than the lane's last change = the answer is stale, and only `checking` is cleared. */
void backlog_checked(struct backlog *b, struct lane *lane, int64_t due_us, uint64_t serial, int64_t now_us, int64_t mono_ns);
uint64_t backlog_serial(const struct backlog *b);

/* The next claim: up to `room` rows from tenants in turn, each at least `quantum` rows a turn. Marks its lanes `claiming`.
 * Returns the number of asks, 0 = nothing is due. */
size_t backlog_plan(struct backlog *b, int64_t now_us, int64_t room, int64_t quantum, struct ask asks[BACKLOG_ASKS]);
/* Its answer for one lane: got rows, the last at (last_us, last_id). Fewer than asked: the lane is thought idle and wants a check. */
void backlog_claimed(struct backlog *b, const struct ask *ask, int64_t got, int64_t last_us, int64_t last_id, int64_t now_us);
/* The claim failed: as if it had not been asked. */
void backlog_unclaimed(struct backlog *b, const struct ask *ask, int64_t now_us);

/* Lanes whose head wants to be read, at most one time a second each; marks them `checking`. */
size_t backlog_checks(struct backlog *b, int64_t mono_ns, struct lane *out[], size_t max);
bool backlog_wants_checks(const struct backlog *b);
bool backlog_runnable(struct backlog *b, int64_t now_us); /* a tenant has a due lane that is not being claimed */
int64_t backlog_next_due(const struct backlog *b);        /* of the lanes ahead and the bars; BACKLOG_NEVER */
enum backlog_bar { BAR_PAUSED = 1, BAR_INACTIVE = 2 }; /* for as long as it is said; each by itself */
void backlog_bar(struct backlog *b, const char *tenant, enum backlog_bar bar, bool barred, int64_t now_us);
/* Neither claimed nor checked before until_us; a time that is not ahead lifts it. Independent of backlog_bar. */
void backlog_bar_until(struct backlog *b, const char *tenant, int64_t until_us, int64_t now_us);
void backlog_set_shares(struct backlog *b, share_fn *share, void *arg); /* NULL: all equal; asks again for every tenant */
void backlog_set_grant(struct backlog *b, backlog_grant_fn *grant, void *arg); /* NULL: no limits */
void backlog_set_aging(struct backlog *b, int64_t aging_us);
/* Forgets lanes that were idle at the scan which began at `serial` and have not changed since. */
void backlog_sweep(struct backlog *b, uint64_t serial);

#endif

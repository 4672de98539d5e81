/*
 * queue/backlog.h: what is known of one queue's waiting rows in the database, and whose turn it is to be claimed.
 *
 * Pure; used by the dispatcher. A lane is (tenant, priority): it knows when its first waiting row is due and keeps a cursor
 * (run_at, id) past the rows already claimed, so that a claim never walks over the dead front of the index again. Tenants
 * with a due lane stand in a ring and take turns (deficit round robin with equal quanta, Shreedhar & Varghese 1995); within
 * a tenant the most urgent lane goes first. A tenant that becomes active joins at the head, once a round, so that a newcomer
 * never waits behind a backlog and cannot jump it again and again.
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

#define BACKLOG_NEVER INT64_MAX
#define BACKLOG_START INT64_MIN /* cursor before the first row */
#define BACKLOG_ASKS 64         /* lanes in one claim: more cost more than they bring (see docs/decisions) */

struct lane {
	struct lane_tenant *tenant;
	int priority;
	int64_t due_us;             /* set by backlog_* only: it is the heap's key */
	int64_t after_us, after_id; /* cursor: claim only rows behind it */
	int64_t known;              /* waiting rows heard of: an estimate, >= 0 */
	uint64_t touched;           /* serial of the last change */
	int64_t checked_mono_ns;    /* when its head was last read from the start */
	size_t heap_at;             /* index + 1 in the heap of future lanes; 0 = not there */
	bool claiming;              /* asked for in a claim under way */
	bool news;                  /* rows came in while it was being claimed */
	bool check;                 /* a short claim: its head must be read from the start (then it is in the list of checks) */
	bool checking;              /* its head is being read */
	TAILQ_ENTRY(lane) checks;
};

struct lane_tenant {
	char *name;
	struct lane **lanes;        /* by priority, most urgent first */
	size_t nlanes;
	bool active;                /* in the ring */
	bool barred;                /* paused: keeps its lanes, gets no turn */
	uint64_t round;             /* in which it was last served */
	TAILQ_ENTRY(lane_tenant) ring;
	UT_hash_handle hh;
};

struct backlog {
	struct lane_tenant *tenants; /* hash by name */
	TAILQ_HEAD(lane_ring, lane_tenant) ring;
	size_t active;
	size_t lanes;
	TAILQ_HEAD(lane_checks, lane) checks; /* oldest wish first */
	struct lane **heap;          /* lanes whose due time lies ahead, soonest first */
	size_t heap_len, heap_cap;
	uint64_t serial, round;
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
int64_t backlog_next_due(const struct backlog *b);        /* of the lanes ahead; BACKLOG_NEVER */
void backlog_bar(struct backlog *b, const char *tenant, bool barred, int64_t now_us);
/* Forgets lanes that were idle at the scan which began at `serial` and have not changed since. */
void backlog_sweep(struct backlog *b, uint64_t serial);

#endif

/*
 * queue/limits.h: how many jobs of a tenant may be claimed now, under the limits of its queue, its tier and itself.
 *
 * Pure; used by the dispatcher, one a queue. Times are mono ns. A claim reserves, the sending takes: a bucket is a GCRA
 * (gcra.h) whose tat moves at the sending, plus what is reserved: claimed and not yet sent. What may be claimed is what could be
 * sent within `horizon` of now and is not reserved,
 *
 *     free = (now + horizon + burst - max(tat, now)) / interval - reserved,
 *
 * so buffers hold no more of a limited tenant than it may send in that time, and a tenant with nothing free is left alone until
 * a chunk of half a horizon's or half a burst's worth, whichever is more (at least one unit), has become free: limits cost at most
 * 2 / horizon or 2 / burst claims a second, and what waits for a chunk fits into the burst, so no unit of the rate is lost.
 * Sending on schedule moves tat on by what it takes off `reserved`: `free` grows with time alone, by rate * time. The law
 * at the receiver is gcra.h's and does not depend on this one: reserving can only be too careful, never too bold.
 *
 * Weights (segments, recipients) are not known before a claim: a job is reserved at its tenant's average cost (smoothed over the
 * last 16 jobs) and taken at its own. Concurrency counts jobs from the reserve to the end; it frees by events, not by time.
 */
#ifndef JOBQ_QUEUE_LIMITS_H
#define JOBQ_QUEUE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#define LIMITS_NEVER INT64_MAX
#define LIMITS_HORIZON_NS INT64_C(1000000000)
#define LIMITS_TIER_MAX 64 /* a longer name is cut */

struct slice;

struct limit_bucket {
	int64_t tat_ns;         /* the sender's: taken by limits_sent, or copied from where the workers take it */
	int64_t interval_ns;    /* ns a unit; 0 = no limit */
	int64_t burst_ns;
	int64_t reserved_milli; /* thousandths of units */
	int64_t whole_interval_ns, whole_burst_ns; /* as configured; interval and burst may be this node's part of it */
	uint32_t word;          /* the caller's: where its tat is kept; 0 = nowhere yet */
	struct slice *slice;    /* the caller's */
};

struct limits_of { /* the limits of one tenant */
	char tier[LIMITS_TIER_MAX]; /* "" = no bucket shared by a tier */
	int64_t interval_ns, burst_ns;
	int64_t tier_interval_ns, tier_burst_ns;
	int64_t concurrency;        /* jobs; 0 = no limit */
};
/* Asked when a tenant becomes known, and again by limits_reload. */
typedef void limits_fn(void *arg, const char *tenant, struct limits_of *out);

struct limit_tier {
	char name[LIMITS_TIER_MAX];
	struct limit_bucket bucket;
	UT_hash_handle hh;
};

struct limit_tenant {
	char *name;
	struct limit_bucket bucket;
	struct limit_tier *tier; /* or NULL */
	int64_t concurrency;
	int64_t reserved;        /* jobs, not yet sent */
	int64_t running;         /* jobs, from the reserve to the end */
	int64_t cost_milli;      /* average of a job */
	bool blocked;            /* refused for its concurrency since the last end */
	UT_hash_handle hh;
};

struct limits {
	struct limit_bucket queue;
	struct limit_tenant *tenants;
	struct limit_tier *tiers;
	int64_t horizon_ns;
	int64_t cost_milli;      /* average of a job of the queue */
	limits_fn *of;
	void *of_arg;
};

enum limit_kind { LIMIT_NONE, LIMIT_QUEUE, LIMIT_TIER, LIMIT_TENANT, LIMIT_CONCURRENCY };

void limits_init(struct limits *l, limits_fn *of, void *arg); /* of NULL: the queue's limit alone */
void limits_free(struct limits *l);
/* A bucket's new rate; what is owed stays the same number of units. */
void limits_set_bucket(struct limit_bucket *bucket, int64_t interval_ns, int64_t burst_ns, int64_t now_ns);
void limits_reload(struct limits *l, int64_t now_ns);         /* asks again for every tenant */
/* The tenant, found or made: for callers that keep its tat elsewhere. Valid while a job of it is reserved or running, or until limits_sweep. */
struct limit_tenant *limits_tenant(struct limits *l, const char *tenant, int64_t now_ns);

/* The queue's own limit bounds the whole claim, not one tenant's part of it: else tenants would not share it by weight. How many
 * jobs may be claimed in all, 0 until a chunk is free at *until_ns. Reserves nothing. */
int64_t limits_room(struct limits *l, int64_t want, int64_t now_ns, int64_t *until_ns);
/* How many of `want` jobs its tier and the tenant itself let be claimed now: they are reserved, in the queue's bucket too. If 0, *until_ns: when to ask again (LIMITS_NEVER: after an
 * end of the tenant's, see limits_ended). */
int64_t limits_reserve(struct limits *l, const char *tenant, int64_t want, int64_t now_ns, int64_t *until_ns);
void limits_unreserve(struct limits *l, const char *tenant, int64_t jobs); /* not claimed, or given back unsent */
/* One reserved job of the tenant was sent (begun): its units are taken at at_ns. */
void limits_sent(struct limits *l, struct limit_tenant *tenant, int64_t units, int64_t at_ns);
/* A sent job has ended. true: the tenant was waiting for that; lift its bar. */
bool limits_ended(struct limit_tenant *tenant);
/* Which limit holds the tenant back now, and when its next unit may be claimed (LIMITS_NEVER for concurrency). */
enum limit_kind limits_why(struct limits *l, const char *tenant, int64_t now_ns, int64_t *until_ns);
/* A job was under way before this was counted: it counts as running. */
void limits_running(struct limit_tenant *tenant);
typedef void limits_gone_fn(void *arg, const struct limit_tenant *tenant);
/* Forgets tenants about which there is nothing to know; gone (or NULL) is told of each before. */
void limits_sweep(struct limits *l, int64_t now_ns, limits_gone_fn *gone, void *arg);

#endif

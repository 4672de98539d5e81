/*
 * dispatcher/exceeded.h: who ran into a rate limit: noted, kept over a restart of the dispatcher, shown.
 *
 * Runs in the dispatcher, one record a queue (queue/exceed.h). An exceedance is counted once a queue, tenant and second in which a due
 * job waits for a token, and for each refusal (429). Whoever counts adds to the queue's counter rate_exceeded, so that is the
 * sum over its tenants. A full bucket of the queue is this file's own; those of tenants and tiers are told by whoever keeps them.
 */
#ifndef JOBQ_DISPATCHER_EXCEEDED_H
#define JOBQ_DISPATCHER_EXCEEDED_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "queue/exceed.h"

struct dispatcher;
struct lane_tenant;
struct queue;

#define EXCEEDED_MESSAGE 96

struct exceeded {
	struct exceed record;
	struct use *uses;    /* by tenant: what it took of the queue's rate in this second and the one before */
	int64_t second;      /* of the newer part of uses */
	int64_t looked_s;    /* the last second in which the bucket was found full */
	int64_t not_before_ns; /* to look again: a look at very many tenants has its price */
	int64_t bars_ns;     /* likewise, at those whose own limit holds them back */
};

void exceeded_start(struct dispatcher *d);      /* queues are there */
void exceeded_stop(struct dispatcher *d);
void exceeded_look(struct dispatcher *d);       /* a few times a second: are buckets full, and jobs waiting? */
void exceeded_second(struct dispatcher *d);     /* saves what has changed */
void exceeded_sent(struct queue *queue, const char *tenant, int64_t units, int64_t now_ns); /* a begun job took these from the queue's limit */

/* exceeded_own.c: its own limit, or its tier's, did not let the tenant claim: noted if it has due jobs and a rate is what it waits for. */
void exceeded_own(struct queue *queue, const char *tenant);
void exceeded_own_look(struct queue *queue, int64_t now_ns); /* the same of all that are barred until a time, once a second */
/* Its rows that are due, as far as known; `claiming`: with those of lanes that a claim is asking for, of which it is not known what it takes. */
int64_t exceeded_due(const struct queue *queue, const struct lane_tenant *tenant, bool claiming);

/* A limit holds back n of the tenant's due jobs now. At most one a second and tenant counts. */
void exceeded_note(struct queue *queue, const char *tenant, int64_t n, const char *message);
/* The receiver refused one of its jobs with 429, in these words. Each counts. */
void exceeded_refused(struct queue *queue, const char *tenant, const char *message);
char *exceeded_message(char dst[EXCEEDED_MESSAGE], struct rate rate); /* "Rate limit exceeded: 50 per second" */
char *exceeded_message_of(char dst[EXCEEDED_MESSAGE], int64_t interval_ns); /* the same, where nothing is known but the ns that a unit takes */

/* exceeded_file.c */
void exceeded_load(struct dispatcher *d);
void exceeded_save(struct dispatcher *d);
void exceeded_remove(struct dispatcher *d);     /* the daemon ends: nobody will read it */

/* exceeded_doc.c: new references; the documents of the metrics */
json_t *exceeded_metrics(struct dispatcher *d);
json_t *exceeded_workspace(struct dispatcher *d, const char *tenant);
/* Of one queue or tenant; NULL = all. NULL: no such queue, and *near is the name that may have been meant, or NULL. */
json_t *exceeded_reset(struct dispatcher *d, const char *queue, const char *tenant, const char **near);

#endif

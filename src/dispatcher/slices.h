/*
 * dispatcher/slices.h: this node's part of rate limits that several nodes share: slices of a second, leased from the database.
 *
 * The law and the wire are in sql/migrations/0002_tenants/30_leases.sql. A limit is in use from slices_use until nobody has used it
 * for some seconds; while any is, the database is asked, and each answer says what this node may take, and until when. Alone on
 * a queue the node has all of it, until its lease ends.
 */
#ifndef JOBQ_DISPATCHER_SLICES_H
#define JOBQ_DISPATCHER_SLICES_H

#include <stdbool.h>
#include <stdint.h>

struct dispatcher;
struct queue;
struct slice;

struct slice_law { /* what may be taken now */
	int64_t interval_ns, burst_ns; /* interval_ns 0: nothing */
	int64_t until_ns;              /* mono; when to look again, if nothing */
};

/* The limit of a queue ('q', name ""), a tenant ('t') or a tier ('r') is wanted: interval and burst are those of all nodes together.
 * word: SHM_NO_WORD for the queue's own. Returns what this node has of it now. *slice is the caller's handle, NULL at first; name
 * lives until slices_drop. */
struct slice_law slices_use(struct slice **slice, struct queue *queue, char scope, const char *name, uint32_t word, int64_t interval_ns,
	int64_t burst_ns);
void slices_taken(struct slice *slice, int64_t units); /* NULL is nothing, here and below */
void slices_waits(struct slice *slice);            /* jobs wait for it: this node could use all of it */
void slices_drop(struct slice *slice);
void slices_step(struct dispatcher *d);            /* often: asks, and lets each slice begin when it is time */
int64_t slices_next_ns(const struct dispatcher *d); /* when slices_step has something to do, mono; INT64_MAX */
void slices_free(struct dispatcher *d);

#endif

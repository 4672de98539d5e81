/*
 * queue/exceed.h: who ran into a rate limit, how often, when, and the last details.
 *
 * Pure; used by the dispatcher, one a queue. Waits are counted at most once a tenant and second, whatever calls; refusals each. Bounded: EXCEED_TENANTS
 * tenants, the one whose last exceedance is longest ago leaves first; EXCEED_DETAILS details a tenant. Equal messages that
 * follow one another share their text: about 1 kB a tenant. Times are microseconds since 1970.
 */
#ifndef JOBQ_QUEUE_EXCEED_H
#define JOBQ_QUEUE_EXCEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#define EXCEED_TENANTS 10000
#define EXCEED_DETAILS 20
#define EXCEED_MESSAGE 200 /* bytes; a longer one is cut */

struct exceed_text {
	uint32_t users;
	char text[];
};

struct exceed_detail {
	int64_t at_us;
	int64_t batch; /* the tenant's due jobs held back */
	struct exceed_text *message;
};

struct exceed_tenant {
	char *name;
	uint64_t count;
	int64_t last_us;
	int64_t waited_s;          /* the last second in which it waited */
	struct exceed_detail details[EXCEED_DETAILS]; /* ring: the newest is at (next + EXCEED_DETAILS - 1) % EXCEED_DETAILS */
	uint32_t next, kept;
	TAILQ_ENTRY(exceed_tenant) lru;
	UT_hash_handle hh;
};

struct exceed {
	struct exceed_tenant *tenants;
	TAILQ_HEAD(exceed_lru, exceed_tenant) lru; /* longest ago first */
	uint64_t count;                            /* of all tenants, those forgotten included */
	uint64_t changes;                          /* rises with each: is there something to be saved? */
};

void exceed_init(struct exceed *e);
void exceed_free(struct exceed *e);
/* A due job waited for a token. false = this second of this tenant was counted already. */
bool exceed_note(struct exceed *e, const char *tenant, int64_t at_us, int64_t batch, const char *message);
bool exceed_noted(const struct exceed *e, const char *tenant, int64_t at_us); /* it would be false */
/* The receiver refused one of its jobs (429). */
void exceed_refused(struct exceed *e, const char *tenant, int64_t at_us, int64_t batch, const char *message);
/* As it was before, told least recent tenant first: false = there is no room. Details (exceed_detail_add) oldest first, none counted. */
bool exceed_restore(struct exceed *e, const char *tenant, uint64_t count, int64_t last_us);
void exceed_detail_add(struct exceed *e, const char *tenant, int64_t at_us, int64_t batch, const char *message);
const struct exceed_tenant *exceed_find(const struct exceed *e, const char *tenant); /* or NULL */
/* The i-th newest detail, 0 = the newest; NULL behind the last. */
const struct exceed_detail *exceed_detail(const struct exceed_tenant *tenant, uint32_t i);
size_t exceed_worst(const struct exceed *e, const struct exceed_tenant *out[], size_t max); /* highest counts first */
void exceed_reset(struct exceed *e, const char *tenant); /* NULL: all */

#endif

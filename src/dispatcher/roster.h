/*
 * dispatcher/roster.h: what the database says of tenants and tiers: who is active, weights, limits.
 *
 * A roster is read whole (sql/statements/tenants.sql), then replaces the one before. Tenants of whom nothing is said are not in it:
 * they are active, of the tier `default`, and have what the queue's configuration says.
 */
#ifndef JOBQ_DISPATCHER_ROSTER_H
#define JOBQ_DISPATCHER_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "queue/limits.h"
#include "queue/share.h"

struct dispatcher;
struct queue;

void roster_step(struct dispatcher *d);              /* reads it when it is time: at start, when told, every tenant_cache_ttl */
void roster_stale(struct dispatcher *d);             /* tenants have changed: read it now */
void roster_free(struct dispatcher *d);
bool roster_active(const struct dispatcher *d, const char *tenant);
const char *roster_tier(const struct dispatcher *d, const char *tenant);
size_t roster_size(const struct dispatcher *d);      /* tenants in it */
struct share roster_share(const struct queue *queue, const char *tenant);
void roster_limits(const struct queue *queue, const char *tenant, struct limits_of *out);
bool roster_limited(const struct queue *queue);      /* some tenant or tier of the queue may have a limit */

#endif

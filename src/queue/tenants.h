/*
 * queue/tenants.h: the tenants of a backlog, their ring, turns and bars, and what else backlog.c and plan.c share. Private to them; the laws are
 * in backlog.h and share.h.
 */
#ifndef JOBQ_QUEUE_TENANTS_H
#define JOBQ_QUEUE_TENANTS_H

#include "queue/backlog.h"

struct lane_tenant *tenants_get(struct backlog *b, const char *name); /* found or made */
void tenants_forget(struct backlog *b, struct lane_tenant *tenant);    /* its lanes are freed already */
bool tenants_lane_is_due(const struct lane *lane, int64_t now_us);
int64_t tenants_known(const struct lane_tenant *tenant, int64_t now_us, int64_t unknown); /* rows that wait in due lanes */
bool tenants_barred(const struct lane_tenant *tenant);
void tenants_fit(struct backlog *b, struct lane_tenant *tenant, int64_t now_us); /* in or out of the ring, as it should be */
bool tenants_begin_turn(struct backlog *b, struct lane_tenant *tenant, int64_t quantum); /* false: it was in it */
void tenants_pass(struct backlog *b, struct lane_tenant *tenant); /* to the tail without a turn: it is being claimed */
void tenants_end_turn(struct backlog *b, struct lane_tenant *tenant);
void tenants_refund(struct lane_tenant *tenant, int64_t rows); /* asked for in its turn, and not got */
void tenants_reshare(struct backlog *b, struct lane_tenant *tenant);
/* until_us, a little later: bars of the same millisecond (a tier's) end in the order of who was served longest ago. */
int64_t tenants_bar_key(const struct backlog *b, const struct lane_tenant *tenant, int64_t until_us);
void tenants_end_bars(struct backlog *b, int64_t now_us);
/* backlog.c: lanes and bars whose time has come */
void backlog_wake(struct backlog *b, int64_t now_us);
/* backlog.c: granted by the tenant's limits, and not asked for or not got */
void backlog_give_back(struct backlog *b, const struct lane_tenant *tenant, int64_t rows);
/* backlog.c: a bar has come or gone */
void backlog_bar_changed(struct backlog *b, struct lane_tenant *tenant, bool was_barred, int64_t now_us);

#endif

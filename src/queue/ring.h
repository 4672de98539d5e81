/*
 * queue/ring.h: the ring of a buffer's tenants: who is in it, whose turn it is. Private to buffer.c and group.c; the law of
 * turns is in share.h.
 */
#ifndef JOBQ_QUEUE_RING_H
#define JOBQ_QUEUE_RING_H

#include "queue/buffer.h"

struct buffer_tenant *ring_tenant(struct buffer *b, const char *name); /* found or made */
void ring_forget(struct buffer *b, struct buffer_tenant *tenant);       /* it must not be in the ring */
struct share ring_share(const struct buffer *b, const char *name);
size_t ring_takable(const struct buffer *b, const struct buffer_tenant *tenant);
void ring_fit(struct buffer *b, struct buffer_tenant *tenant);          /* in or out, after its jobs have changed */
/* Whose turn it is for up to max jobs; the ring must not be empty. Light tenants save up over ten rounds at most (share.h). */
struct buffer_tenant *ring_turn_of(struct buffer *b, size_t max);
bool ring_in_funds(const struct buffer *b, const struct buffer_tenant *tenant, size_t max);
void ring_turn_ends(struct buffer *b, struct buffer_tenant *tenant);    /* it may be freed by this */

#endif

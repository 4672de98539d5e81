/* queue/ladder.h: private to queue/tuner.c: the sizes that the tuner may try, and what is known of them. */
#ifndef JOBQ_QUEUE_LADDER_H
#define JOBQ_QUEUE_LADDER_H

#include "queue/tuner.h"

#define LADDER_MARGIN 1.01 /* a neighbour must be that much better */

void ladder_build(struct tuner *t);                                /* from the law */
uint32_t ladder_rung_of(const struct tuner *t, uint32_t size);     /* the highest that is not larger */
uint32_t ladder_top(const struct tuner *t);                        /* the highest that may be used: walls, memory */
bool ladder_known(const struct tuner *t, uint32_t rung);           /* measured in this epoch */
uint32_t ladder_best(const struct tuner *t);                       /* of those that are known and may be used */

#endif

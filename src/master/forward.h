/* master/forward.h: requests passed to the dispatcher, and its answers. */
#ifndef JOBQ_MASTER_FORWARD_H
#define JOBQ_MASTER_FORWARD_H

#include <jansson.h>
#include <stdint.h>

struct control_client;
struct master;

void master_forward(struct master *m, struct control_client *c, const char *verb, json_t *args);
void master_forward_reply(struct master *m, json_t *reply); /* a line of the dispatcher with "req" */
void master_forward_lost(struct master *m);                 /* the dispatcher is gone: what was sent is answered with an error */
void master_forward_pending(struct master *m);              /* a new one is here: send what waits */
void master_forward_tick(struct master *m, int64_t now_ns); /* what got no answer in 2 s */
int64_t master_forward_next_ns(const struct master *m);     /* mono: when the next one times out; INT64_MAX = none */
void master_forward_free(struct master *m);

#endif

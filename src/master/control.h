/* master/control.h: the control socket: clients, their lines and replies. */
#ifndef JOBQ_MASTER_CONTROL_H
#define JOBQ_MASTER_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/access.h"

struct master;
struct control_client;

/* Makes RUNDIR/jobqd.sock. 0, or an exit code with the reason. */
int master_control_open(struct master *m, char *err, size_t errlen);
bool master_control_group(struct master *m, gid_t gid, char *err, size_t errlen); /* who may open the socket */
void master_control_close(struct master *m);
void master_control_child(struct master *m);                /* in a fork: events out, descriptors closed */
void master_control_tick(struct master *m, int64_t now_ns); /* ends those that take too long */

const struct master_peer *master_control_peer(const struct control_client *c);
/* The one reply to the request under way. result is taken over. */
void master_control_ok(struct control_client *c, json_t *result);
void master_control_error(struct control_client *c, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void master_control_reply(struct control_client *c, const json_t *reply);
/* The reply comes later, under this id; until then the client's next request waits. */
void master_control_later(struct control_client *c, uint64_t id);
struct control_client *master_control_waiting(struct master *m, uint64_t id); /* who waits for it; NULL = gone */

#endif

/* master/embed.h: the private PostgreSQL of `database = embedded`: made, started, adopted, supervised, stopped. */
#ifndef JOBQ_MASTER_EMBED_H
#define JOBQ_MASTER_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct embed;
struct master;

int master_embed_open(struct master *m, char *err, size_t errlen); /* finds binaries, checks the data's version; an exit code */
void master_embed_close(struct master *m);
void master_embed_step(struct master *m);
bool master_embed_reaped(struct master *m, pid_t pid, int status); /* false: not one of ours */
void master_embed_stop(struct master *m);                          /* fast shutdown, or no start any more */
bool master_embed_gone(const struct master *m);
bool master_embed_may_dispatch(const struct master *m);            /* it is up, or we have waited long enough */
bool master_embed_busy(const struct embed *e);                     /* something is on its way: look often */
const char *master_embed_state(const struct embed *e);
const char *master_embed_database(const struct embed *e);          /* conninfo of jobq_worker */
const char *master_embed_owner_database(const struct embed *e);    /* conninfo of jobq_owner */

#endif

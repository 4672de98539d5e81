/* master/setup.h: makes what the master needs before its first fork, and removes it after the last. */
#ifndef JOBQ_MASTER_SETUP_H
#define JOBQ_MASTER_SETUP_H

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct master;

/* An exit code; on failure the reason is in err and what was made is still to be torn down. */
int master_setup(struct master *m, struct conf *conf, char *err, size_t errlen);
void master_setup_teardown(struct master *m);
int master_setup_log(const struct conf *conf, bool daemon, char *err, size_t errlen); /* opens it, or switches; 0 or -1 */

#endif

/* master/privilege.h: from root to the user that jobqd runs as. */
#ifndef JOBQ_MASTER_PRIVILEGE_H
#define JOBQ_MASTER_PRIVILEGE_H

#include <stddef.h>
#include <sys/types.h>

struct conf;

/* Makes run_dir and state_dir, gives them to `user`, becomes that user for good. An exit code, with the reason in err. */
int master_privilege_drop(const struct conf *conf, char *err, size_t errlen);
/* "" gives MASTER_ACCESS_NO_GROUP. An exit code. */
int master_privilege_group(const char *name, gid_t *gid, char *err, size_t errlen);

#endif

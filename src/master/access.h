/* master/access.h: who is at the other end of the control socket, and what they may do. */
#ifndef JOBQ_MASTER_ACCESS_H
#define JOBQ_MASTER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MASTER_ACCESS_GROUPS 64
#define MASTER_ACCESS_NO_GROUP ((gid_t)-1)

struct master_peer {
	uid_t uid;
	gid_t groups[MASTER_ACCESS_GROUPS]; /* the primary one first */
	size_t ngroups;
	char name[64]; /* of the user, or "uid 1234" */
};

bool master_access_peer(int fd, struct master_peer *peer); /* as the kernel saw it when it connected */
/* root, the daemon's own user, members of admin_group (MASTER_ACCESS_NO_GROUP = there is none) */
bool master_access_admin(const struct master_peer *peer, uid_t daemon, gid_t admin_group);

#endif

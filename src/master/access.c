/*
 * master/access.c: identifies the peer of a unix socket and says whether it may change things.
 *
 * Runs in the master. Credentials are the kernel's (SO_PEERCRED, SO_PEERGROUPS), never the peer's own word. The user's name
 * is for the record only and comes from /etc/passwd alone: a name service may hang, and the master must not.
 */
#include "config.h"

#include "master/access.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/text.h"

static void name_of(uid_t uid, char *dst, size_t size)
{
	FILE *file = fopen("/etc/passwd", "re");

	(void)snprintf(dst, size, "uid %lu", (unsigned long)uid);
	if (file == NULL)
		return;
	for (struct passwd *pw = fgetpwent(file); pw != NULL; pw = fgetpwent(file)) {
		if (pw->pw_uid == uid) {
			(void)text_copy(dst, size, pw->pw_name);
			break;
		}
	}
	(void)fclose(file);
}

bool master_access_peer(int fd, struct master_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	gid_t more[MASTER_ACCESS_GROUPS - 1];
	socklen_t more_len = sizeof more;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || len != sizeof cred)
		return false;
	peer->uid = cred.uid;
	peer->groups[0] = cred.gid;
	peer->ngroups = 1;
	/* a user of more groups than fit (ERANGE) is known by the primary one alone */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, more, &more_len) == 0)
		for (size_t i = 0; i < more_len / sizeof more[0]; i++)
			peer->groups[peer->ngroups++] = more[i];
	name_of(cred.uid, peer->name, sizeof peer->name);
	return true;
}

bool master_access_admin(const struct master_peer *peer, uid_t daemon, gid_t admin_group)
{
	if (peer->uid == 0 || peer->uid == daemon)
		return true;
	for (size_t i = 0; i < peer->ngroups; i++)
		if (admin_group != MASTER_ACCESS_NO_GROUP && peer->groups[i] == admin_group)
			return true;
	return false;
}

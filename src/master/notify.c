/*
 * master/notify.c: tells systemd READY, RELOADING, STOPPING.
 *
 * Runs in the master. The protocol is one datagram to a unix socket, whose name begins with @ when it is abstract. It never
 * waits, and a service manager that does not listen is no reason to fail.
 */
#include "config.h"

#include "master/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static struct sockaddr_un address;
static socklen_t address_len; /* 0 = nobody listens */

void master_notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;

	if (len > 1 && len < sizeof address.sun_path && (path[0] == '/' || path[0] == '@')) {
		address.sun_family = AF_UNIX;
		memcpy(address.sun_path, path, len);
		if (path[0] == '@')
			address.sun_path[0] = '\0';
		address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	(void)unsetenv("NOTIFY_SOCKET");
}

void master_notify(const char *state)
{
	if (address_len == 0)
		return;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, address_len);
	(void)close(fd);
}

void master_notify_reloading(void)
{
	char state[64];

	(void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(clock_mono_ns() / NS_PER_US));
	master_notify(state);
}

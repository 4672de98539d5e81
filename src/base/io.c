/*
 * base/io.c: descriptors, files and unix sockets (see io.h).
 *
 * Runs in every process. Owns nothing between calls. Invariant: every descriptor made here is close-on-exec, and a call
 * that fails has closed and removed what it made, with errno telling why. A file is replaced by rename, so a reader sees
 * the old text or the new, also after a crash.
 */
#include "config.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* closes fd (if any), removes path (if any), keeps errno; always -1 */
static int undo(int fd, const char *path)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	if (path != NULL)
		unlink(path);
	errno = saved;
	return -1;
}

static bool address(struct sockaddr_un *sa, const char *path)
{
	size_t len = strlen(path);

	memset(sa, 0, sizeof *sa);
	sa->sun_family = AF_UNIX;
	if (len == 0 || len > IO_SOCKET_PATH_MAX) {
		errno = len ? ENAMETOOLONG : EINVAL;
		return false;
	}
	memcpy(sa->sun_path, path, len + 1);
	return true;
}

int io_unix_connect(const char *path)
{
	struct sockaddr_un sa;
	int fd;

	if (!address(&sa, path))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	return connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0 ? fd : undo(fd, NULL);
}

__attribute__((format(printf, 3, 4))) static int explain(char *err, size_t errlen, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(err, errlen, format, ap) < 0 && errlen > 0)
		err[0] = '\0';
	va_end(ap);
	errno = saved;
	return -1;
}

/* 0 when nothing stands at path any more */
static int clear_stale(const char *path, char *err, size_t errlen)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : explain(err, errlen, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return explain(err, errlen, "%s exists and is not a socket; move it away", path);
	}
	fd = io_unix_connect(path);
	if (fd >= 0 || errno == EAGAIN) {
		if (fd >= 0)
			close(fd);
		errno = EADDRINUSE;
		return explain(err, errlen, "another process is listening on %s", path);
	}
	if (errno != ECONNREFUSED && errno != ENOENT)
		return explain(err, errlen, "cannot tell who listens on %s: %s", path, strerror(errno));
	if (unlink(path) != 0 && errno != ENOENT)
		return explain(err, errlen, "cannot remove the stale socket %s: %s", path, strerror(errno));
	return 0;
}

int io_unix_listen(const char *path, mode_t mode, char *err, size_t errlen)
{
	struct sockaddr_un sa;
	mode_t old;
	int fd, bound;

	if (!address(&sa, path))
		return explain(err, errlen, "the socket path %s has %zu bytes, at most %d are possible; choose a shorter run_dir",
		               path, strlen(path), IO_SOCKET_PATH_MAX);
	if (clear_stale(path, err, errlen) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return explain(err, errlen, "cannot create a socket: %s", strerror(errno));
	old = umask(0177); /* nobody else may connect before the mode is set */
	bound = bind(fd, (const struct sockaddr *)&sa, sizeof sa);
	umask(old);
	if (bound != 0) {
		undo(fd, NULL);
		return explain(err, errlen, "cannot create the socket %s: %s", path, strerror(errno));
	}
	if (chmod(path, mode) != 0 || listen(fd, SOMAXCONN) != 0) {
		undo(fd, path);
		return explain(err, errlen, "cannot listen on %s: %s", path, strerror(errno));
	}
	return fd;
}

int io_socketpair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

int io_pipe(int fds[2])
{
	return pipe2(fds, O_CLOEXEC);
}

int io_read_file(const char *path, size_t max, struct buf *out)
{
	size_t before = out->len;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -1;
	for (;;) {
		buf_reserve(out, 4096);
		n = read(fd, out->data + out->len, out->cap - out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->len += (size_t)n;
		if (out->len - before > max) {
			errno = EFBIG;
			n = -1;
			break;
		}
	}
	if (n < 0) {
		out->len = before;
		return undo(fd, NULL);
	}
	return close(fd);
}

bool io_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* the name in a directory lasts only when the directory is on disk too */
static int sync_parent(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	int fd;

	if (len >= sizeof parent) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, len ? path : ".", len ? len : 1);
	parent[len ? len : 1] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system that has no such thing */
		return undo(fd, NULL);
	return close(fd);
}

int io_write_file(const char *path, const void *data, size_t len, mode_t mode)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof tmp, "%s.XXXXXX", path), fd;

	if (n < 0 || (size_t)n >= sizeof tmp) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fchmod(fd, mode) != 0 || !io_write_all(fd, data, len) || fsync(fd) != 0)
		return undo(fd, tmp);
	if (close(fd) != 0 || rename(tmp, path) != 0)
		return undo(-1, tmp);
	return sync_parent(path);
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST || stat(path, &st) != 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return 0;
	errno = ENOTDIR;
	return -1;
}

int io_mkdirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof part) {
		errno = len ? ENAMETOOLONG : ENOENT;
		return -1;
	}
	memcpy(part, path, len + 1);
	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (make_one(part, mode) != 0)
			return -1;
		*slash = '/';
	}
	return make_one(part, mode);
}

int io_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

bool io_pread_all(int fd, void *dst, size_t len, off_t at)
{
	char *to = dst;

	while (len > 0) {
		ssize_t n = pread(fd, to, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENODATA;
		if (n <= 0)
			return false;
		to += n;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

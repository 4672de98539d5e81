/*
 * base/io.h: descriptors, files and unix sockets, with what the bare calls leave out.
 *
 * Every descriptor made here is close-on-exec; sockets are non-blocking as well. Functions return -1 with errno
 * (or a clear text in err) and leave nothing half done.
 */
#ifndef JOBQ_BASE_IO_H
#define JOBQ_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

#define IO_SOCKET_PATH_MAX 107 /* bytes of sun_path without the NUL */

int io_unix_listen(const char *path, mode_t mode, char *err, size_t errlen); /* replaces a stale socket, never another kind of file */
int io_unix_connect(const char *path);                                      /* connected at once or -1: ENOENT, ECONNREFUSED, EAGAIN (backlog full: try later) */
int io_socketpair(int fds[2]);                                              /* stream, non-blocking, cloexec */
int io_pipe(int fds[2]);                                                    /* cloexec */
int io_read_file(const char *path, size_t max, struct buf *out);            /* appends; EFBIG beyond max */
int io_write_file(const char *path, const void *data, size_t len, mode_t mode); /* temporary + fsync + rename */
int io_mkdirs(const char *path, mode_t mode);                               /* mkdir -p; an existing directory is fine */
int io_set_nonblock(int fd, bool on);
bool io_pread_all(int fd, void *dst, size_t len, off_t at);                 /* false: errno, ENODATA at an early end */
bool io_write_all(int fd, const void *data, size_t len);                    /* a blocking descriptor */

#endif

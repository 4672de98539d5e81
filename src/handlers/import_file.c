/*
 * import_file.c: a source that is a file beneath import_dir.
 *
 * Runs in a worker; the file's part of a struct import_run (see import.h). The directory is opened as the configuration says,
 * with %t replaced by the tenant, and the source beneath it by openat2 with RESOLVE_BENEATH: no "..", no absolute path and no
 * link leads out, whoever writes in there while we look. What comes before %t is the administrator's and followed as it is; from
 * there on links are not followed to the directory itself. Only regular files are read. Reading blocks as disks do.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/import.h"

#define KERNEL "the kernel has no openat2; Linux 5.6 or newer is needed"

static int open_beneath(int dir, const char *path, int flags, uint64_t resolve)
{
	const struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* May it be one directory's name? */
static bool good_name(const char *tenant)
{
	return *tenant != '\0' && strcmp(tenant, ".") != 0 && strcmp(tenant, "..") != 0 && strchr(tenant, '/') == NULL;
}

static char *with_tenant(const char *path, const char *tenant)
{
	struct buf out = {0};

	for (; *path != '\0'; path++) {
		if (path[0] == '%' && path[1] == 't') {
			buf_puts(&out, tenant);
			path++;
		} else {
			buf_putc(&out, *path);
		}
	}
	char *text = xstrdup(buf_str(&out));
	buf_free(&out);
	return text;
}

/* The directory that sources of this job come from; -1 and errno. */
static int open_dir(const char *import_dir, const char *tenant)
{
	const char *mark = strstr(import_dir, "%t");
	int fd;

	if (mark == NULL)
		return open(import_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (mark > import_dir && mark[-1] != '/') /* the part that holds the tenant begins here */
		mark--;
	char *trusted = xstrndup(import_dir, (size_t)(mark - import_dir)), *rest = with_tenant(mark, tenant);
	int base = open(trusted, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = base < 0 ? -1 : open_beneath(base, rest, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	int saved = errno;
	if (base >= 0)
		(void)close(base);
	free(trusted);
	free(rest);
	errno = saved;
	return fd;
}

/* The end of the run: what errno means for the job. */
static void refused(struct import_run *run, const char *what)
{
	char text[256];

	if (errno == EXDEV || errno == ELOOP)
		import_fail(run, "%s leads out of its directory", what);
	else if (errno == ENOSYS)
		import_fail(run, "%s cannot be opened: " KERNEL, what);
	else if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM || errno == ENAMETOOLONG || errno == ENXIO)
		import_fail(run, "%s cannot be opened: %s", what, strerror(errno));
	else {
		snprintf(text, sizeof text, "%s cannot be opened: %s", what, strerror(errno));
		import_end(run, OUTCOME_RETRY, -1, text, NULL);
	}
}

static void note(struct import_run *run, const struct stat *st)
{
	run->stat.size = (int64_t)st->st_size;
	run->stat.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool import_file_open(struct import_run *run)
{
	const char *import_dir = run->import->queue->k.import_dir;
	struct stat st;

	if (strstr(import_dir, "%t") != NULL && !good_name(run->job->tenant)) {
		import_fail(run, "the tenant cannot be the name of a directory (import_dir has %%t)");
		return false;
	}
	int dir = open_dir(import_dir, run->job->tenant);
	if (dir < 0) {
		refused(run, "the directory of import_dir");
		return false;
	}
	run->fd = open_beneath(dir, run->spec->source, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	int saved = errno;
	(void)close(dir);
	errno = saved;
	if (run->fd < 0) {
		refused(run, "the source");
		return false;
	}
	if (fstat(run->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		import_fail(run, "the source is not a regular file");
		return false;
	}
	note(run, &st);
	run->size = run->stat.size;
	(void)posix_fadvise(run->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return true;
}

ssize_t import_file_read(struct import_run *run, char *data, size_t size)
{
	ssize_t n;

	do
		n = read(run->fd, data, size);
	while (n < 0 && errno == EINTR);
	return n;
}

bool import_file_same(const struct import_run *run)
{
	struct stat st;

	return fstat(run->fd, &st) == 0 && (int64_t)st.st_size == run->stat.size
		&& (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == run->stat.mtime_ns && run->read == run->stat.size;
}

void import_file_close(struct import_run *run)
{
	if (run->fd >= 0)
		(void)close(run->fd);
	run->fd = -1;
}

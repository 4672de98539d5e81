/*
 * tests/unit/test_io.c: descriptors, files and sockets (src/base/io.c), in a directory of its own that it removes.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

static char dir[64];

static void setup(void)
{
	memcpy(dir, "/tmp/jobq-io-XXXXXX", sizeof "/tmp/jobq-io-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void teardown(void)
{
	char command[128];

	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_gt(snprintf(command, sizeof command, "rm -rf %s", dir), 0);
	ck_assert_int_eq(system(command), 0);
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_mode & 07777u;
}

static bool cloexec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static bool nonblock(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

START_TEST(listen_and_connect)
{
	char err[256] = "";
	int listener = io_unix_listen("s", 0660, err, sizeof err), client, server;

	ck_assert_msg(listener >= 0, "%s", err);
	ck_assert(cloexec(listener) && nonblock(listener));
	ck_assert_uint_eq(mode_of("s"), 0660);
	client = io_unix_connect("s");
	ck_assert(client >= 0 && cloexec(client) && nonblock(client));
	server = accept(listener, NULL, NULL);
	ck_assert_int_ge(server, 0);
	ck_assert_int_eq(io_unix_listen("s", 0660, err, sizeof err), -1); /* alive: not replaced */
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err, "listening"));
	close(listener);
	ck_assert_int_eq(io_unix_connect("s"), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	listener = io_unix_listen("s", 0600, err, sizeof err); /* stale: replaced */
	ck_assert_msg(listener >= 0, "%s", err);
	ck_assert_uint_eq(mode_of("s"), 0600);
	close(listener);
	close(client);
	close(server);
}
END_TEST

START_TEST(listen_refuses)
{
	char err[256] = "", path[IO_SOCKET_PATH_MAX + 2];
	int fd;

	ck_assert_int_eq(io_write_file("file", "precious", 8, 0600), 0);
	ck_assert_int_eq(io_unix_listen("file", 0660, err, sizeof err), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_ptr_nonnull(strstr(err, "not a socket"));
	ck_assert_int_eq(symlink("file", "link"), 0);
	ck_assert_int_eq(io_unix_listen("link", 0660, err, sizeof err), -1);
	ck_assert_uint_eq(mode_of("file"), 0600);
	ck_assert_int_eq(io_unix_listen("none/s", 0660, err, sizeof err), -1);
	ck_assert_int_eq(errno, ENOENT);
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(io_unix_listen(path, 0660, err, sizeof err), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	ck_assert_int_eq(io_unix_connect(path), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	path[IO_SOCKET_PATH_MAX] = '\0';
	fd = io_unix_listen(path, 0660, err, sizeof err);
	ck_assert_msg(fd >= 0, "%s", err);
	close(fd);
	ck_assert_int_eq(io_unix_listen("", 0660, err, sizeof err), -1);
	ck_assert_int_eq(io_unix_connect("nobody"), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(pairs)
{
	int s[2], p[2];

	ck_assert_int_eq(io_socketpair(s), 0);
	ck_assert_int_eq(io_pipe(p), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert(cloexec(s[i]) && nonblock(s[i]) && cloexec(p[i]) && !nonblock(p[i]));
		ck_assert_int_eq(io_set_nonblock(p[i], true), 0);
		ck_assert(nonblock(p[i]));
		ck_assert_int_eq(io_set_nonblock(p[i], false), 0);
		ck_assert(!nonblock(p[i]));
	}
	for (int i = 0; i < 2; i++) {
		close(s[i]);
		close(p[i]);
	}
	ck_assert_int_eq(io_set_nonblock(p[0], true), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(files)
{
	struct buf b = {0};
	char big[10000];

	memset(big, 'b', sizeof big);
	ck_assert_int_eq(io_write_file("f", "old", 3, 0600), 0);
	ck_assert_int_eq(io_write_file("f", big, sizeof big, 0640), 0);
	ck_assert_uint_eq(mode_of("f"), 0640);
	buf_puts(&b, "before:");
	ck_assert_int_eq(io_read_file("f", sizeof big, &b), 0);
	ck_assert_uint_eq(b.len, 7 + sizeof big);
	ck_assert(memcmp(b.data, "before:", 7) == 0 && memcmp(b.data + 7, big, sizeof big) == 0);
	ck_assert_int_eq(io_read_file("f", sizeof big - 1, &b), -1);
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_uint_eq(b.len, 7 + sizeof big); /* nothing half done */
	ck_assert_int_eq(io_read_file("none", 10, &b), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(io_read_file(".", 10, &b), -1);
	ck_assert_int_eq(errno, EISDIR);
	buf_reset(&b);
	ck_assert_int_eq(io_read_file("/proc/self/stat", 100000, &b), 0); /* size 0 says its inode */
	ck_assert_uint_gt(b.len, 0);
	ck_assert_int_eq(io_write_file("f", "", 0, 0600), 0);
	buf_reset(&b);
	ck_assert_int_eq(io_read_file("f", 0, &b), 0);
	ck_assert_uint_eq(b.len, 0);
	buf_free(&b);
}
END_TEST

START_TEST(write_leaves_nothing_behind)
{
	char path[5000];

	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(mkdir("d/sub", 0700), 0);
	ck_assert_int_eq(io_write_file("d/sub", "x", 1, 0600), -1); /* a directory cannot be replaced */
	ck_assert_int_eq(rmdir("d/sub"), 0);
	ck_assert_int_eq(rmdir("d"), 0); /* empty: no temporary file is left */
	ck_assert_int_eq(io_write_file("none/f", "x", 1, 0600), -1);
	ck_assert_int_eq(errno, ENOENT);
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(io_write_file(path, "x", 1, 0600), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

START_TEST(directories)
{
	char path[256];

	ck_assert_int_eq(io_mkdirs("a/b/c", 0750), 0);
	ck_assert_uint_eq(mode_of("a/b/c") & 0700u, 0700);
	ck_assert_int_eq(io_mkdirs("a/b/c", 0750), 0);
	ck_assert_int_eq(io_mkdirs("a//b/d/", 0750), 0);
	ck_assert_int_gt(snprintf(path, sizeof path, "%s/x/y", dir), 0);
	ck_assert_int_eq(io_mkdirs(path, 0750), 0);
	ck_assert_int_eq(io_mkdirs("/", 0750), 0);
	ck_assert_int_eq(io_write_file("a/file", "", 0, 0600), 0);
	ck_assert_int_eq(io_mkdirs("a/file", 0750), -1);
	ck_assert_int_eq(errno, ENOTDIR);
	ck_assert_int_eq(io_mkdirs("a/file/x", 0750), -1);
	ck_assert_int_eq(errno, ENOTDIR);
	ck_assert_int_eq(io_mkdirs("", 0750), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(pread_takes_all)
{
	char got[4];
	int fd;

	ck_assert_int_eq(io_write_file("f", "abcdef", 6, 0600), 0);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert(io_pread_all(fd, got, 4, 2));
	ck_assert(memcmp(got, "cdef", 4) == 0);
	ck_assert(!io_pread_all(fd, got, 4, 3));
	ck_assert_int_eq(errno, ENODATA);
	ck_assert(io_pread_all(fd, got, 0, 99));
	close(fd);
	ck_assert(!io_pread_all(fd, got, 1, 0));
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("io");
	TCase *tc = tcase_create("io");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, listen_and_connect);
	tcase_add_test(tc, listen_refuses);
	tcase_add_test(tc, pairs);
	tcase_add_test(tc, files);
	tcase_add_test(tc, write_leaves_nothing_behind);
	tcase_add_test(tc, directories);
	tcase_add_test(tc, pread_takes_all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * unit_ctl_client: jobqctl's side of the control socket against a peer that answers well, in pieces, late, wrongly, or not
 * at all. The peer is a process on a real socket.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "jobqctl/client.h"

static char path[64];
static pid_t peer;
static struct client client;

static void setup(void)
{
	(void)snprintf(path, sizeof path, "/tmp/unit-ctl-client-%ld.sock", (long)getpid());
	client_init(&client, path);
	peer = 0;
}

static void teardown(void)
{
	client_close(&client);
	if (peer > 0) {
		(void)kill(peer, SIGKILL);
		(void)waitpid(peer, NULL, 0);
	}
	(void)unlink(path);
}

static void put(int fd, const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);
		if (n <= 0)
			_exit(1);
		at += (size_t)n;
	}
}

/* reads one line; false at the end */
static bool get(int fd, char *line, size_t size)
{
	size_t at = 0;

	while (at + 1 < size && recv(fd, line + at, 1, 0) == 1)
		if (line[at++] == '\n') {
			line[at - 1] = '\0';
			return true;
		}
	return false;
}

typedef void manner(int fd, const char *line);

static void serve(manner *answer)
{
	int listener = io_unix_listen(path, 0600, (char[256]){0}, 256);

	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(io_set_nonblock(listener, false), 0);
	peer = fork();
	ck_assert_int_ge(peer, 0);
	if (peer > 0) {
		ck_assert_int_eq(close(listener), 0);
		return;
	}
	for (;;) {
		static char line[1 << 20];
		int fd = accept(listener, NULL, NULL);
		while (fd >= 0 && get(fd, line, sizeof line))
			answer(fd, line);
		(void)close(fd);
	}
}

static void echo(int fd, const char *line) /* the request is the result */
{
	put(fd, "{\"ok\":true,\"result\":", 20);
	put(fd, line, strlen(line));
	put(fd, "}\n", 2);
}

static void bytewise(int fd, const char *line)
{
	static const char text[] = "{\"ok\":true,\"result\":7}\n";

	(void)line;
	for (const char *p = text; *p != '\0'; p++)
		put(fd, p, 1);
}

static void no(int fd, const char *line)
{
	(void)line;
	put(fd, "{\"ok\":false,\"code\":\"not_found\",\"error\":\"no queue\"}\n", 51);
}

static void garbage(int fd, const char *line)
{
	(void)line;
	put(fd, "HTTP/1.1 400\r\n", 14);
}

static void shapeless(int fd, const char *line)
{
	(void)line;
	put(fd, "{\"ok\":1}\n", 9);
}

static void hang_up(int fd, const char *line)
{
	(void)line;
	put(fd, "{\"ok\":tr", 8);
	(void)shutdown(fd, SHUT_RDWR);
}

static void nothing(int fd, const char *line)
{
	(void)fd;
	(void)line;
}

static void megabytes(int fd, const char *line)
{
	static char text[1 << 16];

	(void)line;
	memset(text, 'a', sizeof text);
	put(fd, "{\"ok\":true,\"result\":\"", 21);
	for (int i = 0; i < 16 * 20; i++)
		put(fd, text, sizeof text);
	put(fd, "\"}\n", 3);
}

START_TEST(requests_and_replies)
{
	json_t *result;

	serve(echo);
	for (int i = 0; i < 3; i++) { /* on one connection */
		ck_assert_int_eq(client_call(&client, "jobs", json_pack("{s:i}", "n", i), &result), CLIENT_OK);
		ck_assert_str_eq(json_string_value(json_object_get(result, "cmd")), "jobs");
		ck_assert_int_eq(json_integer_value(json_object_get(result, "v")), 1);
		ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(result, "args"), "n")), i);
		json_decref(result);
	}
	ck_assert_int_eq(client_call(&client, "ping", NULL, &result), CLIENT_OK);
	ck_assert(json_is_object(json_object_get(result, "args")));
	json_decref(result);
}
END_TEST

START_TEST(in_pieces_and_large)
{
	json_t *result;

	serve(bytewise);
	ck_assert_int_eq(client_call(&client, "x", NULL, &result), CLIENT_OK);
	ck_assert_int_eq(json_integer_value(result), 7);
	json_decref(result);
	teardown();
	setup();
	serve(megabytes);
	ck_assert_int_eq(client_call(&client, "x", NULL, &result), CLIENT_OK);
	ck_assert_uint_eq(json_string_length(result), 20u << 20);
	json_decref(result);
}
END_TEST

START_TEST(no_is_told_and_the_connection_stays)
{
	json_t *result;

	serve(no);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(client_call(&client, "x", NULL, &result), CLIENT_ERROR);
		ck_assert_str_eq(client.code, "not_found");
		ck_assert_str_eq(client.error, "no queue");
		ck_assert_int_ge(client.fd, 0);
	}
}
END_TEST

static void broken(manner *answer, const char *says)
{
	json_t *result;

	serve(answer);
	ck_assert_int_eq(client_call(&client, "x", NULL, &result), CLIENT_ERROR);
	ck_assert_str_eq(client.code, "");
	ck_assert_msg(strstr(client.error, says) != NULL, "\"%s\" does not say \"%s\"", client.error, says);
	ck_assert_int_lt(client.fd, 0);
	ck_assert_ptr_null(result);
	teardown();
	setup();
}

START_TEST(a_broken_peer_is_an_error)
{
	broken(garbage, "not JSON");
	broken(shapeless, "does not speak this protocol");
	broken(hang_up, "closed the connection");
}
END_TEST

START_TEST(a_silent_peer)
{
	json_t *result;

	serve(nothing);
	client.timeout_ms = 50;
	ck_assert_int_eq(client_call(&client, "x", NULL, &result), CLIENT_SILENT);
	ck_assert_int_lt(client.fd, 0); /* a late answer finds nobody */
}
END_TEST

START_TEST(nobody_there)
{
	json_t *result;
	char want[256];

	ck_assert_int_eq(client_call(&client, "x", NULL, &result), CLIENT_AWAY);
	(void)snprintf(want, sizeof want, "cannot reach jobqd at %s: no such file (is it running? systemctl status jobqd)", path);
	ck_assert_str_eq(client.error, want);
	int fd = io_unix_listen(path, 0600, (char[256]){0}, 256);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(close(fd), 0); /* the file of a dead daemon */
	ck_assert_int_eq(client_call(&client, "x", NULL, &result), CLIENT_AWAY);
	ck_assert_ptr_nonnull(strstr(client.error, "connection refused"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_client");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, requests_and_replies);
	tcase_add_test(all, in_pieces_and_large);
	tcase_add_test(all, no_is_told_and_the_connection_stays);
	tcase_add_test(all, a_broken_peer_is_an_error);
	tcase_add_test(all, a_silent_peer);
	tcase_add_test(all, nobody_there);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

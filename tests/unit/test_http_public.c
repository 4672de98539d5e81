/*
 * tests/unit/test_http_public.c: the HTTP client's look at addresses, with a resolver that tells it what the test wants.
 *
 * getaddrinfo is this program's own: it counts, and gives each name the next of its addresses in turn, as a name server would that
 * says one thing to who looks and another to who calls. A listener on loopback is what must not be reached.
 */
#include "config.h"

#include <check.h>
#include <dlfcn.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "handlers/http.h"

static atomic_uint lookups;
static const char *answers[4]; /* to the first, second, … lookup */

/* libcurl calls it in a thread of its own */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

	memcpy(&real, &symbol, sizeof real);
	if (strcmp(node, "rebind.test") == 0)
		node = answers[atomic_fetch_add(&lookups, 1) % 4];
	return real(node, service, hints, out);
}

static struct event_base *base;
static struct evconnlistener *listener;
static struct http *client;
static unsigned connections;
static unsigned short port;
static struct {
	bool done;
	enum http_reach reach;
	bool not_public;
	char error[256];
} seen;

static void on_request(evutil_socket_t fd, short what, void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"x\"\r\nConnection: close\r\n\r\n";
	char drain[4096];

	(void)what;
	(void)arg;
	ck_assert_int_gt(read(fd, drain, sizeof drain), 0);
	ck_assert_int_eq(write(fd, answer, sizeof answer - 1), (int)sizeof answer - 1);
	ck_assert_int_eq(close(fd), 0);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
	(void)l;
	(void)from;
	(void)len;
	(void)arg;
	connections++;
	ck_assert_int_eq(event_base_once(base, fd, EV_READ, on_request, NULL, NULL), 0);
}

static void on_done(void *arg, const struct http_reply *reply)
{
	(void)arg;
	seen.done = true;
	seen.reach = reply->reach;
	seen.not_public = reply->not_public;
	ck_assert_int_ge(snprintf(seen.error, sizeof seen.error, "%s", reply->error == NULL ? "" : reply->error), 0);
	if (reply->reach == HTTP_ANSWERED) {
		ck_assert_str_eq(http_reply_header(reply, "etag"), "\"x\"");
		ck_assert_ptr_null(http_reply_header(reply, "X-None"));
	}
}

static void setup(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	char err[256];

	memset(&seen, 0, sizeof seen);
	connections = 0;
	atomic_store(&lookups, 0);
	base = event_base_new();
	listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 8, (struct sockaddr *)&at, sizeof at);
	ck_assert_int_eq(getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&at, &len), 0);
	port = ntohs(at.sin_port);
	client = http_new(base, 2, "test", err, sizeof err);
	ck_assert_ptr_nonnull(client);
}

static void teardown(void)
{
	http_free(client);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void ask(const char *host, bool public_only)
{
	char err[256], *url = xasprintf("http://%s:%u/", host, port);
	struct http_request r = {.method = "GET", .url = url, .public_only = public_only, .done = on_done};

	seen.done = false;
	ck_assert_ptr_nonnull(http_send(client, &r, err, sizeof err));
	while (!seen.done)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	free(url);
}

START_TEST(an_address_that_is_not_public_is_never_connected_to)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "rebind.test"};

	for (size_t i = 0; i < 4; i++)
		answers[i] = "127.0.0.1";
	ask(hosts[_i], true);
	ck_assert_int_eq(seen.reach, HTTP_NOT_SENT);
	ck_assert_msg(seen.not_public, "%s: %s", hosts[_i], seen.error);
	ck_assert_ptr_nonnull(strstr(seen.error, "public"));
	ck_assert_uint_eq(connections, 0);
}
END_TEST

START_TEST(without_the_wish_it_is)
{
	ask("127.0.0.1", false);
	ck_assert_msg(seen.reach == HTTP_ANSWERED, "%s", seen.error);
	ck_assert_uint_eq(connections, 1);
}
END_TEST

/* What was resolved is what is judged is what is connected to: there is no second lookup for it to differ in. */
START_TEST(a_name_is_looked_up_once)
{
	answers[0] = "127.0.0.1";
	answers[1] = answers[2] = answers[3] = "127.0.0.2";
	ask("rebind.test", false);
	ck_assert_msg(seen.reach == HTTP_ANSWERED, "%s", seen.error);
	ck_assert_uint_eq(atomic_load(&lookups), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_public");
	TCase *tc = tcase_create("loopback");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, an_address_that_is_not_public_is_never_connected_to, 0, 6);
	tcase_add_test(tc, without_the_wish_it_is);
	tcase_add_test(tc, a_name_is_looked_up_once);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

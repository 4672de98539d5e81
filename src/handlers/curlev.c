/*
 * handlers/curlev.c: libcurl's multi interface on a libevent loop (see curlev.h).
 *
 * Runs in a worker, after its fork. Owns the multi handle, one event a socket that libcurl watches, and one timer. libcurl tells
 * which sockets to watch and when to wake it; what has ended is told to the client from the loop, never from inside a call of
 * the client. Invariant: an event lives exactly as long as libcurl watches its socket. Fails by a line in the log, and by the
 * transfers' own errors.
 */
#include "config.h"

#include "handlers/curlev.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct curlev {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	curlev_done *done;
	void *arg;
};

static void curlev_act(struct curlev *c, curl_socket_t fd, int what)
{
	int running, left;
	CURLMcode code = curl_multi_socket_action(c->multi, fd, what, &running);
	CURLMsg *msg;

	if (code != CURLM_OK)
		log_error("libcurl: %s", curl_multi_strerror(code));
	while ((msg = curl_multi_info_read(c->multi, &left)) != NULL)
		if (msg->msg == CURLMSG_DONE)
			c->done(c->arg, msg->easy_handle, msg->data.result);
}

static void curlev_on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	curlev_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void curlev_on_socket(evutil_socket_t fd, short what, void *arg)
{
	curlev_act(arg, fd, ((what & EV_READ) ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0));
}

static int curlev_set_timer(CURLM *multi, long ms, void *arg)
{
	struct curlev *c = arg;
	struct timeval tv = clock_timeval(ms * NS_PER_MS);

	(void)multi;
	if (ms < 0)
		return event_del(c->timer);
	return event_add(c->timer, &tv);
}

static int curlev_set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	struct curlev *c = arg;
	struct event *ev = socketp;
	short watch = EV_PERSIST;

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	if (what == CURL_POLL_REMOVE)
		return curl_multi_assign(c->multi, fd, NULL) == CURLM_OK ? 0 : -1;
	if (what != CURL_POLL_OUT)
		watch |= EV_READ;
	if (what != CURL_POLL_IN)
		watch |= EV_WRITE;
	ev = event_new(c->base, fd, watch, curlev_on_socket, c);
	if (ev == NULL || event_add(ev, NULL) != 0)
		mem_exhausted(0);
	return curl_multi_assign(c->multi, fd, ev) == CURLM_OK ? 0 : -1;
}

struct curlev *curlev_new(struct event_base *base, size_t max_connections, curlev_done *done, void *arg, char *err, size_t errlen)
{
	struct curlev *c = xcalloc(1, sizeof *c);

	*c = (struct curlev){.base = base, .done = done, .arg = arg};
	bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (c->multi = curl_multi_init()) != NULL
		&& (c->timer = event_new(base, -1, 0, curlev_on_timer, c)) != NULL
		&& curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, curlev_set_socket) == CURLM_OK
		&& curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) == CURLM_OK
		&& curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, curlev_set_timer) == CURLM_OK
		&& curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) == CURLM_OK
		&& curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)max_connections) == CURLM_OK
		&& curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections) == CURLM_OK;
	if (good)
		return c;
	if (snprintf(err, errlen, "cannot set libcurl up (%s)", curl_version()) < 0)
		err[0] = '\0';
	curlev_free(c);
	return NULL;
}

void curlev_free(struct curlev *c)
{
	if (c == NULL)
		return;
	if (c->multi != NULL)
		(void)curl_multi_cleanup(c->multi); /* with no easy handle in it, this cannot fail */
	if (c->timer != NULL)
		event_free(c->timer);
	free(c);
	curl_global_cleanup();
}

CURLM *curlev_multi(const struct curlev *c)
{
	return c->multi;
}

CURLcode curlev_trust(CURL *easy)
{
	const char *roots = getenv("SSL_CERT_FILE");

	return roots == NULL || *roots == '\0' ? CURLE_OK : curl_easy_setopt(easy, CURLOPT_CAINFO, roots);
}

void curlev_explain(char error[CURLEV_ERROR], CURLcode code)
{
	size_t len;

	error[CURL_ERROR_SIZE - 1] = '\0';
	if (*error == '\0' && snprintf(error, CURLEV_ERROR, "%s", curl_easy_strerror(code)) < 0)
		error[0] = '\0';
	len = strlen(error);
	if (code == CURLE_PEER_FAILED_VERIFICATION && snprintf(error + len, CURLEV_ERROR - len, "; it must be valid for the host, and of an authority that"
			" the system knows or the file that SSL_CERT_FILE names in jobqd's environment") < 0)
		error[len] = '\0';
	if (code == CURLE_SSL_CACERT_BADFILE && snprintf(error + len, CURLEV_ERROR - len, "; correct SSL_CERT_FILE in jobqd's environment") < 0)
		error[len] = '\0';
}

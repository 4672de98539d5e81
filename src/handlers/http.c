/*
 * handlers/http.c: one request a call, over libcurl (see http.h).
 *
 * Runs in a worker. Owns its multi handle (curlev.c) and the easy handles, which are kept for the next call together with their
 * connections. TLS peers are verified, proxies of the environment are not used, bodies are bounded.
 *
 * Invariant: `sent` is set by libcurl's pre-request callback, right before the first byte of a request may leave. If
 * libcurl comes there twice for one call it wants to repeat the request on a fresh connection; then the call is broken off,
 * and counts as sent and unanswered. For public_only every socket is judged by the address that it is about to be connected to,
 * so a name that changes its mind between a look and a call gains nothing. Fails by a reply that says so, never by silence.
 */
#include "config.h"

#include "handlers/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "handlers/curlev.h"
#include "handlers/url.h"

#define CONNECT_MS 10000L      /* to reach the receiver; the answer has the job's own timeout */
#define IDLE_S 30L             /* an idle connection older than this is not trusted any more */
#define RETRY_AFTER_MAX_S 3600 /* no receiver may put a job off for longer */

struct http_call {
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	http_done *done;
	void *arg;
	struct buf body;
	size_t body_max;
	bool sent, cut;
	bool public_only, refused, opened; /* an address was refused; one was taken */
	char error[CURLEV_ERROR];
	TAILQ_ENTRY(http_call) link; /* in idle */
};

struct http {
	struct curlev *curlev;
	CURLM *multi; /* its */
	char *user_agent;
	TAILQ_HEAD(, http_call) idle;
};

static int http_on_request(void *arg, char *remote, char *local, int remote_port, int local_port)
{
	struct http_call *call = arg;

	(void)remote;
	(void)local;
	(void)remote_port;
	(void)local_port;
	if (call->sent)
		return CURL_PREREQFUNC_ABORT;
	call->sent = true;
	return CURL_PREREQFUNC_OK;
}

static curl_socket_t http_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_call *call = arg;

	(void)purpose;
	if (call->public_only && !url_is_public(&address->addr)) {
		call->refused = true;
		return CURL_SOCKET_BAD;
	}
	call->opened = true;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t http_on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n, room = call->body_max - call->body.len;

	buf_add(&call->body, data, len < room ? len : room);
	call->cut = call->cut || len > room;
	return call->cut ? 0 : len; /* 0 ends the transfer */
}

static void http_free_call(struct http_call *call)
{
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	buf_free(&call->body);
	free(call);
}

/* Back among the idle ones; its connection stays in the multi handle's pool. */
static void http_park(struct http_call *call)
{
	curl_easy_reset(call->easy);
	curl_slist_free_all(call->headers);
	call->headers = NULL;
	buf_reset(&call->body);
	call->sent = call->cut = call->public_only = call->refused = call->opened = false;
	TAILQ_INSERT_HEAD(&call->http->idle, call, link);
}

static int64_t http_retry_after(CURL *easy)
{
	struct curl_header *header;
	curl_off_t s = 0;

	if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK
		|| curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &s) != CURLE_OK || s < 0)
		return -1;
	return (s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : s) * NS_PER_S;
}

static void http_read_reply(struct http_call *call, CURLcode code, struct http_reply *r)
{
	long status = 0;

	*r = (struct http_reply){.reach = HTTP_ANSWERED, .cut = call->cut, .retry_after_ns = -1, .call = call};
	if (curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
		status = 0;
	if (code == CURLE_OK && status == 0)
		code = CURLE_WEIRD_SERVER_REPLY;
	/* a refusal is known by its status, even if its text was lost; an acceptance has to be whole */
	if (code != CURLE_OK && status < 300 && !(status >= 200 && call->cut)) {
		r->reach = call->sent ? HTTP_UNANSWERED : HTTP_NOT_SENT;
		curlev_explain(call->error, code);
		r->error = call->error;
		r->not_public = call->refused && !call->opened;
		if (r->not_public)
			r->error = "the host has no address of the public Internet";
		return;
	}
	r->status = status;
	r->retry_after_ns = http_retry_after(call->easy);
	r->body = buf_str(&call->body);
	r->body_len = call->body.len;
}

static void http_collect(void *arg, CURL *easy, CURLcode code)
{
	struct http *h = arg;
	struct http_reply reply;
	char *private;

	if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private) != CURLE_OK)
		return;
	struct http_call *call = (struct http_call *)(void *)private;
	(void)curl_multi_remove_handle(h->multi, easy); /* fails for a handle that is not in it, and this one is */
	http_read_reply(call, code, &reply);
	call->done(call->arg, &reply);
	http_park(call);
}

struct http *http_new(struct event_base *base, size_t max_connections, const char *user_agent, char *err, size_t errlen)
{
	struct http *h = xcalloc(1, sizeof *h);

	h->user_agent = xstrdup(user_agent);
	TAILQ_INIT(&h->idle);
	h->curlev = curlev_new(base, max_connections, http_collect, h, err, errlen);
	if (h->curlev != NULL) {
		h->multi = curlev_multi(h->curlev);
		return h;
	}
	http_free(h);
	return NULL;
}

void http_free(struct http *h)
{
	struct http_call *call;

	while ((call = TAILQ_FIRST(&h->idle)) != NULL) {
		TAILQ_REMOVE(&h->idle, call, link);
		http_free_call(call);
	}
	curlev_free(h->curlev);
	free(h->user_agent);
	free(h);
}

bool http_header(struct http_request *r, const char *name, const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return false;
	/* "name;" is how libcurl is told of an empty value */
	char *line = len == 0 ? xasprintf("%s;", name) : xasprintf("%s: %.*s", name, (int)len, value);
	struct curl_slist *list = curl_slist_append(r->headers, line);
	free(line);
	if (list == NULL)
		mem_exhausted(0);
	r->headers = list;
	return true;
}

void http_request_drop(struct http_request *r)
{
	curl_slist_free_all(r->headers);
	r->headers = NULL;
}

static struct http_call *http_take(struct http *h)
{
	struct http_call *call = TAILQ_FIRST(&h->idle);

	if (call != NULL) {
		TAILQ_REMOVE(&h->idle, call, link);
		return call;
	}
	call = xcalloc(1, sizeof *call);
	call->http = h;
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		mem_exhausted(0);
	return call;
}

#define HTTP_SET(option, value) (code = code != CURLE_OK ? code : curl_easy_setopt(call->easy, option, value))

/* What is asked: method, address, headers, body, credentials. */
static CURLcode http_ask(struct http_call *call, const struct http_request *r)
{
	CURLcode code = CURLE_OK;
	bool get = r->method != NULL && strcmp(r->method, "GET") == 0;

	HTTP_SET(CURLOPT_URL, r->url);
	if (get) {
		HTTP_SET(CURLOPT_HTTPGET, 1L);
	} else {
		HTTP_SET(CURLOPT_POST, 1L);
		HTTP_SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		HTTP_SET(CURLOPT_COPYPOSTFIELDS, r->body);
		if (r->method != NULL)
			HTTP_SET(CURLOPT_CUSTOMREQUEST, r->method);
	}
	struct curl_slist *list = curl_slist_append(call->headers, "Expect:"); /* libcurl would wait a second for a 100 Continue */
	if (list == NULL)
		mem_exhausted(0);
	call->headers = list;
	HTTP_SET(CURLOPT_HTTPHEADER, call->headers);
	if (r->user != NULL) {
		HTTP_SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		HTTP_SET(CURLOPT_USERNAME, r->user);
		HTTP_SET(CURLOPT_PASSWORD, r->password);
	}
	return code;
}

static CURLcode http_setup(struct http_call *call, const struct http_request *r)
{
	CURLcode code = CURLE_OK;

	call->headers = r->headers;
	call->done = r->done;
	call->arg = r->arg;
	call->error[0] = '\0';
	call->body_max = r->body_max == 0 ? HTTP_BODY_MAX : r->body_max;
	call->public_only = r->public_only;
	HTTP_SET(CURLOPT_PRIVATE, call);
	HTTP_SET(CURLOPT_ERRORBUFFER, call->error);
	HTTP_SET(CURLOPT_NOSIGNAL, 1L);
	HTTP_SET(CURLOPT_PROTOCOLS_STR, "http,https");
	HTTP_SET(CURLOPT_PROXY, "");
	HTTP_SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* one request a connection: what is sent is known */
	HTTP_SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	HTTP_SET(CURLOPT_TIMEOUT_MS, (long)(r->timeout_ns / NS_PER_MS));
	HTTP_SET(CURLOPT_MAXAGE_CONN, IDLE_S);
	HTTP_SET(CURLOPT_PREREQFUNCTION, http_on_request);
	HTTP_SET(CURLOPT_PREREQDATA, call);
	HTTP_SET(CURLOPT_OPENSOCKETFUNCTION, http_on_open);
	HTTP_SET(CURLOPT_OPENSOCKETDATA, call);
	HTTP_SET(CURLOPT_WRITEFUNCTION, http_on_body);
	HTTP_SET(CURLOPT_WRITEDATA, call);
	HTTP_SET(CURLOPT_USERAGENT, call->http->user_agent);
	code = code == CURLE_OK ? curlev_trust(call->easy) : code;
	return code == CURLE_OK ? http_ask(call, r) : code;
}

struct http_call *http_send(struct http *h, struct http_request *r, char *err, size_t errlen)
{
	struct http_call *call = http_take(h);
	CURLcode code = http_setup(call, r);
	CURLMcode added = code == CURLE_OK ? curl_multi_add_handle(h->multi, call->easy) : CURLM_OK;

	r->headers = NULL;
	if (code == CURLE_OK && added == CURLM_OK)
		return call;
	if (snprintf(err, errlen, "cannot make the request: %s",
			code != CURLE_OK ? curl_easy_strerror(code) : curl_multi_strerror(added)) < 0)
		err[0] = '\0';
	http_park(call);
	return NULL;
}

const char *http_reply_header(const struct http_reply *reply, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(reply->call->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

bool http_unsent(const struct http_call *call)
{
	return !call->sent;
}

enum http_reach http_stop(struct http_call *call)
{
	enum http_reach reach = call->sent ? HTTP_UNANSWERED : HTTP_NOT_SENT;

	(void)curl_multi_remove_handle(call->http->multi, call->easy);
	http_park(call);
	return reach;
}

/*
 * handlers/http.h: an HTTP client for handlers: libcurl's multi interface on the worker's event loop.
 *
 * Runs in a worker, after its fork. One call is one request: never redirected, and never repeated by libcurl on its own (it
 * would, when a kept connection dies under a request; the receiver may have acted on the first). So a reply tells which of
 * three things happened: nothing was sent, something was sent and no answer came, or an answer came.
 */
#ifndef JOBQ_HANDLERS_HTTP_H
#define JOBQ_HANDLERS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct curl_slist;
struct http;
struct http_call;

#define HTTP_BODY_MAX (64u << 10) /* of an answer, unless the request says more; what is longer is cut, and its connection closed */

enum http_reach {
	HTTP_NOT_SENT,   /* no connection, no name, no TLS: the request never left */
	HTTP_UNANSWERED, /* it left, at least in part; no usable answer came */
	HTTP_ANSWERED
};

struct http_reply { /* lives during the callback */
	enum http_reach reach;
	long status;            /* ANSWERED */
	const char *body;       /* NUL terminated; may hold anything */
	size_t body_len;
	bool cut;               /* the body was longer than body_max */
	int64_t retry_after_ns; /* -1: there was none, or none that could be read */
	const char *error;      /* not ANSWERED: why; names no secret */
	bool not_public;        /* NOT_SENT: public_only, and the host has no public address */
	struct http_call *call; /* for http_reply_header */
};
typedef void http_done(void *arg, const struct http_reply *reply);

struct http_request {
	const char *method;          /* NULL = POST; GET sends no body */
	const char *url;
	const char *user, *password; /* Basic authentication; NULL = none */
	struct curl_slist *headers;  /* given to the call, whatever becomes of it */
	const char *body;            /* copied */
	size_t body_len;
	size_t body_max;             /* of the answer; 0 = HTTP_BODY_MAX */
	int64_t timeout_ns;          /* for all of it; 0 = none of its own */
	bool public_only;            /* connect to addresses of the public Internet alone (url.h): looked at when the connection is opened */
	http_done *done;             /* called once, from the event loop, unless the call is stopped; may start new calls */
	void *arg;
};

struct http *http_new(struct event_base *base, size_t max_connections, const char *user_agent, char *err, size_t errlen);
void http_free(struct http *h); /* no call is under way */
/* Adds "name: value" to the request. False, and nothing added: the value holds CR, LF, NUL or another control character. */
bool http_header(struct http_request *r, const char *name, const char *value, size_t len);
/* Frees headers that were never sent. */
void http_request_drop(struct http_request *r);
/* Starts it. NULL with the reason in err: nothing was sent and nothing will be called. */
struct http_call *http_send(struct http *h, struct http_request *r, char *err, size_t errlen);
/* The answer's header of that name (the first of several), or NULL. Lives during the callback. */
const char *http_reply_header(const struct http_reply *reply, const char *name);
bool http_unsent(const struct http_call *call); /* nothing of it has left so far */
enum http_reach http_stop(struct http_call *call); /* breaks it off: NOT_SENT or UNANSWERED; the call is gone */

#endif

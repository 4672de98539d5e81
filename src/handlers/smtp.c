/*
 * handlers/smtp.c: connections to the mail server, and who uses them (see smtp.h).
 *
 * Runs in a worker. Owns the connections, their easy handles and events. libcurl opens a connection (how: smtp_open.c) and then carries
 * bytes over it; what is said is smtp_talk.c's. Nothing here waits: a connection is closed with a QUIT whose answer nobody reads.
 *
 * Invariant: a connection has at most one call; it is in `free` exactly while it has none; bytes that wait to be written stay where they
 * are until they have left. Fails by a report, never by silence, and never by taking a message that may have gone for one that has not.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "handlers/curlev.h"
#include "handlers/smtp_conn.h"

#define IDLE_NS (30 * NS_PER_S)      /* an idle connection is closed after this */
#define READ_SIZE 4096u
#define ROUNDS 64u                   /* reads in one turn of the loop: a flood must not keep others waiting */

struct smtp {
	struct event_base *base;
	struct smtp_server server;
	struct curlev *curlev;
	struct event *tidy;
	size_t nconns;
	struct smtp_conn *conns;
	TAILQ_HEAD(, smtp_conn) free; /* those last used come first */
};

static void smtp_connect(struct smtp_conn *c);

/* ---- opening and closing ---- */

static void smtp_close(struct smtp_conn *c)
{
	if (c->open == SMTP_CLOSED)
		return;
	if (c->ev != NULL)
		event_free(c->ev);
	c->ev = NULL;
	(void)curl_multi_remove_handle(curlev_multi(c->smtp->curlev), c->easy); /* it is in it; this closes the connection */
	c->open = SMTP_CLOSED;
	c->left = 0;
	c->messages = 0;
	buf_reset(&c->out);
}

static void smtp_quit(struct smtp_conn *c)
{
	static const char quit[] = "QUIT\r\n";
	size_t n;

	if (c->open == SMTP_OPEN && c->left == 0)
		(void)curl_easy_send(c->easy, quit, sizeof quit - 1, &n); /* politeness alone */
	smtp_close(c);
}

/* The connection has no call any more; gives what the call had to say to whoever made it. */
static void smtp_finish(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;

	c->call = NULL;
	c->idle_ns = clock_mono_ns();
	TAILQ_INSERT_HEAD(&c->smtp->free, c, link);
	call->mail.done(call->mail.arg, &call->report);
	buf_free(&call->mail.data);
	free(call);
}

static void smtp_act(struct smtp_conn *c, enum smtp_talk what)
{
	switch (what) {
	case SMTP_TALK_MORE:
		break;
	case SMTP_TALK_AGAIN:
		smtp_close(c);
		smtp_connect(c);
		break;
	case SMTP_TALK_BROKEN:
		smtp_close(c);
		smtp_finish(c);
		break;
	case SMTP_TALK_OVER:
		if (++c->messages >= c->smtp->server.messages)
			smtp_quit(c);
		smtp_finish(c);
		break;
	}
}

/* ---- bytes ---- */

static void smtp_watch(struct smtp_conn *c)
{
	bool writing = c->left > 0;

	if (writing == c->writing)
		return;
	short what = (short)(EV_READ | EV_PERSIST | (writing ? EV_WRITE : 0));
	evutil_socket_t fd = event_get_fd(c->ev);
	event_callback_fn call = event_get_callback(c->ev);
	if (event_del(c->ev) != 0 || event_assign(c->ev, c->smtp->base, fd, what, call, c) != 0 || event_add(c->ev, NULL) != 0)
		mem_exhausted(0);
	c->writing = writing;
}

/* False: the connection is broken. */
static bool smtp_write(struct smtp_conn *c)
{
	while (c->left > 0) {
		size_t n = 0;
		CURLcode code = curl_easy_send(c->easy, c->at, c->left, &n);
		if (code == CURLE_AGAIN)
			break;
		if (code != CURLE_OK)
			return false;
		c->at += n;
		c->left -= n;
	}
	smtp_watch(c);
	return true;
}

static enum smtp_talk smtp_feed(struct smtp_conn *c, const char *data, size_t len)
{
	while (len > 0) {
		size_t used;
		enum smtp_fed fed = smtp_reply_feed(&c->reply, data, len, &used);
		data += used;
		len -= used;
		if (fed == SMTP_FED_BROKEN)
			return smtp_talk_lost(c, "the server's answer is not SMTP");
		enum smtp_talk what = fed == SMTP_FED_WHOLE ? smtp_talk_reply(c) : SMTP_TALK_MORE;
		if (what == SMTP_TALK_OVER && len > 0)
			what = SMTP_TALK_BROKEN; /* what else it says belongs to nothing */
		if (what != SMTP_TALK_MORE)
			return what;
	}
	return SMTP_TALK_MORE;
}

/* Reads what is there and writes what it asks for. Afterwards the connection may have another call, or none. */
static void smtp_move(struct smtp_conn *c)
{
	enum smtp_talk what = SMTP_TALK_MORE;
	char data[READ_SIZE];
	size_t n = sizeof data;

	for (unsigned round = 0; round < ROUNDS && n == sizeof data && what == SMTP_TALK_MORE; round++) {
		CURLcode code = curl_easy_recv(c->easy, data, sizeof data, &n);
		if (code == CURLE_AGAIN)
			break;
		if (code != CURLE_OK || n == 0)
			what = smtp_talk_lost(c, code == CURLE_OK ? "the server closed the connection" : "the connection was lost");
		else
			what = smtp_feed(c, data, n);
	}
	if (what == SMTP_TALK_MORE && !smtp_write(c))
		what = smtp_talk_lost(c, "the connection broke while it was written to");
	if (what == SMTP_TALK_MORE && n == sizeof data)
		event_active(c->ev, EV_READ, 0); /* under TLS more may have been read than the socket shows */
	smtp_act(c, what);
}

/* Nothing was asked. What comes is TLS's own affair, or the server is closing. */
static void smtp_look(struct smtp_conn *c)
{
	char data[64];
	size_t n;

	if (curl_easy_recv(c->easy, data, sizeof data, &n) != CURLE_AGAIN)
		smtp_close(c);
}

static void smtp_on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct smtp_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->call != NULL)
		smtp_move(c);
	else
		smtp_look(c);
}

/* ---- being let in ---- */

static void smtp_connected(void *arg, CURL *easy, CURLcode code)
{
	struct smtp_conn *c = smtp_open_of(easy);
	curl_socket_t fd;

	(void)arg;
	if (c == NULL)
		return;
	code = smtp_open_socket(c, code, &fd);
	if (code != CURLE_OK) {
		smtp_open_refused(c, code);
		smtp_act(c, SMTP_TALK_BROKEN);
		return;
	}
	c->ev = event_new(c->smtp->base, fd, EV_READ | EV_PERSIST, smtp_on_socket, c);
	if (c->ev == NULL || event_add(c->ev, NULL) != 0)
		mem_exhausted(0);
	c->open = SMTP_OPEN;
	c->writing = c->dirty = false;
	c->reply = (struct smtp_reply){.code = 0};
	smtp_talk_begin(c);
	if (!smtp_write(c))
		smtp_act(c, smtp_talk_lost(c, "the connection broke while it was written to"));
}

static void smtp_connect(struct smtp_conn *c)
{
	smtp_open_start(c, curlev_multi(c->smtp->curlev));
}

/* ---- the client ---- */

static void smtp_arm(struct smtp *s)
{
	struct timeval tv = clock_timeval(IDLE_NS / 2);

	if (evtimer_pending(s->tidy, NULL) == 0 && event_add(s->tidy, &tv) != 0)
		mem_exhausted(0);
}

static void smtp_tidy(evutil_socket_t fd, short what, void *arg)
{
	struct smtp *s = arg;
	struct smtp_conn *c;
	int64_t now = clock_mono_ns();
	bool open = false;

	(void)fd;
	(void)what;
	TAILQ_FOREACH(c, &s->free, link)
		if (c->open == SMTP_OPEN && now - c->idle_ns > IDLE_NS)
			smtp_quit(c);
	for (size_t i = 0; i < s->nconns; i++)
		open = open || s->conns[i].open != SMTP_CLOSED;
	if (open)
		smtp_arm(s);
}

static bool smtp_prepare(struct smtp *s, char *err, size_t errlen)
{
	for (size_t i = 0; i < s->nconns; i++) {
		struct smtp_conn *c = &s->conns[i];
		c->smtp = s;
		c->easy = curl_easy_init();
		CURLcode code = c->easy == NULL ? CURLE_OUT_OF_MEMORY : smtp_open_setup(c, &s->server);
		if (code != CURLE_OK) {
			if (snprintf(err, errlen, "cannot set libcurl up for smtp_url: %s", curl_easy_strerror(code)) < 0)
				err[0] = '\0';
			return false;
		}
		TAILQ_INSERT_TAIL(&s->free, c, link);
	}
	return true;
}

struct smtp *smtp_new(struct event_base *base, const struct smtp_server *server, char *err, size_t errlen)
{
	struct smtp *s = xcalloc(1, sizeof *s);

	s->base = base;
	s->server = *server;
	s->nconns = server->connections;
	s->conns = xcalloc(s->nconns, sizeof *s->conns);
	TAILQ_INIT(&s->free);
	s->tidy = evtimer_new(base, smtp_tidy, s);
	if (s->tidy == NULL)
		mem_exhausted(0);
	s->curlev = curlev_new(base, s->nconns, smtp_connected, s, err, errlen);
	if (s->curlev != NULL && smtp_prepare(s, err, errlen))
		return s;
	smtp_free(s);
	return NULL;
}

void smtp_free(struct smtp *s)
{
	for (size_t i = 0; i < s->nconns; i++) {
		struct smtp_conn *c = &s->conns[i];
		smtp_quit(c);
		if (c->easy != NULL)
			curl_easy_cleanup(c->easy);
		buf_free(&c->out);
	}
	event_free(s->tidy);
	curlev_free(s->curlev);
	free(s->conns);
	free(s);
}

struct smtp_call *smtp_send(struct smtp *s, struct smtp_mail *mail)
{
	struct smtp_conn *c = TAILQ_FIRST(&s->free); /* there is one: calls are no more than connections */
	struct smtp_call *call = xcalloc(1, sizeof *call);

	call->mail = *mail;
	mail->data = (struct buf){0};
	call->conn = c;
	call->report = (struct smtp_report){.stage = SMTP_CONNECT, .text = "not connected yet"};
	TAILQ_REMOVE(&s->free, c, link);
	c->call = call;
	smtp_arm(s);
	if (c->open == SMTP_CLOSED) {
		smtp_connect(c);
		return call;
	}
	smtp_talk_begin(c);
	if (!smtp_write(c))
		event_active(c->ev, EV_WRITE, 0); /* found again, and reported, from the loop: no call ends before it was returned */
	return call;
}

bool smtp_unsent(const struct smtp_call *call)
{
	return !call->body || call->conn->left > 0;
}

bool smtp_stop(struct smtp_call *call)
{
	struct smtp_conn *c = call->conn;
	bool unsent = smtp_unsent(call);

	smtp_close(c);
	c->call = NULL;
	TAILQ_INSERT_TAIL(&c->smtp->free, c, link);
	buf_free(&call->mail.data);
	free(call);
	return unsent;
}

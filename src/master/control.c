/*
 * master/control.c: the control socket: accepts, reads lines, writes replies.
 *
 * Runs in the master, which must never wait for a client or grow because of one. So: one request of a client is under way at
 * a time, and its reply must be read before the next is looked at; a line has a length and a time in which to end; all
 * buffers together have a bound; of too many clients the one that was silent longest goes. Who breaks a limit is
 * disconnected, and nobody else notices. What a request means is request.c's business.
 */
#include "config.h"

#include "master/control.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobq/exit.h"
#include "master/lines.h"
#include "master/master.h"
#include "master/request.h"

#define CLIENTS_MAX 64u
#define ACCEPTS 16            /* a turn */
#define REQUESTS 64           /* of one client, a turn */
#define LINE_ADMIN (16u << 20)
#define LINE_READER (64u << 10) /* who may only read has nothing long to say */
#define MEMORY_MAX (160u << 20) /* of all clients together */
#define CHUNK 65536u
#define SLOW_NS (30 * NS_PER_S) /* for a line to end, or a reply to be read on */

struct control_client {
	TAILQ_ENTRY(control_client) link;
	struct master *m;
	int fd;
	struct event *read, *write;
	struct lines lines;
	struct buf out;
	size_t written;          /* of out */
	struct master_peer peer;
	int64_t heard_ns;        /* mono: the last request */
	int64_t slow_ns;         /* mono: it must be done by then; 0 = nothing is expected of it */
	uint64_t later;          /* id of the reply that it waits for; 0 = none */
	bool eof, handling, dead;
};
TAILQ_HEAD(client_list, control_client);

struct control {
	int fd;
	struct event *accept;
	bool paused;             /* no descriptor was left: accept again at the next tick */
	struct client_list clients;
	size_t count;
};

static void client_pump(struct control_client *c);

static void client_free(struct control_client *c)
{
	struct control *control = c->m->control;

	TAILQ_REMOVE(&control->clients, c, link);
	control->count--;
	if (c->read != NULL)
		event_free(c->read);
	if (c->write != NULL)
		event_free(c->write);
	(void)close(c->fd);
	master_lines_free(&c->lines);
	buf_free(&c->out);
	free(c);
}

static size_t line_max(const struct control_client *c)
{
	return master_access_admin(&c->peer, geteuid(), c->m->admin_gid) ? LINE_ADMIN : LINE_READER;
}

static size_t memory(const struct control *control)
{
	const struct control_client *c;
	size_t sum = 0;

	TAILQ_FOREACH(c, &control->clients, link)
		sum += c->lines.in.len + c->out.len;
	return sum;
}

/* --- writing */

static void client_write(struct control_client *c)
{
	while (c->written < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->written, c->out.len - c->written, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			c->dead = errno != EAGAIN;
			return;
		}
		c->written += (size_t)n;
		c->slow_ns = clock_mono_ns() + SLOW_NS;
	}
	buf_free(&c->out);
	c->written = 0;
	c->slow_ns = 0;
}

void master_control_reply(struct control_client *c, const json_t *reply)
{
	char *text = json_dumps(reply, JSON_COMPACT);

	c->later = 0;
	if (text == NULL || memory(c->m->control) + strlen(text) > MEMORY_MAX) {
		log_warn("control socket: a reply of %zu bytes has no room; its client is disconnected", text != NULL ? strlen(text) : 0);
		c->dead = true;
	} else {
		buf_puts(&c->out, text);
		buf_putc(&c->out, '\n');
		c->slow_ns = clock_mono_ns() + SLOW_NS;
		client_write(c);
	}
	free(text);
	if (!c->handling) /* an answer that came later: go on with what it has sent meanwhile */
		client_pump(c);
}

void master_control_ok(struct control_client *c, json_t *result)
{
	json_t *reply = json_pack("{s:b, s:o?}", "ok", 1, "result", result);

	master_control_reply(c, reply);
	json_decref(reply);
}

void master_control_error(struct control_client *c, const char *code, const char *format, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	json_t *message = json_stringn(buf_str(&text), text.len);
	json_t *reply = json_pack("{s:b, s:s, s:o}", "ok", 0, "code", code, "error", message != NULL ? message : json_string("?"));
	buf_free(&text);
	master_control_reply(c, reply);
	json_decref(reply);
}

const struct master_peer *master_control_peer(const struct control_client *c)
{
	return &c->peer;
}

void master_control_later(struct control_client *c, uint64_t id)
{
	c->later = id;
}

struct control_client *master_control_waiting(struct master *m, uint64_t id)
{
	struct control_client *c;

	TAILQ_FOREACH(c, &m->control->clients, link)
		if (c->later == id)
			return c;
	return NULL;
}

/* --- reading */

/* waits for what the client must do next; frees it when there is nothing left to do */
static void client_wait(struct control_client *c, bool more)
{
	static const struct timeval soon = {.tv_usec = 1000};
	bool writing = c->out.len > 0;

	if (c->dead || (c->eof && !more && c->later == 0 && !writing)) {
		client_free(c);
		return;
	}
	if (writing)
		(void)event_add(c->write, NULL);
	if (writing || c->later != 0 || (c->eof && !more)) {
		(void)event_del(c->read);
		return;
	}
	(void)event_add(c->read, more ? &soon : NULL);
	if (c->lines.in.len == 0)
		c->slow_ns = 0;
	else if (!more && c->slow_ns == 0)
		c->slow_ns = clock_mono_ns() + SLOW_NS; /* half a line: the rest is due */
}

static void client_too_long(struct control_client *c)
{
	log_warn("control socket: a line of more than %zu bytes from %s: disconnected", line_max(c), c->peer.name);
	c->dead = true;
}

static void client_pump(struct control_client *c)
{
	const char *line;
	size_t len;

	for (int n = 0; n < REQUESTS && !c->dead && c->later == 0 && c->out.len == 0; n++) {
		line = master_lines_next(&c->lines, &len);
		if (line == NULL)
			break;
		if (len > line_max(c)) {
			client_too_long(c);
			break;
		}
		c->heard_ns = clock_mono_ns();
		c->slow_ns = 0;
		c->handling = true;
		master_request(c->m, c, line, len);
		c->handling = false;
		master_lines_take(&c->lines, len);
	}
	line = master_lines_next(&c->lines, &len);
	if (line == NULL && c->lines.in.len > line_max(c))
		client_too_long(c);
	client_wait(c, line != NULL);
}

static void client_read(struct control_client *c)
{
	struct buf *in = &c->lines.in;

	buf_reserve(in, CHUNK);
	ssize_t n = read(c->fd, in->data + in->len, CHUNK);
	if (n > 0)
		in->len += (size_t)n;
	else if (n == 0)
		c->eof = true;
	else
		c->dead = errno != EAGAIN && errno != EINTR;
	if (n > 0 && memory(c->m->control) > MEMORY_MAX) {
		log_warn("control socket: clients sent more than %u MB of unfinished requests; %s is disconnected", MEMORY_MAX >> 20, c->peer.name);
		c->dead = true;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct control_client *c = arg;

	size_t len;

	(void)fd;
	if ((what & EV_READ) != 0 && !c->eof && master_lines_next(&c->lines, &len) == NULL) /* what it has sent comes first */
		client_read(c);
	client_pump(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct control_client *c = arg;

	(void)fd;
	(void)what;
	client_write(c);
	client_pump(c);
}

/* --- clients come and go */

static void evict(struct control *control)
{
	struct control_client *c, *victim = NULL;

	TAILQ_FOREACH(c, &control->clients, link)
		if (c->later == 0 && (victim == NULL || c->heard_ns < victim->heard_ns))
			victim = c;
	if (victim != NULL)
		client_free(victim);
}

static void client_new(struct master *m, int fd)
{
	struct control_client *c = xcalloc(1, sizeof *c);

	if (m->control->count >= CLIENTS_MAX)
		evict(m->control);
	c->m = m;
	c->fd = fd;
	c->heard_ns = clock_mono_ns();
	c->read = event_new(m->base, fd, EV_READ, on_readable, c);
	c->write = event_new(m->base, fd, EV_WRITE, on_writable, c);
	TAILQ_INSERT_TAIL(&m->control->clients, c, link);
	m->control->count++;
	if (m->control->count > CLIENTS_MAX || c->read == NULL || c->write == NULL || !master_access_peer(fd, &c->peer)
	    || event_add(c->read, NULL) != 0)
		client_free(c);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	(void)what;
	for (int n = 0; n < ACCEPTS; n++) {
		int client = accept4((int)fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			client_new(m, client);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_warn("control socket: cannot accept: %s", strerror(errno));
			evict(m->control);
			(void)event_del(m->control->accept); /* until the next tick, or it would be asked for ever */
			m->control->paused = true;
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

void master_control_tick(struct master *m, int64_t now_ns)
{
	struct control_client *c, *after;

	for (c = TAILQ_FIRST(&m->control->clients); c != NULL; c = after) {
		after = TAILQ_NEXT(c, link);
		if (c->slow_ns != 0 && now_ns > c->slow_ns) {
			log_info("control socket: %s is too slow: disconnected", c->peer.name);
			client_free(c);
		}
	}
	if (m->control->paused && event_add(m->control->accept, NULL) == 0)
		m->control->paused = false;
}

bool master_control_group(struct master *m, gid_t gid, char *err, size_t errlen)
{
	if (gid == MASTER_ACCESS_NO_GROUP || chown(m->control_path, (uid_t)-1, gid) == 0)
		return true;
	(void)snprintf(err, errlen, "cannot give %s to group %lu: %s; jobqd's user must be a member of it", m->control_path,
	               (unsigned long)gid, strerror(errno));
	return false;
}

int master_control_open(struct master *m, char *err, size_t errlen)
{
	int fd = io_unix_listen(m->control_path, 0660, err, errlen);

	if (fd < 0)
		return JOBQ_EXIT_PERMISSION;
	m->control = xcalloc(1, sizeof *m->control);
	m->control->fd = fd;
	TAILQ_INIT(&m->control->clients);
	m->control->accept = event_new(m->base, fd, EV_READ | EV_PERSIST, on_accept, m);
	if (m->control->accept != NULL && event_add(m->control->accept, NULL) == 0)
		return JOBQ_EXIT_OK;
	(void)snprintf(err, errlen, "cannot watch the control socket");
	return JOBQ_EXIT_INTERNAL;
}

void master_control_close(struct master *m)
{
	struct control *control = m->control;

	if (control == NULL)
		return;
	while (!TAILQ_EMPTY(&control->clients))
		client_free(TAILQ_FIRST(&control->clients));
	if (control->accept != NULL)
		event_free(control->accept);
	(void)close(control->fd);
	(void)unlink(m->control_path);
	m->control = NULL;
	free(control);
}

void master_control_child(struct master *m)
{
	struct control_client *c;

	TAILQ_FOREACH(c, &m->control->clients, link) {
		(void)event_del(c->read);
		(void)event_del(c->write);
		(void)close(c->fd);
	}
	(void)event_del(m->control->accept);
	(void)close(m->control->fd);
}

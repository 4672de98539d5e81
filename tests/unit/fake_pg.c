/* fake_pg.c: see fake_pg.h. Aborts on anything libpq would not send. */
#include "fake_pg.h"

#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define STATEMENTS 16

struct client {
	LIST_ENTRY(client) next;
	struct fake_pg *pg;
	struct bufferevent *bev;
	struct {
		char *name, *sql;
	} statements[STATEMENTS];
	int n;
	const char *bound; /* text of the bound statement */
	char *value;       /* its first parameter, or NULL */
	bool started, skipping, hung, stale, copying;
};

struct fake_pg {
	struct event_base *base;
	struct evconnlistener *listener;
	LIST_HEAD(, client) clients;
	char dir[32];
	char path[64];
	int connections, prepared;
	bool mute, refused_once;
};

static void gone(struct client *c)
{
	LIST_REMOVE(c, next);
	bufferevent_free(c->bev);
	for (int i = 0; i < c->n; i++) {
		free(c->statements[i].name);
		free(c->statements[i].sql);
	}
	free(c->value);
	free(c);
}

static void send_body(struct client *c, char type, const void *body, size_t len)
{
	struct buf out = { 0 };

	buf_putc(&out, type);
	buf_u32_be(&out, (uint32_t)len + 4);
	buf_add(&out, body, len);
	ck_assert_int_eq(bufferevent_write(c->bev, out.data, out.len), 0);
	buf_free(&out);
}

#define SEND(c, type, literal) send_body(c, type, literal, sizeof literal - 1)

static void send_error(struct client *c, const char *severity, const char *state, const char *message, const char *routine)
{
	struct buf out = { 0 };

	buf_printf(&out, "S%s%cV%s%cC%s%cM%s%cR%s%c%c", severity, 0, severity, 0, state, 0, message, 0, routine, 0, 0);
	send_body(c, 'E', out.data, out.len);
	buf_free(&out);
	c->skipping = true;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *find(const struct client *c, const char *name)
{
	for (int i = c->n - 1; i >= 0; i--)
		if (strcmp(c->statements[i].name, name) == 0)
			return c->statements[i].sql;
	return NULL;
}

static void on_parse(struct client *c, const char *body)
{
	const char *name = body, *sql = body + strlen(body) + 1;

	if (starts(sql, "bad once") ? !c->pg->refused_once : starts(sql, "bad")) {
		c->pg->refused_once = true;
		send_error(c, "ERROR", "42P01", "relation does not exist", "parserOpenTable");
		return;
	}
	if (name[0] != '\0' && find(c, name) != NULL) {
		send_error(c, "ERROR", "42P05", "prepared statement exists", "StorePreparedStatement");
		return;
	}
	ck_assert_int_lt(c->n, STATEMENTS);
	c->statements[c->n].name = xstrdup(name);
	c->statements[c->n++].sql = xstrdup(sql);
	c->pg->prepared += name[0] != '\0';
	SEND(c, '1', "");
}

/* portal, statement, formats, parameters, result formats */
static void on_bind(struct client *c, const char *body, size_t len)
{
	const char *name = body + strlen(body) + 1;
	size_t at = (size_t)(name - body) + strlen(name) + 1;
	struct rd r = rd_of(body + at, len - at);
	unsigned n;

	c->bound = find(c, name);
	free(c->value);
	c->value = NULL;
	if (c->bound == NULL) {
		send_error(c, "ERROR", "26000", "prepared statement does not exist", "FetchPreparedStatement");
		return;
	}
	if (starts(c->bound, "stale") && c->stale) {
		send_error(c, "ERROR", "0A000", "cached plan must not change result type", "RevalidateCachedQuery");
		return;
	}
	c->stale = starts(c->bound, "stale");
	for (n = (unsigned)rd_u8(&r) << 8, n |= rd_u8(&r); n > 0; n--)
		(void)(rd_u8(&r) + rd_u8(&r));
	n = (unsigned)rd_u8(&r) << 8;
	n |= rd_u8(&r);
	if (n > 0) {
		uint32_t size = 0;

		for (int i = 0; i < 4; i++)
			size = size << 8 | rd_u8(&r);
		ck_assert_uint_le(size, rd_left(&r));
		c->value = xstrndup((const char *)r.p, size);
	}
	ck_assert(!r.bad);
	SEND(c, '2', "");
}

static void send_row(struct client *c)
{
	const char *text = c->value != NULL ? c->value : c->bound;
	struct buf out = { 0 };

	buf_u16_be(&out, 1);
	buf_u32_be(&out, (uint32_t)strlen(text));
	buf_puts(&out, text);
	send_body(c, 'D', out.data, out.len);
	buf_free(&out);
	SEND(c, 'C', "SELECT 1\0");
}

/* false: the connection is gone */
static bool on_execute(struct client *c)
{
	if (starts(c->bound, "notify"))
		SEND(c, 'A', "\0\0\0\1jobq_wake\0hint\0");
	if (starts(c->bound, "close") || starts(c->bound, "fatal") || starts(c->bound, "half")) {
		if (starts(c->bound, "fatal"))
			send_error(c, "FATAL", "57P01", "terminating connection due to administrator command", "ProcessInterrupts");
		else if (starts(c->bound, "half"))
			send_row(c);
		struct evbuffer *left = bufferevent_get_output(c->bev);
		evbuffer_unfreeze(left, 1);
		(void)evbuffer_write(left, bufferevent_getfd(c->bev)); /* unix sockets have room */
		gone(c);
		return false;
	}
	c->hung = starts(c->bound, "hang");
	if (starts(c->bound, "error"))
		send_error(c, "ERROR", "22012", "division by zero", "int4div");
	else if (starts(c->bound, "standby"))
		send_error(c, "ERROR", "25006", "cannot execute UPDATE in a read-only transaction", "PreventCommandIfReadOnly");
	else if (!c->hung)
		send_row(c);
	return true;
}

static bool on_message(struct client *c, char type, const char *body, size_t len)
{
	if (c->hung || (c->skipping && type != 'S'))
		return true;
	switch (type) {
	case 'P':
		on_parse(c, body);
		break;
	case 'B':
		on_bind(c, body, len);
		break;
	case 'D':
		SEND(c, 'T', "\0\1c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\1");
		break;
	case 'E':
		return on_execute(c);
	case 'S':
		c->skipping = false;
		SEND(c, 'Z', "I");
		break;
	case 'Q':
		c->copying = true;
		SEND(c, 'G', "\0\0\0");
		break;
	case 'd': /* what follows the refusal is thrown away, as a server does */
		if (c->copying) {
			send_error(c, "ERROR", "53100", "could not extend file: No space left on device", "mdextend");
			SEND(c, 'Z', "I");
		}
		c->copying = c->skipping = false;
		break;
	case 'c':
	case 'X':
		break;
	default:
		ck_abort_msg("message '%c'", type);
	}
	return true;
}

static void on_startup(struct client *c)
{
	c->started = true;
	if (c->pg->mute)
		return;
	SEND(c, 'R', "\0\0\0\0");
	SEND(c, 'S', "server_version\00015.0\0");
	SEND(c, 'S', "default_transaction_read_only\0off\0");
	SEND(c, 'S', "in_hot_standby\0off\0");
	SEND(c, 'K', "\0\0\0\1\0\0\0\2");
	SEND(c, 'Z', "I");
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	for (;;) {
		size_t head = c->started ? 5 : 4;
		unsigned char *p = evbuffer_pullup(in, (ev_ssize_t)head);

		if (p == NULL)
			return;
		char type = (char)p[0];
		size_t len = (size_t)p[head - 4] << 24 | (size_t)p[head - 3] << 16 | (size_t)p[head - 2] << 8 | p[head - 1];
		if (evbuffer_get_length(in) < len + head - 4)
			return;
		char *body = xcalloc(1, len + 1);
		ck_assert_int_eq(evbuffer_drain(in, head), 0);
		ck_assert_int_eq(evbuffer_remove(in, body, len - 4), (int)len - 4);
		bool alive = true;
		if (!c->started)
			on_startup(c);
		else
			alive = on_message(c, type, body, len - 4);
		free(body);
		if (!alive)
			return;
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		gone(arg);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	struct fake_pg *pg = arg;
	struct client *c = xcalloc(1, sizeof *c);

	(void)listener;
	(void)addr;
	(void)len;
	c->pg = pg;
	c->bev = bufferevent_socket_new(pg->base, fd, BEV_OPT_CLOSE_ON_FREE);
	ck_assert_ptr_nonnull(c->bev);
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
	ck_assert_int_eq(bufferevent_enable(c->bev, EV_READ | EV_WRITE), 0);
	LIST_INSERT_HEAD(&pg->clients, c, next);
	pg->connections++;
}

struct fake_pg *fake_pg_new(struct event_base *base)
{
	struct fake_pg *pg = xcalloc(1, sizeof *pg);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	pg->base = base;
	strcpy(pg->dir, "/tmp/jobq-fake-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(pg->dir));
	snprintf(pg->path, sizeof pg->path, "%s/.s.PGSQL.5432", pg->dir);
	strcpy(addr.sun_path, pg->path);
	pg->listener = evconnlistener_new_bind(base, on_accept, pg, LEV_OPT_CLOSE_ON_FREE, 8, (struct sockaddr *)&addr, sizeof addr);
	ck_assert_ptr_nonnull(pg->listener);
	return pg;
}

void fake_pg_drop(struct fake_pg *pg)
{
	while (!LIST_EMPTY(&pg->clients))
		gone(LIST_FIRST(&pg->clients));
}

void fake_pg_free(struct fake_pg *pg)
{
	fake_pg_drop(pg);
	evconnlistener_free(pg->listener);
	unlink(pg->path);
	rmdir(pg->dir);
	free(pg);
}

const char *fake_pg_dir(const struct fake_pg *pg)
{
	return pg->dir;
}

int fake_pg_connections(const struct fake_pg *pg)
{
	return pg->connections;
}

int fake_pg_prepared(const struct fake_pg *pg)
{
	return pg->prepared;
}

void fake_pg_mute(struct fake_pg *pg, bool mute)
{
	pg->mute = mute;
}

/*
 * master/link.c: the master's end of the socketpair to the dispatcher.
 *
 * Runs in the master. Carries requests of the control socket one way and their answers the other, and events: "drain" to the
 * dispatcher, "uncounted" from it. Nothing here waits: what the dispatcher does not read is kept up to a bound, then sending
 * is refused; a line that is too long ends the link, and with it the requests under way (the dispatcher itself is left
 * alone: its death is reap.c's business). After its death what it had still written is read to the end.
 */
#include "config.h"

#include "master/link.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "master/forward.h"
#include "master/lines.h"
#include "master/master.h"
#include "master/reap.h"

#define OUT_MAX (48u << 20)  /* three of the largest requests */
#define LINE_MAX (64u << 20) /* the largest reply of the protocol */
#define CHUNK 65536u

struct link {
	int fd;
	struct event *read, *write;
	struct lines lines;
	struct buf out;
	bool broken; /* not spoken on any more */
};

static void broken(struct master *m, const char *why)
{
	struct link *l = m->link;

	if (l->broken)
		return;
	log_error("the dispatcher's control channel: %s; its commands fail until it is restarted", why);
	l->broken = true;
	(void)event_del(l->read);
	(void)event_del(l->write);
	master_forward_lost(m);
}

static void on_event(struct master *m, const json_t *message, const char *event)
{
	json_t *slot = json_object_get(message, "slot"), *generation = json_object_get(message, "generation");

	if (strcmp(event, "uncounted") != 0) {
		log_debug("unknown event of the dispatcher");
		return;
	}
	json_int_t s = json_integer_value(slot), g = json_integer_value(generation);
	if (!json_is_integer(slot) || !json_is_integer(generation) || s < 0 || s > UINT32_MAX || g < 0 || g > UINT32_MAX)
		log_warn("an event of the dispatcher without slot and generation");
	else
		master_reap_uncounted(m, (uint32_t)s, (uint32_t)g);
}

static bool on_line(struct master *m, const char *line, size_t len)
{
	json_t *message = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *event = json_string_value(json_object_get(message, "event"));
	bool good = json_is_object(message);

	if (good && event != NULL)
		on_event(m, message, event);
	else if (good)
		master_forward_reply(m, message);
	json_decref(message);
	return good;
}

/* everything that can be read now; false: the other end is closed, or broke the rules */
static bool drain(struct master *m)
{
	struct link *l = m->link;
	size_t len;

	for (;;) {
		buf_reserve(&l->lines.in, CHUNK);
		ssize_t n = read(l->fd, l->lines.in.data + l->lines.in.len, l->lines.in.cap - l->lines.in.len);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		l->lines.in.len += (size_t)n;
		for (const char *line; (line = master_lines_next(&l->lines, &len)) != NULL; master_lines_take(&l->lines, len)) {
			if (!on_line(m, line, len))
				log_error("the dispatcher's control channel: a line that is not a JSON object: skipped");
		}
		if (l->lines.in.len > LINE_MAX) {
			broken(m, "a line that is too long");
			return true;
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	(void)fd;
	(void)what;
	if (!drain(m) && !m->link->broken) {
		(void)event_del(m->link->read); /* it closed its end: its death follows, or it is broken */
		(void)event_del(m->link->write);
		m->link->broken = true;
		master_forward_lost(m);
	}
}

static void flush(struct master *m)
{
	struct link *l = m->link;

	while (l->out.len > 0) {
		ssize_t n = send(l->fd, l->out.data, l->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			(void)event_add(l->write, NULL);
			return;
		}
		if (n < 0) {
			buf_reset(&l->out); /* it is dead or dying; reading finds out */
			return;
		}
		buf_drop(&l->out, (size_t)n);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

bool master_link_send(struct master *m, const json_t *message)
{
	struct link *l = m->link;

	if (l == NULL || l->broken || l->out.len > OUT_MAX)
		return false;
	char *text = json_dumps(message, JSON_COMPACT);
	if (text == NULL)
		return false;
	buf_puts(&l->out, text);
	buf_putc(&l->out, '\n');
	free(text);
	flush(m);
	return true;
}

void master_link_open(struct master *m, int fd)
{
	struct link *l = xcalloc(1, sizeof *l);

	l->fd = fd;
	l->read = event_new(m->base, fd, EV_READ | EV_PERSIST, on_readable, m);
	l->write = event_new(m->base, fd, EV_WRITE, on_writable, m);
	m->link = l;
	if (l->read == NULL || l->write == NULL || event_add(l->read, NULL) != 0)
		broken(m, "no event for it");
	if (m->phase != PHASE_RUN) { /* one that is started only to take in the last outcomes */
		json_t *message = json_pack("{s:s}", "event", "drain");

		(void)master_link_send(m, message);
		json_decref(message);
	}
	master_forward_pending(m);
}

static void link_free(struct link *l)
{
	if (l->read != NULL)
		event_free(l->read);
	if (l->write != NULL)
		event_free(l->write);
	(void)close(l->fd);
	master_lines_free(&l->lines);
	buf_free(&l->out);
	free(l);
}

void master_link_close(struct master *m)
{
	if (m->link == NULL)
		return;
	if (!m->link->broken)
		(void)drain(m);
	struct link *l = m->link;
	m->link = NULL;
	link_free(l);
	master_forward_lost(m);
}

void master_link_child(struct master *m)
{
	if (m->link == NULL)
		return;
	(void)event_del(m->link->read);
	(void)event_del(m->link->write);
	(void)close(m->link->fd);
}

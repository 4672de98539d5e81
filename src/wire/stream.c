/*
 * wire/stream.c: frames over a non-blocking socket (see stream.h).
 *
 * Runs in the dispatcher and in workers. Owns the descriptor, three events and two buffers that are kept from frame to
 * frame. In: one recv of up to 256 kB for each readiness, then every whole frame in it. Out: frames collect in `out`;
 * the event `turn` sends them at the end of the loop's turn, so all that was said in a turn leaves in one send.
 *
 * Invariant: bytes [sent, out.len) wait; a frame being built, from frame_at on, is never sent; closed() is called at
 * most once, from the loop, after all that could be read was delivered. Failures are noted in `why` and met by the loop.
 */
#include "config.h"

#include "wire/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"

#define READ_SIZE (256u << 10)
#define KEEP_MAX (1u << 20) /* an empty buffer larger than this is given back */

struct stream {
	int fd;
	struct stream_calls calls;
	void *arg;
	struct event *readable, *writable, *turn;
	struct buf in, out;
	size_t taken;    /* of in: delivered */
	size_t sent;     /* of out */
	size_t frame_at; /* of out: head of the frame being built */
	bool building;
	bool scheduled;  /* turn is active */
	bool blocked;    /* waiting for writable */
	bool calling;    /* an owner's callback is on the stack */
	bool gone;       /* freed by its owner from that callback */
	bool deaf;       /* nothing more can be read */
	bool over;       /* closed() was called */
	char why[160];   /* "" while all is well */
};

static void schedule(struct stream *s)
{
	if (s->scheduled || s->over)
		return;
	s->scheduled = true;
	event_active(s->turn, EV_TIMEOUT, 0);
}

__attribute__((format(printf, 2, 3))) static void fail(struct stream *s, const char *format, ...)
{
	va_list ap;

	if (s->why[0] == '\0') {
		va_start(ap, format);
		if (vsnprintf(s->why, sizeof s->why, format, ap) <= 0)
			memcpy(s->why, "error", sizeof "error");
		va_end(ap);
	}
	schedule(s);
}

static void release(struct stream *s)
{
	buf_free(&s->in);
	buf_free(&s->out);
	free(s);
}

/* After an owner's callback: false if the owner has freed the stream, which must not be touched any more. */
static bool survived(struct stream *s)
{
	s->calling = false;
	if (s->gone)
		release(s);
	else
		return true;
	return false;
}

/* false: nothing was read; deaf and why tell whether there ever will be */
static bool take(struct stream *s)
{
	ssize_t n;

	buf_reserve(&s->in, READ_SIZE);
	do
		n = recv(s->fd, s->in.data + s->in.len, READ_SIZE, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		s->in.len += (size_t)n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	s->deaf = true;
	if (n < 0)
		fail(s, "cannot read from the peer: %s", strerror(errno));
	else if (s->in.len > 0)
		fail(s, "the peer closed the connection in the middle of a frame");
	else
		fail(s, "the peer closed the connection");
	return false;
}

static bool whole_frame(struct stream *s, struct wire_head *head)
{
	size_t left = s->in.len - s->taken;

	if (s->deaf || left < sizeof *head)
		return false;
	memcpy(head, s->in.data + s->taken, sizeof *head);
	if (head->len > WIRE_BODY_MAX) {
		s->deaf = true;
		fail(s, "the peer announced a frame of %u bytes, at most %u are possible", head->len, WIRE_BODY_MAX);
		return false;
	}
	return left - sizeof *head >= head->len;
}

/* Every whole frame to the owner; false if the owner has freed the stream. */
static bool deliver(struct stream *s)
{
	struct wire_head head;

	s->calling = true;
	while (!s->gone && whole_frame(s, &head)) {
		const char *body = s->in.data + s->taken + sizeof head;

		s->taken += sizeof head + head.len;
		s->calls.frame(s->arg, &head, rd_of(body, head.len));
	}
	if (!survived(s))
		return false;
	buf_drop(&s->in, s->taken);
	s->taken = 0;
	if (s->in.len == 0 && s->in.cap > KEEP_MAX)
		buf_free(&s->in);
	return true;
}

/* The end: what the peer said before it is delivered first. The stream may be gone afterwards. */
static void end(struct stream *s)
{
	while (!s->deaf && take(s))
		if (!deliver(s))
			return;
	s->over = true;
	event_del(s->readable);
	event_del(s->writable);
	event_del(s->turn);
	buf_reset(&s->out);
	s->sent = 0;
	s->building = false;
	s->calling = true;
	s->calls.closed(s->arg, s->why);
	(void)survived(s);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	if (take(s) && !deliver(s))
		return;
	if (s->why[0] != '\0')
		end(s);
}

/* Sends out[sent, limit); true = all of it is out */
static bool push(struct stream *s, size_t limit)
{
	ssize_t n;

	if (s->why[0] != '\0')
		return false;
	if (s->sent == limit)
		return true;
	do
		n = send(s->fd, s->out.data + s->sent, limit - s->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		s->sent += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		fail(s, "cannot write to the peer: %s", strerror(errno));
	if (s->sent == limit || s->why[0] != '\0' || s->blocked)
		return s->sent == limit;
	if (event_add(s->writable, NULL) != 0)
		fail(s, "cannot watch the connection: %s", strerror(errno));
	else
		s->blocked = true;
	return false;
}

bool stream_flush(struct stream *s)
{
	if (!push(s, s->building ? s->frame_at : s->out.len))
		return false;
	if (s->building)
		return true;
	buf_reset(&s->out);
	s->sent = 0;
	if (s->out.cap > KEEP_MAX)
		buf_free(&s->out);
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	s->blocked = false;
	(void)stream_flush(s); /* what is left waits again, an error is met by turn */
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	s->scheduled = false;
	if (s->why[0] == '\0')
		(void)stream_flush(s);
	if (s->why[0] != '\0')
		end(s);
}

struct stream *stream_new(struct event_base *base, int fd, const struct stream_calls *calls, void *arg)
{
	struct stream *s = xcalloc(1, sizeof *s);

	s->fd = fd;
	s->calls = *calls;
	s->arg = arg;
	s->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, s);
	s->writable = event_new(base, fd, EV_WRITE, on_writable, s);
	s->turn = event_new(base, -1, 0, on_turn, s);
	if (s->readable == NULL || s->writable == NULL || s->turn == NULL)
		mem_exhausted(sizeof *s);
	if (event_add(s->readable, NULL) != 0)
		fail(s, "cannot watch the connection: %s", strerror(errno));
	return s;
}

void stream_free(struct stream *s)
{
	if (s == NULL || s->gone)
		return;
	event_free(s->readable);
	event_free(s->writable);
	event_free(s->turn);
	close(s->fd);
	s->gone = true;
	s->over = true;
	if (!s->calling)
		release(s);
}

struct buf *stream_begin(struct stream *s, enum wire_type type, uint32_t generation)
{
	struct wire_head head = {.type = (uint16_t)type, .generation = generation};

	if (s->sent > s->out.len / 2) { /* what is sent is the larger half: moving the rest costs less than it saved */
		buf_drop(&s->out, s->sent);
		s->sent = 0;
	}
	s->frame_at = s->out.len;
	s->building = true;
	buf_add(&s->out, &head, sizeof head);
	return &s->out;
}

#ifdef JOBQ_FAULTS
/* the only place where half a frame can be written on purpose */
static void half(struct stream *s, size_t len)
{
	uint16_t type;

	memcpy(&type, s->out.data + s->frame_at + offsetof(struct wire_head, type), sizeof type);
	if (type != FRAME_OUTCOMES)
		return;
	(void)push(s, s->frame_at + sizeof(struct wire_head) + len / 2);
	(void)FAULT(mid_outcomes);
}
#endif

void stream_end(struct stream *s)
{
	size_t len;

	if (!s->building)
		return; /* the stream ended while the frame was being built */
	s->building = false;
	len = s->out.len - s->frame_at - sizeof(struct wire_head);
	if (s->over || len > WIRE_BODY_MAX) {
		s->out.len = s->frame_at;
		if (!s->over)
			fail(s, "a frame of %zu bytes was to be sent, at most %u are possible", len, WIRE_BODY_MAX);
		return;
	}
	buf_set_u32(&s->out, s->frame_at + offsetof(struct wire_head, len), (uint32_t)len);
#ifdef JOBQ_FAULTS
	half(s, len);
#endif
	if (!s->blocked)
		schedule(s);
}

size_t stream_unsent(const struct stream *s)
{
	return s->out.len - s->sent;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

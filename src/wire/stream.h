/*
 * wire/stream.h: frames over a non-blocking socket on libevent, both directions buffered.
 *
 * Runs in the dispatcher and in workers. Owns the descriptor. Callbacks come from the event loop only. A frame that is
 * too long or a short read in the middle ends the stream (closed callback, once). In closed(), and in frame(), the owner may
 * free the stream.
 */
#ifndef JOBQ_WIRE_STREAM_H
#define JOBQ_WIRE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "jobq/wire.h"

struct event_base;
struct stream;

struct stream_calls {
	void (*frame)(void *arg, const struct wire_head *head, struct rd body); /* body lives during the call */
	void (*closed)(void *arg, const char *why);                             /* EOF or error; what could be read has been delivered */
};

struct stream *stream_new(struct event_base *base, int fd, const struct stream_calls *calls, void *arg);
void stream_free(struct stream *s);                   /* closes the descriptor; unsent bytes are lost */
/* Build a frame in place: begin returns the buffer to append the body to; end fixes its length and schedules the write. */
struct buf *stream_begin(struct stream *s, enum wire_type type, uint32_t generation);
void stream_end(struct stream *s);
bool stream_flush(struct stream *s);                  /* writes what can be written now; true = all is out */
size_t stream_unsent(const struct stream *s);
int stream_fd(const struct stream *s);

#endif

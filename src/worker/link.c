/*
 * worker/link.c: the connection to the dispatcher, lost and found again.
 *
 * Runs in a worker. Owns the stream. The listening socket is the master's, so a connection may stand in its backlog while no
 * dispatcher lives; the worker is welcome only when a dispatcher has answered its HELLO, and only then does it say anything
 * else. A connection that ends is made again after 20 ms, doubling to 500 ms, for ever; meanwhile the handlers work on and
 * the outcomes wait. Each new welcome hears all outcomes that nobody has acknowledged.
 *
 * Invariant: frames of a generation other than the one in shared memory are dropped unread: they come from a dispatcher that
 * is dead. A frame that cannot be decoded ends the connection, never the worker.
 */
#include "config.h"

#include "worker/link.h"

#include <errno.h>
#include <event2/event.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "wire/msg.h"
#include "wire/stream.h"
#include "worker/admit.h"
#include "worker/batch.h"
#include "worker/begun.h"
#include "worker/outcome.h"

#define RETRY_FIRST_NS (20 * NS_PER_MS)
#define RETRY_LAST_NS (500 * NS_PER_MS)
#define PROGRESS_UNSENT (256u << 10) /* a dispatcher this far behind gets no progress, only outcomes */
#define NOTE_MAX 256

static void link_retry(struct worker *w)
{
	struct timeval tv = clock_timeval(w->retry_ns);

	w->retry_ns = w->retry_ns * 2 > RETRY_LAST_NS ? RETRY_LAST_NS : w->retry_ns * 2;
	if (event_add(w->retry, &tv) != 0)
		mem_exhausted(0);
}

static void link_lost(struct worker *w, const char *why)
{
	if (!w->complained)
		log_warn("no dispatcher: %s; work goes on, outcomes wait", why);
	w->complained = true;
	stream_free(w->stream);
	w->stream = NULL;
	w->welcome = false;
	w->drain_told = false;
	link_retry(w);
}

static void link_closed(void *arg, const char *why)
{
	link_lost(arg, why);
}

static void link_welcome(struct worker *w, uint32_t generation)
{
	if (w->complained)
		log_info("the dispatcher is back, %zu outcomes wait for it", (size_t)HASH_COUNT(w->table) - w->njobs);
	w->complained = false;
	w->welcome = true;
	w->generation = generation;
	w->retry_ns = RETRY_FIRST_NS;
	begun_forget(w);
	outcome_resend(w);
	if (w->drain != DRAIN_NO)
		link_tell_drain(w);
	worker_turn(w);
}

static bool link_cancel(struct worker *w, struct rd *body)
{
	struct msg_ref ref;
	uint32_t n;

	if (!msg_get_count(body, &n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!msg_get_ref(body, &ref))
			return false;
		struct record *r = outcome_find(w, ref.id, ref.token);
		if (r == NULL || r->job == NULL)
			continue;
		if (r->job->state != JOB_BEGUN)
			admit_cancel(r->job);
		else if (w->handler->stop != NULL)
			w->handler->stop(w->state, &r->job->pub, JOBQ_STOP_CANCEL);
	}
	return true;
}

static void link_frame(void *arg, const struct wire_head *head, struct rd body)
{
	struct worker *w = arg;
	bool good = false;

	if (head->generation != atomic_load(&w->global->dispatcher_generation)) {
		log_debug("dropped a frame of dispatcher generation %u", head->generation);
		return;
	}
	if (head->type == FRAME_WELCOME) {
		link_welcome(w, head->generation);
		return;
	}
	if (w->welcome && head->generation == w->generation) {
		if (head->type == FRAME_BATCH)
			good = batch_receive(w, &body);
		else if (head->type == FRAME_ACK)
			good = outcome_ack(w, &body);
		else if (head->type == FRAME_CANCEL)
			good = link_cancel(w, &body);
	}
	if (good)
		return;
	log_error("the dispatcher sent a frame of type %u that makes no sense; connecting again", head->type);
	link_lost(w, "broken frame");
}

static void link_connect(struct worker *w)
{
	static const struct stream_calls calls = {.frame = link_frame, .closed = link_closed};
	int fd = io_unix_connect(w->child->dispatch_path);

	if (fd < 0) {
		link_lost(w, strerror(errno));
		return;
	}
	w->stream = stream_new(w->child->base, fd, &calls, w);
	struct msg_hello hello = {
		.version = WIRE_VERSION, .slot = w->child->slot_index, .slot_generation = w->child->generation,
		.queue = w->child->queue_index, .pid = (uint32_t)getpid(),
	};
	msg_put_hello(stream_begin(w->stream, FRAME_HELLO, atomic_load(&w->global->dispatcher_generation)), &hello);
	stream_end(w->stream);
}

static void link_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	link_connect(arg);
}

int link_open(struct worker *w)
{
	w->retry_ns = RETRY_FIRST_NS;
	w->retry = event_new(w->child->base, -1, 0, link_again, w);
	if (w->retry == NULL)
		return -1;
	link_connect(w);
	return 0;
}

void link_close(struct worker *w)
{
	if (w->retry != NULL)
		event_free(w->retry);
	if (w->stream != NULL)
		stream_free(w->stream);
}

void link_tell_drain(struct worker *w)
{
	if (!w->welcome || w->drain_told)
		return;
	(void)stream_begin(w->stream, FRAME_DRAIN, w->generation); /* no body */
	stream_end(w->stream);
	(void)stream_flush(w->stream); /* an idle worker leaves in this very turn; what cannot be written now is no loss */
	w->drain_told = true;
}

void link_progress(struct worker *w, const struct job *job, double percent, const char *note)
{
	char clean[NOTE_MAX];

	if (!w->welcome || stream_unsent(w->stream) > PROGRESS_UNSENT || isnan(percent))
		return;
	double bounded = percent < 0 ? 0 : percent > 100 ? 100 : percent;
	size_t len = note == NULL ? 0 : text_clean(clean, sizeof clean, note, strlen(note));
	struct msg_progress m = {
		.id = job->pub.id, .token = job->pub.token, .percent_milli = (uint32_t)(bounded * 1000), .note = {clean, len},
	};
	msg_put_progress(stream_begin(w->stream, FRAME_PROGRESS, w->generation), &m);
	stream_end(w->stream);
}

void link_gate(struct worker *w, int64_t retry_ns, const char *reason)
{
	char clean[SHM_CELL_WORDS * sizeof(uint64_t)];

	if (!w->welcome)
		return;
	struct msg_gate m = {.flags = 1, .retry_ns = retry_ns < 0 ? 0 : retry_ns};
	m.reason.text = clean;
	m.reason.len = text_clean(clean, sizeof clean, reason, strlen(reason));
	msg_put_gate(stream_begin(w->stream, FRAME_GATE, w->generation), &m);
	stream_end(w->stream);
}

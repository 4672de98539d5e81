/*
 * worker/begun.c: tells the dispatcher which jobs under a tenant's or a tier's limit have begun.
 *
 * Runs in a worker. Owns the list of what has begun since the last turn of the loop. The dispatcher reserves a limited tenant's
 * units from the claim to the sending; without this word it would reserve them until the outcome, and a slow receiver would
 * hold back jobs that may go. Invariant: the frame leaves before the outcome of any job in it. A lost frame makes a limit too
 * careful until the outcome, never too bold; cannot fail (memory apart).
 */
#include "config.h"

#include "worker/begun.h"

#include "wire/msg.h"
#include "wire/stream.h"

void begun_note(struct worker *w, const struct job *job)
{
	const struct msg_begun m = {.id = job->pub.id, .token = job->pub.token, .units = (uint32_t)job->cost};

	if (job->nwords == 0 || !w->welcome)
		return;
	msg_put_begun(&w->news, &m);
	w->nnews++;
	worker_turn(w);
}

void begun_flush(struct worker *w)
{
	if (w->nnews == 0 || !w->welcome)
		return;
	struct buf *body = stream_begin(w->stream, FRAME_BEGUN, w->generation);
	msg_put_count(body, w->nnews);
	buf_add(body, w->news.data, w->news.len);
	stream_end(w->stream);
	begun_forget(w);
}

void begun_forget(struct worker *w)
{
	buf_reset(&w->news);
	w->nnews = 0;
}

/*
 * wire/msg.c: the bodies of frames (layout in jobq/wire.h), both directions side by side.
 *
 * Pure; runs in the dispatcher and in workers, for every job, so it allocates nothing of its own. Owns nothing: decoded
 * texts point into the frame. Invariant: what msg_put_x writes, msg_get_x reads; a decoder that returns false has left
 * its result alone. A body that is short, or holds what no jobq writes, is refused; the caller drops such a peer.
 */
#include "config.h"

#include "wire/msg.h"

#include "jobq/handler.h"

/* the least that one record of a list can take: what bounds its count before anything is read */
#define REF_MIN 16u /* id, token */
#define JOB_MIN 77u /* 5 i64, 4 u32, u8, 5 empty texts */

static void put_text(struct buf *b, struct msg_text text)
{
	buf_bytes(b, text.text, text.len);
}

static struct msg_text get_text(struct rd *r)
{
	struct msg_text text;

	text.text = rd_bytes(r, &text.len);
	return text;
}

void msg_put_hello(struct buf *b, const struct msg_hello *m)
{
	buf_u32(b, m->version);
	buf_u32(b, m->slot);
	buf_u32(b, m->slot_generation);
	buf_u32(b, m->queue);
	buf_u32(b, m->pid);
}

bool msg_get_hello(struct rd *r, struct msg_hello *m)
{
	struct msg_hello v;

	v.version = rd_u32(r);
	v.slot = rd_u32(r);
	v.slot_generation = rd_u32(r);
	v.queue = rd_u32(r);
	v.pid = rd_u32(r);
	if (r->bad)
		return false;
	*m = v;
	return true;
}

void msg_put_batch(struct buf *b, const struct msg_batch *m)
{
	buf_u64(b, m->batch_id);
	buf_i64(b, m->token);
	buf_u32(b, m->flags);
	buf_u32(b, m->count);
}

bool msg_get_batch(struct rd *r, struct msg_batch *m)
{
	struct msg_batch v;

	v.batch_id = rd_u64(r);
	v.token = rd_i64(r);
	v.flags = rd_u32(r);
	v.count = rd_u32(r);
	if (r->bad || (v.flags & ~WIRE_BATCH_ALONE) != 0 || v.count == 0 || v.count > rd_left(r) / JOB_MIN)
		return false;
	*m = v;
	return true;
}

void msg_put_job(struct buf *b, const struct msg_job *m)
{
	buf_reserve(b, JOB_MIN + m->type.len + m->tenant.len + m->user_id.len + m->payload.len + m->result.len);
	buf_i64(b, m->id);
	buf_i64(b, m->token);
	buf_i64(b, m->deadline_us);
	buf_i64(b, m->created_us);
	buf_i64(b, m->run);
	buf_u32(b, m->attempt);
	buf_u32(b, m->max_retries);
	buf_u8(b, m->priority);
	buf_u32(b, m->tenant_word);
	buf_u32(b, m->tier_word);
	put_text(b, m->type);
	put_text(b, m->tenant);
	put_text(b, m->user_id);
	put_text(b, m->payload);
	put_text(b, m->result);
}

bool msg_get_job(struct rd *r, struct msg_job *m)
{
	struct msg_job v;

	v.id = rd_i64(r);
	v.token = rd_i64(r);
	v.deadline_us = rd_i64(r);
	v.created_us = rd_i64(r);
	v.run = rd_i64(r);
	v.attempt = rd_u32(r);
	v.max_retries = rd_u32(r);
	v.priority = rd_u8(r);
	v.tenant_word = rd_u32(r);
	v.tier_word = rd_u32(r);
	v.type = get_text(r);
	v.tenant = get_text(r);
	v.user_id = get_text(r);
	v.payload = get_text(r);
	v.result = get_text(r);
	if (r->bad || v.attempt == 0 || v.attempt > INT32_MAX || v.max_retries > INT32_MAX)
		return false;
	if (v.priority != 1 && v.priority != 2 && v.priority != 5 && v.priority != 10)
		return false;
	*m = v;
	return true;
}

void msg_put_count(struct buf *b, uint32_t n)
{
	buf_u32(b, n);
}

bool msg_get_count(struct rd *r, uint32_t *n)
{
	uint32_t v = rd_u32(r);

	if (r->bad || v > rd_left(r) / REF_MIN)
		return false;
	*n = v;
	return true;
}

void msg_put_outcome(struct buf *b, const struct msg_outcome *m)
{
	buf_i64(b, m->id);
	buf_i64(b, m->token);
	buf_u8(b, m->outcome);
	buf_u8(b, m->cause);
	buf_i64(b, m->begun_ns);
	buf_i64(b, m->ended_ns);
	buf_i64(b, m->after_ns);
	buf_u32(b, m->units);
	put_text(b, m->error);
	put_text(b, m->result);
}

bool msg_get_outcome(struct rd *r, struct msg_outcome *m)
{
	struct msg_outcome v;

	v.id = rd_i64(r);
	v.token = rd_i64(r);
	v.outcome = rd_u8(r);
	v.cause = rd_u8(r);
	v.begun_ns = rd_i64(r);
	v.ended_ns = rd_i64(r);
	v.after_ns = rd_i64(r);
	v.units = rd_u32(r);
	v.error = get_text(r);
	v.result = get_text(r);
	if (r->bad || v.outcome >= OUTCOME_COUNT || v.cause >= JOBQ_CAUSES || v.begun_ns < 0 || v.ended_ns < 0 || v.after_ns < -1)
		return false;
	*m = v;
	return true;
}

void msg_put_ref(struct buf *b, const struct msg_ref *m)
{
	buf_i64(b, m->id);
	buf_i64(b, m->token);
}

bool msg_get_ref(struct rd *r, struct msg_ref *m)
{
	struct msg_ref v;

	v.id = rd_i64(r);
	v.token = rd_i64(r);
	if (r->bad)
		return false;
	*m = v;
	return true;
}

void msg_put_begun(struct buf *b, const struct msg_begun *m)
{
	buf_i64(b, m->id);
	buf_i64(b, m->token);
	buf_u32(b, m->units);
}

bool msg_get_begun(struct rd *r, struct msg_begun *m)
{
	struct msg_begun v;

	v.id = rd_i64(r);
	v.token = rd_i64(r);
	v.units = rd_u32(r);
	if (r->bad || v.units == 0)
		return false;
	*m = v;
	return true;
}

void msg_put_progress(struct buf *b, const struct msg_progress *m)
{
	buf_i64(b, m->id);
	buf_i64(b, m->token);
	buf_u32(b, m->percent_milli);
	put_text(b, m->note);
}

bool msg_get_progress(struct rd *r, struct msg_progress *m)
{
	struct msg_progress v;

	v.id = rd_i64(r);
	v.token = rd_i64(r);
	v.percent_milli = rd_u32(r);
	v.note = get_text(r);
	if (r->bad || v.percent_milli > 100000)
		return false;
	*m = v;
	return true;
}

void msg_put_gate(struct buf *b, const struct msg_gate *m)
{
	buf_u32(b, m->flags);
	buf_i64(b, m->retry_ns);
	put_text(b, m->reason);
}

bool msg_get_gate(struct rd *r, struct msg_gate *m)
{
	struct msg_gate v;

	v.flags = rd_u32(r);
	v.retry_ns = rd_i64(r);
	v.reason = get_text(r);
	if (r->bad || v.flags > 1 || v.retry_ns < 0)
		return false;
	*m = v;
	return true;
}

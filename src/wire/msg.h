/*
 * wire/msg.h: the bodies of frames, encoded and decoded in one place for both ends (layout in jobq/wire.h).
 *
 * Decoders return false on a body that is short or holds impossible values; nothing is half applied by them.
 */
#ifndef JOBQ_WIRE_MSG_H
#define JOBQ_WIRE_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "jobq/wire.h"

struct msg_hello { uint32_t version, slot, slot_generation, queue, pid; };
struct msg_batch { uint64_t batch_id; int64_t token; uint32_t flags, count; };
struct msg_text { const char *text; size_t len; };
struct msg_job {
	int64_t id, token, deadline_us, created_us, run;
	uint32_t attempt, max_retries;
	uint8_t priority;
	uint32_t tenant_word, tier_word; /* SHM_NO_WORD: none */
	struct msg_text type, tenant, user_id, payload, result; /* point into the frame */
};
struct msg_outcome {
	int64_t id, token, begun_ns, ended_ns, after_ns;
	uint8_t outcome, cause; /* enum jobq_outcome_kind, enum jobq_cause, checked */
	struct msg_text error, result;
	uint32_t units; /* of its limits that it took when it began */
};
struct msg_ref { int64_t id, token; };
struct msg_begun { int64_t id, token; uint32_t units; };
struct msg_progress { int64_t id, token; uint32_t percent_milli; struct msg_text note; };
struct msg_gate { uint32_t flags; int64_t retry_ns; struct msg_text reason; };

void msg_put_hello(struct buf *b, const struct msg_hello *m);
void msg_put_batch(struct buf *b, const struct msg_batch *m);       /* then count times msg_put_job */
void msg_put_job(struct buf *b, const struct msg_job *m);
void msg_put_outcome(struct buf *b, const struct msg_outcome *m);   /* after a msg_put_count */
void msg_put_ref(struct buf *b, const struct msg_ref *m);           /* after a msg_put_count */
void msg_put_begun(struct buf *b, const struct msg_begun *m);       /* after a msg_put_count */
void msg_put_count(struct buf *b, uint32_t n);
void msg_put_progress(struct buf *b, const struct msg_progress *m);
void msg_put_gate(struct buf *b, const struct msg_gate *m);

bool msg_get_hello(struct rd *r, struct msg_hello *m);
bool msg_get_batch(struct rd *r, struct msg_batch *m);
bool msg_get_job(struct rd *r, struct msg_job *m);
bool msg_get_count(struct rd *r, uint32_t *n);
bool msg_get_outcome(struct rd *r, struct msg_outcome *m);
bool msg_get_begun(struct rd *r, struct msg_begun *m);
bool msg_get_ref(struct rd *r, struct msg_ref *m);
bool msg_get_progress(struct rd *r, struct msg_progress *m);
bool msg_get_gate(struct rd *r, struct msg_gate *m);

#endif

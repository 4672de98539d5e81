/*
 * jobq/wire.h: frames between the dispatcher and a worker, over RUNDIR/dispatch.sock. A contract; drawn in docs/protocol.md.
 *
 * Every frame is `struct wire_head` and a body of head.len bytes. Both ends are one build on one machine, so integers are
 * in host order; yet lengths and counts are checked as if a stranger had sent them. A frame whose generation is not the
 * receiver's current dispatcher generation is dropped (HELLO apart, which carries what the worker believes).
 *
 * bodies ("bytes" = u32 length + bytes):
 *   HELLO     u32 version, slot, slot_generation, queue, pid
 *   WELCOME   (empty)
 *   BATCH     u64 batch_id, i64 token, u32 flags, u32 n, then n jobs:
 *               i64 id, i64 token, i64 deadline_us (db time, 0 none), i64 created_us (db time), i64 run (after a replacement;
 *               0 = the first), u32 attempt, u32 max_retries, u8 priority, u32 tenant_word, tier_word (limits in shared memory, besides
 *               the queue's; UINT32_MAX = none), bytes type, tenant, user_id, payload, result   (type, user_id: empty = NULL; result: what an earlier
 *               attempt left, JSON or empty)
 *   OUTCOMES  u32 n, then n: i64 id, token; u8 outcome, cause (enum jobq_cause); i64 begun_ns, ended_ns (mono; 0 = never
 *               begun), after_ns (-1: the queue's backoff); u32 units (of its limits, taken when it began); bytes error, result (JSON or empty)
 *   ACK       u32 n, then n: i64 id, token
 *   CANCEL    u32 n, then n: i64 id, token
 *   PROGRESS  i64 id, token; u32 percent_milli (0..100000); bytes note
 *   GATE      u32 flags (1 = closed by credentials), i64 retry_ns, bytes reason
 *   DRAIN     (empty)
 *   BEGUN     u32 n, then n: i64 id, token; u32 units   (jobs with a word: they have begun, and taken so much of their limits)
 */
#ifndef JOBQ_WIRE_H
#define JOBQ_WIRE_H

#include <stdint.h>

#define WIRE_VERSION 2u
#define WIRE_BODY_MAX (64u << 20)  /* a longer frame is a broken peer */
#define WIRE_BATCH_ALONE 1u        /* flags of BATCH: one suspect job by itself */

#define FRAME_X(name, value, sender) FRAME_##name = (value),
enum wire_type {
#include "tbl/frames.def"
	FRAME_LAST
};
#undef FRAME_X

#define OUTCOME_X(name, text, charges) OUTCOME_##name,
enum jobq_outcome_kind {
#include "tbl/outcomes.def"
	OUTCOME_COUNT
};
#undef OUTCOME_X

struct wire_head {
	uint32_t len;        /* of the body */
	uint16_t type;
	uint16_t pad;
	uint32_t generation; /* the dispatcher's */
	uint32_t pad2;
};

#endif

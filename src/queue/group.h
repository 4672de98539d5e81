/*
 * queue/group.h: groups of a buffer: full, waiting, released. Private to buffer.c; the law is in buffer.h.
 */
#ifndef JOBQ_QUEUE_GROUP_H
#define JOBQ_QUEUE_GROUP_H

#include "queue/buffer.h"

struct buffer_group *group_of(struct buffer *b, struct buffer_tenant *tenant);
void group_grew(struct buffer *b, struct buffer_group *group, const struct buffer_item *item, int64_t now_ns);
void group_shrank(struct buffer *b, struct buffer_group *group, int64_t now_ns); /* a job was taken out, not by its turn */
void group_judge(struct buffer *b, struct buffer_group *group, int64_t now_ns);  /* nothing of it is released: now, or when? */
void group_judge_waiting(struct buffer *b, int64_t now_ns);                      /* all that wait, after the law has changed */
void group_end_waits(struct buffer *b, int64_t now_ns);
void group_relieve(struct buffer *b); /* nothing may go: if the buffer is too full, the group that is due next goes */

#endif

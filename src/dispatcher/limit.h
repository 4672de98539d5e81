/*
 * dispatcher/limit.h: limits of tenants and tiers: reserved at the claim, taken by the workers at the sending.
 *
 * A job of a limited queue counts from the claim (reserved) over its beginning (sent: a worker took its tokens) to its end. The
 * law of reserving is queue/limits.h; the tokens are in shared memory (words.h), and a job's frame says which.
 */
#ifndef JOBQ_DISPATCHER_LIMIT_H
#define JOBQ_DISPATCHER_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/limits.h"

struct dispatcher;
struct job;
struct queue;

void limit_start(struct queue *queue);
void limit_stop(struct queue *queue);
void limit_reload(struct queue *queue);   /* the roster has changed */
void limit_queues(struct dispatcher *d);  /* the limits of queues with work are in use: often */
void limit_second(struct dispatcher *d);  /* forgets who has no jobs */
void limit_claimed(struct job *job, bool reserved, int64_t now_ns); /* reserved: by the claim; false: limits came into force meanwhile */
void limit_begun(struct job *job, int64_t units, int64_t now_ns);   /* its worker took so much */
void limit_ended(struct job *job);        /* it ended, or goes back to the database; may be called again */
/* The words of its tenant and its tier, SHM_NO_WORD = none: for its frame. */
void limit_words(const struct job *job, uint32_t *tenant_word, uint32_t *tier_word);
/* Which limit of its tenant or tier holds a tenant's jobs back now, and until when (mono; LIMITS_NEVER: until one of them ends). */
enum limit_kind limit_why(struct queue *queue, const char *tenant, int64_t *until_ns);

#endif

/*
 * dispatcher/receiver.h: what is known of the receiver behind a queue: the rate that it bears, and its gate.
 *
 * One a queue, written by receiver.c alone. The gate is one mechanism for all that can shut it: whole rounds of failures, a
 * Retry-After, credentials that are refused. Shut, nothing of the queue is claimed, handed out or begun.
 */
#ifndef JOBQ_DISPATCHER_RECEIVER_H
#define JOBQ_DISPATCHER_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobq/handler.h"
#include "queue/breaker.h"
#include "queue/rate.h"

#define RECEIVER_EXCUSED 64

struct dispatcher;
struct job;
struct msg_outcome;
struct queue;

struct receiver {
	struct rate_state rate;
	struct breaker breaker;
	bool requests;               /* a job is a request: its time is the receiver's */
	int64_t probe_id, probe_token;
	int64_t failed_id;           /* the job that failed last; 0 = none since the last success */
	int64_t excused[RECEIVER_EXCUSED]; /* ring: jobs whose failure was the outage's */
	size_t nexcused;
	size_t doubted;              /* jobs in d->fates whose failure is not yet known to be theirs */
	int64_t doubt_ns;            /* when the last of them came */
	unsigned snoozes;            /* refused in a row: waits grow with them */
	int64_t snooze_until_ns;
};

void receiver_start(struct queue *queue);  /* as the dispatcher before left it */
void receiver_step(struct queue *queue);   /* often: a gate whose time is over is tried */
void receiver_second(struct queue *queue);
/* How many jobs may go to it now: INT64_MAX, 1 (the probe) or 0. */
int64_t receiver_may(struct queue *queue);
bool receiver_shut(const struct queue *queue); /* its gate */
void receiver_sent(struct queue *queue, const struct job *job); /* handed out */
/* What an outcome says of it. Before its fate is decided. */
void receiver_outcome(struct queue *queue, const struct job *job, const struct msg_outcome *m);
/* The handler says that the receiver refuses all of us. */
void receiver_gate(struct queue *queue, int64_t retry_ns, const char *reason);

/* ---- is a failure the job's own? after receiver_outcome ---- */
enum receiver_verdict { RECEIVER_CHARGE, RECEIVER_EXCUSE, RECEIVER_DOUBT };
enum receiver_verdict receiver_judge(struct queue *queue, const struct job *job, enum jobq_cause cause);
void receiver_doubted(struct queue *queue);   /* a job was put aside in doubt */
void receiver_settle(struct queue *queue, bool excused); /* those in doubt are decided */
/* When a job that burnt no try may come back: after_ns, or what the gate or the refusals in a row say. */
int64_t receiver_wait_ns(struct queue *queue, enum jobq_cause cause, int64_t after_ns);

#endif

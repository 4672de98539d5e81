/* handlers/law.h: what an answer of an HTTP receiver, or its absence, means for the job. Pure. */
#ifndef JOBQ_HANDLERS_LAW_H
#define JOBQ_HANDLERS_LAW_H

#include <stdint.h>

#include "handlers/http.h"
#include "jobq/handler.h"

enum law_verdict {
	LAW_ACCEPTED,  /* 2xx: the driver looks whether the answer is what it should be */
	LAW_RETRY,     /* it certainly had no effect, and may have one later */
	LAW_FAIL,      /* it never will */
	LAW_SNOOZE,    /* not now; burns nothing */
	LAW_UNCERTAIN, /* it may have had its effect */
	LAW_GATE       /* the receiver refuses us, not this job: nobody else need try */
};

struct law_wait {
	unsigned times;   /* in a row, since something was accepted: waits grow with them */
	int64_t until_ns; /* replies before it belong to the wait that is under way */
};
struct law_pace {
	struct law_wait gate;
};

struct law {
	enum law_verdict verdict;
	int64_t after_ns; /* SNOOZE, GATE, RETRY; -1: as the queue says */
	enum jobq_cause cause;
};

enum jobq_cause law_cause(const struct http_reply *reply);
int64_t law_snooze(const struct http_reply *reply); /* its Retry-After; -1: it gave none */
struct law law_judge(const struct http_reply *reply, struct law_pace *pace, int64_t now_ns);
/* How long the gate stays closed this time; for receivers that are not judged by HTTP. */
int64_t law_gate_ns(struct law_pace *pace, int64_t now_ns);
void law_accepted(struct law_pace *pace);

#endif

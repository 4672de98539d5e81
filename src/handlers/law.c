/*
 * handlers/law.c: what an answer of an HTTP receiver, or its absence, means for the job.
 *
 * Pure; runs in workers, for every driver that posts one job at a time. The rule behind the table: a job is retried only if it
 * certainly had no effect, it fails only if the receiver says that it never will have one, and everything in between is
 * uncertain, which the queue's on_uncertain decides. What is the receiver's mood and not the job's fault burns no try.
 *
 * Waits of the gate grow from 5 s by doubling to 5 min; an accepted job starts them afresh. Ten requests that were under way together
 * make one step, not ten. A snooze lasts as long as the receiver says, or as the queue does.
 */
#include "config.h"

#include "handlers/law.h"

#include "base/clock.h"

#define GATE_FIRST_NS (5 * NS_PER_S)
#define GATE_MAX_NS (300 * NS_PER_S)

static int64_t law_grow(struct law_wait *w, int64_t first, int64_t max, int64_t now_ns)
{
	if (w->times == 0 || now_ns >= w->until_ns) {
		int64_t wait = first << w->times;
		if (wait < max)
			w->times++;
		w->until_ns = now_ns + (wait < max ? wait : max);
	}
	return w->until_ns - now_ns > first ? w->until_ns - now_ns : first;
}

int64_t law_snooze(const struct http_reply *reply)
{
	return reply->retry_after_ns > 0 ? reply->retry_after_ns : -1;
}

int64_t law_gate_ns(struct law_pace *pace, int64_t now_ns)
{
	return law_grow(&pace->gate, GATE_FIRST_NS, GATE_MAX_NS, now_ns);
}

static struct law law_status(const struct http_reply *reply, struct law_pace *pace, int64_t now_ns)
{
	switch (reply->status) {
	case 408: case 425: case 429:
		return (struct law){.verdict = LAW_SNOOZE, .after_ns = law_snooze(reply)};
	case 401: case 403: case 407:
		return (struct law){.verdict = LAW_GATE, .after_ns = law_gate_ns(pace, now_ns)};
	case 500:
		return (struct law){.verdict = LAW_RETRY, .after_ns = -1};
	case 503:
		return (struct law){.verdict = law_snooze(reply) > 0 ? LAW_SNOOZE : LAW_RETRY, .after_ns = law_snooze(reply)};
	default:
		break;
	}
	if (reply->status >= 200 && reply->status < 300)
		return (struct law){.verdict = LAW_ACCEPTED, .after_ns = -1};
	if (reply->status >= 300 && reply->status < 500)
		return (struct law){.verdict = LAW_FAIL, .after_ns = -1};
	return (struct law){.verdict = LAW_UNCERTAIN, .after_ns = -1}; /* 502, 504: a gateway in between lost the answer; and what nobody has defined */
}

enum jobq_cause law_cause(const struct http_reply *reply)
{
	if (reply->reach == HTTP_NOT_SENT)
		return JOBQ_CAUSE_UNREACHED;
	if (reply->reach != HTTP_ANSWERED || reply->status >= 500 || reply->status == 408)
		return JOBQ_CAUSE_DOWN;
	return reply->status == 429 ? JOBQ_CAUSE_REFUSED : JOBQ_CAUSE_NONE;
}

struct law law_judge(const struct http_reply *reply, struct law_pace *pace, int64_t now_ns)
{
	struct law law;

	if (reply->reach == HTTP_NOT_SENT)
		law = (struct law){.verdict = LAW_RETRY, .after_ns = -1};
	else if (reply->reach == HTTP_UNANSWERED)
		law = (struct law){.verdict = LAW_UNCERTAIN, .after_ns = -1};
	else
		law = law_status(reply, pace, now_ns);
	law.cause = law_cause(reply);
	return law;
}

void law_accepted(struct law_pace *pace)
{
	*pace = (struct law_pace){0};
}

/*
 * queue/breaker.c: the states of the gate; see breaker.h. Runs in the dispatcher, owns its struct alone. Invariant: a probe is out
 * in the state PROBE only, and one at a time. Cannot fail.
 */
#include "config.h"

#include "queue/breaker.h"

void breaker_init(struct breaker *b)
{
	*b = (struct breaker){.state = BREAKER_OPEN, .wait_ns = BREAKER_FIRST_NS};
}

static void shut(struct breaker *b, int64_t until_ns, int64_t now_ns)
{
	b->state = BREAKER_SHUT;
	b->shut_ns = now_ns;
	b->until_ns = until_ns;
	b->probing = false;
	b->trips++;
}

static void lengthen(struct breaker *b)
{
	b->wait_ns = b->wait_ns * 2 < BREAKER_MOST_NS ? b->wait_ns * 2 : BREAKER_MOST_NS;
}

bool breaker_failed(struct breaker *b, uint32_t in_flight, int64_t now_ns)
{
	if (b->state == BREAKER_SHUT) /* those that were under way when it tripped */
		return false;
	b->cohorts += 1.0 / (in_flight > 0 ? in_flight : 1);
	b->failures++;
	if (b->state == BREAKER_OPEN && (b->cohorts < BREAKER_COHORTS || b->failures < BREAKER_LEAST))
		return false;
	shut(b, now_ns + b->wait_ns, now_ns);
	lengthen(b);
	return true;
}

/* A success that was under way when it tripped proves nothing: the probe will tell. */
bool breaker_succeeded(struct breaker *b)
{
	if (b->state == BREAKER_SHUT)
		return false;
	bool changed = b->state != BREAKER_OPEN;
	*b = (struct breaker){.state = BREAKER_OPEN, .wait_ns = BREAKER_FIRST_NS, .shut_ns = b->shut_ns, .trips = b->trips};
	return changed;
}

bool breaker_retry_after(struct breaker *b, int64_t until_ns, int64_t now_ns)
{
	if (until_ns <= now_ns || (b->state == BREAKER_SHUT && until_ns <= b->until_ns))
		return false;
	bool changed = b->state != BREAKER_SHUT;
	if (changed)
		shut(b, until_ns, now_ns);
	b->until_ns = until_ns;
	return changed;
}

/* Many jobs under way bring the same refusal: one of them counts. */
bool breaker_refused(struct breaker *b, int64_t least_ns, int64_t now_ns)
{
	if (b->state == BREAKER_SHUT)
		return false;
	shut(b, now_ns + (least_ns > b->wait_ns ? least_ns : b->wait_ns), now_ns);
	lengthen(b);
	return true;
}

int64_t breaker_may(struct breaker *b, int64_t now_ns)
{
	if (b->state == BREAKER_SHUT && now_ns >= b->until_ns)
		b->state = BREAKER_PROBE;
	if (b->state == BREAKER_PROBE)
		return b->probing ? 0 : 1;
	return b->state == BREAKER_OPEN ? INT64_MAX : 0;
}

void breaker_probe_sent(struct breaker *b)
{
	b->probing = b->state == BREAKER_PROBE;
}

void breaker_probe_lost(struct breaker *b)
{
	b->probing = false;
}

int64_t breaker_next_ns(const struct breaker *b)
{
	return b->state == BREAKER_SHUT ? b->until_ns : BREAKER_NEVER;
}

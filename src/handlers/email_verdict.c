/*
 * handlers/email_verdict.c: what the mail server's replies, or their absence, mean (RFC 5321, 4.2.1 and 4.5.3).
 *
 * Pure; runs in workers. 2yz to the message's end is a delivery to the recipients that were taken; 4yz is tried again; 5yz never is.
 * A recipient's own refusal counts for it alone, one of the sender or the message for all of them. Silence before the message's last
 * byte had left is as good as 4yz; silence behind it is the one thing that nobody can know. A server that refuses us (530, 535, any
 * 5yz before there is a sender) says nothing of the message: that is the gate's affair. 552 to a further recipient is an old 452.
 */
#include "config.h"

#include "handlers/email_verdict.h"

static bool email_verdict_is(int code, int hundreds)
{
	return code / 100 == hundreds;
}

/* A message for fewer recipients would have been taken. */
static bool email_verdict_crowd(const struct smtp_report *r, const struct smtp_rcpt *rcpt)
{
	return r->stage >= SMTP_DATA && (rcpt->code == 452 || rcpt->code == 552);
}

static enum email_fate email_verdict_own(const struct smtp_report *r, const struct smtp_rcpt *rcpt, enum email_fate taken)
{
	if (email_verdict_is(rcpt->code, 2))
		return taken;
	return email_verdict_is(rcpt->code, 5) && !email_verdict_crowd(r, rcpt) ? EMAIL_REJECTED : EMAIL_DEFERRED;
}

static bool email_verdict_gate(const struct smtp_report *r)
{
	return r->code == 530 || r->code == 535 || (r->stage == SMTP_CONNECT && email_verdict_is(r->code, 5));
}

enum email_fate email_verdict_fate(const struct smtp_report *r, const struct smtp_rcpt *rcpt)
{
	bool never = email_verdict_is(r->code, 5) && !email_verdict_gate(r);

	switch (r->stage) {
	case SMTP_CONNECT:
		return EMAIL_DEFERRED;
	case SMTP_MAIL:
		return never ? EMAIL_REJECTED : EMAIL_DEFERRED;
	case SMTP_RCPT:
		return email_verdict_gate(r) ? EMAIL_DEFERRED : email_verdict_own(r, rcpt, EMAIL_DEFERRED);
	case SMTP_DATA:
		return never ? EMAIL_REJECTED : email_verdict_own(r, rcpt, EMAIL_DEFERRED);
	case SMTP_END:
		break;
	}
	if (never)
		return EMAIL_REJECTED;
	if (email_verdict_is(r->code, 2))
		return email_verdict_own(r, rcpt, EMAIL_DELIVERED);
	return email_verdict_own(r, rcpt, r->code >= 400 ? EMAIL_DEFERRED : EMAIL_UNKNOWN);
}

static enum jobq_cause email_verdict_cause(const struct smtp_report *r)
{
	if (r->code == 0)
		return r->stage == SMTP_CONNECT ? JOBQ_CAUSE_UNREACHED : JOBQ_CAUSE_DOWN;
	if (r->stage == SMTP_CONNECT && r->code != 421)
		return JOBQ_CAUSE_DOWN;
	bool speaks_of_us = r->stage == SMTP_CONNECT || r->stage == SMTP_MAIL; /* later it may be greylisting, or one mailbox */
	return r->code == 421 || (speaks_of_us && r->code >= 450 && r->code <= 452) ? JOBQ_CAUSE_REFUSED : JOBQ_CAUSE_NONE;
}

struct email_verdict email_verdict(const struct smtp_report *r, const struct smtp_rcpt *rcpts, size_t n)
{
	struct email_verdict v = {.gate = email_verdict_gate(r), .crowd = true};
	enum email_fate first = EMAIL_DELIVERED;

	for (size_t i = 0; i < n; i++) {
		enum email_fate fate = email_verdict_fate(r, &rcpts[i]);
		v.of[fate]++;
		v.crowd = v.crowd && (fate != EMAIL_DEFERRED || email_verdict_crowd(r, &rcpts[i]));
		bool better = fate == EMAIL_DEFERRED ? first != EMAIL_DEFERRED : fate == EMAIL_REJECTED && v.first == NULL;
		if (better && rcpts[i].code >= 400) {
			v.first = &rcpts[i];
			first = fate;
		}
	}
	v.crowd = v.crowd && v.of[EMAIL_DEFERRED] > 0 && v.of[EMAIL_DELIVERED] > 0;
	v.cause = v.gate ? JOBQ_CAUSE_NONE : email_verdict_cause(r);
	return v;
}

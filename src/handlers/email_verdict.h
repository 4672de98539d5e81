/* handlers/email_verdict.h: what the mail server's replies, or their absence, mean for each recipient and for the queue. Pure. */
#ifndef JOBQ_HANDLERS_EMAIL_VERDICT_H
#define JOBQ_HANDLERS_EMAIL_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "handlers/smtp.h"
#include "jobq/handler.h"

enum email_fate {
	EMAIL_DELIVERED,
	EMAIL_DEFERRED, /* certainly has no message, and may get one later */
	EMAIL_REJECTED, /* never will */
	EMAIL_UNKNOWN   /* the message left, and nobody answered */
};

struct email_verdict {
	size_t of[EMAIL_UNKNOWN + 1]; /* recipients by fate */
	const struct smtp_rcpt *first; /* the first deferred one, else the first rejected one, that has a reply of its own; or NULL */
	bool gate;  /* the server refuses us, not this message */
	bool crowd; /* what is deferred was too many recipients for one message */
	enum jobq_cause cause;
};

enum email_fate email_verdict_fate(const struct smtp_report *r, const struct smtp_rcpt *rcpt);
struct email_verdict email_verdict(const struct smtp_report *r, const struct smtp_rcpt *rcpts, size_t n);

#endif

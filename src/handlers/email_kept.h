/* handlers/email_kept.h: messages that were read to be checked and wait for their job's turn. */
#ifndef JOBQ_HANDLERS_EMAIL_KEPT_H
#define JOBQ_HANDLERS_EMAIL_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "handlers/email_message.h"
#include "jobq/handler.h"

#define EMAIL_KEPT_MAX 256u            /* messages */
#define EMAIL_KEPT_BYTES (256u << 10)  /* of their payloads; what was read of them takes several times as much */

TAILQ_HEAD(email_kept_list, email_kept_one);

struct email_kept { /* zero, then email_kept_start */
	struct email_kept_list list; /* the oldest first */
	size_t n, bytes;
};

void email_kept_start(struct email_kept *kept);
void email_kept_free(struct email_kept *kept);
/* Takes the message over; it or older ones are let go when there are too many. */
void email_kept_put(struct email_kept *kept, const struct jobq_job *job, struct email_message *m);
/* The job's message, the caller's now; false: it was not kept. */
bool email_kept_take(struct email_kept *kept, const struct jobq_job *job, struct email_message *m);

#endif

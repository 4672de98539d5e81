/*
 * handlers/email_kept.c: messages that were read to be checked and wait for their job's turn.
 *
 * Runs in a worker. A payload is read before its job's admission, and the message is wanted when the job begins; what lies between
 * is most often a moment. Owns the messages that it keeps, and promises nothing: a job may end without ever asking for its own, and
 * the oldest are let go when there are too many or too large ones, so whoever finds nothing reads again. Invariant: a message is
 * given only to the claim (id and token) that it was read for, whose payload cannot have changed. Cannot fail (memory apart).
 */
#include "config.h"

#include "handlers/email_kept.h"

#include <stdlib.h>

#include "base/mem.h"

struct email_kept_one {
	int64_t id, token;
	size_t bytes;
	struct email_message message;
	TAILQ_ENTRY(email_kept_one) link;
};

void email_kept_start(struct email_kept *kept)
{
	TAILQ_INIT(&kept->list);
}

/* The message is the caller's, or freed. */
static void email_kept_drop(struct email_kept *kept, struct email_kept_one *one)
{
	TAILQ_REMOVE(&kept->list, one, link);
	kept->n--;
	kept->bytes -= one->bytes;
	free(one);
}

static void email_kept_drop_oldest(struct email_kept *kept)
{
	struct email_kept_one *one = TAILQ_FIRST(&kept->list);

	email_message_free(&one->message);
	email_kept_drop(kept, one);
}

void email_kept_free(struct email_kept *kept)
{
	while (kept->n > 0)
		email_kept_drop_oldest(kept);
}

void email_kept_put(struct email_kept *kept, const struct jobq_job *job, struct email_message *m)
{
	struct email_kept_one *one = xmalloc(sizeof *one);

	*one = (struct email_kept_one){.id = job->id, .token = job->token, .bytes = job->payload_len, .message = *m};
	*m = (struct email_message){0};
	TAILQ_INSERT_TAIL(&kept->list, one, link);
	kept->n++;
	kept->bytes += one->bytes;
	while (kept->n > EMAIL_KEPT_MAX || kept->bytes > EMAIL_KEPT_BYTES)
		email_kept_drop_oldest(kept);
}

bool email_kept_take(struct email_kept *kept, const struct jobq_job *job, struct email_message *m)
{
	struct email_kept_one *one;

	TAILQ_FOREACH(one, &kept->list, link)
		if (one->id == job->id && one->token == job->token) {
			*m = one->message;
			email_kept_drop(kept, one);
			return true;
		}
	return false;
}

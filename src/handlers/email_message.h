/* handlers/email_message.h: the payload of an email job, checked. Pure. */
#ifndef JOBQ_HANDLERS_EMAIL_MESSAGE_H
#define JOBQ_HANDLERS_EMAIL_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "handlers/email_address.h"

#define EMAIL_RECIPIENTS_MAX 250u /* what is known of them must fit into a job's result */

struct email_addresses {
	size_t n;
	struct email_address *of;
};

struct email_text { /* NULL: absent; lives in the payload */
	const char *text;
	size_t len;
};

struct email_message {
	json_t *payload; /* owned; texts, headers and attachments live in it */
	struct email_address from;
	struct email_addresses to, cc, bcc, reply_to;
	struct email_text subject, text, html;
	json_t *headers;     /* object of strings, or NULL */
	json_t *attachments; /* array of objects, or NULL */
};

/* False with the reason in err: the job can never be sent. `from`: for payloads that name none. The reason holds no address. */
bool email_message_read(struct email_message *m, const char *payload, size_t len, const char *from, char *err, size_t errlen);
void email_message_free(struct email_message *m); /* of a message that was read */
/* How many recipients a payload names, at least 1; for what is not worth a whole reading. */
size_t email_message_count(const char *payload, size_t len);

#endif

/* handlers/email_record.h: who has the message already: what attempts leave for one another in the job's result. Pure. */
#ifndef JOBQ_HANDLERS_EMAIL_RECORD_H
#define JOBQ_HANDLERS_EMAIL_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "handlers/email_message.h"
#include "handlers/smtp.h"

struct email_record {
	json_t *accepted; /* addresses */
	json_t *rejected; /* {"to": address, "reply": text} */
	const char *payload; /* the caller's, as long as the record: its hash goes into the result, so that another payload begins afresh */
	size_t payload_len;
};

void email_record_open(struct email_record *r, const char *result, size_t result_len, const char *payload, size_t payload_len);
void email_record_free(struct email_record *r);
/* The recipients of m that are not in the record, each once, in the order of to, cc, bcc; *n may be 0. To be freed; addresses are m's. */
struct smtp_rcpt *email_record_rest(const struct email_record *r, const struct email_message *m, size_t *n);
void email_record_accept(struct email_record *r, const char *address);
void email_record_reject(struct email_record *r, const char *address, const char *reply);
bool email_record_any(const struct email_record *r); /* somebody has the message */
/* As a job's result; to be freed. `reply`: the server's, of a job that is done. NULL: there is nothing to say. */
char *email_record_result(const struct email_record *r, const char *message_id, const char *reply, bool over);

#endif

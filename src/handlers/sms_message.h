/* handlers/sms_message.h: the payload of an sms job, checked. Pure. */
#ifndef JOBQ_HANDLERS_SMS_MESSAGE_H
#define JOBQ_HANDLERS_SMS_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct sms_message {
	json_t *payload;       /* owned; the texts below live in it, or are the queue's */
	const char *to;        /* E.164 */
	const char *from;      /* "" = none */
	const char *text;
	size_t from_len, text_len;
	bool gsm7;             /* fits the default alphabet */
};

/* False with the reason in err: the job can never be sent. `from`: for payloads that name none. */
bool sms_message_read(struct sms_message *m, const char *payload, size_t len, const char *from, char *err, size_t errlen);
void sms_message_free(struct sms_message *m); /* of a message that was read */

#endif

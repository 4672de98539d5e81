/* handlers/email_mime.h: the message as it goes over the wire. */
#ifndef JOBQ_HANDLERS_EMAIL_MIME_H
#define JOBQ_HANDLERS_EMAIL_MIME_H

#include <stdint.h>

#include "base/buf.h"
#include "handlers/email_file.h"
#include "handlers/email_message.h"

#define EMAIL_ATTACHED_MAX (32u << 20) /* bytes of all attachments of one message */

struct email_stamp { /* the same on every attempt */
	const char *key;        /* the job's idempotency key */
	const char *message_id; /* without its angle brackets */
	int64_t date_us;        /* since 1970 */
};

/* Before the first message of a process, and after its last. */
void email_mime_start(void);
void email_mime_end(void);
/* Ready for DATA: CRLF, dots stuffed, and the line "." at its end. Not EMAIL_GOT: the reason is in err. */
enum email_got email_mime_build(const struct email_message *m, const struct email_stamp *stamp, const char *attachment_dir,
	struct buf *out, char *err, size_t errlen);

#endif

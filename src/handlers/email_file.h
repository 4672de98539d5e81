/* handlers/email_file.h: what an attachment holds: text of the payload, or a file beneath a directory. */
#ifndef JOBQ_HANDLERS_EMAIL_FILE_H
#define JOBQ_HANDLERS_EMAIL_FILE_H

#include <stddef.h>

#include "base/buf.h"

enum email_got {
	EMAIL_GOT,
	EMAIL_NEVER, /* it will not be better another time */
	EMAIL_LATER  /* the machine's fault, not the payload's */
};

/* Both append to `out`, at most `max` bytes; else the reason is in err. */
enum email_got email_file_base64(const char *text, size_t len, size_t max, struct buf *out, char *err, size_t errlen);
enum email_got email_file_read(const char *dir, const char *path, size_t max, struct buf *out, char *err, size_t errlen);

#endif

/* handlers/smtp_data.h: a message as it goes over the wire after DATA. Pure. */
#ifndef JOBQ_HANDLERS_SMTP_DATA_H
#define JOBQ_HANDLERS_SMTP_DATA_H

#include <stddef.h>

#include "base/buf.h"

/* Appends the lines of text, each ended with CRLF, dots stuffed, and the line "." that ends the message. */
void smtp_data_add(struct buf *out, const char *text, size_t len);

#endif

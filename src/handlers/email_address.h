/* handlers/email_address.h: mail addresses as people write them in a payload. Pure. */
#ifndef JOBQ_HANDLERS_EMAIL_ADDRESS_H
#define JOBQ_HANDLERS_EMAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define EMAIL_ADDRESS_MAX 254u /* RFC 5321, 4.5.3.1.3, without the brackets */
#define EMAIL_NAME_MAX 200u

struct email_address {
	char *name;    /* as it is to be shown, UTF-8; NULL = none */
	char *address; /* local@domain, ASCII: fit for an envelope */
};

/* "local@domain", "Name <local@domain>" or "\"Name\" <local@domain>". NULL, or what is wrong with it (then nothing is kept). */
const char *email_address_read(struct email_address *a, const char *text, size_t len);
void email_address_free(struct email_address *a);
/* NULL, or what is wrong with text that is to stand in a header: not UTF-8, or a control character. */
const char *email_text_wrong(const char *text, size_t len);

#endif

/* handlers/smtp_reply.h: replies of an SMTP server, out of whatever bytes come. Pure. */
#ifndef JOBQ_HANDLERS_SMTP_REPLY_H
#define JOBQ_HANDLERS_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#define SMTP_TEXT_MAX 256 /* bytes of a reply that are kept */

struct smtp_reply {
	int code;                 /* of a whole reply: 200 to 599 */
	char text[SMTP_TEXT_MAX]; /* its lines in one, with the code; printable; NUL terminated */
	size_t len;
	/* the line that is being read */
	char line[2048];
	size_t line_len;
	unsigned lines;
	bool whole;               /* the next byte begins a new reply */
};

enum smtp_fed { SMTP_FED_MORE, SMTP_FED_WHOLE, SMTP_FED_BROKEN };

/* Takes bytes until a reply is whole; *used says how many. BROKEN: this is not SMTP. */
enum smtp_fed smtp_reply_feed(struct smtp_reply *r, const char *data, size_t len, size_t *used);
/* Replaces everything that looks like a mail address, in place: a server's words are for people and logs, addresses are not. */
void smtp_reply_redact(char *text);

#endif

/*
 * handlers/smtp.h: an SMTP client for handlers, on the worker's event loop.
 *
 * Runs in a worker, after its fork. libcurl connects, speaks TLS and authenticates; the mail transaction is ours (why:
 * docs/decisions/smtp-transaction.md). One call is one message to some recipients over one of a few kept connections. Its report tells
 * how far it came, so that three things can be told apart: the server cannot have taken the message, it has answered, or the
 * message's last byte left and no answer came.
 */
#ifndef JOBQ_HANDLERS_SMTP_H
#define JOBQ_HANDLERS_SMTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "handlers/smtp_reply.h"

struct event_base;
struct smtp;
struct smtp_call;

enum smtp_tls { SMTP_TLS_REQUIRE, SMTP_TLS_TRY, SMTP_TLS_OFF }; /* STARTTLS; smtps:// is TLS from the first byte */

struct smtp_server { /* texts live as long as the client */
	const char *url;            /* smtp://host:port or smtps://host:port */
	const char *user, *password; /* "" = none */
	enum smtp_tls tls;
	size_t connections;         /* at a time; calls under way are never more */
	size_t messages;            /* a connection is renewed after so many */
};

/* How far a call came: what the last word of the server, or its silence, was about. */
enum smtp_stage {
	SMTP_CONNECT, /* no connection, no TLS, no name, not greeted, or not let in */
	SMTP_MAIL,    /* the sender, or before anything was answered */
	SMTP_RCPT,    /* no recipient was taken */
	SMTP_DATA,    /* the message was not asked for, or not sent to its end */
	SMTP_END      /* the message's last byte has left */
};

struct smtp_rcpt {
	const char *address;
	int code;                 /* of the server's reply; 0 = none */
	char text[SMTP_TEXT_MAX]; /* that reply */
};

struct smtp_report { /* lives during the callback */
	enum smtp_stage stage;
	int code;         /* of the reply that ended it; 0 = the connection did */
	const char *text; /* that reply, or what happened; may hold addresses, no secret */
};
typedef void smtp_done(void *arg, const struct smtp_report *report);

struct smtp_mail {
	const char *from;        /* envelope addresses: no controls, no angle brackets (the caller has checked) */
	struct smtp_rcpt *rcpts; /* nrcpts >= 1; their replies are written here; all live until done */
	size_t nrcpts;
	struct buf data;         /* taken over; lines end in CRLF, dots are stuffed, and it ends with the line "." */
	smtp_done *done;         /* called once, from the event loop, unless the call is stopped; may start the next call */
	void *arg;
};

struct smtp *smtp_new(struct event_base *base, const struct smtp_server *server, char *err, size_t errlen);
void smtp_free(struct smtp *s); /* no call is under way; connections are closed, politely but without waiting */
struct smtp_call *smtp_send(struct smtp *s, struct smtp_mail *mail);
bool smtp_unsent(const struct smtp_call *call); /* the message's last byte has not left */
bool smtp_stop(struct smtp_call *call);         /* breaks it off; the call is gone. True: as smtp_unsent, it had no effect */

#endif

/* handlers/smtp_conn.h: one connection to the mail server; between smtp.c (who uses it), smtp_open.c (how it is opened) and smtp_talk.c (what is said). */
#ifndef JOBQ_HANDLERS_SMTP_CONN_H
#define JOBQ_HANDLERS_SMTP_CONN_H

#include <curl/curl.h>
#include <event2/event.h>
#include <stdint.h>
#include <sys/queue.h>

#include "handlers/smtp.h"

enum smtp_open { SMTP_CLOSED, SMTP_CONNECTING, SMTP_OPEN };

/* What is asked, in this order. RCPT once a recipient; RSET only if the last message was broken off. */
enum smtp_step { SMTP_ASK_RSET, SMTP_ASK_MAIL, SMTP_ASK_RCPT, SMTP_ASK_DATA, SMTP_ASK_END, SMTP_ASK_NOTHING };

struct smtp_call {
	struct smtp_conn *conn;
	struct smtp_mail mail;
	enum smtp_step asked, awaited; /* the next command to write, and the one whose reply comes next */
	size_t rcpt_asked, rcpt_awaited;
	bool heard;                    /* something of this call was answered */
	bool sender_taken, rcpt_taken;
	bool body;                     /* what is being written is the message */
	bool again;                    /* it is on its second connection */
	struct smtp_report report;     /* what will be said if nothing else comes */
};

struct smtp_conn {
	struct smtp *smtp;
	enum smtp_open open;
	CURL *easy;             /* kept over connections; in the multi handle unless CLOSED */
	struct event *ev;       /* OPEN: readable, and writable while something waits to be written */
	bool writing;           /* ev watches both */
	bool pipelining, size;  /* the server can do these */
	bool dirty;             /* a transaction was broken off: RSET comes first */
	size_t messages;        /* calls that this connection has served */
	struct smtp_call *call; /* at most one */
	struct buf out;         /* commands */
	const char *at;         /* what waits to be written: in out, or the call's message; unchanged until it has left, as TLS asks */
	size_t left;
	struct smtp_reply reply;
	int64_t idle_ns;        /* since when without a call */
	char error[CURL_ERROR_SIZE];
	TAILQ_ENTRY(smtp_conn) link; /* in free: without a call */
};

/* smtp_open.c */
CURLcode smtp_open_setup(struct smtp_conn *c, const struct smtp_server *server); /* c->easy, once; server lives as long */
void smtp_open_start(struct smtp_conn *c, CURLM *multi);                          /* CONNECTING: from now on it is in multi */
struct smtp_conn *smtp_open_of(CURL *easy);                                      /* whose it is; NULL: nobody's */
CURLcode smtp_open_socket(const struct smtp_conn *c, CURLcode code, curl_socket_t *fd); /* how it ended; CURLE_OK: with this socket */
void smtp_open_refused(struct smtp_conn *c, CURLcode code);                       /* into the call's report */

/* smtp_talk.c */
enum smtp_talk {
	SMTP_TALK_MORE,   /* go on: write what waits, read what comes */
	SMTP_TALK_OVER,   /* the call's report is set; the connection is good for the next one */
	SMTP_TALK_BROKEN, /* the call's report is set; drop the connection */
	SMTP_TALK_AGAIN   /* drop the connection and try once on a new one: this one had grown old */
};
void smtp_talk_begin(struct smtp_conn *c);                            /* first commands of c->call */
enum smtp_talk smtp_talk_reply(struct smtp_conn *c);                  /* a whole reply is in c->reply */
enum smtp_talk smtp_talk_lost(struct smtp_conn *c, const char *why);  /* the connection has ended: BROKEN or AGAIN */

#endif

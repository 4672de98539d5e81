/*
 * handlers/smtp_talk.c: the mail transaction (RFC 5321, 3.3): what is asked next, and what a reply means for the call.
 *
 * Runs in a worker; no input or output: it fills the connection's write buffer and reads its last reply. Commands go out one by one,
 * or all up to DATA at once when the server does PIPELINING (RFC 2920). The message goes only after a 354 and only if a recipient
 * was taken; with a 354 and no recipient the connection is dropped, since anything else would be a message.
 *
 * Invariant: replies come in the order of the commands, so `awaited` never passes `asked`; new commands are written only when the
 * earlier ones have left. A server that breaks this is dropped. What is already known is kept in the call's report.
 */
#include "config.h"

#include <string.h>

#include "base/text.h"
#include "handlers/smtp_conn.h"

static void smtp_talk_step(const struct smtp_call *call, enum smtp_step *step, size_t *rcpt)
{
	if (*step != SMTP_ASK_RCPT || ++*rcpt >= call->mail.nrcpts)
		++*step;
}

static void smtp_talk_write(struct smtp_conn *c, struct smtp_call *call)
{
	switch (call->asked) {
	case SMTP_ASK_RSET:
		buf_puts(&c->out, "RSET\r\n");
		break;
	case SMTP_ASK_MAIL:
		buf_puts(&c->out, "MAIL FROM:<");
		buf_puts(&c->out, call->mail.from);
		if (c->size)
			buf_printf(&c->out, "> SIZE=%zu\r\n", call->mail.data.len);
		else
			buf_puts(&c->out, ">\r\n");
		break;
	case SMTP_ASK_RCPT:
		buf_puts(&c->out, "RCPT TO:<");
		buf_puts(&c->out, call->mail.rcpts[call->rcpt_asked].address);
		buf_puts(&c->out, ">\r\n");
		break;
	default:
		buf_puts(&c->out, "DATA\r\n");
		break;
	}
	smtp_talk_step(call, &call->asked, &call->rcpt_asked);
}

/* Writes what comes next; everything before has left. */
static void smtp_talk_ask(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;

	buf_reset(&c->out);
	do
		smtp_talk_write(c, call);
	while (c->pipelining && call->asked <= SMTP_ASK_DATA);
	c->at = c->out.data;
	c->left = c->out.len;
}

void smtp_talk_begin(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;

	call->asked = call->awaited = c->dirty ? SMTP_ASK_RSET : SMTP_ASK_MAIL;
	call->rcpt_asked = call->rcpt_awaited = 0;
	call->heard = call->sender_taken = call->rcpt_taken = call->body = false;
	call->report = (struct smtp_report){.stage = SMTP_MAIL};
	for (size_t i = 0; i < call->mail.nrcpts; i++)
		call->mail.rcpts[i].code = 0;
	c->dirty = true; /* until the message's own reply */
	smtp_talk_ask(c);
}

static void smtp_talk_report(struct smtp_call *call, enum smtp_stage stage, const struct smtp_reply *r)
{
	call->report = (struct smtp_report){.stage = stage, .code = r->code, .text = r->text};
}

/* Asks on when all that was asked is answered; `over`: nothing more is to be asked, but what was pipelined is still answered. */
static enum smtp_talk smtp_talk_next(struct smtp_conn *c, bool over)
{
	struct smtp_call *call = c->call;

	smtp_talk_step(call, &call->awaited, &call->rcpt_awaited);
	if (over && !c->pipelining)
		return SMTP_TALK_OVER;
	if (call->asked == call->awaited && call->rcpt_asked == call->rcpt_awaited && call->asked <= SMTP_ASK_DATA)
		smtp_talk_ask(c);
	return SMTP_TALK_MORE;
}

static enum smtp_talk smtp_talk_rset(struct smtp_conn *c)
{
	if (c->reply.code / 100 == 2)
		return smtp_talk_next(c, false);
	smtp_talk_report(c->call, SMTP_MAIL, &c->reply);
	c->call->report.code = 0; /* it is not about this message */
	return SMTP_TALK_BROKEN;
}

static enum smtp_talk smtp_talk_mail(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;
	struct smtp_rcpt *first = &call->mail.rcpts[0];

	call->sender_taken = c->reply.code / 100 == 2;
	if (call->sender_taken) {
		call->report.stage = SMTP_RCPT;
	} else { /* it outlives the replies that follow it: no recipient has one then, so it stands in the first one's place */
		(void)text_copy(first->text, sizeof first->text, c->reply.text);
		call->report = (struct smtp_report){.stage = SMTP_MAIL, .code = c->reply.code, .text = first->text};
	}
	return smtp_talk_next(c, !call->sender_taken);
}

static enum smtp_talk smtp_talk_rcpt(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;
	struct smtp_rcpt *rcpt = &call->mail.rcpts[call->rcpt_awaited];
	bool last = call->rcpt_awaited + 1 == call->mail.nrcpts;

	if (!call->sender_taken) /* what follows a refused sender says nothing of the recipients */
		return smtp_talk_next(c, last);
	rcpt->code = c->reply.code;
	(void)text_copy(rcpt->text, sizeof rcpt->text, c->reply.text);
	call->rcpt_taken = call->rcpt_taken || c->reply.code / 100 == 2;
	if (call->rcpt_taken)
		call->report = (struct smtp_report){.stage = SMTP_DATA};
	else
		call->report = (struct smtp_report){.stage = SMTP_RCPT, .code = rcpt->code, .text = rcpt->text};
	return smtp_talk_next(c, last && !call->rcpt_taken);
}

static enum smtp_talk smtp_talk_data(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;

	if (call->rcpt_taken && c->reply.code == 354 && c->left == 0) {
		smtp_talk_step(call, &call->awaited, &call->rcpt_awaited);
		call->asked = SMTP_ASK_NOTHING;
		call->body = true;
		c->at = call->mail.data.data;
		c->left = call->mail.data.len;
		return SMTP_TALK_MORE;
	}
	if (call->rcpt_taken)
		smtp_talk_report(call, SMTP_DATA, &c->reply);
	return c->reply.code == 354 ? SMTP_TALK_BROKEN : SMTP_TALK_OVER; /* it waits for a message that nobody would get */
}

/* The answer to the message; before its last byte has left, the server's reason not to read on. */
static enum smtp_talk smtp_talk_end(struct smtp_conn *c)
{
	bool whole = c->left == 0;

	c->dirty = false;
	smtp_talk_report(c->call, whole ? SMTP_END : SMTP_DATA, &c->reply);
	return whole && c->reply.code != 421 ? SMTP_TALK_OVER : SMTP_TALK_BROKEN;
}

/* 421: it is closing, whatever we said. */
static enum smtp_talk smtp_talk_closing(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;

	if (!call->heard && !call->again && c->messages > 0) {
		call->again = true;
		return SMTP_TALK_AGAIN;
	}
	if (call->report.code == 0)
		smtp_talk_report(call, call->report.stage, &c->reply);
	return SMTP_TALK_BROKEN;
}

enum smtp_talk smtp_talk_reply(struct smtp_conn *c)
{
	struct smtp_call *call = c->call;

	if (call->body)
		return smtp_talk_end(c);
	if (c->reply.code == 421)
		return smtp_talk_closing(c);
	if (c->left > 0 && !c->pipelining)
		return smtp_talk_lost(c, "the server answers what it was not asked");
	if (call->awaited == SMTP_ASK_RSET)
		return smtp_talk_rset(c);
	call->heard = true;
	switch (call->awaited) {
	case SMTP_ASK_MAIL:
		return smtp_talk_mail(c);
	case SMTP_ASK_RCPT:
		return smtp_talk_rcpt(c);
	default:
		return smtp_talk_data(c);
	}
}

enum smtp_talk smtp_talk_lost(struct smtp_conn *c, const char *why)
{
	struct smtp_call *call = c->call;

	if (!call->heard && !call->again && c->messages > 0) {
		call->again = true;
		return SMTP_TALK_AGAIN;
	}
	if (call->body)
		call->report = (struct smtp_report){.stage = c->left == 0 ? SMTP_END : SMTP_DATA, .text = why};
	else if (call->report.code == 0)
		call->report.text = why;
	return SMTP_TALK_BROKEN;
}

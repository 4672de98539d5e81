/*
 * tests/unit/test_smtp.c: the mail transaction, answer by answer: what is asked, and what is known of a message however it ends. No network.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "handlers/smtp_conn.h"
#include "handlers/smtp_data.h"

/* ---- what follows DATA ---- */

static const struct { const char *text, *wire; } datas[] = {
	{"", ".\r\n"},
	{"a", "a\r\n.\r\n"},
	{"a\n", "a\r\n.\r\n"},
	{"a\r\nb", "a\r\nb\r\n.\r\n"},
	{"a\rb\r", "a\r\nb\r\n.\r\n"},
	{"\n\n", "\r\n\r\n.\r\n"},
	{"\r\r\n\n", "\r\n\r\n\r\n.\r\n"},
	{".", "..\r\n.\r\n"},
	{"a\n.\nRSET\n", "a\r\n..\r\nRSET\r\n.\r\n"},
	{"a\r.\rRSET\r", "a\r\n..\r\nRSET\r\n.\r\n"},
	{"a\n.\r\nRSET", "a\r\n..\r\nRSET\r\n.\r\n"},
	{"a.b\n..c", "a.b\r\n...c\r\n.\r\n"},
};

START_TEST(only_the_end_ends_a_message)
{
	struct buf out = {0};

	smtp_data_add(&out, datas[_i].text, strlen(datas[_i].text));
	ck_assert_str_eq(buf_str(&out), datas[_i].wire);
	buf_free(&out);
}
END_TEST

/* ---- a server ---- */

static struct smtp_conn conn;
static struct smtp_call call;
static struct smtp_rcpt rcpts[2];
static struct buf wire; /* all that was written */

static void written(void)
{
	buf_add(&wire, conn.at, conn.left);
	conn.left = 0;
}

static void begin(bool pipelining, size_t nrcpts)
{
	memset(&conn, 0, sizeof conn);
	memset(&call, 0, sizeof call);
	memset(rcpts, 0, sizeof rcpts);
	buf_reset(&wire);
	rcpts[0].address = "b@b";
	rcpts[1].address = "c@c";
	conn.pipelining = pipelining;
	conn.call = &call;
	call.conn = &conn;
	call.mail = (struct smtp_mail){.from = "a@a", .rcpts = rcpts, .nrcpts = nrcpts};
	buf_puts(&call.mail.data, "hello\r\n.\r\n");
	smtp_talk_begin(&conn);
	written();
}

/* It says this; everything that was asked has been written. What the last reply led to. */
static enum smtp_talk says(const char *text)
{
	enum smtp_talk what = SMTP_TALK_MORE;
	size_t len = strlen(text), used;

	while (len > 0 && what == SMTP_TALK_MORE) {
		ck_assert_int_eq(smtp_reply_feed(&conn.reply, text, len, &used), SMTP_FED_WHOLE);
		text += used;
		len -= used;
		what = smtp_talk_reply(&conn);
	}
	ck_assert_uint_eq(len, 0);
	return what;
}

static enum smtp_talk hears(const char *text)
{
	enum smtp_talk what = says(text);

	written();
	return what;
}

static void end(void)
{
	buf_free(&call.mail.data);
	buf_free(&conn.out);
}

#define WIRE(text) ck_assert_str_eq(buf_str(&wire), text)
#define REPORT(s, c) do { \
		ck_assert_int_eq(call.report.stage, s); \
		ck_assert_int_eq(call.report.code, c); \
	} while (0)

/* ---- */

START_TEST(commands_go_one_by_one)
{
	begin(false, 2);
	WIRE("MAIL FROM:<a@a>\r\n");
	ck_assert_int_eq(hears("250 ok\r\n"), SMTP_TALK_MORE);
	WIRE("MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\n");
	ck_assert_int_eq(hears("250-yes\r\n250 ok\r\n"), SMTP_TALK_MORE);
	ck_assert_int_eq(hears("251 elsewhere\r\n"), SMTP_TALK_MORE);
	WIRE("MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nRCPT TO:<c@c>\r\nDATA\r\n");
	ck_assert_int_eq(hears("354 go on\r\n"), SMTP_TALK_MORE);
	ck_assert_int_eq(hears("250 queued\r\n"), SMTP_TALK_OVER);
	WIRE("MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nRCPT TO:<c@c>\r\nDATA\r\nhello\r\n.\r\n");
	REPORT(SMTP_END, 250);
	ck_assert_str_eq(call.report.text, "250 queued");
	ck_assert_int_eq(rcpts[0].code, 250);
	ck_assert_int_eq(rcpts[1].code, 251);
	ck_assert(!conn.dirty);
	end();
}
END_TEST

START_TEST(commands_go_together)
{
	begin(true, 2);
	WIRE("MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nRCPT TO:<c@c>\r\nDATA\r\n");
	ck_assert_int_eq(hears("250 ok\r\n250 ok\r\n550 no\r\n354 go on\r\n"), SMTP_TALK_MORE);
	ck_assert_uint_eq(wire.len, strlen("MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nRCPT TO:<c@c>\r\nDATA\r\nhello\r\n.\r\n"));
	ck_assert_int_eq(hears("250 queued\r\n"), SMTP_TALK_OVER);
	REPORT(SMTP_END, 250);
	ck_assert_int_eq(rcpts[0].code, 250);
	ck_assert_int_eq(rcpts[1].code, 550);
	ck_assert_str_eq(rcpts[1].text, "550 no");
	end();
}
END_TEST

START_TEST(the_size_is_told)
{
	begin(true, 1);
	conn.size = true;
	buf_reset(&wire);
	smtp_talk_begin(&conn);
	written();
	ck_assert_ptr_nonnull(strstr(buf_str(&wire), "RSET\r\nMAIL FROM:<a@a> SIZE=10\r\n"));
	end();
}
END_TEST

/* From the whole of an exchange to what is said of it. Without a reply to the last command the connection breaks. */
static const struct {
	bool pipelining;
	const char *said;
	enum smtp_talk what;
	enum smtp_stage stage;
	int code;
	bool body; /* the message was sent */
} ends[] = {
	{false, "550 not you\r\n", SMTP_TALK_OVER, SMTP_MAIL, 550, false},
	{true, "550 not you\r\n503 no sender\r\n503 no sender\r\n503 no sender\r\n", SMTP_TALK_OVER, SMTP_MAIL, 550, false},
	{true, "450 not you\r\n503 no sender\r\n503 no sender\r\n354 go on\r\n", SMTP_TALK_BROKEN, SMTP_MAIL, 450, false},
	{false, "250 ok\r\n550 no\r\n551 no\r\n", SMTP_TALK_OVER, SMTP_RCPT, 551, false},
	{true, "250 ok\r\n550 no\r\n551 no\r\n503 nobody\r\n", SMTP_TALK_OVER, SMTP_RCPT, 551, false},
	{true, "250 ok\r\n550 no\r\n551 no\r\n354 go on\r\n", SMTP_TALK_BROKEN, SMTP_RCPT, 551, false},
	{false, "250 ok\r\n550 no\r\n250 ok\r\n451 full\r\n", SMTP_TALK_OVER, SMTP_DATA, 451, false},
	{true, "250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n552 too large\r\n", SMTP_TALK_OVER, SMTP_END, 552, true},
	{true, "250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n421 full\r\n", SMTP_TALK_BROKEN, SMTP_END, 421, true},
	{false, "421 bye\r\n", SMTP_TALK_BROKEN, SMTP_MAIL, 421, false},
	{true, "250 ok\r\n421 bye\r\n", SMTP_TALK_BROKEN, SMTP_RCPT, 421, false},
};

START_TEST(every_end_is_told)
{
	enum smtp_talk what = SMTP_TALK_MORE;
	const char *at = ends[_i].said;
	char line[80];
	size_t n;

	begin(ends[_i].pipelining, 2);
	for (; *at != '\0'; at += n) {
		n = strcspn(at, "\n") + 1;
		ck_assert_int_eq(what, SMTP_TALK_MORE);
		ck_assert_int_gt(snprintf(line, sizeof line, "%.*s", (int)n, at), 0);
		what = hears(line);
	}
	ck_assert_int_eq(what, ends[_i].what);
	REPORT(ends[_i].stage, ends[_i].code);
	ck_assert_int_eq(strstr(buf_str(&wire), "hello") != NULL, ends[_i].body);
	ck_assert_int_eq(conn.dirty, !ends[_i].body); /* what was broken off is taken back first */
	end();
}
END_TEST

START_TEST(the_last_byte_decides)
{
	begin(true, 1);
	ck_assert_int_eq(says("250 ok\r\n250 ok\r\n354 go on\r\n"), SMTP_TALK_MORE);
	ck_assert_uint_eq(conn.left, call.mail.data.len);
	conn.at++;
	conn.left--;
	ck_assert_int_eq(smtp_talk_lost(&conn, "lost"), SMTP_TALK_BROKEN);
	REPORT(SMTP_DATA, 0);
	conn.left = 0;
	ck_assert_int_eq(smtp_talk_lost(&conn, "lost"), SMTP_TALK_BROKEN);
	REPORT(SMTP_END, 0);
	end();
}
END_TEST

START_TEST(a_server_that_will_not_read_on_is_heard)
{
	begin(false, 1);
	ck_assert_int_eq(hears("250 ok\r\n"), SMTP_TALK_MORE);
	ck_assert_int_eq(hears("250 ok\r\n"), SMTP_TALK_MORE);
	ck_assert_int_eq(says("354 go on\r\n"), SMTP_TALK_MORE);
	ck_assert_int_eq(says("552 too large\r\n"), SMTP_TALK_BROKEN);
	REPORT(SMTP_DATA, 552);
	end();
}
END_TEST

START_TEST(an_old_connection_is_tried_once_more)
{
	begin(true, 1);
	conn.messages = 3;
	ck_assert_int_eq(hears("421 idle too long\r\n"), SMTP_TALK_AGAIN);
	smtp_talk_begin(&conn);
	written();
	ck_assert_int_eq(smtp_talk_lost(&conn, "lost"), SMTP_TALK_BROKEN);
	REPORT(SMTP_MAIL, 0);
	end();
	begin(true, 1);
	conn.messages = 3;
	ck_assert_int_eq(hears("250 ok\r\n"), SMTP_TALK_MORE);
	ck_assert_int_eq(smtp_talk_lost(&conn, "lost"), SMTP_TALK_BROKEN);
	REPORT(SMTP_RCPT, 0);
	end();
}
END_TEST

START_TEST(what_was_broken_off_is_taken_back)
{
	begin(true, 1);
	smtp_talk_begin(&conn); /* dirty from the one before */
	buf_reset(&wire);
	written();
	WIRE("RSET\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\n");
	ck_assert_int_eq(hears("500 what\r\n"), SMTP_TALK_BROKEN);
	REPORT(SMTP_MAIL, 0);
	smtp_talk_begin(&conn);
	written();
	ck_assert_int_eq(hears("250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"), SMTP_TALK_MORE);
	ck_assert_int_eq(hears("250 queued\r\n"), SMTP_TALK_OVER);
	REPORT(SMTP_END, 250);
	end();
}
END_TEST

START_TEST(an_answer_before_the_question_is_none)
{
	begin(false, 1);
	conn.left = 1; /* of MAIL */
	ck_assert_int_eq(says("250 ok\r\n"), SMTP_TALK_BROKEN);
	REPORT(SMTP_MAIL, 0);
	end();
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
	Suite *suite = suite_create("smtp");
	TCase *tc = tcase_create("smtp");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, only_the_end_ends_a_message, 0, COUNT(datas));
	tcase_add_test(tc, commands_go_one_by_one);
	tcase_add_test(tc, commands_go_together);
	tcase_add_test(tc, the_size_is_told);
	tcase_add_loop_test(tc, every_end_is_told, 0, COUNT(ends));
	tcase_add_test(tc, the_last_byte_decides);
	tcase_add_test(tc, a_server_that_will_not_read_on_is_heard);
	tcase_add_test(tc, an_old_connection_is_tried_once_more);
	tcase_add_test(tc, what_was_broken_off_is_taken_back);
	tcase_add_test(tc, an_answer_before_the_question_is_none);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	buf_free(&wire);
	return failed == 0 ? 0 : 1;
}

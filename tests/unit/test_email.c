/*
 * tests/unit/test_email.c: what mail may be, how it is written, what a server's replies mean, who still has to get it. No network.
 */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "handlers/email_kept.h"
#include "handlers/email_mime.h"
#include "handlers/email_record.h"
#include "handlers/email_verdict.h"

/* ---- addresses ---- */

static const struct { const char *text, *address, *name; } good_addresses[] = {
	{"a@b", "a@b", NULL},
	{"  a.b+c@mail.example ", "a.b+c@mail.example", NULL},
	{"<a@b.example>", "a@b.example", NULL},
	{"Ann <a@b.example>", "a@b.example", "Ann"},
	{"\"Bo \\\"B\\\" Ek\" <a@b.example>", "a@b.example", "Bo \"B\" Ek"},
	{"Käsi, 日本 <a@b.example>", "a@b.example", "Käsi, 日本"},
	{"a@[192.0.2.1]", "a@[192.0.2.1]", NULL},
	{"a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", NULL},
};

START_TEST(addresses_are_read)
{
	struct email_address a;

	ck_assert_ptr_null(email_address_read(&a, good_addresses[_i].text, strlen(good_addresses[_i].text)));
	ck_assert_str_eq(a.address, good_addresses[_i].address);
	if (good_addresses[_i].name == NULL)
		ck_assert_ptr_null(a.name);
	else
		ck_assert_str_eq(a.name, good_addresses[_i].name);
	email_address_free(&a);
}
END_TEST

static const char *const bad_addresses[] = {
	"", "a", "@b", "a@", "a@b@c", "a b@c", "a@b c", "a@b, c@d", "a@b;c@d", "<a@b", "a@b>", "a@b> x", "a@.b", "a@b.", "a@b..c", "a@b\r\nRCPT TO:<x@y>",
	"a@b\n", "a\t@b", "Ann\r\nBcc: x@y <a@b>", "ä@b.example", "a@bä.example", "a@<b>", "a@b\"", "\"a b\"@c", "a(c)@b", "a@[b", "a@[a b]", "group: a@b;",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b", "a\x7f@b", "a@\xff",
};

START_TEST(what_is_no_address_is_refused)
{
	struct email_address a;
	const char *text = bad_addresses[_i], *wrong = email_address_read(&a, text, strlen(text));

	ck_assert_msg(wrong != NULL, "%s", text);
	ck_assert_ptr_null(a.address);
	if (strlen(text) > 8)
		ck_assert_ptr_null(strstr(wrong, text));
}
END_TEST

START_TEST(a_nul_ends_no_address)
{
	struct email_address a;

	ck_assert_ptr_nonnull(email_address_read(&a, "a@b\0c", 5));
	ck_assert_ptr_nonnull(email_address_read(&a, "a\0@b", 4));
}
END_TEST

/* ---- payloads ---- */

#define MAIL "\"to\":\"a@b\",\"from\":\"c@d\",\"text\":\"x\""

static const struct { const char *payload, *want; } messages[] = {
	{"{" MAIL "}", NULL},
	{"{" MAIL ",\"cc\":null,\"bcc\":[],\"reply_to\":[\"x@y\"],\"subject\":\"\",\"html\":null,\"headers\":{},\"attachments\":[],\"campaign\":7}", NULL},
	{"{\"bcc\":[\"a@b\"],\"html\":\"<p>\"}", NULL}, /* the queue's sender */
	{"{" MAIL ",\"headers\":{\"X-Tag\":\"päivää\",\"List-Id\":\"<l.example>\"}}", NULL},
	{"{" MAIL ",\"attachments\":[{\"data_base64\":\"\"},{\"file\":\"x\",\"filename\":\"ä\",\"content_type\":\"text/csv\"}]}", NULL},
	{"[]", "not an object"},
	{"{\"to\":", "not an object"},
	{"{\"text\":\"x\"}", "no recipient"},
	{"{\"to\":[],\"text\":\"x\"}", "no recipient"},
	{"{\"to\":5,\"text\":\"x\"}", "\"to\" is neither a string nor a list"},
	{"{\"to\":[\"a@b\",5],\"text\":\"x\"}", "\"to\" holds something that is no string (number 2)"},
	{"{\"to\":\"a@b\",\"cc\":[\"a@b\",\"x@y\\r\\nz@w\"],\"text\":\"x\"}", "\"cc\": number 2 holds a control character"},
	{"{\"to\":\"secret\",\"text\":\"x\"}", "\"to\": number 1 holds no @"},
	{"{\"to\":\"a@b\",\"from\":\"x\\u0000@y\",\"text\":\"x\"}", "\"from\": number 1 is not valid UTF-8 without NUL"},
	{"{\"to\":\"a@b\"}", "neither \"text\" nor \"html\""},
	{"{\"to\":\"a@b\",\"text\":[]}", "\"text\" is no string"},
	{"{\"to\":\"a@b\",\"text\":\"a\\u0000b\"}", "\"text\" holds a NUL"},
	{"{" MAIL ",\"subject\":\"a\\r\\nBcc: x@y\"}", "\"subject\" holds a control character"},
	{"{" MAIL ",\"subject\":\"a\\u0000\"}", "\"subject\" holds a NUL"},
	{"{" MAIL ",\"headers\":[]}", "\"headers\" is no object"},
	{"{" MAIL ",\"headers\":{\"X\":5}}", "the header X is no string"},
	{"{" MAIL ",\"headers\":{\"X\":\"a\\nB: c\"}}", "the header X holds a control character"},
	{"{" MAIL ",\"headers\":{\"X: y\\r\\nZ\":\"a\"}}", "\"headers\" has a name"},
	{"{" MAIL ",\"headers\":{\"\":\"a\"}}", "\"headers\" has a name"},
	{"{" MAIL ",\"headers\":{\"bCC\":\"x@y\"}}", "\"headers\" has bCC"},
	{"{" MAIL ",\"headers\":{\"content-type\":\"x\"}}", "\"headers\" has content-type"},
	{"{" MAIL ",\"headers\":{\"Message-ID\":\"x\"}}", "\"headers\" has Message-ID"},
	{"{" MAIL ",\"attachments\":{}}", "\"attachments\" is no list"},
	{"{" MAIL ",\"attachments\":[5]}", "attachment 1 is no object"},
	{"{" MAIL ",\"attachments\":[{}]}", "attachment 1: it needs one of"},
	{"{" MAIL ",\"attachments\":[{\"file\":\"a\",\"data_base64\":\"\"}]}", "attachment 1: it needs one of"},
	{"{" MAIL ",\"attachments\":[{\"file\":5}]}", "is no string"},
	{"{" MAIL ",\"attachments\":[{\"file\":\"a\\u0000b\"}]}", "its file is no path"},
	{"{" MAIL ",\"attachments\":[{\"file\":\"a\",\"filename\":\"a\\nb\"}]}", "its filename holds a control character"},
	{"{" MAIL ",\"attachments\":[{\"file\":\"a\",\"content_type\":\"text\"}]}", "content_type"},
	{"{" MAIL ",\"attachments\":[{\"file\":\"a\",\"content_type\":\"text/plain; x=\\\"\\r\\n\"}]}", "content_type"},
	{"{" MAIL ",\"attachments\":[{\"file\":\"a\",\"content_type\":\"message/rfc822\"}]}", "content_type"},
};

START_TEST(payloads_are_checked)
{
	struct email_message m;
	char err[256] = "";
	bool good = email_message_read(&m, messages[_i].payload, strlen(messages[_i].payload), "shop@example.com", err, sizeof err);

	ck_assert_msg(good == (messages[_i].want == NULL), "%s: %s", messages[_i].payload, err);
	if (good)
		email_message_free(&m);
	else
		ck_assert_msg(strstr(err, messages[_i].want) != NULL, "%s, not %s", err, messages[_i].want);
	ck_assert_ptr_null(strstr(err, "secret"));
}
END_TEST

START_TEST(there_is_a_most_of_everything)
{
	struct email_message m;
	struct buf text = {0};
	char err[256];

	buf_puts(&text, "{\"text\":\"x\",\"to\":[");
	for (int i = 0; i < 250; i++)
		buf_printf(&text, "%s\"r%d@b\"", i > 0 ? "," : "", i);
	buf_puts(&text, "]");
	size_t list = text.len;
	buf_puts(&text, "}");
	ck_assert(email_message_read(&m, text.data, text.len, "a@b", err, sizeof err));
	ck_assert_uint_eq(m.to.n, 250);
	email_message_free(&m);
	ck_assert_uint_eq(email_message_count(text.data, text.len), 250);
	text.len = list;
	buf_puts(&text, ",\"cc\":\"x@y\"}");
	ck_assert(!email_message_read(&m, text.data, text.len, "a@b", err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "more than 250 recipients"));
	buf_reset(&text);
	buf_puts(&text, "{" MAIL ",\"subject\":\"");
	for (int i = 0; i < 901; i++)
		buf_putc(&text, 'x');
	buf_puts(&text, "\"}");
	ck_assert(!email_message_read(&m, text.data, text.len, "", err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "word"));
	ck_assert(!email_message_read(&m, "{\"to\":\"a@b\",\"text\":\"\"}", 22, "", err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "\"from\" is missing"));
	buf_free(&text);
}
END_TEST

static void keep(struct email_kept *kept, int64_t id, int64_t token, size_t bytes)
{
	static const char payload[] = "{\"to\":\"a@b\",\"text\":\"x\"}";
	const struct jobq_job job = {.id = id, .token = token, .payload_len = bytes};
	struct email_message m;
	char err[256];

	ck_assert(email_message_read(&m, payload, sizeof payload - 1, "a@b", err, sizeof err));
	email_kept_put(kept, &job, &m);
	ck_assert_ptr_null(m.payload);
}

static bool kept_is(struct email_kept *kept, int64_t id, int64_t token)
{
	const struct jobq_job job = {.id = id, .token = token};
	struct email_message m = {0};
	bool there = email_kept_take(kept, &job, &m);

	ck_assert_int_eq(there, m.payload != NULL);
	email_message_free(&m);
	return there;
}

START_TEST(a_message_is_kept_for_its_claim)
{
	struct email_kept kept = {0};

	email_kept_start(&kept);
	ck_assert(!kept_is(&kept, 1, 1));
	keep(&kept, 1, 1, 100);
	keep(&kept, 2, 1, 100);
	keep(&kept, 1, 2, 100);
	ck_assert(!kept_is(&kept, 1, 3));
	ck_assert(kept_is(&kept, 2, 1));
	ck_assert(kept_is(&kept, 1, 2));
	ck_assert(kept_is(&kept, 1, 1));
	ck_assert(!kept_is(&kept, 1, 1)); /* once */
	ck_assert_uint_eq(kept.n + kept.bytes, 0);
	email_kept_free(&kept);
}
END_TEST

START_TEST(what_is_kept_is_bounded)
{
	struct email_kept kept = {0};

	email_kept_start(&kept);
	for (int64_t id = 1; id <= (int64_t)EMAIL_KEPT_MAX + 3; id++)
		keep(&kept, id, 1, 1);
	ck_assert_uint_eq(kept.n, EMAIL_KEPT_MAX);
	ck_assert(!kept_is(&kept, 3, 1)); /* the oldest went */
	ck_assert(kept_is(&kept, 4, 1));
	keep(&kept, 1000, 1, EMAIL_KEPT_BYTES);
	ck_assert_uint_eq(kept.n, 1);
	keep(&kept, 1001, 1, EMAIL_KEPT_BYTES + 1);
	ck_assert_uint_eq(kept.n + kept.bytes, 0);
	keep(&kept, 1002, 1, 1);
	email_kept_free(&kept);
	ck_assert_uint_eq(kept.n, 0);
}
END_TEST

START_TEST(recipients_are_counted)
{
	static const char three[] = "{\"to\":\"a@b\",\"cc\":[\"c@d\",\"e@f\"]}";

	ck_assert_uint_eq(email_message_count(three, sizeof three - 1), 3);
	ck_assert_uint_eq(email_message_count("nonsense", 8), 1);
	ck_assert_uint_eq(email_message_count("{}", 2), 1);
}
END_TEST

/* ---- the message ---- */

static struct buf out;
static char dir[64];

static enum email_got build(const char *payload, char *err, size_t errlen)
{
	const struct email_stamp stamp = {"inst-7", "inst-7@example.com", INT64_C(1700000000) * 1000000};
	struct email_message m;

	ck_assert_msg(email_message_read(&m, payload, strlen(payload), "", err, errlen), "%s", err);
	buf_reset(&out);
	enum email_got got = email_mime_build(&m, &stamp, dir, &out, err, errlen);
	email_message_free(&m);
	return got;
}

START_TEST(a_message_is_the_same_every_time)
{
	static const char payload[] = "{" MAIL ",\"bcc\":\"hidden@x\",\"html\":\"<b>\",\"attachments\":[{\"data_base64\":\"aGVp\",\"filename\":\"a.txt\"}]}";
	char err[256], *first;

	ck_assert_int_eq(build(payload, err, sizeof err), EMAIL_GOT);
	first = strdup(buf_str(&out));
	ck_assert_int_eq(build(payload, err, sizeof err), EMAIL_GOT);
	ck_assert_str_eq(first, buf_str(&out));
	ck_assert_ptr_nonnull(strstr(first, "Message-Id: <inst-7@example.com>\r\n"));
	ck_assert_ptr_nonnull(strstr(first, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"));
	ck_assert_ptr_null(strstr(first, "hidden"));
	free(first);
}
END_TEST

/* Whatever the texts hold: CRLF alone ends lines, none is over 998 bytes, none but the last is a dot, all is 7 bits. */
static const char *const texts[] = {
	"", ".", "..", "a\n.\nb", "a\r\n.\r\nb", "a\r.\rb", "\r", "\n\n\n", ".\n", "a\n.", "\\r\\n.\\r\\nQUIT\\r\\n", "päivää\n.日本\n", "From me\nx ",
	"a\u2028b", "x\r\r\n.\r\n", "\v.\f.",
};

static void check_lines(void)
{
	size_t start = 0;

	ck_assert_uint_ge(out.len, 5);
	ck_assert(memcmp(out.data + out.len - 5, "\r\n.\r\n", 5) == 0);
	for (size_t i = 0; i < out.len; i++) {
		ck_assert_int_lt((unsigned char)out.data[i], 0x80);
		ck_assert(out.data[i] != '\0');
		if (out.data[i] == '\r')
			ck_assert_int_eq(out.data[i + 1], '\n');
		if (out.data[i] != '\n')
			continue;
		ck_assert_int_eq(out.data[i - 1], '\r');
		ck_assert_uint_le(i - 1 - start, 998);
		if (i - start == 2 && out.data[start] == '.')
			ck_assert_uint_eq(i + 1, out.len);
		start = i + 1;
	}
}

START_TEST(no_text_ends_a_message_early)
{
	json_t *payload = json_pack("{s:s, s:s, s:s}", "to", "a@b", "from", "c@d", "text", texts[_i]);
	char *text, err[256];

	ck_assert_ptr_nonnull(payload);
	text = json_dumps(payload, 0);
	ck_assert_int_eq(build(text, err, sizeof err), EMAIL_GOT);
	check_lines();
	free(text);
	json_decref(payload);
}
END_TEST

START_TEST(long_lines_are_broken)
{
	struct buf text = {0};
	char err[256];

	buf_puts(&text, "{" MAIL ",\"subject\":\"");
	for (int i = 0; i < 500; i++)
		buf_puts(&text, "\u00e4\u00f6 ");
	buf_puts(&text, "\",\"html\":\"");
	for (int i = 0; i < 5000; i++)
		buf_putc(&text, 'y');
	buf_puts(&text, "\",\"headers\":{\"X-Long\":\"");
	for (int i = 0; i < 799; i++)
		buf_puts(&text, "word ");
	buf_puts(&text, "end\"}}");
	ck_assert_int_eq(build(buf_str(&text), err, sizeof err), EMAIL_GOT);
	check_lines();
	buf_free(&text);
}
END_TEST

/* ---- attachments ---- */

static void put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	ck_assert_int_gt(snprintf(path, sizeof path, "%s/%s", dir, name), 0);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static const struct { const char *path, *want; } files[] = {
	{"in.txt", NULL}, {"sub/in.txt", NULL}, {"sub/../in.txt", NULL}, {"within", NULL},
	{"../secret", "not beneath"}, {"/etc/hostname", "not beneath"}, {"sub/../../secret", "not beneath"}, {"out", "not beneath"}, {"up/secret", "not beneath"},
	{"proc/self/environ", "cannot be opened"}, {"none", "cannot be opened"}, {"sub", "no regular file"}, {".", "no regular file"}, {"fifo", "no regular file"},
	{"loop", "cannot be opened"}, {"in.txt/", "cannot be opened"},
};

START_TEST(files_stay_beneath_their_directory)
{
	struct buf data = {0};
	char err[200] = "", path[128];
	enum email_got got;

	ck_assert_int_gt(snprintf(path, sizeof path, "%s/files", dir), 0);
	got = email_file_read(path, files[_i].path, 1000, &data, err, sizeof err);
	if (files[_i].want == NULL) {
		ck_assert_msg(got == EMAIL_GOT, "%s: %s", files[_i].path, err);
		ck_assert_str_eq(buf_str(&data), "inside");
	} else {
		ck_assert_int_eq(got, EMAIL_NEVER);
		ck_assert_msg(strstr(err, files[_i].want) != NULL, "%s: %s", files[_i].path, err);
		ck_assert_uint_eq(data.len, 0);
	}
	buf_free(&data);
}
END_TEST

START_TEST(files_have_a_size)
{
	struct buf data = {0};
	char err[200];

	put_file("eight", "12345678");
	ck_assert_int_eq(email_file_read(dir, "eight", 7, &data, err, sizeof err), EMAIL_NEVER);
	ck_assert_ptr_nonnull(strstr(err, "too large"));
	ck_assert_int_eq(email_file_read(dir, "eight", 8, &data, err, sizeof err), EMAIL_GOT);
	ck_assert_int_eq(email_file_read("", "eight", 8, &data, err, sizeof err), EMAIL_NEVER);
	ck_assert_ptr_nonnull(strstr(err, "no attachment_dir"));
	ck_assert_int_eq(email_file_read("/nowhere", "eight", 8, &data, err, sizeof err), EMAIL_LATER);
	buf_free(&data);
}
END_TEST

static const struct { const char *text, *bytes; } base64[] = {
	{"", ""}, {"aGVp", "hei"}, {"aGU=", "he"}, {"aA==", "h"}, {"aG\r\nVp\n", "hei"}, {"aGV", NULL}, {"aG Vp", NULL}, {"aGVp=", NULL}, {"aA==aA==", NULL},
	{"====", NULL}, {"a===", NULL}, {"aGV_", NULL}, {"<script>", NULL},
};

START_TEST(base64_is_strict)
{
	struct buf data = {0};
	char err[200];
	enum email_got got = email_file_base64(base64[_i].text, strlen(base64[_i].text), 100, &data, err, sizeof err);

	ck_assert_int_eq(got, base64[_i].bytes == NULL ? EMAIL_NEVER : EMAIL_GOT);
	if (got == EMAIL_GOT)
		ck_assert_str_eq(buf_str(&data), base64[_i].bytes);
	buf_free(&data);
}
END_TEST

/* ---- replies ---- */

static enum smtp_fed feed(struct smtp_reply *r, const char *text, size_t step, size_t *rest)
{
	size_t len = strlen(text), at = 0, used;
	enum smtp_fed fed = SMTP_FED_MORE;

	while (at < len && fed == SMTP_FED_MORE) {
		fed = smtp_reply_feed(r, text + at, len - at < step ? len - at : step, &used);
		at += used;
	}
	*rest = len - at;
	return fed;
}

static const struct { const char *text; enum smtp_fed fed; int code; const char *words; size_t rest; } replies[] = {
	{"250 ok\r\n", SMTP_FED_WHOLE, 250, "250 ok", 0},
	{"250\r\n", SMTP_FED_WHOLE, 250, "250", 0},
	{"250 \n", SMTP_FED_WHOLE, 250, "250", 0},
	{"250-a\r\n250-b\r\n250 c\r\n354 go", SMTP_FED_WHOLE, 250, "250 a b c", 6},
	{"550 5.1.1 \x1b[31m\xff\r\n", SMTP_FED_WHOLE, 550, "550 5.1.1 \\x1b[31m\xef\xbf\xbd", 0},
	{"250 ok", SMTP_FED_MORE, 0, NULL, 0},
	{"250-a\r\n", SMTP_FED_MORE, 0, NULL, 0},
	{"250-a\r\n251 b\r\n", SMTP_FED_BROKEN, 0, NULL, 0},
	{"\r\n", SMTP_FED_BROKEN, 0, NULL, 0},
	{"25\r\n", SMTP_FED_BROKEN, 0, NULL, 0},
	{"2500 a\r\n", SMTP_FED_BROKEN, 0, NULL, 0},
	{"150 a\r\n", SMTP_FED_BROKEN, 0, NULL, 0},
	{"650 a\r\n", SMTP_FED_BROKEN, 0, NULL, 0},
	{"HTTP/1.1 200 OK\r\n", SMTP_FED_BROKEN, 0, NULL, 0},
};

START_TEST(replies_are_read_whatever_their_pieces)
{
	for (size_t step = 1; step <= 40; step++) {
		struct smtp_reply r = {.code = 0};
		size_t rest;
		ck_assert_int_eq(feed(&r, replies[_i].text, step, &rest), replies[_i].fed);
		if (replies[_i].fed != SMTP_FED_WHOLE)
			continue;
		ck_assert_int_eq(r.code, replies[_i].code);
		ck_assert_uint_eq(rest, replies[_i].rest);
		ck_assert_int_eq(strncmp(r.text, replies[_i].words, strlen(replies[_i].words)), 0);
		ck_assert_int_eq(feed(&r, "221 bye\r\n", 3, &rest), SMTP_FED_WHOLE);
		ck_assert_str_eq(r.text, "221 bye");
	}
}
END_TEST

START_TEST(replies_are_bounded)
{
	struct smtp_reply r = {.code = 0};
	char line[4096];
	size_t used, rest;

	memset(line, 'x', sizeof line);
	memcpy(line, "250 ", 4);
	ck_assert_int_eq(smtp_reply_feed(&r, line, sizeof line, &used), SMTP_FED_BROKEN);
	r = (struct smtp_reply){.code = 0};
	line[1000] = '\0';
	memcpy(line + 998, "\r\n", 2);
	ck_assert_int_eq(feed(&r, line, 100, &rest), SMTP_FED_WHOLE);
	ck_assert_uint_eq(strlen(r.text), SMTP_TEXT_MAX - 1);
	r = (struct smtp_reply){.code = 0};
	enum smtp_fed fed = SMTP_FED_MORE;
	int lines = 0;
	while (fed == SMTP_FED_MORE && lines++ < 10000)
		fed = feed(&r, "250-more\r\n", 100, &rest);
	ck_assert_int_eq(fed, SMTP_FED_BROKEN);
}
END_TEST

START_TEST(addresses_are_taken_out_of_replies)
{
	static const struct { const char *text, *want; } cases[] = {
		{"550 no", "550 no"}, {"550 <a.b@c.example>: unknown", "550 <*>: unknown"}, {"a@b", "*"}, {"x a@b, c@d y", "x *, * y"}, {"@", "*"}, {"@@ @", "* *"},
		{"user=a@b", "*"},
	};
	char text[100];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		(void)text_copy(text, sizeof text, cases[i].text);
		smtp_reply_redact(text);
		ck_assert_str_eq(text, cases[i].want);
	}
}
END_TEST

/* ---- verdicts ---- */

/* what the report says, the codes of three recipients, their fates, the gate, the cause */
static const struct {
	enum smtp_stage stage;
	int code, rcpts[3];
	const char *fates; /* Delivered, dEferred, Rejected, Unknown */
	bool gate, crowd;
	enum jobq_cause cause;
} verdicts[] = {
	{SMTP_END, 250, {250, 250, 251}, "DDD", false, false, JOBQ_CAUSE_NONE},
	{SMTP_END, 250, {250, 450, 550}, "DER", false, false, JOBQ_CAUSE_NONE},
	{SMTP_END, 250, {250, 452, 552}, "DEE", false, true, JOBQ_CAUSE_NONE},
	{SMTP_END, 250, {250, 452, 450}, "DEE", false, false, JOBQ_CAUSE_NONE},
	{SMTP_END, 451, {250, 450, 550}, "EER", false, false, JOBQ_CAUSE_NONE},
	{SMTP_END, 421, {250, 250, 250}, "EEE", false, false, JOBQ_CAUSE_REFUSED},
	{SMTP_END, 554, {250, 450, 550}, "RRR", false, false, JOBQ_CAUSE_NONE},
	{SMTP_END, 0, {250, 450, 550}, "UER", false, false, JOBQ_CAUSE_DOWN},
	{SMTP_END, 354, {250, 250, 250}, "UUU", false, false, JOBQ_CAUSE_NONE},
	{SMTP_END, 530, {250, 250, 250}, "EEE", true, false, JOBQ_CAUSE_NONE},
	{SMTP_DATA, 0, {250, 450, 550}, "EER", false, false, JOBQ_CAUSE_DOWN},
	{SMTP_DATA, 250, {250, 250, 250}, "EEE", false, false, JOBQ_CAUSE_NONE},
	{SMTP_DATA, 451, {250, 250, 550}, "EER", false, false, JOBQ_CAUSE_NONE},
	{SMTP_DATA, 552, {250, 450, 550}, "RRR", false, false, JOBQ_CAUSE_NONE},
	{SMTP_RCPT, 550, {550, 450, 550}, "RER", false, false, JOBQ_CAUSE_NONE},
	{SMTP_RCPT, 552, {552, 552, 552}, "RRR", false, false, JOBQ_CAUSE_NONE},
	{SMTP_RCPT, 450, {450, 450, 450}, "EEE", false, false, JOBQ_CAUSE_NONE},
	{SMTP_RCPT, 530, {530, 530, 530}, "EEE", true, false, JOBQ_CAUSE_NONE},
	{SMTP_RCPT, 0, {0, 0, 0}, "EEE", false, false, JOBQ_CAUSE_DOWN},
	{SMTP_RCPT, 550, {550, 0, 0}, "REE", false, false, JOBQ_CAUSE_NONE},
	{SMTP_MAIL, 550, {0, 0, 0}, "RRR", false, false, JOBQ_CAUSE_NONE},
	{SMTP_MAIL, 451, {0, 0, 0}, "EEE", false, false, JOBQ_CAUSE_REFUSED},
	{SMTP_MAIL, 530, {0, 0, 0}, "EEE", true, false, JOBQ_CAUSE_NONE},
	{SMTP_MAIL, 0, {0, 0, 0}, "EEE", false, false, JOBQ_CAUSE_DOWN},
	{SMTP_CONNECT, 0, {0, 0, 0}, "EEE", false, false, JOBQ_CAUSE_UNREACHED},
	{SMTP_CONNECT, 421, {0, 0, 0}, "EEE", false, false, JOBQ_CAUSE_REFUSED},
	{SMTP_CONNECT, 454, {0, 0, 0}, "EEE", false, false, JOBQ_CAUSE_DOWN},
	{SMTP_CONNECT, 535, {0, 0, 0}, "EEE", true, false, JOBQ_CAUSE_NONE},
	{SMTP_CONNECT, 554, {0, 0, 0}, "EEE", true, false, JOBQ_CAUSE_NONE},
};

START_TEST(replies_become_fates)
{
	struct smtp_rcpt rcpts[3] = {{.address = "a"}, {.address = "b"}, {.address = "c"}};
	const struct smtp_report r = {.stage = verdicts[_i].stage, .code = verdicts[_i].code, .text = "x"};

	for (int i = 0; i < 3; i++)
		rcpts[i].code = verdicts[_i].rcpts[i];
	struct email_verdict v = email_verdict(&r, rcpts, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq("DERU"[email_verdict_fate(&r, &rcpts[i])], verdicts[_i].fates[i]);
	ck_assert_uint_eq(v.of[EMAIL_DELIVERED] + v.of[EMAIL_DEFERRED] + v.of[EMAIL_REJECTED] + v.of[EMAIL_UNKNOWN], 3);
	ck_assert_int_eq(v.gate, verdicts[_i].gate);
	ck_assert_int_eq(v.crowd, verdicts[_i].crowd);
	ck_assert_int_eq(v.cause, verdicts[_i].cause);
}
END_TEST

/* ---- records ---- */

START_TEST(a_record_leads_to_the_rest)
{
	static const char payload[] = "{\"to\":[\"a@b\",\"c@d\"],\"cc\":\"a@b\",\"bcc\":[\"e@f\",\"g@h\"],\"text\":\"x\"}", other[] = "{}";
	struct email_message m;
	struct email_record r;
	size_t n;
	char err[100];

	ck_assert(email_message_read(&m, payload, sizeof payload - 1, "x@y", err, sizeof err));
	email_record_open(&r, "", 0, payload, sizeof payload - 1);
	struct smtp_rcpt *rest = email_record_rest(&r, &m, &n);
	ck_assert_uint_eq(n, 4); /* a@b once */
	ck_assert_str_eq(rest[3].address, "g@h");
	free(rest);
	ck_assert_ptr_null(email_record_result(&r, "<1@x>", NULL, false));
	email_record_accept(&r, "a@b");
	email_record_reject(&r, "e@f", "550 <e@f> no");
	char *result = email_record_result(&r, "<1@x>", NULL, false);
	email_record_free(&r);
	email_record_open(&r, result, strlen(result), payload, sizeof payload - 1);
	ck_assert(email_record_any(&r));
	rest = email_record_rest(&r, &m, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(rest[0].address, "c@d");
	ck_assert_str_eq(rest[1].address, "g@h");
	free(rest);
	char *over = email_record_result(&r, "<1@x>", "250 ok", true);
	ck_assert_str_eq(over, "{\"message_id\":\"<1@x>\",\"reply\":\"250 ok\",\"rejected\":[{\"to\":\"e@f\",\"reply\":\"550 <e@f> no\"}]}");
	free(over);
	email_record_free(&r);
	email_record_open(&r, result, strlen(result), other, sizeof other - 1); /* another payload took its place */
	ck_assert(!email_record_any(&r));
	email_record_free(&r);
	email_record_open(&r, "{\"accepted\":5,\"of\":[]", 21, other, sizeof other - 1);
	ck_assert(!email_record_any(&r));
	email_record_free(&r);
	free(result);
	email_message_free(&m);
}
END_TEST

START_TEST(the_longest_record_fits_a_result)
{
	struct email_record r;
	char address[EMAIL_ADDRESS_MAX + 1], reply[SMTP_TEXT_MAX];

	memset(address, 'a', sizeof address);
	address[64] = '@';
	address[EMAIL_ADDRESS_MAX] = '\0';
	memset(reply, '"', sizeof reply);
	reply[sizeof reply - 1] = '\0';
	email_record_open(&r, "", 0, "{}", 2);
	for (unsigned i = 0; i < EMAIL_RECIPIENTS_MAX; i++)
		email_record_reject(&r, address, reply);
	char *result = email_record_result(&r, address, reply, false);
	ck_assert_uint_lt(strlen(result), 200u << 10);
	free(result);
	email_record_free(&r);
}
END_TEST

/* ---- */

static void run(const char *script)
{
	char command[400];

	ck_assert_int_gt(snprintf(command, sizeof command, "cd %s && %s", dir, script), 0);
	ck_assert_int_eq(system(command), 0);
}

static void open_all(void)
{
	char name[] = "/tmp/jobq-email-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(name));
	(void)text_copy(dir, sizeof dir, name);
	run("printf no >secret && mkdir -p files/sub files/proc && cd files && printf inside >in.txt && cp in.txt sub/ && ln -s ../secret out && "
		"ln -s .. up && ln -s sub/in.txt within && ln -s loop loop && mkfifo fifo");
	email_mime_start();
}

static void close_all(void)
{
	email_mime_end();
	buf_free(&out);
	run("rm -r files secret && rm -f eight && rmdir \"$PWD\"");
}

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
	Suite *suite = suite_create("email");
	TCase *tc = tcase_create("email");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_unchecked_fixture(tc, open_all, close_all);
	tcase_add_loop_test(tc, addresses_are_read, 0, COUNT(good_addresses));
	tcase_add_loop_test(tc, what_is_no_address_is_refused, 0, COUNT(bad_addresses));
	tcase_add_test(tc, a_nul_ends_no_address);
	tcase_add_loop_test(tc, payloads_are_checked, 0, COUNT(messages));
	tcase_add_test(tc, there_is_a_most_of_everything);
	tcase_add_test(tc, a_message_is_kept_for_its_claim);
	tcase_add_test(tc, what_is_kept_is_bounded);
	tcase_add_test(tc, recipients_are_counted);
	tcase_add_test(tc, a_message_is_the_same_every_time);
	tcase_add_loop_test(tc, no_text_ends_a_message_early, 0, COUNT(texts));
	tcase_add_test(tc, long_lines_are_broken);
	tcase_add_loop_test(tc, files_stay_beneath_their_directory, 0, COUNT(files));
	tcase_add_test(tc, files_have_a_size);
	tcase_add_loop_test(tc, base64_is_strict, 0, COUNT(base64));
	tcase_add_loop_test(tc, replies_are_read_whatever_their_pieces, 0, COUNT(replies));
	tcase_add_test(tc, replies_are_bounded);
	tcase_add_test(tc, addresses_are_taken_out_of_replies);
	tcase_add_loop_test(tc, replies_become_fates, 0, COUNT(verdicts));
	tcase_add_test(tc, a_record_leads_to_the_rest);
	tcase_add_test(tc, the_longest_record_fits_a_result);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

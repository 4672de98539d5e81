/*
 * unit_conf_fuzz: random bytes, random lines of right and wrong words, and a good file with a few bytes changed. Nothing may
 * crash, leak or hang; a refusal says why, and what is accepted prints a configuration that is accepted again.
 *
 * CONF_FUZZ_SEED and CONF_FUZZ_RUNS replay and prolong it; the seed stands in the message of a failure.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "conf/line.h"
#include "conf_fixture.h"

static uint64_t state, seed;

static uint64_t next(void) /* splitmix64 */
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t below(size_t n)
{
	return (size_t)(next() % n);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void begin(void)
{
	fixture_open();
	seed = state = number("CONF_FUZZ_SEED", 20240229);
}

/* A reference must not reach out of the test: file: and %include become harmless. */
static void disarm(struct buf *text)
{
	static const char *const words[] = {"file:", "%include"};

	for (size_t w = 0; w < 2; w++)
		for (char *at = text->data; at != NULL && (at = memmem(at, text->len - (size_t)(at - text->data), words[w], strlen(words[w]))) != NULL;)
			*at = 'x';
}

static void check(struct buf *text, uint64_t run)
{
	struct conf *conf, *again;
	char *effective, *mask;

	disarm(text);
	fixture_put_bytes("c.conf", text->data ? text->data : "", text->len);
	conf = fixture_try("c.conf");
	if (conf == NULL) {
		ck_assert_msg(fixture_err[0] == '@' || strncmp(fixture_err, "env", 3) == 0, "seed %llu run %llu: %s", (unsigned long long)seed,
			(unsigned long long)run, fixture_err);
		ck_assert(text_is_utf8(fixture_err, strlen(fixture_err)));
		return;
	}
	effective = fixture_effective(conf);
	while ((mask = strstr(effective, "********")) != NULL)
		memcpy(mask, "a_secret", 8);
	fixture_put("again.conf", "%s", effective);
	again = fixture_try("again.conf");
	ck_assert_msg(again != NULL, "seed %llu run %llu: %s\n%s", (unsigned long long)seed, (unsigned long long)run, fixture_err, effective);
	free(effective);
}

START_TEST(random_bytes)
{
	uint64_t runs = number("CONF_FUZZ_RUNS", 300);
	struct buf text = {0};

	for (uint64_t run = 0; run < runs; run++) {
		buf_reset(&text);
		for (size_t n = below(400); n > 0; n--)
			buf_putc(&text, (char)(below(3) ? "[]=#;\"\\ \n\t%*queuejobqdlease0sms"[below(31)] : (char)below(256)));
		check(&text, run);
	}
	buf_free(&text);
}
END_TEST

START_TEST(random_lines)
{
	static const char *const lines[] = {
		"[jobqd]", "[queue *]", "[queue null]", "[queue a]", "[queue sms]", "[queue sleep]", "[web]", "handler = null", "handler = sms",
		"handler = sleep", "workers = 3", "workers = 64", "lease = 9s", "lease = 0", "batch_size = 40", "batch_min = 30", "batch_max = 30",
		"rate_limit = 3/h", "rate_limit = off", "rate_burst = 4", "rate_limit = 9223372036854775807/ns", "headers = A: b", "headers = A: env:X",
		"headers =", "headers", "gateway_url = http://h", "gateway_user = \"u # \\\" v", "gateway_user = \" u\"", "gateway_password = env:PW",
		"gateway_password = literal", "driver = json", "body = {\"a\": \"{b} # ; \"} # c", "sleep = 1ms", "node = \"\"", "concurrency = 40",
		"retry_backoff = linear 1s..1s", "max_rss = 16MB", "buffer_max = 1", "poll_max = 100ms", "poll_min = 1min", "from = '; x'", "\xef\xbb\xbf",
		"[tenants]", "source = a.\"B ; c\"", "source = x", "preset = standard", "preset = high_performance", "preset = memory_efficient",
		"preset = none", "batch_timeout = 10s", "batch_timeout = 0", "batch_timeout_high = 5s", "batch_timeout_high = off",
		"batch_timeout_urgent = 1h", "batch_timeout_urgent =", "buffer_max_age = 5s", "batch_adaptive = off", "rate_unit = segments",
		"tenant_rate_limit = 3/s", "tenant_concurrency = off", "aging = 0", "throughput_target = off",
	};
	static const char *const old[] = {
		"BATCH_SIZE_THRESHOLD=60", "BATCH_MAX_BUFFER_SIZE=40", "BATCH_TIME_THRESHOLD_SEC=9", "BATCH_TIME_THRESHOLD_SEC=99999999999999999999",
		"BATCH_ENABLE_ADAPTIVE_SIZING=\xff", "BATCH_PERFORMANCE_TARGET_MS=5",
	};
	uint64_t runs = number("CONF_FUZZ_RUNS", 400);
	struct buf text = {0};

	fixture_env[0] = (char *)"PW=pass word";
	for (uint64_t run = 0; run < runs; run++) {
		fixture_env[1] = below(3) ? NULL : (char *)old[below(sizeof old / sizeof old[0])];
		buf_reset(&text);
		for (size_t n = below(14); n > 0; n--)
			buf_printf(&text, "%s%s", lines[below(sizeof lines / sizeof lines[0])], below(8) ? "\n" : "\r\n");
		check(&text, run);
	}
	buf_free(&text);
}
END_TEST

START_TEST(a_good_file_with_wounds)
{
	uint64_t runs = number("CONF_FUZZ_RUNS", 60);
	struct buf sample = {0}, text = {0};
	char *printed = NULL;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	ck_assert_ptr_nonnull(out);
	conf_print_sample(out);
	ck_assert_int_eq(fclose(out), 0);
	for (char *p = printed; p < printed + len; p++) /* the commented keys count too */
		if (!(p[0] == '#' && p[1] != ' ' && p[1] != '[' && p[1] != '\n'))
			buf_putc(&sample, *p);
	for (uint64_t run = 0; run < runs; run++) {
		buf_reset(&text);
		buf_add(&text, sample.data, sample.len);
		for (size_t n = below(4); n > 0; n--)
			text.data[below(text.len)] = (char)(below(2) ? " \n=\"#;["[below(7)] : (char)below(256));
		text.len -= below(2) ? below(text.len) : 0;
		check(&text, run);
	}
	free(printed);
	buf_free(&sample);
	buf_free(&text);
}
END_TEST

START_TEST(any_value_survives_quoting)
{
	for (uint64_t run = number("CONF_FUZZ_RUNS", 5000); run > 0; run--) {
		struct buf buf = {0};
		struct conf_line line;
		char value[16];
		size_t len = below(sizeof value);

		for (size_t i = 0; i < len; i++)
			value[i] = " \t\"\\#;a=[]%"[below(11)];
		value[len] = '\0';
		buf_puts(&buf, "k = ");
		conf_line_quote(&buf, value);
		buf_puts(&buf, "  # origin \"x\"");
		(void)buf_str(&buf);
		line = conf_line_parse(buf.data);
		ck_assert_msg(line.kind == CONF_LINE_KEY && strcmp(line.arg, value) == 0, "seed %llu: <%s> became <%s>",
			(unsigned long long)seed, value, line.arg);
		buf_free(&buf);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_fuzz");
	TCase *tc = tcase_create("fuzz");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, begin, fixture_close);
	tcase_add_test(tc, random_bytes);
	tcase_add_test(tc, random_lines);
	tcase_add_test(tc, a_good_file_with_wounds);
	tcase_add_test(tc, any_value_survives_quoting);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

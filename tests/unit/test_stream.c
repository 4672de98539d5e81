/*
 * tests/unit/test_stream.c: frames over a real socketpair and a real event loop (src/wire/stream.c).
 *
 * The other end is either a second stream or the test itself, which cuts frames where it likes. Loops turn until a
 * condition holds; a test that waits for what never comes is ended by check's own timeout.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "wire/stream.h"

struct end {
	struct stream *s;
	unsigned frames, closed;
	uint64_t bytes;
	bool spoilt, free_in_frame, free_in_closed, answer;
	uint32_t last_generation;
	uint16_t last_type;
	char why[256];
};

static struct event_base *base;
static int fds[2];
static struct end a, b;

static void on_frame(void *arg, const struct wire_head *head, struct rd body)
{
	struct end *e = arg;
	size_t left = rd_left(&body);

	ck_assert_uint_eq(left, head->len);
	ck_assert_uint_eq(e->closed, 0);
	for (size_t i = 0; i < left; i++)
		e->spoilt |= body.p[i] != (unsigned char)(head->generation + i);
	e->frames++;
	e->bytes += left;
	e->last_generation = head->generation;
	e->last_type = head->type;
	if (e->answer) {
		buf_u8(stream_begin(e->s, FRAME_ACK, 0), 0);
		stream_end(e->s);
	}
	if (e->free_in_frame) {
		stream_free(e->s);
		e->s = NULL;
	}
}

static void on_closed(void *arg, const char *why)
{
	struct end *e = arg;

	e->closed++;
	ck_assert_uint_gt(strlen(why), 0);
	ck_assert_uint_lt(strlen(why), sizeof e->why);
	memcpy(e->why, why, strlen(why) + 1);
	if (e->free_in_closed) {
		stream_free(e->s);
		e->s = NULL;
	}
}

static const struct stream_calls calls = {on_frame, on_closed};

static void setup(void)
{
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(io_socketpair(fds), 0);
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	a.s = stream_new(base, fds[0], &calls, &a);
}

static void teardown(void)
{
	stream_free(a.s);
	if (b.s != NULL)
		stream_free(b.s);
	event_base_free(base);
	libevent_global_shutdown();
}

static void both(void)
{
	b.s = stream_new(base, fds[1], &calls, &b);
}

static void turn(void) /* what can happen now */
{
	ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
}

static void turn_until(const unsigned *count, unsigned want)
{
	while (*count < want)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void fill(struct buf *body, uint32_t generation, size_t len)
{
	buf_reserve(body, len);
	for (size_t i = 0; i < len; i++)
		buf_u8(body, (uint8_t)(generation + i));
}

static void say(struct end *e, uint32_t generation, size_t len)
{
	fill(stream_begin(e->s, FRAME_BATCH, generation), generation, len);
	stream_end(e->s);
}

static void raw_frame(struct buf *out, uint32_t generation, uint32_t len) /* as the other end would send it */
{
	struct wire_head head = {.len = len, .type = FRAME_ACK, .generation = generation};

	buf_add(out, &head, sizeof head);
	fill(out, generation, len);
}

static void feed(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fds[1], data, len, MSG_NOSIGNAL);

		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			turn();
			continue;
		}
		data += n;
		len -= (size_t)n;
	}
	turn();
}

START_TEST(cut_at_every_byte)
{
	struct buf out = {0};

	raw_frame(&out, 7, 100);
	raw_frame(&out, 8, 0);
	raw_frame(&out, 9, 1);
	for (size_t cut = 0; cut <= out.len; cut++) {
		unsigned before = a.frames, whole = cut >= 149 ? 3 : cut >= 132 ? 2 : cut >= 116 ? 1 : 0;

		feed(out.data, cut);
		ck_assert_uint_eq(a.frames - before, whole);
		feed(out.data + cut, out.len - cut);
		ck_assert_uint_eq(a.frames - before, 3);
		ck_assert(a.last_generation == 9 && a.last_type == FRAME_ACK && !a.spoilt);
	}
	for (size_t i = 0; i < out.len; i++)
		feed(out.data + i, 1);
	ck_assert_uint_eq(a.frames, 3 * ((unsigned)out.len + 2));
	ck_assert(a.closed == 0 && !a.spoilt);
	close(fds[1]);
	turn_until(&a.closed, 1);
	ck_assert_str_eq(a.why, "the peer closed the connection");
	buf_free(&out);
}
END_TEST

START_TEST(many_at_once_in_one_send)
{
	ssize_t n;
	char got[65536];

	for (uint32_t i = 0; i < 100; i++)
		say(&a, i, i);
	ck_assert_uint_eq(stream_unsent(a.s), 100 * 16 + 4950);
	turn();
	ck_assert_uint_eq(stream_unsent(a.s), 0);
	n = recv(fds[1], got, sizeof got, MSG_DONTWAIT);
	ck_assert_int_eq(n, 100 * 16 + 4950);
	feed(got, (size_t)n); /* and back */
	ck_assert_uint_eq(a.frames, 100);
	ck_assert(!a.spoilt && a.last_generation == 99);
	close(fds[1]);
}
END_TEST

/* more than any socket buffer holds, both ways at once, in sizes around the read size */
START_TEST(more_than_fits)
{
	static const size_t sizes[] = {0, 1, 65536, 262127, 262128, 262144, 300000, 5000000};
	unsigned total = 0;

	both();
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++, total++) {
			say(&a, total, sizes[i]);
			say(&b, total, sizes[i]);
		}
	ck_assert_uint_gt(stream_unsent(a.s), 15000000);
	turn_until(&a.frames, total);
	turn_until(&b.frames, total);
	ck_assert(!a.spoilt && !b.spoilt && a.bytes == b.bytes && a.last_generation == total - 1);
	ck_assert(stream_flush(a.s) && stream_flush(b.s));
	ck_assert(stream_unsent(a.s) == 0 && a.closed == 0 && b.closed == 0);
}
END_TEST

START_TEST(flush_tells_what_is_out)
{
	both();
	say(&a, 1, 10);
	ck_assert(stream_flush(a.s));
	ck_assert_uint_eq(stream_unsent(a.s), 0);
	say(&a, 2, 8000000);
	ck_assert(!stream_flush(a.s));
	ck_assert_uint_gt(stream_unsent(a.s), 0);
	ck_assert(!stream_flush(a.s));
	turn_until(&b.frames, 2);
	turn();
	ck_assert(stream_flush(a.s) && stream_unsent(a.s) == 0 && !b.spoilt);
}
END_TEST

START_TEST(an_unfinished_frame_waits)
{
	struct buf *body;

	both();
	say(&a, 1, 10);
	body = stream_begin(a.s, FRAME_BATCH, 2);
	fill(body, 2, 5);
	ck_assert(stream_flush(a.s)); /* the first frame alone */
	turn();
	ck_assert_uint_eq(b.frames, 1);
	buf_u8(body, 7);
	stream_end(a.s);
	turn_until(&b.frames, 2);
	ck_assert(!b.spoilt && b.bytes == 16);
}
END_TEST

START_TEST(closed_in_the_middle)
{
	struct buf out = {0};

	raw_frame(&out, 1, 50);
	raw_frame(&out, 2, 50);
	feed(out.data, out.len - (size_t)_i);
	close(fds[1]);
	turn_until(&a.closed, 1);
	turn();
	ck_assert_uint_eq(a.frames, 1);
	ck_assert_uint_eq(a.closed, 1);
	ck_assert_ptr_nonnull(strstr(a.why, "middle of a frame"));
	say(&a, 3, 10); /* harmless afterwards */
	ck_assert(!stream_flush(a.s));
	ck_assert_uint_eq(stream_unsent(a.s), 0);
	turn();
	ck_assert_uint_eq(a.closed, 1);
	buf_free(&out);
}
END_TEST

/* the peer has spoken and died before we write: what it said is delivered first, and no SIGPIPE */
START_TEST(last_words_are_heard)
{
	struct buf out = {0};

	for (uint32_t i = 0; i < 50; i++)
		raw_frame(&out, i, 1000);
	ck_assert_int_eq(send(fds[1], out.data, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
	close(fds[1]);
	say(&a, 1, 10);
	ck_assert(!stream_flush(a.s));
	ck_assert_uint_eq(a.closed, 0); /* from the loop only */
	turn_until(&a.closed, 1);
	ck_assert_uint_eq(a.frames, 50);
	ck_assert_uint_eq(a.closed, 1);
	ck_assert(!a.spoilt);
	buf_free(&out);
}
END_TEST

START_TEST(a_monstrous_length_ends_it)
{
	struct wire_head head = {.len = WIRE_BODY_MAX + 1, .type = FRAME_ACK};
	struct buf out = {0};

	raw_frame(&out, 1, 5);
	buf_add(&out, &head, sizeof head);
	raw_frame(&out, 2, 5);
	feed(out.data, out.len);
	turn();
	ck_assert_uint_eq(a.frames, 1);
	ck_assert_uint_eq(a.closed, 1);
	ck_assert_ptr_nonnull(strstr(a.why, "announced a frame of 67108865 bytes"));
	close(fds[1]);
	buf_free(&out);
}
END_TEST

START_TEST(a_monstrous_frame_is_not_sent)
{
	struct buf *body;

	both();
	say(&a, 1, 10);
	body = stream_begin(a.s, FRAME_BATCH, 2);
	buf_reserve(body, WIRE_BODY_MAX + 8);
	for (size_t i = 0; i < WIRE_BODY_MAX / 8 + 1; i++)
		buf_u64(body, 0);
	stream_end(a.s);
	turn_until(&a.closed, 1);
	ck_assert_ptr_nonnull(strstr(a.why, "was to be sent"));
}
END_TEST

START_TEST(freed_in_a_callback)
{
	struct buf out = {0};

	for (uint32_t i = 0; i < 5; i++)
		raw_frame(&out, i, 100);
	a.free_in_frame = _i == 0;
	a.free_in_closed = _i == 1;
	a.answer = true;
	feed(out.data, out.len);
	if (_i == 1) {
		close(fds[1]);
		turn_until(&a.closed, 1);
	}
	turn();
	ck_assert_uint_eq(a.frames, _i == 0 ? 1 : 5);
	ck_assert_ptr_null(a.s);
	if (_i == 0)
		close(fds[1]);
	buf_free(&out);
}
END_TEST

START_TEST(answers_within_the_turn)
{
	struct buf out = {0};
	char got[4096];

	for (uint32_t i = 0; i < 20; i++)
		raw_frame(&out, i, 30);
	a.answer = true;
	feed(out.data, out.len);
	ck_assert_int_eq(recv(fds[1], got, sizeof got, MSG_DONTWAIT), 20 * 17); /* twenty frames, one send */
	close(fds[1]);
	buf_free(&out);
}
END_TEST

#ifdef JOBQ_FAULTS
static void setup_armed(void) /* before the first point is passed: the environment is read once */
{
	ck_assert_int_eq(setenv("JOBQ_FAULT", "mid_outcomes=kill", 1), 0);
	setup();
}

START_TEST(half_a_frame_of_outcomes)
{
	pid_t pid;
	int status;

	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ck_assert_int_eq(event_reinit(base), 0);
		close(fds[0]);
		both();
		say(&b, 1, 1000);
		fill(stream_begin(b.s, FRAME_OUTCOMES, 2), 2, 1000);
		stream_end(b.s);
		_exit(0);
	}
	close(fds[1]);
	ck_assert(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	turn_until(&a.closed, 1);
	ck_assert_uint_eq(a.frames, 1);
	ck_assert_ptr_nonnull(strstr(a.why, "middle of a frame"));
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tc = tcase_create("stream");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, cut_at_every_byte);
	tcase_add_test(tc, many_at_once_in_one_send);
	tcase_add_test(tc, more_than_fits);
	tcase_add_test(tc, flush_tells_what_is_out);
	tcase_add_test(tc, an_unfinished_frame_waits);
	tcase_add_loop_test(tc, closed_in_the_middle, 1, 66);
	tcase_add_test(tc, last_words_are_heard);
	tcase_add_test(tc, a_monstrous_length_ends_it);
	tcase_add_test(tc, a_monstrous_frame_is_not_sent);
	tcase_add_loop_test(tc, freed_in_a_callback, 0, 2);
	tcase_add_test(tc, answers_within_the_turn);
#ifdef JOBQ_FAULTS
	tc = tcase_create("faults");
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, setup_armed, teardown);
	tcase_add_test(tc, half_a_frame_of_outcomes);
#endif
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

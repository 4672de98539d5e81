/*
 * tests/unit/test_msg.c: bodies of frames (src/wire/msg.c).
 *
 * Each kind is written, read back whole, and read from each of its truncated prefixes, in memory of the exact size;
 * values that no jobq writes are refused, and a refused body leaves the result alone.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobq/handler.h"
#include "wire/msg.h"

#define N(table) (sizeof(table) / sizeof(table)[0])
#define T(literal) {(literal), sizeof(literal) - 1}

static const struct msg_hello hello = {WIRE_VERSION, 2, 3, UINT32_MAX, 5};
static const struct msg_batch batch = {UINT64_MAX, INT64_MIN, WIRE_BATCH_ALONE, 1};
static const struct msg_job job = {INT64_MAX, -2, 1769860800123456, 1769860700654321, -9, 4, 3, 10, 16383, UINT32_MAX,
	T("ty\xff"), T("tenant"), T(""), T("{\"a\": 1}"), T("[2]")};
static const struct msg_outcome outcome = {1, 2, 3, 4, -1, OUTCOME_UNSTARTED, JOBQ_CAUSE_DOWN, T("err\0or"), T("{}"), 6};
static const struct msg_ref ref = {INT64_MIN, INT64_MAX};
static const struct msg_progress progress = {7, 8, 100000, T("page 4 of 10")};
static const struct msg_begun begun = {9, 10, 3};
static const struct msg_gate gate = {1, 30000000000, T("403")};

static void text_eq(struct msg_text a, struct msg_text b)
{
	ck_assert_uint_eq(a.len, b.len);
	ck_assert(memcmp(a.text, b.text, a.len) == 0);
}

static void put(struct buf *b, int kind)
{
	switch (kind) {
	case 0: msg_put_hello(b, &hello); break;
	case 1: msg_put_batch(b, &batch); msg_put_job(b, &job); break;
	case 2: msg_put_job(b, &job); break;
	case 3: msg_put_count(b, 1); msg_put_outcome(b, &outcome); break;
	case 4: msg_put_count(b, 2); msg_put_ref(b, &ref); msg_put_ref(b, &ref); break;
	case 5: msg_put_progress(b, &progress); break;
	case 6: msg_put_count(b, 1); msg_put_begun(b, &begun); break;
	default: msg_put_gate(b, &gate); break;
	}
}

static void check_job(const struct msg_job *m)
{
	ck_assert(m->id == job.id && m->token == job.token && m->deadline_us == job.deadline_us);
	ck_assert(m->created_us == job.created_us && m->run == job.run);
	ck_assert(m->attempt == 4 && m->max_retries == 3 && m->priority == 10 && m->tenant_word == 16383 && m->tier_word == UINT32_MAX);
	text_eq(m->type, job.type);
	text_eq(m->tenant, job.tenant);
	text_eq(m->user_id, job.user_id);
	text_eq(m->payload, job.payload);
	text_eq(m->result, job.result);
}

static bool get_batch(struct rd *r)
{
	struct msg_batch b;
	struct msg_job j;

	if (!msg_get_batch(r, &b) || !msg_get_job(r, &j))
		return false;
	ck_assert(b.batch_id == batch.batch_id && b.token == batch.token && b.flags == 1 && b.count == 1);
	check_job(&j);
	return true;
}

static bool get_outcomes(struct rd *r)
{
	struct msg_outcome m;
	uint32_t n;

	if (!msg_get_count(r, &n) || !msg_get_outcome(r, &m))
		return false;
	ck_assert(n == 1 && m.id == 1 && m.token == 2 && m.begun_ns == 3 && m.ended_ns == 4 && m.after_ns == -1);
	ck_assert_uint_eq(m.outcome, OUTCOME_UNSTARTED);
	ck_assert_uint_eq(m.units, 6);
	text_eq(m.error, outcome.error);
	text_eq(m.result, outcome.result);
	return true;
}

static bool get_refs(struct rd *r)
{
	struct msg_ref m = {0};
	uint32_t n;

	if (!msg_get_count(r, &n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!msg_get_ref(r, &m))
			return false;
	ck_assert(n == 2 && m.id == ref.id && m.token == ref.token);
	return true;
}

static bool get(struct rd *r, int kind)
{
	struct msg_hello h;
	struct msg_job j;
	struct msg_progress p;
	struct msg_gate g;
	struct msg_begun told;
	uint32_t n;

	switch (kind) {
	case 0:
		return msg_get_hello(r, &h) && h.version == WIRE_VERSION && h.slot == 2 && h.slot_generation == 3 &&
		       h.queue == UINT32_MAX && h.pid == 5;
	case 1:
		return get_batch(r);
	case 2:
		if (!msg_get_job(r, &j))
			return false;
		check_job(&j);
		return true;
	case 3:
		return get_outcomes(r);
	case 4:
		return get_refs(r);
	case 5:
		if (!msg_get_progress(r, &p))
			return false;
		text_eq(p.note, progress.note);
		return p.id == 7 && p.token == 8 && p.percent_milli == 100000;
	case 6:
		return msg_get_count(r, &n) && n == 1 && msg_get_begun(r, &told) && told.id == 9 && told.token == 10 && told.units == 3;
	default:
		if (!msg_get_gate(r, &g))
			return false;
		text_eq(g.reason, gate.reason);
		return g.flags == 1 && g.retry_ns == gate.retry_ns;
	}
}

START_TEST(whole_and_every_prefix)
{
	struct buf b = {0};

	put(&b, _i);
	for (size_t cut = 0; cut <= b.len; cut++) {
		char *exact = xmalloc(cut);
		struct rd r;

		memcpy(exact, b.data, cut);
		r = rd_of(exact, cut);
		ck_assert_msg(get(&r, _i) == (cut == b.len), "cut at %zu of %zu", cut, b.len);
		ck_assert_uint_eq(rd_left(&r) * (cut == b.len), 0);
		free(exact);
	}
	buf_free(&b);
}
END_TEST

/* every byte of every kind, set to each of some values: no decoder reads too far, whatever it answers */
START_TEST(every_byte_spoilt)
{
	static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct buf b = {0};
	uint32_t n;

	put(&b, _i);
	for (size_t at = 0; at < b.len; at++)
		for (size_t v = 0; v < N(values); v++) {
			char *exact = xmalloc(b.len);
			struct msg_job j;
			struct msg_outcome o;
			struct msg_batch h;
			struct msg_progress p;
			struct msg_gate g;
			struct rd r;

			memcpy(exact, b.data, b.len);
			exact[at] = (char)values[v];
			r = rd_of(exact, b.len);
			(void)msg_get_batch(&r, &h);
			(void)msg_get_job(&r, &j);
			r = rd_of(exact, b.len);
			(void)msg_get_job(&r, &j);
			r = rd_of(exact, b.len);
			(void)msg_get_count(&r, &n);
			(void)msg_get_outcome(&r, &o);
			r = rd_of(exact, b.len);
			(void)msg_get_progress(&r, &p);
			r = rd_of(exact, b.len);
			(void)msg_get_gate(&r, &g);
			free(exact);
		}
	buf_free(&b);
}
END_TEST

static bool job_ok(struct msg_job m)
{
	struct msg_job back = {.id = -77};
	struct buf b = {0};
	struct rd r;
	bool ok;

	msg_put_job(&b, &m);
	r = rd_of(b.data, b.len);
	ok = msg_get_job(&r, &back);
	ck_assert(ok || back.id == -77);
	buf_free(&b);
	return ok;
}

START_TEST(impossible_jobs)
{
	static const uint8_t good[] = {1, 2, 5, 10}, bad[] = {0, 3, 4, 9, 11, 255};
	struct msg_job m = job;

	for (size_t i = 0; i < N(good); i++) {
		m.priority = good[i];
		ck_assert(job_ok(m));
	}
	for (size_t i = 0; i < N(bad); i++) {
		m.priority = bad[i];
		ck_assert(!job_ok(m));
	}
	m = job;
	m.attempt = 0;
	ck_assert(!job_ok(m));
	m.attempt = UINT32_MAX;
	ck_assert(!job_ok(m));
	m.attempt = 1;
	m.max_retries = UINT32_MAX;
	ck_assert(!job_ok(m));
}
END_TEST

static bool outcome_ok(struct msg_outcome m)
{
	struct msg_outcome back = {.id = -77};
	struct buf b = {0};
	struct rd r;
	bool ok;

	msg_put_outcome(&b, &m);
	r = rd_of(b.data, b.len);
	ok = msg_get_outcome(&r, &back);
	ck_assert(ok || back.id == -77);
	buf_free(&b);
	return ok;
}

START_TEST(impossible_outcomes)
{
	struct msg_outcome m = outcome;

	for (unsigned kind = 0; kind < 256; kind++) {
		m.outcome = (uint8_t)kind;
		ck_assert_int_eq(outcome_ok(m), kind < OUTCOME_COUNT);
	}
	m = outcome;
	m.cause = JOBQ_CAUSES;
	ck_assert(!outcome_ok(m));
	m = outcome;
	m.after_ns = -2;
	ck_assert(!outcome_ok(m));
	m = outcome;
	m.begun_ns = -1;
	ck_assert(!outcome_ok(m));
	m = outcome;
	m.ended_ns = -1;
	ck_assert(!outcome_ok(m));
}
END_TEST

static bool batch_ok(uint32_t flags, uint32_t count, size_t jobs)
{
	struct msg_batch m = {1, 1, flags, count}, back;
	struct buf b = {0};
	struct rd r;
	bool ok;

	msg_put_batch(&b, &m);
	while (jobs-- > 0)
		msg_put_job(&b, &job);
	r = rd_of(b.data, b.len);
	ok = msg_get_batch(&r, &back);
	buf_free(&b);
	return ok;
}

START_TEST(impossible_counts)
{
	static const uint32_t counts[] = {2, 3, 0x10000000, 0x80000000, UINT32_MAX};
	struct msg_progress p = {1, 1, 100001, T("")}, back;
	struct msg_gate g = {2, 0, T("")}, gate_back;
	struct buf b = {0};
	struct rd r;
	uint32_t n = 77;

	ck_assert(batch_ok(0, 1, 1) && batch_ok(1, 50, 50));
	ck_assert(!batch_ok(0, 0, 1) && !batch_ok(2, 1, 1) && !batch_ok(0, 50, 5) && !batch_ok(0, UINT32_MAX, 1));
	for (size_t i = 0; i < N(counts); i++) {
		buf_reset(&b);
		msg_put_count(&b, counts[i]);
		msg_put_ref(&b, &ref);
		r = rd_of(b.data, b.len);
		ck_assert(!msg_get_count(&r, &n) && n == 77);
	}
	buf_reset(&b);
	msg_put_count(&b, 0);
	r = rd_of(b.data, b.len);
	ck_assert(msg_get_count(&r, &n) && n == 0);
	buf_reset(&b);
	msg_put_progress(&b, &p);
	r = rd_of(b.data, b.len);
	ck_assert(!msg_get_progress(&r, &back));
	buf_reset(&b);
	msg_put_gate(&b, &g);
	r = rd_of(b.data, b.len);
	ck_assert(!msg_get_gate(&r, &gate_back));
	g.flags = 0;
	g.retry_ns = -1;
	buf_reset(&b);
	msg_put_gate(&b, &g);
	r = rd_of(b.data, b.len);
	ck_assert(!msg_get_gate(&r, &gate_back));
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("msg");
	TCase *tc = tcase_create("msg");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, whole_and_every_prefix, 0, 8);
	tcase_add_loop_test(tc, every_byte_spoilt, 0, 8);
	tcase_add_test(tc, impossible_jobs);
	tcase_add_test(tc, impossible_outcomes);
	tcase_add_test(tc, impossible_counts);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

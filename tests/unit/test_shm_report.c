/*
 * unit_shm_report: the report against what was put into the segment: targets met, missed and unknown, use of limits and workers,
 * what binds, the buffer's health, minutes, trends, decisions.
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "queue/tuner.h"
#include "shm/cell.h"
#include "shm/decision.h"
#include "shm/hist.h"
#include "shm/report.h"
#include "shm/trend.h"

#define MONO (100000 * NS_PER_S)
#define REAL (INT64_C(1700000000) * US_PER_S)

static struct shm *shm;
static struct shm_queue *q;

static void setup(void)
{
	char name[64], dir[64], err[512];

	(void)snprintf(dir, sizeof dir, "/tmp/unit-shm-report-%ld", (long)getpid());
	shm_seg_name(name, dir);
	shm = shm_seg_create(name, 2, 1, err, sizeof err);
	ck_assert_msg(shm != NULL, "%s", err);
	clock_set(MONO, MONO, REAL);
	q = shm_queue_at(shm, 0);
	shm_cell_set(&q->name, "sms");
	atomic_store(&q->used, 1);
	atomic_store(&q->want_workers, 2);
	atomic_store(&q->concurrency, 1);
	atomic_store(&q->batch_target_ns, 2 * NS_PER_S);
	atomic_store(&q->throughput_target_milli, 10000);
	atomic_store(&q->buffer_max, 1000);
}

static void teardown(void)
{
	clock_unset();
	shm_seg_unlink(shm);
	shm_seg_detach(shm);
}

/* A minute of work; then it is noted. busy_s: of both workers together. */
static void minute(uint64_t jobs, double busy_s, uint64_t batches, uint32_t peak)
{
	int64_t now = clock_mono_ns() + 60 * NS_PER_S;

	atomic_fetch_add(&q->counters[COUNTER_completed], jobs);
	atomic_fetch_add(&q->counters[COUNTER_sent], jobs);
	atomic_fetch_add(&q->active_s, 60);
	atomic_fetch_add(&q->backlog_s, 60);
	atomic_fetch_add(&q->backlog_jobs, jobs);
	atomic_fetch_add(&q->batch_us.count, batches);
	atomic_fetch_add(&q->batch_us.sum_us, (uint64_t)(busy_s * 1e6));
	clock_set(now, now, REAL + (now - MONO) / NS_PER_US);
	shm_trend_push(q, now, peak);
}

static json_t *at(json_t *doc, const char *path)
{
	char copy[128], *save = NULL;

	(void)snprintf(copy, sizeof copy, "queues.sms.%s", path);
	for (char *part = strtok_r(copy, ".", &save); part != NULL && doc != NULL; part = strtok_r(NULL, ".", &save))
		doc = json_is_array(doc) ? json_array_get(doc, (size_t)atoi(part)) : json_object_get(doc, part);
	ck_assert_msg(doc != NULL, "no %s", path);
	return doc;
}

static void is(json_t *doc, const char *path, double want)
{
	double got = json_number_value(at(doc, path));

	ck_assert_msg(json_is_number(at(doc, path)) && got > want - 1e-3 && got < want + 1e-3, "%s is %f, not %f", path, got, want);
}

#define NULL_IS(doc, path) ck_assert_msg(json_is_null(at(doc, path)), path " is not null")
#define TEXT_IS(doc, path, want) ck_assert_str_eq(json_string_value(at(doc, path)), want)

START_TEST(test_nothing_yet)
{
	json_t *doc = shm_report_json(shm);

	is(doc, "span_s", 0);
	is(doc, "jobs", 0);
	NULL_IS(doc, "targets.batch_ms.measured");
	NULL_IS(doc, "targets.batch_ms.met");
	NULL_IS(doc, "targets.throughput_per_s.under_backlog");
	NULL_IS(doc, "targets.throughput_per_s.met");
	NULL_IS(doc, "limit.limit_per_s");
	NULL_IS(doc, "limit.used");
	NULL_IS(doc, "capacity.jobs_per_s");
	NULL_IS(doc, "capacity.bound_by");
	NULL_IS(doc, "buffer.efficiency");
	NULL_IS(doc, "trends");
	TEXT_IS(doc, "buffer.state", "room");
	ck_assert_uint_eq(json_array_size(at(doc, "minutes")), 0);
	ck_assert_uint_eq(json_array_size(at(doc, "decisions")), 0);
	ck_assert_uint_eq(json_object_size(json_object_get(doc, "queues")), 1);
	json_decref(doc);
}
END_TEST

START_TEST(test_use)
{
	shm_trend_push(q, MONO, 0);
	atomic_store(&q->limit_interval_ns, 20 * NS_PER_MS);
	atomic_store(&q->effective_interval_ns, 20 * NS_PER_MS);
	minute(1500, 60, 40, 80); /* 25/s of 50; one of two workers; 1.5 s a batch */
	atomic_fetch_add(&q->counters[COUNTER_errors], 30);
	atomic_fetch_add(&q->counters[COUNTER_rate_exceeded], 4);
	atomic_store(&q->buffer_added, 1600);
	atomic_store(&q->buffer_overflows, 16);
	atomic_store(&q->buffer_entries, 100);
	atomic_store(&q->flushes[SHM_FLUSH_size], 40);
	atomic_store(&q->flushed_real_us[SHM_FLUSH_size], REAL);
	json_t *doc = shm_report_json(shm);
	is(doc, "span_s", 60);
	is(doc, "jobs", 1530);
	is(doc, "errors", 30);
	is(doc, "targets.batch_ms.measured", 1500);
	ck_assert(json_is_true(at(doc, "targets.batch_ms.met")));
	is(doc, "targets.throughput_per_s.measured", 25);
	is(doc, "targets.throughput_per_s.under_backlog", 25);
	ck_assert(json_is_true(at(doc, "targets.throughput_per_s.met")));
	is(doc, "limit.used", 0.5);
	is(doc, "limit.exceeded", 4);
	is(doc, "workers.busy", 0.5);
	is(doc, "time.active", 1);
	is(doc, "capacity.jobs_per_s", 50);
	NULL_IS(doc, "capacity.bound_by");
	is(doc, "buffer.utilization", 0.1);
	is(doc, "buffer.peak", 0.8);
	TEXT_IS(doc, "buffer.state", "healthy");
	is(doc, "buffer.efficiency", 0.99);
	is(doc, "buffer.flushes.size.count", 40);
	TEXT_IS(doc, "buffer.flushes.size.last", "2023-11-14T22:13:20.000Z");
	NULL_IS(doc, "buffer.flushes.age.last");
	ck_assert_uint_eq(json_array_size(at(doc, "minutes")), 1);
	is(doc, "minutes.0.jobs_per_s", 25);
	is(doc, "minutes.0.buffer_peak", 0.8);
	TEXT_IS(doc, "minutes.0.at", "2023-11-14T22:14:20.000Z");
	json_decref(doc);
}
END_TEST

START_TEST(test_what_binds)
{
	shm_trend_push(q, MONO, 0);
	minute(300, 118, 50, 99); /* 5/s, both workers busy, 2.36 s a batch */
	json_t *doc = shm_report_json(shm);
	TEXT_IS(doc, "capacity.bound_by", "workers");
	is(doc, "capacity.jobs_per_s", 5 * 120 / 118.0);
	ck_assert(json_is_false(at(doc, "targets.batch_ms.met")));
	ck_assert(json_is_false(at(doc, "targets.throughput_per_s.met")));
	TEXT_IS(doc, "buffer.state", "full");
	json_decref(doc);
	atomic_store(&q->limit_interval_ns, 100 * NS_PER_MS);     /* 10/s configured, */
	atomic_store(&q->effective_interval_ns, 200 * NS_PER_MS); /* and 5/s in force */
	doc = shm_report_json(shm);
	TEXT_IS(doc, "capacity.bound_by", "limit");
	is(doc, "capacity.jobs_per_s", 5);
	is(doc, "limit.used", 0.5);
	is(doc, "limit.effective_per_s", 5);
	json_decref(doc);
}
END_TEST

START_TEST(test_trends)
{
	shm_trend_push(q, MONO, 0);
	for (int i = 0; i < 2; i++)
		minute(600, 30, 10, 0);
	json_t *doc = shm_report_json(shm);
	NULL_IS(doc, "trends");
	json_decref(doc);
	for (int i = 0; i < 2; i++)
		minute(1200, 31, 10, 0);
	atomic_store(&q->pending, 7);
	doc = shm_report_json(shm);
	is(doc, "trends.minutes", 2);
	is(doc, "trends.jobs_per_s.was", 10);
	is(doc, "trends.jobs_per_s.is", 20);
	TEXT_IS(doc, "trends.jobs_per_s.direction", "rising");
	TEXT_IS(doc, "trends.batch_ms.direction", "steady");
	TEXT_IS(doc, "trends.errors_per_min.direction", "steady");
	json_decref(doc);
	for (int i = 0; i < 100; i++)
		minute(60, 30, 10, 0);
	doc = shm_report_json(shm);
	is(doc, "trends.minutes", 10);
	ck_assert_uint_eq(json_array_size(at(doc, "minutes")), SHM_TRENDS - 2);
	is(doc, "span_s", 60.0 * (SHM_TRENDS - 2));
	is(doc, "targets.throughput_per_s.measured", 1);
	json_decref(doc);
}
END_TEST

START_TEST(test_decisions)
{
	for (uint32_t i = 0; i < 30; i++)
		shm_decision_push(q, &(struct decision){.at_mono_ns = MONO, .at_real_us = REAL + i * US_PER_S, .what = SHM_TUNED_batch_size,
			.reason = i % 2 == 0 ? TUNE_slow : TUNE_trim, .from = 20 + i, .to = 21 + i, .run_ns = i % 2 == 0 ? 1500 * NS_PER_MS : 0, .score = 0});
	json_t *doc = shm_report_json(shm);
	ck_assert_uint_eq(json_array_size(at(doc, "decisions")), 20);
	is(doc, "decisions.0.from", 49);
	TEXT_IS(doc, "decisions.0.reason", "trim");
	NULL_IS(doc, "decisions.0.batch_ms");
	TEXT_IS(doc, "decisions.1.what", "batch_size");
	TEXT_IS(doc, "decisions.1.unit", "jobs");
	TEXT_IS(doc, "decisions.1.text", "batches take longer than their target");
	is(doc, "decisions.1.batch_ms", 1500);
	TEXT_IS(doc, "decisions.19.at", "2023-11-14T22:13:30.000Z");
	json_decref(doc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm report");
	TCase *tc = tcase_create("document");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_nothing_yet);
	tcase_add_test(tc, test_use);
	tcase_add_test(tc, test_what_binds);
	tcase_add_test(tc, test_trends);
	tcase_add_test(tc, test_decisions);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

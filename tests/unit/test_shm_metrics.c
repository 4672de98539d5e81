/*
 * unit_shm_metrics: the metrics document against the keys that the interface promises and against what was counted; a reset hides
 * what was before and touches no counter; the ring of minutes keeps the last hour in order.
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/cell.h"
#include "shm/hist.h"
#include "shm/metrics.h"
#include "shm/trend.h"

#define MONO (1000 * NS_PER_S)
#define REAL (INT64_C(1700000000) * US_PER_S)

static struct shm *shm;

static void setup(void)
{
	char name[64], dir[64], err[512];

	(void)snprintf(dir, sizeof dir, "/tmp/unit-shm-metrics-%ld", (long)getpid());
	shm_seg_name(name, dir);
	shm = shm_seg_create(name, 4, 1, err, sizeof err);
	ck_assert_msg(shm != NULL, "%s", err);
	clock_set(MONO, MONO, REAL);
	atomic_store(&shm->global->start_real_us, REAL - 100 * US_PER_S);
}

static void teardown(void)
{
	clock_unset();
	shm_seg_unlink(shm);
	shm_seg_detach(shm);
}

static struct shm_queue *queue(uint32_t index, const char *name)
{
	struct shm_queue *q = shm_queue_at(shm, index);

	shm_cell_set(&q->name, name);
	atomic_store(&q->used, 1);
	return q;
}

static void count(struct shm_queue *q)
{
	atomic_store(&q->counters[COUNTER_batches], 7);
	atomic_store(&q->counters[COUNTER_completed], 100);
	atomic_store(&q->counters[COUNTER_failed], 3);
	atomic_store(&q->counters[COUNTER_retried], 20);
	atomic_store(&q->counters[COUNTER_held_total], 1);
	atomic_store(&q->counters[COUNTER_errors], 24);
	atomic_store(&q->counters[COUNTER_snoozed], 50);
	atomic_store(&q->counters[COUNTER_rate_exceeded], 9);
	atomic_store(&q->minute_milli, 1234);
	atomic_store(&q->flushes[SHM_FLUSH_size], 4);
	atomic_store(&q->flushes[SHM_FLUSH_urgent], 3);
	shm_hist_add(&q->batch_us, 1000);
	shm_hist_add(&q->batch_us, 2000);
	atomic_store(&q->batch_size, 25);
	atomic_store(&q->batch_min, 5);
	atomic_store(&q->batch_max, 50);
	atomic_store(&q->buffer_entries, 250);
	atomic_store(&q->buffer_max, 1000);
}

static double number(const json_t *doc, const char *queue_name, const char *a, const char *b, const char *c)
{
	const json_t *at = json_object_get(json_object_get(doc, queue_name), a);

	at = b != NULL ? json_object_get(at, b) : at;
	at = c != NULL ? json_object_get(at, c) : at;
	ck_assert_msg(json_is_number(at), "no %s.%s.%s.%s", queue_name, a, b != NULL ? b : "", c != NULL ? c : "");
	return json_number_value(at);
}

#define IS(doc, a, b, c, want) ck_assert_double_eq_tol(number(doc, "sms", a, b, c), want, 1e-9)

START_TEST(test_document)
{
	count(queue(0, "sms"));
	(void)queue(2, "email");
	json_t *doc = shm_metrics_json(shm, json_pack("{s:{}}", "a"));
	IS(doc, "batches", NULL, NULL, 7);
	IS(doc, "jobs", NULL, NULL, 124);
	IS(doc, "success", NULL, NULL, 100);
	IS(doc, "errors", NULL, NULL, 24);
	IS(doc, "avgProcessingTime", NULL, NULL, 1.5);
	IS(doc, "throughput", NULL, NULL, 1.234);
	IS(doc, "rateExceededCount", NULL, NULL, 9);
	IS(doc, "batch", "size", NULL, 25);
	IS(doc, "batch", "min", NULL, 5);
	IS(doc, "batch", "max", NULL, 50);
	IS(doc, "buffer", "entries", NULL, 250);
	IS(doc, "buffer", "max", NULL, 1000);
	IS(doc, "buffer", "utilization", NULL, 0.25);
	IS(doc, "buffer", "flushes", "size", 4);
	IS(doc, "buffer", "flushes", "urgent", 3);
	IS(doc, "buffer", "flushes", "shutdown", 0);
	ck_assert_uint_eq(json_object_size(json_object_get(json_object_get(json_object_get(doc, "sms"), "buffer"), "flushes")), 8);
	ck_assert_uint_eq(json_object_size(json_object_get(doc, "sms")), 9);
	ck_assert_double_eq(number(doc, "email", "avgProcessingTime", NULL, NULL), 0);
	ck_assert_double_eq(number(doc, "email", "buffer", "utilization", NULL), 0);
	ck_assert_uint_eq(json_object_size(doc), 5); /* two queues, workspaceRateLimits, since, timestamp */
	ck_assert_uint_eq(json_object_size(json_object_get(doc, "workspaceRateLimits")), 1);
	ck_assert_str_eq(json_string_value(json_object_get(doc, "since")), "2023-11-14T22:11:40.000Z");
	ck_assert_str_eq(json_string_value(json_object_get(doc, "timestamp")), "2023-11-14T22:13:20.000Z");
	json_decref(doc);
}
END_TEST

START_TEST(test_reset)
{
	struct shm_queue *sms = queue(0, "sms"), *email = queue(1, "email");

	count(sms);
	count(email);
	shm_metrics_reset(sms, REAL - US_PER_S);
	json_t *doc = shm_metrics_json(shm, NULL);
	static const char *const zero[] = {"batches", "jobs", "success", "errors", "avgProcessingTime", "rateExceededCount"};
	for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
		IS(doc, zero[i], NULL, NULL, 0);
	IS(doc, "buffer", "flushes", "size", 0);
	IS(doc, "buffer", "entries", NULL, 250);
	ck_assert_double_eq(number(doc, "email", "jobs", NULL, NULL), 124);
	ck_assert(json_is_null(json_object_get(doc, "workspaceRateLimits")));
	ck_assert_str_eq(json_string_value(json_object_get(doc, "since")), "2023-11-14T22:11:40.000Z"); /* email's */
	json_decref(doc);
	ck_assert_uint_eq(atomic_load(&sms->counters[COUNTER_completed]), 100);

	atomic_fetch_add(&sms->counters[COUNTER_completed], 5);
	atomic_fetch_add(&sms->flushes[SHM_FLUSH_size], 1);
	shm_hist_add(&sms->batch_us, 4000);
	shm_metrics_reset(email, REAL);
	doc = shm_metrics_json(shm, NULL);
	IS(doc, "jobs", NULL, NULL, 5);
	IS(doc, "avgProcessingTime", NULL, NULL, 4);
	IS(doc, "buffer", "flushes", "size", 1);
	ck_assert_str_eq(json_string_value(json_object_get(doc, "since")), "2023-11-14T22:13:19.000Z");
	json_decref(doc);
}
END_TEST

START_TEST(test_own_keys_win)
{
	count(queue(0, "since"));
	count(queue(1, "timestamp"));
	json_t *doc = shm_metrics_json(shm, NULL);
	ck_assert(json_is_string(json_object_get(doc, "since")) && json_is_string(json_object_get(doc, "timestamp")));
	json_decref(doc);
}
END_TEST

START_TEST(test_no_queue)
{
	json_t *doc = shm_metrics_json(shm, NULL);

	ck_assert_uint_eq(json_object_size(doc), 3);
	json_decref(doc);
}
END_TEST

START_TEST(test_minutes)
{
	struct shm_queue *q = queue(0, "sms");
	struct trend t[SHM_TRENDS];

	ck_assert_uint_eq(shm_trend_read(q, t, SHM_TRENDS), 0);
	ck_assert_int_lt(shm_trend_last_ns(q), -NS_PER_S);
	count(q);
	for (uint32_t i = 0; i < 200; i++) {
		atomic_store(&q->counters[COUNTER_completed], 10 * (uint64_t)i);
		shm_trend_push(q, MONO + i * NS_PER_S, i);
		ck_assert_int_eq(shm_trend_last_ns(q), MONO + i * NS_PER_S);
		size_t n = shm_trend_read(q, t, SHM_TRENDS);
		ck_assert_uint_eq(n, i + 1 < SHM_TRENDS - 1 ? i + 1 : SHM_TRENDS - 1);
		for (size_t j = 0; j < n; j++) {
			uint32_t is = i + 1 - (uint32_t)n + (uint32_t)j;
			ck_assert_uint_eq(t[j].completed, 10 * (uint64_t)is);
			ck_assert_int_eq(t[j].at_mono_ns, MONO + is * NS_PER_S);
			ck_assert_uint_eq(t[j].buffer_peak, is);
		}
	}
	ck_assert_uint_eq(t[0].errors, 24);
	ck_assert_uint_eq(t[0].exceeded, 9);
	ck_assert_uint_eq(t[0].batches, 2);
	ck_assert_uint_eq(t[0].busy_us, 3000);
	ck_assert_uint_eq(shm_trend_read(q, t, 3), 3);
	ck_assert_uint_eq(t[2].completed, 1990);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm metrics");
	TCase *tc = tcase_create("document");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_document);
	tcase_add_test(tc, test_reset);
	tcase_add_test(tc, test_own_keys_win);
	tcase_add_test(tc, test_no_queue);
	tcase_add_test(tc, test_minutes);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

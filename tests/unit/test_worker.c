/*
 * tests/unit/test_worker.c: what a worker promises its dispatcher (src/worker/), shown by a real worker process.
 *
 * The test is the dispatcher: it hands out batches, reads outcomes, goes away, comes back. Nothing here waits for a time to
 * pass, only for conditions.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "shm/ring.h"
#include "worker_bed.h"

static struct bed b;
static struct bed_outcome out[2048];
static const int64_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
#define LONG "{\"sleep\":\"1h\"}"

static bool nothing_held(const struct bed *bed)
{
	return bed_held(bed) == 0;
}

static bool one_begun(const struct bed *bed)
{
	return atomic_load(&bed->slot->held[0].state) == HELD_BEGUN;
}

static bool one_held(const struct bed *bed)
{
	return bed_held(bed) == 1;
}

START_TEST(batch_to_acknowledgement)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{}"}, {3, "{}"}};
	struct sample s;
	uint64_t cursor = 0;

	bed_run(&b, "null");
	bed_batch(&b, 77, jobs, 3, 0);
	bed_outcomes(&b, out, 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(out[i].id, i + 1);
		ck_assert_int_eq(out[i].kind, OUTCOME_DONE);
		ck_assert_int_gt(out[i].begun_ns, 0);
		ck_assert_int_ge(out[i].ended_ns, out[i].begun_ns);
		ck_assert_uint_eq(atomic_load(&b.slot->held[i].state), HELD_ENDED);
	}
	ck_assert_uint_eq(atomic_load(&b.slot->worked), 1);
	ck_assert_uint_eq(atomic_load(&b.slot->state), PROC_READY);
	ck_assert(shm_ring_next(b.slot, &cursor, &s));
	ck_assert_uint_eq(s.batch_id, 77);
	ck_assert_uint_eq(s.jobs, 3);
	ck_assert_uint_eq(s.done, 3);
	bed_refs(&b, FRAME_ACK, ids, 3);
	bed_until(nothing_held, &b);
	bed_stop(&b);
}
END_TEST

START_TEST(outcomes_are_kept_for_the_next_dispatcher)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{\"outcome\":\"retry\",\"after\":\"5s\",\"error\":\"no luck\"}"}};

	bed_run(&b, "sleep");
	bed_batch(&b, 1, jobs, 2, 0);
	bed_outcomes(&b, out, 2);
	bed_refs(&b, FRAME_ACK, ids, 1);
	bed_until(one_held, &b);
	bed_hang_up(&b);
	atomic_store(&b.shm->global->dispatcher_generation, ++b.generation);
	bed_accept(&b);
	bed_outcomes(&b, out, 1); /* the one that nobody acknowledged */
	ck_assert_int_eq(out[0].id, 2);
	ck_assert_int_eq(out[0].kind, OUTCOME_RETRY);
	ck_assert_int_eq(out[0].after_ns, 5 * NS_PER_S);
	ck_assert_str_eq(out[0].error, "no luck");
	ck_assert_uint_eq(bed_held(&b), 1);
	bed_refs(&b, FRAME_ACK, ids + 1, 1);
	bed_until(nothing_held, &b);
	bed_stop(&b);
}
END_TEST

START_TEST(work_goes_on_without_a_dispatcher)
{
	static const struct bed_job jobs[] = {{1, "{\"ms\":50}"}, {2, LONG}};

	bed_run(&b, "sleep");
	bed_batch(&b, 1, jobs, 2, 0);
	bed_until(one_begun, &b);
	bed_hang_up(&b);
	atomic_store(&b.shm->global->dispatcher_generation, ++b.generation);
	bed_accept(&b);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].id, 1);
	bed_refs(&b, FRAME_CANCEL, ids + 1, 1); /* the new one can stop what the old one handed out */
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].id, 2);
	ck_assert_int_eq(out[0].kind, OUTCOME_CANCELLED);
	bed_refs(&b, FRAME_ACK, ids, 2);
	bed_stop(&b);
}
END_TEST

START_TEST(frames_of_the_dead_are_dropped)
{
	static const struct bed_job old[] = {{1, "{}"}}, new[] = {{2, "{}"}};

	bed_run(&b, "null");
	b.generation--;
	bed_batch(&b, 1, old, 1, 0);
	b.generation++;
	bed_batch(&b, 2, new, 1, 0);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].id, 2);
	ck_assert_uint_eq(bed_held(&b), 1);
	atomic_store(&b.shm->global->dispatcher_generation, b.generation + 1); /* now this one is dead too */
	bed_batch(&b, 3, old, 1, 0);
	bed_hang_up(&b);
	b.generation++;
	bed_accept(&b);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].id, 2);
	bed_refs(&b, FRAME_ACK, ids + 1, 1);
	bed_until(nothing_held, &b);
	bed_stop(&b);
}
END_TEST

START_TEST(a_bad_payload_fails_alone)
{
	static const struct bed_job jobs[] = {{1, "{\"sleep\":\"soon\"}"}, {2, "[]"}, {3, "{\"result\":{\"n\":[1]}}"}};

	bed_run(&b, "sleep");
	bed_batch(&b, 1, jobs, 3, 0);
	bed_outcomes(&b, out, 3);
	ck_assert_int_eq(bed_of(out, 3, 1)->kind, OUTCOME_FAIL);
	ck_assert_ptr_nonnull(strstr(bed_of(out, 3, 1)->error, "not a duration"));
	ck_assert_int_eq(bed_of(out, 3, 2)->kind, OUTCOME_FAIL);
	ck_assert_int_eq(bed_of(out, 3, 3)->kind, OUTCOME_DONE);
	ck_assert_str_eq(bed_of(out, 3, 3)->result, "{\"n\":[1]}");
	bed_refs(&b, FRAME_ACK, ids, 3);
	bed_stop(&b);
}
END_TEST

START_TEST(errors_and_results_are_bounded)
{
	char *big = malloc(600000), *payload = malloc(600100);

	memset(big, 'x', 599999);
	big[599999] = '\0';
	ck_assert_int_gt(snprintf(payload, 600100, "{\"result\":\"%s\"}", big), 0);
	big[9999] = '\0';
	struct bed_job jobs[] = {{1, payload}, {2, NULL}};
	char *error = malloc(20100);
	ck_assert_int_gt(snprintf(error, 20100, "{\"outcome\":\"fail\",\"error\":\"%s\"}", big), 0);
	jobs[1].payload = error;
	bed_run(&b, "sleep");
	bed_batch(&b, 1, jobs, 2, 0);
	bed_outcomes(&b, out, 2);
	ck_assert_int_eq(bed_of(out, 2, 1)->kind, OUTCOME_DONE);
	ck_assert_uint_eq(bed_of(out, 2, 1)->result_len, 0);
	ck_assert_ptr_nonnull(strstr(bed_of(out, 2, 1)->error, "256 kB"));
	ck_assert_uint_le(bed_of(out, 2, 2)->error_len, 4096);
	ck_assert_uint_gt(bed_of(out, 2, 2)->error_len, 4000);
	bed_refs(&b, FRAME_ACK, ids, 2);
	bed_stop(&b);
	free(big);
	free(payload);
	free(error);
}
END_TEST

START_TEST(more_than_a_slot_can_hold_goes_back)
{
	static struct bed_job jobs[SHM_HELD + 76];
	static int64_t all[SHM_HELD + 76];
	uint32_t n = SHM_HELD + 76, unstarted = 0;

	for (uint32_t i = 0; i < n; i++)
		jobs[i] = (struct bed_job){all[i] = i + 1, "{}"};
	bed_run(&b, "null");
	bed_batch(&b, 1, jobs, n, 0);
	bed_outcomes(&b, out, n);
	for (uint32_t i = 0; i < n; i++)
		unstarted += out[i].kind == OUTCOME_UNSTARTED;
	ck_assert_uint_eq(unstarted, 76);
	ck_assert_uint_eq(bed_held(&b), SHM_HELD);
	bed_refs(&b, FRAME_ACK, all, n);
	bed_until(nothing_held, &b);
	bed_stop(&b);
}
END_TEST

START_TEST(a_suspect_runs_alone)
{
	static const struct bed_job one[] = {{1, "{\"ms\":30}"}}, two[] = {{2, "{\"ms\":30}"}}, three[] = {{3, "{\"ms\":30}"}};

	bed_open(&b, "sleep");
	b.q.k.concurrency = 3;
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, one, 1, 0);
	bed_batch(&b, 2, two, 1, WIRE_BATCH_ALONE);
	bed_batch(&b, 3, three, 1, 0);
	bed_outcomes(&b, out, 3);
	ck_assert_int_ge(bed_of(out, 3, 2)->begun_ns, bed_of(out, 3, 1)->ended_ns);
	ck_assert_int_ge(bed_of(out, 3, 3)->begun_ns, bed_of(out, 3, 2)->ended_ns);
	bed_refs(&b, FRAME_ACK, ids, 3);
	bed_stop(&b);
}
END_TEST

START_TEST(a_full_memory_holds_jobs_until_it_is_heard)
{
	static const struct bed_job first[] = {{1, "{\"result\":\"0123456789\"}"}}, second[] = {{2, "{}"}};

	bed_open(&b, "sleep");
	b.conf.jobqd.outcome_memory = 1; /* one outcome is too much already */
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, first, 1, 0);
	bed_outcomes(&b, out, 1);
	bed_batch(&b, 2, second, 1, 0);
	bed_refs(&b, FRAME_CANCEL, ids + 1, 1); /* it stands at the door, so it can be cancelled unbegun */
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_CANCELLED);
	bed_refs(&b, FRAME_ACK, ids, 2);
	bed_batch(&b, 3, second, 1, 0);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_DONE);
	bed_refs(&b, FRAME_ACK, ids, 2);
	bed_stop(&b);
}
END_TEST

START_TEST(a_broken_frame_ends_the_connection_alone)
{
	static const struct bed_job jobs[] = {{1, "{}"}};
	struct buf junk = {0};

	bed_run(&b, "null");
	bed_batch(&b, 1, jobs, 1, 0);
	bed_outcomes(&b, out, 1);
	buf_puts(&junk, "this is no batch");
	bed_send(&b, FRAME_BATCH, b.generation, &junk);
	bed_hang_up(&b);
	bed_accept(&b);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].id, 1);
	bed_refs(&b, FRAME_ACK, ids, 1);
	buf_free(&junk);
	bed_stop(&b);
}
END_TEST

START_TEST(progress_is_reported)
{
	static const struct bed_job jobs[] = {{1, "{\"ms\":30,\"progress\":[25.5,{\"percent\":400,\"note\":\"page 4\"}]}"}};
	struct msg_progress p;

	bed_run(&b, "sleep");
	bed_batch(&b, 1, jobs, 1, 0);
	struct rd body = bed_frame(&b, FRAME_PROGRESS);
	ck_assert(msg_get_progress(&body, &p));
	ck_assert_uint_eq(p.percent_milli, 25500);
	body = bed_frame(&b, FRAME_PROGRESS);
	ck_assert(msg_get_progress(&body, &p));
	ck_assert_uint_eq(p.percent_milli, 100000);
	ck_assert_uint_eq(p.note.len, 6);
	ck_assert_mem_eq(p.note.text, "page 4", 6);
	bed_outcomes(&b, out, 1);
	bed_refs(&b, FRAME_ACK, ids, 1);
	bed_stop(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tc = tcase_create("process");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(tc, batch_to_acknowledgement);
	tcase_add_test(tc, outcomes_are_kept_for_the_next_dispatcher);
	tcase_add_test(tc, work_goes_on_without_a_dispatcher);
	tcase_add_test(tc, frames_of_the_dead_are_dropped);
	tcase_add_test(tc, a_bad_payload_fails_alone);
	tcase_add_test(tc, errors_and_results_are_bounded);
	tcase_add_test(tc, more_than_a_slot_can_hold_goes_back);
	tcase_add_test(tc, a_suspect_runs_alone);
	tcase_add_test(tc, a_full_memory_holds_jobs_until_it_is_heard);
	tcase_add_test(tc, a_broken_frame_ends_the_connection_alone);
	tcase_add_test(tc, progress_is_reported);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

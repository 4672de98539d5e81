/*
 * tests/unit/test_worker.c: what a worker promises its dispatcher (src/worker/), shown by a real worker process.
 *
 * The test is the dispatcher: it hands out batches, reads outcomes, goes away, comes back. Nothing here waits for a time to
 * pass; begin marks are compared where a rate limit is to be seen.
 */
#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "jobq/exit.h"
#include "shm/limit.h"
#include "shm/ring.h"
#include "worker_bed.h"

static struct bed b;
static struct bed_outcome out[2048];
static const int64_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
#define LONG "{\"sleep\":\"1h\"}"

static void start(const char *handler)
{
	bed_open(&b, handler);
	bed_start(&b);
	bed_accept(&b);
}

static void stop(void)
{
	ck_assert_int_eq(kill(b.pid, SIGTERM), 0);
	(void)bed_frame(&b, FRAME_DRAIN);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);
	bed_close(&b);
}

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

/* The outcome of that id. */
static const struct bed_outcome *of(int64_t id, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (out[i].id == id)
			return &out[i];
	ck_abort_msg("no outcome of job %lld", (long long)id);
	return NULL;
}

START_TEST(batch_to_acknowledgement)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{}"}, {3, "{}"}};
	struct sample s;
	uint64_t cursor = 0;

	start("null");
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
	stop();
}
END_TEST

START_TEST(outcomes_are_kept_for_the_next_dispatcher)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{\"outcome\":\"retry\",\"after\":\"5s\",\"error\":\"no luck\"}"}};

	start("sleep");
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
	stop();
}
END_TEST

START_TEST(work_goes_on_without_a_dispatcher)
{
	static const struct bed_job jobs[] = {{1, "{\"ms\":50}"}, {2, LONG}};

	start("sleep");
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
	stop();
}
END_TEST

START_TEST(frames_of_the_dead_are_dropped)
{
	static const struct bed_job old[] = {{1, "{}"}}, new[] = {{2, "{}"}};

	start("null");
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
	stop();
}
END_TEST

START_TEST(nothing_begins_on_a_short_lease)
{
	static const struct bed_job jobs[] = {{1, "{}"}};

	bed_open(&b, "null");
	atomic_store(&b.shm->global->lease_deadline_boot_ns, clock_boot_ns() + 9 * NS_PER_S); /* of 30 s: under a third */
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 1, 0);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_UNSTARTED);
	ck_assert_int_eq(out[0].begun_ns, 0);
	bed_refs(&b, FRAME_ACK, ids, 1);
	stop();
}
END_TEST

static bool lease_came(const struct bed *bed)
{
	static int looks;

	if (bed_held(bed) == 1 && ++looks == 20)
		atomic_store(&bed->shm->global->lease_deadline_boot_ns, clock_boot_ns() + 30 * NS_PER_S);
	return atomic_load(&bed->slot->worked) == 1;
}

START_TEST(a_lease_that_comes_late_is_waited_for)
{
	static const struct bed_job jobs[] = {{1, "{}"}};

	bed_open(&b, "null");
	atomic_store(&b.shm->global->lease_deadline_boot_ns, 0);
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 1, 0);
	bed_until(lease_came, &b);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_DONE);
	bed_refs(&b, FRAME_ACK, ids, 1);
	stop();
}
END_TEST

START_TEST(the_rate_limit_holds)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{}"}, {3, "{}"}, {4, "{}"}};

	bed_open(&b, "null");
	shm_limit_set(&b.queue->limit, (struct rate){50, NS_PER_S}, 1);
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 4, 0);
	bed_outcomes(&b, out, 4);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(out[i].id, i + 1);
		ck_assert(i == 0 || out[i].begun_ns - out[i - 1].begun_ns >= 20 * NS_PER_MS);
	}
	bed_refs(&b, FRAME_ACK, ids, 4);
	stop();
}
END_TEST

START_TEST(a_closed_gate_gives_jobs_back)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{}"}};

	bed_open(&b, "null");
	atomic_store(&b.queue->gate_closed, 1);
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 2, 0);
	bed_outcomes(&b, out, 2);
	ck_assert_int_eq(of(1, 2)->kind, OUTCOME_UNSTARTED);
	ck_assert_int_eq(of(2, 2)->kind, OUTCOME_UNSTARTED);
	bed_refs(&b, FRAME_ACK, ids, 2);
	stop();
}
END_TEST

START_TEST(cancel_reaches_every_state)
{
	static const struct bed_job first[] = {{1, LONG}, {2, "{}"}}, second[] = {{3, "{}"}};

	bed_open(&b, "sleep");
	shm_limit_set(&b.queue->limit, (struct rate){1, 3600 * NS_PER_S}, 1); /* 1 begins, 2 waits at the door, 3 in its batch */
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, first, 2, 0);
	bed_batch(&b, 2, second, 1, 0);
	bed_until(one_begun, &b);
	bed_refs(&b, FRAME_CANCEL, ids, 4); /* and one that nobody knows */
	bed_outcomes(&b, out, 3);
	for (int64_t id = 1; id <= 3; id++)
		ck_assert_int_eq(of(id, 3)->kind, OUTCOME_CANCELLED);
	ck_assert_int_gt(of(1, 3)->begun_ns, 0);
	ck_assert_int_eq(of(2, 3)->begun_ns, 0);
	bed_refs(&b, FRAME_ACK, ids, 3);
	stop();
}
END_TEST

START_TEST(job_timeout_stops_one_job)
{
	static const struct bed_job jobs[] = {{1, LONG}, {2, "{\"ms\":1}"}};

	bed_open(&b, "sleep");
	b.q.k.job_timeout = 100 * NS_PER_MS;
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 2, 0);
	bed_outcomes(&b, out, 2);
	ck_assert_int_eq(of(2, 2)->kind, OUTCOME_DONE);
	ck_assert_int_eq(of(1, 2)->kind, OUTCOME_RETRY);
	ck_assert_ptr_nonnull(strstr(of(1, 2)->error, "ran over its time"));
	ck_assert_int_ge(of(1, 2)->ended_ns - of(1, 2)->begun_ns, 100 * NS_PER_MS);
	bed_refs(&b, FRAME_ACK, ids, 2);
	stop();
}
END_TEST

START_TEST(a_bad_payload_fails_alone)
{
	static const struct bed_job jobs[] = {{1, "{\"sleep\":\"soon\"}"}, {2, "[]"}, {3, "{\"result\":{\"n\":[1]}}"}};

	start("sleep");
	bed_batch(&b, 1, jobs, 3, 0);
	bed_outcomes(&b, out, 3);
	ck_assert_int_eq(of(1, 3)->kind, OUTCOME_FAIL);
	ck_assert_ptr_nonnull(strstr(of(1, 3)->error, "not a duration"));
	ck_assert_int_eq(of(2, 3)->kind, OUTCOME_FAIL);
	ck_assert_int_eq(of(3, 3)->kind, OUTCOME_DONE);
	ck_assert_str_eq(of(3, 3)->result, "{\"n\":[1]}");
	bed_refs(&b, FRAME_ACK, ids, 3);
	stop();
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
	start("sleep");
	bed_batch(&b, 1, jobs, 2, 0);
	bed_outcomes(&b, out, 2);
	ck_assert_int_eq(of(1, 2)->kind, OUTCOME_DONE);
	ck_assert_uint_eq(of(1, 2)->result_len, 0);
	ck_assert_ptr_nonnull(strstr(of(1, 2)->error, "256 kB"));
	ck_assert_uint_le(of(2, 2)->error_len, 4096);
	ck_assert_uint_gt(of(2, 2)->error_len, 4000);
	bed_refs(&b, FRAME_ACK, ids, 2);
	stop();
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
	start("null");
	bed_batch(&b, 1, jobs, n, 0);
	bed_outcomes(&b, out, n);
	for (uint32_t i = 0; i < n; i++)
		unstarted += out[i].kind == OUTCOME_UNSTARTED;
	ck_assert_uint_eq(unstarted, 76);
	ck_assert_uint_eq(bed_held(&b), SHM_HELD);
	bed_refs(&b, FRAME_ACK, all, n);
	bed_until(nothing_held, &b);
	stop();
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
	ck_assert_int_ge(of(2, 3)->begun_ns, of(1, 3)->ended_ns);
	ck_assert_int_ge(of(3, 3)->begun_ns, of(2, 3)->ended_ns);
	bed_refs(&b, FRAME_ACK, ids, 3);
	stop();
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
	stop();
}
END_TEST

START_TEST(a_broken_frame_ends_the_connection_alone)
{
	static const struct bed_job jobs[] = {{1, "{}"}};
	struct buf junk = {0};

	start("null");
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
	stop();
}
END_TEST

START_TEST(sigterm_drains)
{
	static const struct bed_job jobs[] = {{1, "{\"ms\":200}"}, {2, "{}"}}, waiting[] = {{3, "{}"}};

	bed_open(&b, "sleep");
	shm_limit_set(&b.queue->limit, (struct rate){1, 3600 * NS_PER_S}, 1);
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 2, 0);
	bed_batch(&b, 2, waiting, 1, 0);
	bed_until(one_begun, &b);
	ck_assert_int_eq(kill(b.pid, SIGTERM), 0);
	(void)bed_frame(&b, FRAME_DRAIN);
	bed_outcomes(&b, out, 3);
	ck_assert_int_eq(of(1, 3)->kind, OUTCOME_DONE);
	ck_assert_int_eq(of(2, 3)->kind, OUTCOME_UNSTARTED);
	ck_assert_int_eq(of(3, 3)->kind, OUTCOME_UNSTARTED);
	ck_assert_uint_eq(atomic_load(&b.slot->state), PROC_DRAINING);
	bed_batch(&b, 4, waiting, 1, 0); /* it crossed our DRAIN: the same job is known, and not taken twice */
	bed_refs(&b, FRAME_ACK, ids, 3);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);
	ck_assert_uint_eq(bed_held(&b), 0);
	bed_close(&b);
}
END_TEST

START_TEST(a_drain_has_an_end)
{
	static const struct bed_job jobs[] = {{1, LONG}};

	bed_open(&b, "sleep");
	b.conf.jobqd.shutdown_timeout = 200 * NS_PER_MS;
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 1, 0);
	bed_until(one_begun, &b);
	ck_assert_int_eq(kill(b.pid, SIGTERM), 0);
	(void)bed_frame(&b, FRAME_DRAIN);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_SNOOZE); /* the shutdown burns no try */
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);  /* without the acknowledgement */
	ck_assert_uint_eq(bed_held(&b), 1);
	bed_close(&b);
}
END_TEST

START_TEST(an_orphan_leaves)
{
	static const struct bed_job jobs[] = {{1, LONG}};

	start("sleep");
	bed_batch(&b, 1, jobs, 1, 0);
	bed_until(one_begun, &b);
	close(b.lifeline[1]);
	b.lifeline[1] = -1;
	(void)bed_frame(&b, FRAME_DRAIN);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_SNOOZE);
	bed_refs(&b, FRAME_ACK, ids, 1);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);
	bed_close(&b);
}
END_TEST

START_TEST(sigquit_interrupts_a_hung_call)
{
	static const struct bed_job jobs[] = {{1, "{\"block\":true}"}};

	start("sleep");
	bed_batch(&b, 1, jobs, 1, 0);
	bed_until(one_begun, &b);
	ck_assert_int_eq(kill(b.pid, SIGQUIT), 0);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);
	ck_assert_uint_eq(bed_held(&b), 1);
	bed_close(&b);
}
END_TEST

START_TEST(a_worker_is_recycled)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{}"}, {3, "{}"}};

	bed_open(&b, "null");
	b.q.k.max_jobs_per_worker = 2;
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 3, 0);
	(void)bed_frame(&b, FRAME_DRAIN);
	bed_outcomes(&b, out, 3);
	ck_assert_int_eq(of(2, 3)->kind, OUTCOME_DONE);
	ck_assert_int_eq(of(3, 3)->kind, OUTCOME_UNSTARTED);
	bed_refs(&b, FRAME_ACK, ids, 3);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);
	bed_close(&b);
}
END_TEST

START_TEST(a_handler_that_cannot_start_says_so)
{
	bed_open(&b, "sms"); /* without a gateway */
	bed_start(&b);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_CONFIG);
	bed_close(&b);
	bed_open(&b, "nosuch");
	bed_start(&b);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_CONFIG);
	bed_close(&b);
}
END_TEST

START_TEST(progress_is_reported)
{
	static const struct bed_job jobs[] = {{1, "{\"ms\":30,\"progress\":[25.5,{\"percent\":400,\"note\":\"page 4\"}]}"}};
	struct msg_progress p;

	start("sleep");
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
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tc = tcase_create("process");
	SRunner *runner = srunner_create(suite);

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, batch_to_acknowledgement);
	tcase_add_test(tc, outcomes_are_kept_for_the_next_dispatcher);
	tcase_add_test(tc, work_goes_on_without_a_dispatcher);
	tcase_add_test(tc, frames_of_the_dead_are_dropped);
	tcase_add_test(tc, nothing_begins_on_a_short_lease);
	tcase_add_test(tc, a_lease_that_comes_late_is_waited_for);
	tcase_add_test(tc, the_rate_limit_holds);
	tcase_add_test(tc, a_closed_gate_gives_jobs_back);
	tcase_add_test(tc, cancel_reaches_every_state);
	tcase_add_test(tc, job_timeout_stops_one_job);
	tcase_add_test(tc, a_bad_payload_fails_alone);
	tcase_add_test(tc, errors_and_results_are_bounded);
	tcase_add_test(tc, more_than_a_slot_can_hold_goes_back);
	tcase_add_test(tc, a_suspect_runs_alone);
	tcase_add_test(tc, a_full_memory_holds_jobs_until_it_is_heard);
	tcase_add_test(tc, a_broken_frame_ends_the_connection_alone);
	tcase_add_test(tc, progress_is_reported);
	tcase_add_test(tc, a_handler_that_cannot_start_says_so);
	tcase_add_test(tc, sigterm_drains);
	tcase_add_test(tc, a_drain_has_an_end);
	tcase_add_test(tc, an_orphan_leaves);
	tcase_add_test(tc, sigquit_interrupts_a_hung_call);
	tcase_add_test(tc, a_worker_is_recycled);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

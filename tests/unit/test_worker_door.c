/*
 * tests/unit/test_worker_door.c: when a worker lets a job begin, when it stops one, and how it comes to its own end.
 *
 * A real worker process, and the test in the dispatcher's place. Nothing here waits for a time to pass, only for conditions;
 * begin marks are compared where a rate limit is to be seen.
 */
#include "config.h"

#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "jobq/exit.h"
#include "shm/limit.h"
#include "worker_bed.h"

static struct bed b;
static struct bed_outcome out[16];
static const int64_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
#define LONG "{\"sleep\":\"1h\"}"
#define SMS "{\"to\":\"+358401234567\",\"text\":\"hei\"}"

static bool one_begun(const struct bed *bed)
{
	return atomic_load(&bed->slot->held[0].state) == HELD_BEGUN;
}

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
	bed_stop(&b);
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
	bed_stop(&b);
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
	bed_stop(&b);
}
END_TEST

/* 1 and 3 are of a tenant with one token an hour, 2 and 4 of nobody: 3 waits, 4 passes it. */
START_TEST(a_tenants_limit_lets_others_pass)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{}"}, {3, "{}"}, {4, "{}"}};
	struct msg_begun begun;
	uint32_t n;

	bed_open(&b, "null");
	b.limited[0] = 7;
	b.limited[1] = 8;
	shm_limit_set(&b.shm->global->words[7].limit, (struct rate){1, 3600 * NS_PER_S}, 1);
	shm_limit_set(&b.shm->global->words[8].limit, (struct rate){1000, NS_PER_S}, 10);
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 4, 0);
	struct rd r = bed_frame(&b, FRAME_BEGUN);
	ck_assert(msg_get_count(&r, &n) && n == 1 && msg_get_begun(&r, &begun) && begun.id == 1 && begun.token == 1001 && begun.units == 1);
	bed_outcomes(&b, out, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_ne(out[i].id, 3);
	ck_assert_int_gt(shm_limit_wait(&b.shm->global->words[7].limit, clock_mono_ns()), 0);
	ck_assert_int_eq(shm_limit_take(&b.shm->global->words[8].limit, 9, clock_mono_ns()), 0); /* the job that waits has taken nothing */
	bed_refs(&b, FRAME_ACK, (const int64_t[]){1, 2, 4}, 3);
	shm_limit_set(&b.shm->global->words[7].limit, (struct rate){0, 0}, 1); /* the limit is lifted */
	(void)bed_frame(&b, FRAME_BEGUN);
	bed_outcomes(&b, out, 1);
	ck_assert(out[0].id == 3 && out[0].kind == OUTCOME_DONE);
	bed_refs(&b, FRAME_ACK, (const int64_t[]){3}, 1);
	bed_stop(&b);
}
END_TEST

START_TEST(a_closed_gate_gives_jobs_back)
{
	static const struct bed_job jobs[] = {{1, "{}"}, {2, "{}"}};

	bed_open(&b, "null");
	atomic_store(&b.queue->gate_state, 1);
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 2, 0);
	bed_outcomes(&b, out, 2);
	ck_assert_int_eq(bed_of(out, 2, 1)->kind, OUTCOME_UNSTARTED);
	ck_assert_int_eq(bed_of(out, 2, 2)->kind, OUTCOME_UNSTARTED);
	bed_refs(&b, FRAME_ACK, ids, 2);
	bed_stop(&b);
}
END_TEST

START_TEST(nothing_begins_after_its_deadline)
{
	static const struct bed_job jobs[] = {{1, "{}"}};

	bed_open(&b, "null");
	atomic_store(&b.shm->global->database_offset_us, -3600 * US_PER_S); /* the database's clock is an hour behind */
	bed_start(&b);
	bed_accept(&b);
	b.deadline_us = clock_real_us() - 3601 * US_PER_S;
	bed_batch(&b, 1, jobs, 1, 0);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_FAIL);
	ck_assert_str_eq(out[0].error, "deadline passed");
	bed_refs(&b, FRAME_ACK, ids, 1);
	b.deadline_us = clock_real_us() - 1800 * US_PER_S;
	bed_batch(&b, 2, jobs, 1, 0);
	bed_outcomes(&b, out, 1);
	ck_assert_int_eq(out[0].kind, OUTCOME_DONE);
	bed_refs(&b, FRAME_ACK, ids, 1);
	bed_stop(&b);
}
END_TEST

static unsigned begun(const struct bed *bed)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < SHM_HELD; i++)
		n += atomic_load(&bed->slot->held[i].state) == HELD_BEGUN;
	return n;
}

static bool two_begun(const struct bed *bed)
{
	return begun(bed) == 2;
}

START_TEST(as_many_begin_as_have_a_connection)
{
	static const struct bed_job jobs[] = {{1, SMS}, {2, SMS}, {3, SMS}, {4, SMS}};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	char url[64];
	int gateway = socket(AF_INET, SOCK_STREAM, 0); /* takes connections, and never answers */

	ck_assert_int_eq(bind(gateway, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(gateway, 8), 0);
	ck_assert_int_eq(getsockname(gateway, (struct sockaddr *)&at, &len), 0);
	ck_assert_int_gt(snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(at.sin_port)), 0);
	bed_open(&b, "sms");
	b.q.k.gateway_url = url;
	b.q.k.gateway_user = "u";
	b.q.k.max_connections = 2;
	b.conf.jobqd.shutdown_timeout = 100 * NS_PER_MS;
	shm_limit_set(&b.queue->limit, (struct rate){3, 3600 * NS_PER_S}, 3);
	bed_start(&b);
	bed_accept(&b);
	bed_batch(&b, 1, jobs, 4, 0);
	bed_until(two_begun, &b);
	bed_refs(&b, FRAME_CANCEL, ids + 2, 2);
	bed_outcomes(&b, out, 2);
	for (int64_t id = 3; id <= 4; id++) {
		ck_assert_int_eq(bed_of(out, 2, id)->kind, OUTCOME_CANCELLED);
		ck_assert_int_eq(bed_of(out, 2, id)->begun_ns, 0);
	}
	ck_assert_int_eq(shm_limit_take(&b.queue->limit, 1, clock_mono_ns()), 0); /* the third token is still there */
	ck_assert_int_eq(kill(b.pid, SIGTERM), 0);
	(void)bed_frame(&b, FRAME_DRAIN);
	bed_outcomes(&b, out, 2);
	ck_assert_int_eq(out[0].kind, OUTCOME_UNCERTAIN); /* a shutdown does not make it known */
	ck_assert_int_eq(out[1].kind, OUTCOME_UNCERTAIN);
	bed_refs(&b, FRAME_ACK, ids, 4);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);
	bed_close(&b);
	close(gateway);
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
		ck_assert_int_eq(bed_of(out, 3, id)->kind, OUTCOME_CANCELLED);
	ck_assert_int_gt(bed_of(out, 3, 1)->begun_ns, 0);
	ck_assert_int_eq(bed_of(out, 3, 2)->begun_ns, 0);
	bed_refs(&b, FRAME_ACK, ids, 3);
	bed_stop(&b);
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
	ck_assert_int_eq(bed_of(out, 2, 2)->kind, OUTCOME_DONE);
	ck_assert_int_eq(bed_of(out, 2, 1)->kind, OUTCOME_RETRY);
	ck_assert_ptr_nonnull(strstr(bed_of(out, 2, 1)->error, "ran over its time"));
	ck_assert_int_ge(bed_of(out, 2, 1)->ended_ns - bed_of(out, 2, 1)->begun_ns, 100 * NS_PER_MS);
	bed_refs(&b, FRAME_ACK, ids, 2);
	bed_stop(&b);
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
	ck_assert_int_eq(bed_of(out, 3, 1)->kind, OUTCOME_DONE);
	ck_assert_int_eq(bed_of(out, 3, 2)->kind, OUTCOME_UNSTARTED);
	ck_assert_int_eq(bed_of(out, 3, 3)->kind, OUTCOME_UNSTARTED);
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
	b.conf.jobqd.shutdown_timeout = 100 * NS_PER_MS;
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

	bed_run(&b, "sleep");
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

	bed_run(&b, "sleep");
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
	ck_assert_int_eq(bed_of(out, 3, 2)->kind, OUTCOME_DONE);
	ck_assert_int_eq(bed_of(out, 3, 3)->kind, OUTCOME_UNSTARTED);
	bed_refs(&b, FRAME_ACK, ids, 3);
	ck_assert_int_eq(bed_exit(&b), JOBQ_EXIT_OK);
	bed_close(&b);
}
END_TEST

START_TEST(a_worker_that_grew_is_recycled)
{
	bed_open(&b, "null");
	b.q.k.max_rss = 1;
	bed_start(&b);
	bed_accept(&b);
	(void)bed_frame(&b, FRAME_DRAIN);
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

int main(void)
{
	Suite *suite = suite_create("worker_door");
	TCase *tc = tcase_create("process");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(tc, nothing_begins_on_a_short_lease);
	tcase_add_test(tc, a_lease_that_comes_late_is_waited_for);
	tcase_add_test(tc, the_rate_limit_holds);
	tcase_add_test(tc, a_tenants_limit_lets_others_pass);
	tcase_add_test(tc, a_closed_gate_gives_jobs_back);
	tcase_add_test(tc, nothing_begins_after_its_deadline);
	tcase_add_test(tc, as_many_begin_as_have_a_connection);
	tcase_add_test(tc, cancel_reaches_every_state);
	tcase_add_test(tc, job_timeout_stops_one_job);
	tcase_add_test(tc, sigterm_drains);
	tcase_add_test(tc, a_drain_has_an_end);
	tcase_add_test(tc, an_orphan_leaves);
	tcase_add_test(tc, sigquit_interrupts_a_hung_call);
	tcase_add_test(tc, a_worker_is_recycled);
	tcase_add_test(tc, a_worker_that_grew_is_recycled);
	tcase_add_test(tc, a_handler_that_cannot_start_says_so);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * unit_slices: when the database is asked for this node's part of a limit (dispatcher/slices.c), without a database: by when
 * the next question is due.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/slices.h"

#define BEGIN (1000 * NS_PER_S)
#define INTERVAL (20 * NS_PER_MS)

static struct dispatcher d;
static struct conf_queue conf;
static struct shm_queue shm;
static struct queue queue;

static void at(int64_t ns)
{
	clock_set(BEGIN + ns, BEGIN + ns, (BEGIN + ns) / NS_PER_US);
}

/* A queue of 50/s that this node has alone for a second. */
static void start(void)
{
	at(0);
	d = (struct dispatcher){.phase = PHASE_RUN, .lease_ok = true};
	conf = (struct conf_queue){.name = NULL};
	queue = (struct queue){.d = &d, .name = "sms", .conf = &conf, .shm = &shm, .alone_until_ns = BEGIN + NS_PER_S};
	queue.pace = (struct pace){.interval_ns = INTERVAL, .burst = 5};
}

static struct slice_law use(void)
{
	return slices_use(&queue.slice, &queue, 'q', "", SHM_NO_WORD, INTERVAL, 5 * INTERVAL);
}

START_TEST(alone_has_all_of_it)
{
	start();
	struct slice_law law = use();
	ck_assert_int_eq(law.interval_ns, INTERVAL);
	ck_assert_int_eq(law.burst_ns, 5 * INTERVAL);
	ck_assert_int_eq(law.until_ns, BEGIN + NS_PER_S);
	slices_free(&d);
}
END_TEST

START_TEST(unknown_is_asked_for_at_once)
{
	start();
	queue.alone_until_ns = 0;
	ck_assert_int_eq(use().interval_ns, 0);
	ck_assert_int_le(slices_next_ns(&d), clock_mono_ns());
	slices_free(&d);
}
END_TEST

/* Its last part is long over, and nothing was asked since nobody wanted it: whoever wants it again does not wait for the next regular question. */
START_TEST(after_a_rest_it_is_asked_for_at_once)
{
	start();
	d.lease_ok = false; /* nothing is asked yet */
	(void)use();
	slices_step(&d);
	d.lease_ok = true;
	for (int64_t ns = 7 * NS_PER_S; ns < 9 * NS_PER_S; ns += 100 * NS_PER_MS) {
		at(ns);
		slices_step(&d);
	}
	ck_assert_int_eq(use().interval_ns, 0);
	ck_assert_int_le(slices_next_ns(&d), clock_mono_ns());
	slices_free(&d);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slices");
	TCase *all = tcase_create("asking");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(all, alone_has_all_of_it);
	tcase_add_test(all, unknown_is_asked_for_at_once);
	tcase_add_test(all, after_a_rest_it_is_asked_for_at_once);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

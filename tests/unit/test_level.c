/*
 * unit_level: who is above a fair share (queue/level.c): the modest never are, somebody is when there is too little, weights count.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "queue/level.h"

static size_t above(struct level_want *wants, size_t n, int64_t capacity)
{
	return level_above(wants, n, capacity);
}

START_TEST(test_enough_for_all)
{
	struct level_want wants[] = {{.want = 10, .weight = 1}, {.want = 30, .weight = 1}, {.want = 10, .weight = 7}};

	ck_assert_uint_eq(above(wants, 3, 50), 0);
	ck_assert_uint_eq(above(wants, 3, 51), 0);
	ck_assert_uint_eq(above(wants, 0, 0), 0);
}
END_TEST

START_TEST(test_the_modest_are_not_to_blame)
{
	struct level_want wants[] = {{.want = 1000, .weight = 1}, {.want = 3, .weight = 1}, {.want = 40, .weight = 1}};

	ck_assert_uint_eq(above(wants, 3, 50), 2); /* 3; then 23.5 for each of the others */
	ck_assert_int_eq(wants[0].want, 3);
	ck_assert_uint_eq(above(wants, 3, 100), 1); /* 3, 40, and 57 for the greedy one */
	ck_assert_int_eq(wants[2].want, 1000);
	ck_assert_uint_eq(above(wants, 3, 0), 3);
	ck_assert_uint_eq(above(wants, 3, -1), 3);
}
END_TEST

START_TEST(test_weights)
{
	struct level_want wants[] = {{.want = 40, .weight = 4000}, {.want = 40, .weight = 1000}};

	ck_assert_uint_eq(above(wants, 2, 50), 1);
	ck_assert_uint_eq(wants[1].weight, 1000);
	ck_assert_uint_eq(above(wants, 2, 49), 2); /* 39.2 and 9.8 */
}
END_TEST

START_TEST(test_equals)
{
	struct level_want wants[1000];

	for (size_t i = 0; i < 1000; i++)
		wants[i] = (struct level_want){.want = 2, .weight = 1000};
	ck_assert_uint_eq(above(wants, 1000, 1999), 1000);
	ck_assert_uint_eq(above(wants, 1000, 2000), 0);
}
END_TEST

/* whatever the wants: too little means that somebody is above, and those below get all they want */
START_TEST(test_any)
{
	unsigned seed = (unsigned)_i + 1;

	for (int round = 0; round < 200; round++) {
		struct level_want wants[40];
		int64_t sum = 0, below = 0;
		for (size_t i = 0; i < 40; i++) {
			wants[i] = (struct level_want){.want = rand_r(&seed) % 100, .weight = 100u + (uint32_t)(rand_r(&seed) % 9900)};
			sum += wants[i].want;
		}
		int64_t capacity = rand_r(&seed) % 3000;
		size_t n = above(wants, 40, capacity);
		ck_assert(n <= 40 && (n > 0) == (sum > capacity));
		for (size_t i = 0; i < 40 - n; i++)
			below += wants[i].want;
		ck_assert_int_le(below, capacity);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("level");
	TCase *tc = tcase_create("law");
	tcase_add_test(tc, test_enough_for_all);
	tcase_add_test(tc, test_the_modest_are_not_to_blame);
	tcase_add_test(tc, test_weights);
	tcase_add_test(tc, test_equals);
	tcase_add_loop_test(tc, test_any, 0, 10);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

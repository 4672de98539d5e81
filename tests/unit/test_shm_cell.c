/*
 * unit_shm_cell: cells, rings and the held table, with writers that are stopped in the middle and with writers that run
 * on another core: nothing that is read was ever torn, and a dead writer stops nobody.
 */
#include "config.h"

#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "shm/cell.h"
#include "shm/held.h"
#include "shm/ring.h"

static struct shm_cell cell;
static struct shm_slot slot;

START_TEST(cell_gives_back_what_was_set)
{
	char text[SHM_CELL_TEXT], longer[400];

	ck_assert_str_eq(shm_cell_get(&cell, text), "");
	shm_cell_set(&cell, "waiting for 3 jobs");
	ck_assert_str_eq(shm_cell_get(&cell, text), "waiting for 3 jobs");
	shm_cell_set(&cell, "x");
	ck_assert_str_eq(shm_cell_get(&cell, text), "x");
	shm_cell_set(&cell, NULL);
	ck_assert_str_eq(shm_cell_get(&cell, text), "");

	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	memcpy(longer + 254, "\xc3\xa4", 2); /* its second byte would be byte 256 */
	shm_cell_set(&cell, longer);
	ck_assert_uint_eq(strlen(shm_cell_get(&cell, text)), 254);
	shm_cell_set(&cell, "bad \xff\xfe bytes");
	(void)shm_cell_get(&cell, text);
	ck_assert_str_eq(text, "bad \xef\xbf\xbd\xef\xbf\xbd bytes");
	ck_assert(text_is_utf8(text, strlen(text)));
}
END_TEST

START_TEST(cell_survives_a_writer_that_died_in_it)
{
	char text[SHM_CELL_TEXT];

	shm_cell_set(&cell, "old");
	uint32_t seq = atomic_load(&cell.seq);
	atomic_store(&cell.seq, seq + 1); /* as a killed writer leaves it */
	atomic_store(&cell.words[0], UINT64_C(0x4141414141414141));
	ck_assert_str_eq(shm_cell_get(&cell, text), "");
	shm_cell_set(&cell, "new");
	ck_assert_str_eq(shm_cell_get(&cell, text), "new");
	ck_assert_uint_eq(atomic_load(&cell.seq) & 1u, 0);

	atomic_store(&cell.seq, UINT32_MAX); /* odd, and about to wrap */
	shm_cell_set(&cell, "wrapped");
	ck_assert_str_eq(shm_cell_get(&cell, text), "wrapped");
	for (size_t i = 0; i < SHM_CELL_WORDS; i++) /* a cell without any NUL: a damaged segment */
		atomic_store(&cell.words[i], UINT64_C(0x4242424242424242));
	ck_assert_uint_eq(strlen(shm_cell_get(&cell, text)), SHM_CELL_TEXT - 1);
}
END_TEST

static shm_u32 done;

static void *cell_writer(void *arg)
{
	char text[SHM_CELL_TEXT];

	(void)arg;
	for (uint32_t i = 0; i < 100000; i++) { /* one letter, and a length that goes with it */
		uint32_t letter = i % 26;
		memset(text, (int)('a' + letter), 100 + letter);
		text[100 + letter] = '\0';
		shm_cell_set(&cell, text);
	}
	atomic_store(&done, 1);
	return NULL;
}

START_TEST(cell_is_never_torn)
{
	pthread_t writer;
	char text[SHM_CELL_TEXT];
	uint32_t seen = 0;

	ck_assert_int_eq(pthread_create(&writer, NULL, cell_writer, NULL), 0);
	while (atomic_load(&done) == 0 || seen == 0) {
		size_t len = strlen(shm_cell_get(&cell, text));
		if (len == 0)
			continue;
		seen++;
		ck_assert_uint_eq(len, 100u + (unsigned)(text[0] - 'a'));
		ck_assert_uint_eq(strspn(text, (char[]){text[0], '\0'}), len);
	}
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	ck_assert_str_eq(shm_cell_get(&cell, text), text);
	ck_assert_int_eq(text[0], 'a' + 99999 % 26);
}
END_TEST

static struct sample sample_of(uint64_t n)
{
	uint32_t low = (uint32_t)n;

	return (struct sample){.end_mono_ns = (int64_t)n, .run_ns = (int64_t)n * 3, .batch_id = n, .jobs = low + 1, .done = low + 2,
		.retried = low + 3, .failed = low + 4, .snoozed = low + 5};
}

static bool is_sample(const struct sample *got)
{
	struct sample want = sample_of(got->batch_id);

	return got->end_mono_ns == want.end_mono_ns && got->run_ns == want.run_ns && got->jobs == want.jobs && got->done == want.done
		&& got->retried == want.retried && got->failed == want.failed && got->snoozed == want.snoozed;
}

static void push(uint64_t n)
{
	struct sample sample = sample_of(n);

	shm_ring_push(&slot, &sample);
}

START_TEST(ring_in_order_and_overtaken)
{
	uint64_t cursor = 0;
	struct sample got;

	ck_assert(!shm_ring_next(&slot, &cursor, &got));
	for (uint64_t i = 0; i < 10; i++)
		push(i);
	for (uint64_t i = 0; i < 10; i++) {
		ck_assert(shm_ring_next(&slot, &cursor, &got));
		ck_assert_uint_eq(got.batch_id, i);
	}
	ck_assert(!shm_ring_next(&slot, &cursor, &got));
	for (uint64_t i = 10; i < 10 + 3 * SHM_SAMPLES; i++)
		push(i);
	ck_assert(shm_ring_next(&slot, &cursor, &got)); /* what is left of them, from the oldest that is surely whole */
	ck_assert_uint_eq(got.batch_id, 10 + 2 * SHM_SAMPLES + 1);
	ck_assert(is_sample(&got));
	cursor = UINT64_MAX; /* of an earlier segment */
	ck_assert(!shm_ring_next(&slot, &cursor, &got));
	ck_assert_uint_eq(cursor, 10 + 3 * SHM_SAMPLES);
}
END_TEST

START_TEST(ring_hides_what_a_dead_writer_began)
{
	struct sample got;
	uint64_t cursor = 0, n = 0;

	for (uint64_t i = 0; i < SHM_SAMPLES; i++)
		push(i);
	atomic_store(&slot.samples[0].run_ns, -1); /* killed while it wrote sample SHM_SAMPLES over sample 0 */
	while (shm_ring_next(&slot, &cursor, &got)) {
		ck_assert(is_sample(&got));
		n++;
	}
	ck_assert_uint_eq(n, SHM_SAMPLES - 1);
	push(SHM_SAMPLES); /* its successor writes the same entry */
	ck_assert(shm_ring_next(&slot, &cursor, &got));
	ck_assert(is_sample(&got));
}
END_TEST

static void *ring_writer(void *arg)
{
	uint64_t n = 0;

	(void)arg;
	while (atomic_load_explicit(&done, memory_order_relaxed) == 0)
		push(n++);
	return NULL;
}

/* The writer laps the reader all the time, so nearly every read is of an entry about to be overwritten. */
START_TEST(ring_is_never_torn)
{
	pthread_t writer;
	uint64_t cursor = 0, last = 0, torn = 0, backwards = 0;
	struct sample got;

	ck_assert_int_eq(pthread_create(&writer, NULL, ring_writer, NULL), 0);
	for (int seen = 0; seen < 300000;) {
		if (!shm_ring_next(&slot, &cursor, &got))
			continue;
		torn += !is_sample(&got);
		backwards += seen++ > 0 && got.batch_id <= last;
		last = got.batch_id;
	}
	atomic_store(&done, 1);
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	ck_assert_uint_eq(torn, 0);
	ck_assert_uint_eq(backwards, 0);
}
END_TEST

START_TEST(held_life_of_an_entry)
{
	uint32_t hint = SHM_HELD - 1;
	struct held got;
	int index = shm_held_add(&slot, &hint, 12, 34, true);

	ck_assert_int_eq(index, SHM_HELD - 1);
	ck_assert_uint_eq(hint, 0);
	ck_assert(shm_held_read(&slot, (uint32_t)index, &got));
	ck_assert(got.id == 12 && got.token == 34 && got.alone && got.state == HELD_QUEUED && got.begun_mono_ns == 0);
	shm_held_begin(&slot, index, 99);
	ck_assert(shm_held_read(&slot, (uint32_t)index, &got) && got.state == HELD_BEGUN && got.begun_mono_ns == 99);
	shm_held_ended(&slot, index);
	ck_assert(shm_held_read(&slot, (uint32_t)index, &got) && got.state == HELD_ENDED);
	shm_held_drop(&slot, index);
	ck_assert(!shm_held_read(&slot, (uint32_t)index, &got));
	ck_assert(!shm_held_read(&slot, SHM_HELD, &got));
	shm_held_begin(&slot, -1, 1); /* of an add that failed: nothing */
	shm_held_drop(&slot, (int)SHM_HELD);
}
END_TEST

START_TEST(held_is_full_and_cleared)
{
	uint32_t hint = 7;
	struct held got;

	for (uint32_t i = 0; i < SHM_HELD; i++)
		ck_assert_int_ge(shm_held_add(&slot, &hint, i, 1, false), 0);
	ck_assert_int_eq(shm_held_add(&slot, &hint, 1, 1, false), -1);
	shm_held_drop(&slot, 500);
	ck_assert_int_eq(shm_held_add(&slot, &hint, 77, 2, false), 500);
	atomic_store(&slot.held[3].state, 99u); /* damaged: not a state */
	ck_assert(!shm_held_read(&slot, 3, &got));
	shm_held_clear(&slot);
	for (uint32_t i = 0; i < SHM_HELD; i++)
		ck_assert(!shm_held_read(&slot, i, &got));
}
END_TEST

static void *held_writer(void *arg)
{
	(void)arg;
	for (int64_t i = 1; atomic_load_explicit(&done, memory_order_relaxed) == 0; i++) { /* the same entry again and again */
		uint32_t hint = 0;
		shm_held_drop(&slot, shm_held_add(&slot, &hint, i, i * 5, false));
	}
	return NULL;
}

START_TEST(held_pairs_belong_together)
{
	pthread_t writer;
	struct held got;
	uint64_t torn = 0;

	ck_assert_int_eq(pthread_create(&writer, NULL, held_writer, NULL), 0);
	for (int seen = 0; seen < 300000;)
		if (shm_held_read(&slot, 0, &got)) {
			torn += got.token != got.id * 5;
			seen++;
		}
	atomic_store(&done, 1);
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	ck_assert_uint_eq(torn, 0);
}
END_TEST

/* every test begins with a fresh segment, also without CK_FORK */
static void setup(void)
{
	memset(&cell, 0, sizeof cell);
	memset(&slot, 0, sizeof slot);
	atomic_store(&done, 0);
}

int main(void)
{
	Suite *suite = suite_create("shm_cell");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_test(all, cell_gives_back_what_was_set);
	tcase_add_test(all, cell_survives_a_writer_that_died_in_it);
	tcase_add_test(all, cell_is_never_torn);
	tcase_add_test(all, ring_in_order_and_overtaken);
	tcase_add_test(all, ring_hides_what_a_dead_writer_began);
	tcase_add_test(all, ring_is_never_torn);
	tcase_add_test(all, held_life_of_an_entry);
	tcase_add_test(all, held_is_full_and_cleared);
	tcase_add_test(all, held_pairs_belong_together);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

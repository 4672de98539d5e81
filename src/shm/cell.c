/*
 * shm/cell.c: short texts in shared memory, one writer each, any number of readers.
 *
 * Runs in every process. A sequence lock of atomic words: the writer makes seq odd, stores the words, makes seq even; a
 * reader copies the words and believes them only if seq was even and the same before and after. The fences are those of
 * the C11 memory model, so no word is read in a data race and no text is ever torn.
 *
 * Fails softly: a writer that was killed or stopped in the middle leaves seq odd; readers then give up after a bounded
 * number of tries and say "". The next writer of the cell (the process that took the dead one's place) mends it. What a
 * reader gets is always NUL terminated within its 256 bytes, whatever the memory holds.
 */
#include "config.h"

#include "shm/cell.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define CELL_SPINS 64  /* a writer on the other core is done by then */
#define CELL_YIELDS 64 /* one that was preempted, by then */

_Static_assert(SHM_CELL_WORDS * sizeof(uint64_t) == SHM_CELL_TEXT, "a cell holds SHM_CELL_TEXT bytes");

void shm_cell_set(struct shm_cell *cell, const char *text)
{
	uint64_t words[SHM_CELL_WORDS] = {0};
	char clean[SHM_CELL_TEXT];

	if (text == NULL)
		text = "";
	size_t len = text_clean(clean, sizeof clean, text, strlen(text));
	memcpy(words, clean, len);

	uint32_t odd = (atomic_load_explicit(&cell->seq, memory_order_relaxed) + 1u) | 1u; /* odd already: of a dead writer */
	atomic_store_explicit(&cell->seq, odd, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (uint32_t i = 0; i < SHM_CELL_WORDS; i++)
		atomic_store_explicit(&cell->words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&cell->seq, odd + 1u, memory_order_release);
}

static bool cell_try(const struct shm_cell *cell, uint64_t words[SHM_CELL_WORDS])
{
	uint32_t before = atomic_load_explicit(&cell->seq, memory_order_acquire);

	if (before & 1u)
		return false;
	for (uint32_t i = 0; i < SHM_CELL_WORDS; i++)
		words[i] = atomic_load_explicit(&cell->words[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&cell->seq, memory_order_relaxed) == before;
}

char *shm_cell_get(const struct shm_cell *cell, char dst[SHM_CELL_TEXT])
{
	uint64_t words[SHM_CELL_WORDS];

	for (int i = 0; i < CELL_SPINS + CELL_YIELDS; i++) {
		if (cell_try(cell, words)) {
			memcpy(dst, words, SHM_CELL_TEXT);
			dst[SHM_CELL_TEXT - 1] = '\0';
			return dst;
		}
		if (i >= CELL_SPINS)
			(void)sched_yield(); /* cannot fail on Linux */
	}
	dst[0] = '\0';
	return dst;
}

/*
 * dispatcher/words.c: which limit has which word of shared memory; see words.h.
 *
 * Runs in the dispatcher, sole writer of the keys. Owns d->words. Invariant: a word that stands in a frame of a job in flight is in
 * use, so nobody else takes from it; one that is not in use is given to another limit only when there is no fresh one, those
 * that owe nothing first. A key is 64 bits of a seeded hash: two limits of one key would share a word and be too careful.
 */
#include "config.h"

#include "dispatcher/words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "shm/limit.h"

struct word {
	uint64_t key;
	uint32_t index;
	bool used;
	UT_hash_handle hh;
};

struct words {
	struct word *by_key;
	struct word *at[SHM_WORDS]; /* NULL: never used */
	uint32_t fresh;             /* those from here on may never have been used */
	uint32_t used, turn;        /* turn: where the search for one to take over begins */
	bool full;                  /* and said so */
};

static uint64_t mix(uint64_t hash, const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
	hash ^= hash >> 32;
	return (hash ^ 0xff) * UINT64_C(0xd6e8feb86659fd93);
}

static uint64_t key_of(const struct dispatcher *d, const char *queue, char kind, const char *name)
{
	const char text[2] = {kind, '\0'};
	uint64_t key = mix(mix(mix(atomic_load(&d->global->word_seed), queue), text), name);
	return key ? key : 1;
}

static struct word *enter(struct words *words, uint64_t key, uint32_t index)
{
	struct word *word = xcalloc(1, sizeof *word);
	word->key = key;
	word->index = index;
	words->at[index] = word;
	HASH_ADD(hh, words->by_key, key, sizeof word->key, word);
	return word;
}

void words_start(struct dispatcher *d)
{
	uint64_t seed = 0;
	d->words = xcalloc(1, sizeof *d->words);
	if (atomic_load(&d->global->word_seed) == 0) {
		if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
			seed = (uint64_t)clock_mono_ns();
		atomic_store(&d->global->word_seed, seed ? seed : 1);
	}
	for (uint32_t i = 0; i < SHM_WORDS; i++) {
		uint64_t key = atomic_load_explicit(&d->global->words[i].key, memory_order_relaxed);
		if (key != 0)
			(void)enter(d->words, key, i);
	}
}

void words_free(struct dispatcher *d)
{
	struct word *word, *next;
	if (!d->words)
		return;
	HASH_ITER(hh, d->words->by_key, word, next) {
		HASH_DEL(d->words->by_key, word);
		free(word);
	}
	free(d->words);
	d->words = NULL;
}

static bool owes(const struct dispatcher *d, uint32_t index, int64_t now_ns)
{
	return atomic_load(&d->global->words[index].limit.tat_ns) > now_ns;
}

/* One that is not in use, with nothing owed if there is such. SHM_NO_WORD: all are. */
static uint32_t unused(struct dispatcher *d)
{
	struct words *words = d->words;
	int64_t now_ns = clock_mono_ns();
	uint32_t owing = SHM_NO_WORD;
	for (; words->fresh < SHM_WORDS; words->fresh++)
		if (!words->at[words->fresh])
			return words->fresh++;
	for (uint32_t i = 0; i < SHM_WORDS; i++) {
		uint32_t at = (words->turn + i) % SHM_WORDS;
		if (words->at[at]->used)
			continue;
		owing = at;
		if (!owes(d, at, now_ns))
			break;
	}
	if (owing != SHM_NO_WORD)
		words->turn = owing + 1;
	return owing;
}

static struct word *take_over(struct dispatcher *d, uint64_t key)
{
	uint32_t index = unused(d);
	if (index == SHM_NO_WORD)
		return NULL;
	struct word *old = d->words->at[index];
	if (old) {
		HASH_DEL(d->words->by_key, old);
		free(old);
	}
	struct shm_word *word = &d->global->words[index];
	atomic_store(&word->key, key);
	atomic_store(&word->limit.tat_ns, 0);
	return enter(d->words, key, index);
}

uint32_t words_get(struct dispatcher *d, const char *queue, char kind, const char *name)
{
	uint64_t key = key_of(d, queue, kind, name);
	struct word *word;
	HASH_FIND(hh, d->words->by_key, &key, sizeof key, word);
	if (!word)
		word = take_over(d, key);
	if (!word) {
		if (!d->words->full)
			log_warn("more than %u tenants with limits have jobs in flight: some wait for the others", SHM_WORDS);
		d->words->full = true;
		return SHM_NO_WORD;
	}
	d->words->used += !word->used;
	word->used = true;
	return word->index;
}

void words_drop(struct dispatcher *d, uint32_t index)
{
	struct word *word = index < SHM_WORDS ? d->words->at[index] : NULL;
	if (!word || !word->used)
		return;
	word->used = false;
	d->words->used--;
	d->words->full = false;
}

struct shm_limit *words_limit(struct dispatcher *d, uint32_t index)
{
	return index < SHM_WORDS ? &d->global->words[index].limit : NULL;
}

/*
 * dispatcher/words.h: the words of shared memory in which the limits of tenants and tiers are taken (shm_global.words).
 *
 * A word belongs to one limit (queue, kind, name) while anything of it is in flight; its key lets the next dispatcher find it again, with
 * what is owed. When all are in use, a limit gets none and its jobs wait.
 */
#ifndef JOBQ_DISPATCHER_WORDS_H
#define JOBQ_DISPATCHER_WORDS_H

#include <stdint.h>

struct dispatcher;
struct shm_limit;

void words_start(struct dispatcher *d); /* finds those of the dispatcher before */
void words_free(struct dispatcher *d);
/* The word of a limit, found or taken into use; SHM_NO_WORD: all are in use. kind: any letter. */
uint32_t words_get(struct dispatcher *d, const char *queue, char kind, const char *name);
void words_drop(struct dispatcher *d, uint32_t word); /* nothing of it is in flight; it keeps its tat until somebody else needs it */
struct shm_limit *words_limit(struct dispatcher *d, uint32_t word);

#endif

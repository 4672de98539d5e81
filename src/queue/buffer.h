/*
 * queue/buffer.h: claimed jobs of one queue that wait for a worker, and which of them go next.
 *
 * Pure; used by the dispatcher, which embeds an `item` in each job and owns it. Tenants with buffered jobs take turns: one
 * batch a turn (deficit round robin with equal quanta); within a tenant the most urgent and oldest first. A tenant that has
 * just been served and comes back joins at the tail, a newcomer at the head. Suspects (jobs that stood begun in a
 * worker that died) wait in a list of their own and go alone, before all others.
 */
#ifndef JOBQ_QUEUE_BUFFER_H
#define JOBQ_QUEUE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#define BUFFER_PRIORITIES 11 /* 0..10; a priority outside is treated as 10 */

struct buffer_item {
	TAILQ_ENTRY(buffer_item) link;
	struct buffer_tenant *tenant; /* NULL: not buffered, or a suspect */
	uint32_t bytes;
	uint8_t priority;
	bool suspect;
	bool buffered;
};
TAILQ_HEAD(buffer_list, buffer_item);

struct buffer_tenant {
	char *name;
	struct buffer_list by_priority[BUFFER_PRIORITIES];
	size_t count;
	uint64_t round;
	TAILQ_ENTRY(buffer_tenant) ring;
	UT_hash_handle hh;
};

struct buffer {
	struct buffer_tenant *tenants; /* hash by name: only those with jobs, and recently served ones */
	TAILQ_HEAD(buffer_ring, buffer_tenant) ring;
	struct buffer_list suspects;
	size_t entries, bytes;         /* suspects included */
	size_t active;
	uint64_t round;
	size_t round_left;
};

void buffer_init(struct buffer *b);
void buffer_free(struct buffer *b); /* the items are the caller's */
/* Appends at the end of its priority (front = true: at its head, for jobs that come back). item: priority, bytes, suspect are set. */
void buffer_add(struct buffer *b, const char *tenant, struct buffer_item *item, bool front);
void buffer_remove(struct buffer *b, struct buffer_item *item); /* it must be buffered */
/* The next batch: up to max items of one tenant (mixed: of several, in turn). A suspect is returned alone, *alone = true.
 * They are no longer buffered. Returns their number. */
size_t buffer_take(struct buffer *b, size_t max, bool mixed, struct buffer_item *out[], bool *alone);
size_t buffer_suspects(const struct buffer *b);

#endif

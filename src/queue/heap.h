/*
 * queue/heap.h: a binary heap of nodes that lie in their owners' structures, least key first.
 *
 * Pure; used by backlog.c (lanes due later, barred tenants) and buffer.c (part batches that wait). The heap owns its array only.
 * A node knows its place, so that it can be moved or taken out in O(log n). Invariant: node->at is its index + 1, 0 =
 * not in a heap; a node is in one heap at most. Cannot fail (memory apart).
 */
#ifndef JOBQ_QUEUE_HEAP_H
#define JOBQ_QUEUE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_node {
	int64_t key;
	size_t at;
};

struct heap {
	struct heap_node **nodes;
	size_t len, cap;
};

void heap_set(struct heap *h, struct heap_node *node, int64_t key); /* puts it in, or moves it */
void heap_remove(struct heap *h, struct heap_node *node);           /* nothing if it is not in */
void heap_free(struct heap *h);

static inline struct heap_node *heap_top(const struct heap *h) /* or NULL */
{
	return h->len ? h->nodes[0] : NULL;
}

#define HEAP_OWNER(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

#endif

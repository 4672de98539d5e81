/*
 * queue/heap.c: sifting up and down; see heap.h.
 *
 * Pure, runs in the dispatcher. Owns nothing but the array of pointers. Invariant between calls: no node's key is less than
 * its parent's, and every node's `at` is its index + 1. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/heap.h"

#include <stdlib.h>

#include "base/mem.h"

static void put(struct heap *h, size_t i, struct heap_node *node)
{
	h->nodes[i] = node;
	node->at = i + 1;
}

static void up(struct heap *h, struct heap_node *node)
{
	size_t i = node->at - 1;
	for (; i > 0 && h->nodes[(i - 1) / 2]->key > node->key; i = (i - 1) / 2)
		put(h, i, h->nodes[(i - 1) / 2]);
	put(h, i, node);
}

static void down(struct heap *h, struct heap_node *node)
{
	size_t i = node->at - 1;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->len)
			break;
		if (child + 1 < h->len && h->nodes[child + 1]->key < h->nodes[child]->key)
			child++;
		if (h->nodes[child]->key >= node->key)
			break;
		put(h, i, h->nodes[child]);
		i = child;
	}
	put(h, i, node);
}

void heap_set(struct heap *h, struct heap_node *node, int64_t key)
{
	node->key = key;
	if (node->at == 0) {
		if (h->len == h->cap) {
			h->cap = h->cap ? h->cap * 2 : 64;
			h->nodes = xreallocarray(h->nodes, h->cap, sizeof *h->nodes);
		}
		put(h, h->len++, node);
	}
	up(h, node);
	down(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	if (node->at == 0)
		return;
	size_t i = node->at - 1;
	node->at = 0;
	struct heap_node *last = h->nodes[--h->len];
	if (last == node)
		return;
	put(h, i, last);
	up(h, last);
	down(h, last);
}

void heap_free(struct heap *h)
{
	free(h->nodes);
	*h = (struct heap){0};
}

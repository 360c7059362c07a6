/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The head of everything the table can hold: key, word, backlog. One cache line.
 *
 * Lifetime in one paragraph. A node comes from a slab with refs > 0 and is put
 * into the table; the table owns one reference. Whoever finds it takes one more
 * with get-not-zero, so refs 0 never rises again. When it dies it leaves the
 * table first, then DEAD is set, then its owners put their references; the put
 * that reaches 0 retires it; after a grace period its generation grows and the
 * slot may be used again. Nothing is reused earlier.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "key.h"
#include "point.h"

/*
 * The word: generation | refs | flags.
 *
 *   63            40 39            16 15     0
 *   [ generation 24 ][   refs 24     ][ flags ]
 */
#define NODE_REF       (UINT64_C(1) << 16)
#define NODE_REFS_MASK (UINT64_C(0xffffff) << 16)
#define NODE_GEN_SHIFT 40
#define NODE_GEN_ONE   (UINT64_C(1) << NODE_GEN_SHIFT)
#define NODE_GEN_MASK  (UINT64_C(0xffffff) << NODE_GEN_SHIFT)

#define NODE_INSIDE    (UINT64_C(1) << 0) /* a worker is inside */
#define NODE_DEAD      (UINT64_C(1) << 1) /* out of the table for good */
#define NODE_PACKET    (UINT64_C(1) << 2) /* work waits: the backlog holds packets */
#define NODE_TIMER     (UINT64_C(1) << 3) /* work waits: a timer has fired */
#define NODE_KICK      (UINT64_C(1) << 4) /* work waits: somebody wants it to run */
#define NODE_HANGUP    (UINT64_C(1) << 5) /* work waits: tear down at once */
#define NODE_QUEUED    (UINT64_C(1) << 6) /* stands on a kick list */
#define NODE_POSTED    (UINT64_C(1) << 7) /* stands in a seat's inbox */
#define NODE_LISTED \
	(UINT64_C(1) << 8) /* has been put into the table: may be found through its slot */
#define NODE_WORK (NODE_PACKET | NODE_TIMER | NODE_KICK | NODE_HANGUP)

struct node {
	struct key key; /* never changes while the node is in the table (I2) */
	_Atomic uint64_t word; /* generation, refs, flags */
	_Atomic uint64_t backlog; /* lib/conv: packets that came while somebody was inside */
	uint32_t hash; /* of the key */
	uint32_t id; /* lib/conv: kind and slot */
}; /* slabs align it to a cache line */
_Static_assert(sizeof(struct node) == 64, "a node's head is one cache line");

static inline uint32_t
node_refs(uint64_t word)
{
	return (uint32_t)((word & NODE_REFS_MASK) >> 16);
}

static inline uint32_t
node_gen(uint64_t word)
{
	return (uint32_t)(word >> NODE_GEN_SHIFT);
}

/**
 * Take a reference unless there is none left (get-not-zero).
 *
 * Any thread that is inside a read-side section (between two of its quiescent
 * states). DEAD nodes can still be referenced: the caller looks at the word.
 *
 * Memory order: acquire, so that what the builder of the node wrote before it
 * published it is seen; pairs with the release of the table's insert.
 *
 * @return true if the caller now owns a reference
 */
static inline bool
node_get(struct node *n)
{
	uint64_t word;

	POINT("post_lookup", &n->word);
	word = atomic_load_explicit(&n->word, memory_order_relaxed);
	do {
		if (node_refs(word) == 0)
			return false;
		POINT("get", &n->word);
	} while (!atomic_compare_exchange_weak_explicit(
		&n->word, &word, word + NODE_REF, memory_order_acquire, memory_order_relaxed));
	return true;
}

/**
 * Give a reference back without retiring: the part of a put that lib/conv's
 * conv_put completes.
 *
 * Memory order: acq_rel; release so that what this owner did is done before the
 * last put, acquire so that the last put sees what all others did.
 *
 * @return true if this was the last one; the caller must then retire the node
 */
static inline bool
node_unref(struct node *n)
{
	uint64_t old;

	POINT("put", &n->word);
	old = atomic_fetch_sub_explicit(&n->word, NODE_REF, memory_order_acq_rel);
	return node_refs(old) == 1;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * For ThreadSanitizer, before all else in every file. Rings of the RTS kind read the other side's tail without an order
 * that C11 knows (x86 has it), so that what they hand over is told here. And a buffer whose count of users reads 1 is freed by
 * who reads it, with no more than a relaxed load (rte_mbuf.h): what those before him did with it, and released, comes before that.
 */
#pragma once

#pragma push_macro("__ATOMIC_RELAXED")
#undef __ATOMIC_RELAXED
#define __ATOMIC_RELAXED __ATOMIC_SEQ_CST
#include <rte_mbuf.h>
#pragma pop_macro("__ATOMIC_RELAXED")
#include <rte_ring.h>

void __tsan_acquire(void *tag);
void __tsan_release(void *tag);

static inline unsigned
tsan_ring_enqueue_burst(struct rte_ring *r, void *const *obj, unsigned n, unsigned *ret_free)
{
	for (unsigned i = 0; i < n; i++)
		__tsan_release(obj[i]);
	return rte_ring_enqueue_burst(r, obj, n, ret_free);
}

static inline int
tsan_ring_enqueue(struct rte_ring *r, void *obj)
{
	__tsan_release(obj);
	return rte_ring_enqueue(r, obj);
}

static inline unsigned
tsan_ring_dequeue_burst(struct rte_ring *r, void **obj, unsigned n, unsigned *ret_left)
{
	n = rte_ring_dequeue_burst(r, obj, n, ret_left);
	for (unsigned i = 0; i < n; i++)
		__tsan_acquire(obj[i]);
	return n;
}

static inline unsigned
tsan_ring_sc_dequeue_burst(struct rte_ring *r, void **obj, unsigned n, unsigned *ret_left)
{
	n = rte_ring_sc_dequeue_burst(r, obj, n, ret_left);
	for (unsigned i = 0; i < n; i++)
		__tsan_acquire(obj[i]);
	return n;
}

#define rte_ring_enqueue          tsan_ring_enqueue
#define rte_ring_enqueue_burst    tsan_ring_enqueue_burst
#define rte_ring_dequeue_burst    tsan_ring_dequeue_burst
#define rte_ring_sc_dequeue_burst tsan_ring_sc_dequeue_burst

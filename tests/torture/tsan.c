/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * ThreadSanitizer sees what our code does, and what DPDK's headers do; not what happens in shared libraries. What they
 * promise is told to it here, no more: each function of liburcu and rte_mempool that hands something from
 * one thread to another, wrapped (see meson.build). Built only under ThreadSanitizer.
 */
#include <rte_mempool.h>

#include <urcu-qsbr.h>

void __tsan_acquire(void *tag);
void __tsan_release(void *tag);

/* ---- QSBR: what readers did before their quiescent states comes before the end of a grace period ---- */

static char grace;

void __real_urcu_qsbr_quiescent_state(void);
void __wrap_urcu_qsbr_quiescent_state(void);
void
__wrap_urcu_qsbr_quiescent_state(void)
{
	__tsan_release(&grace);
	__real_urcu_qsbr_quiescent_state();
}

void __real_urcu_qsbr_thread_offline(void);
void __wrap_urcu_qsbr_thread_offline(void);
void
__wrap_urcu_qsbr_thread_offline(void)
{
	__tsan_release(&grace);
	__real_urcu_qsbr_thread_offline();
}

void __real_urcu_qsbr_unregister_thread(void);
void __wrap_urcu_qsbr_unregister_thread(void);
void
__wrap_urcu_qsbr_unregister_thread(void)
{
	__tsan_release(&grace);
	__real_urcu_qsbr_unregister_thread();
}

void __real_urcu_qsbr_synchronize_rcu(void);
void __wrap_urcu_qsbr_synchronize_rcu(void);
void
__wrap_urcu_qsbr_synchronize_rcu(void)
{
	__real_urcu_qsbr_synchronize_rcu();
	__tsan_acquire(&grace);
}

/* ---- rte_mempool: who gets an object sees what its last user did before he gave it back ---- */

static rte_mempool_enqueue_t pool_enqueue;
static rte_mempool_dequeue_t pool_dequeue;

static int
tsan_enqueue(struct rte_mempool *mp, void *const *obj, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		__tsan_release(obj[i]);
	return pool_enqueue(mp, obj, n);
}

static int
tsan_dequeue(struct rte_mempool *mp, void **obj, unsigned n)
{
	int err = pool_dequeue(mp, obj, n);

	for (unsigned i = 0; err == 0 && i < n; i++)
		__tsan_acquire(obj[i]);
	return err;
}

/* Before main, and so before any pool is made. All pools of a stack are of this kind. */
__attribute__((constructor(60000))) static void
tsan_mempools(void)
{
	for (unsigned i = 0; i < rte_mempool_ops_table.num_ops; i++) {
		struct rte_mempool_ops *ops = &rte_mempool_ops_table.ops[i];

		if (strcmp(ops->name, "lf_stack") != 0)
			continue;
		pool_enqueue = ops->enqueue;
		pool_dequeue = ops->dequeue;
		ops->enqueue = tsan_enqueue;
		ops->dequeue = tsan_dequeue;
	}
}

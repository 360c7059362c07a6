/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The word of a node: its fields, get-not-zero and unref, alone and against each other.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node.h"

#define THREADS 4

static void
test_fields_do_not_overlap(void **state)
{
	const uint64_t flags[] = {NODE_INSIDE, NODE_DEAD, NODE_PACKET, NODE_TIMER, NODE_KICK,
		NODE_HANGUP, NODE_QUEUED, NODE_POSTED};
	uint64_t all = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		assert_int_equal(__builtin_popcountll(flags[i]), 1);
		assert_true((all & flags[i]) == 0);
		all |= flags[i];
	}
	assert_true((all & (NODE_REFS_MASK | NODE_GEN_MASK)) == 0);
	assert_true((NODE_REFS_MASK & NODE_GEN_MASK) == 0);
	assert_true((NODE_REFS_MASK | NODE_GEN_MASK) == ~UINT64_C(0xffff));
	assert_true(NODE_WORK == (NODE_PACKET | NODE_TIMER | NODE_KICK | NODE_HANGUP));
	assert_int_equal(node_refs(NODE_REFS_MASK), 0xffffff);
	assert_int_equal(node_refs(~NODE_REFS_MASK), 0);
	assert_int_equal(node_gen(NODE_GEN_MASK), 0xffffff);
	assert_int_equal(node_gen(~NODE_GEN_MASK), 0);
	assert_int_equal(node_refs(NODE_REF), 1);
	assert_int_equal(node_gen(NODE_GEN_ONE), 1);
	/* The generation wraps, and touches nothing when it does. */
	assert_true(NODE_GEN_MASK + NODE_GEN_ONE == 0);
}

static void
test_head_is_one_line(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct node), 64);
	assert_int_equal(offsetof(struct node, key), 0);
	assert_int_equal(offsetof(struct node, word) % 8, 0);
	assert_int_equal(offsetof(struct node, backlog) % 8, 0);
}

static void
test_get_not_zero(void **state)
{
	const uint64_t rest = NODE_GEN_MASK | NODE_DEAD | NODE_WORK;
	struct node n = {0};

	(void)state;
	atomic_store(&n.word, rest);
	assert_false(node_get(&n));
	assert_true(atomic_load(&n.word) == rest);
	atomic_store(&n.word, rest + NODE_REF);
	assert_true(node_get(&n)); /* DEAD can still be referenced */
	assert_true(atomic_load(&n.word) == rest + 2 * NODE_REF);
	assert_false(node_unref(&n));
	assert_true(node_unref(&n));
	assert_true(atomic_load(&n.word) == rest);
	assert_false(node_get(&n)); /* 0 never rises again */
	assert_true(atomic_load(&n.word) == rest);
}

/* ---- threads */

struct race {
	struct node n;
	_Atomic unsigned waiting, round;
	_Atomic unsigned last; /* how often an unref was the last one */
	_Atomic unsigned long got, refused, wrong;
};

static void
meet(struct race *r)
{
	unsigned round = atomic_load(&r->round);

	if (atomic_fetch_add(&r->waiting, 1) + 1 == THREADS) {
		atomic_store(&r->waiting, 0);
		atomic_store(&r->round, round + 1);
		return;
	}
	while (atomic_load(&r->round) == round)
		sched_yield();
}

static void
run_threads(struct race *r, void *(*fn)(void *))
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, r), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void *
get_and_put(void *arg)
{
	struct race *r = arg;

	meet(r);
	for (unsigned i = 0; i < 300000; i++) {
		if (!node_get(&r->n) || node_unref(&r->n))
			atomic_fetch_add(&r->wrong, 1);
	}
	return NULL;
}

static void
test_no_reference_is_lost(void **state)
{
	static struct race r;

	(void)state;
	atomic_store(&r.n.word, NODE_GEN_ONE + NODE_REF + NODE_INSIDE);
	run_threads(&r, get_and_put);
	assert_int_equal(r.wrong, 0);
	assert_true(atomic_load(&r.n.word) == NODE_GEN_ONE + NODE_REF + NODE_INSIDE);
}

#define ROUNDS 20000

/* Each round all but the first try to get and put while the first gives the owner's up. */
static void *
get_while_dying(void *arg)
{
	struct race *r = arg;
	static _Atomic unsigned names;
	const bool owner = atomic_fetch_add(&names, 1) % THREADS == 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (owner)
			atomic_store(&r->n.word, NODE_REF);
		meet(r);
		if (owner) {
			atomic_fetch_add(&r->last, node_unref(&r->n));
		} else if (node_get(&r->n)) {
			atomic_fetch_add(&r->got, 1);
			atomic_fetch_add(&r->last, node_unref(&r->n));
		} else {
			atomic_fetch_add(&r->refused, 1);
		}
		meet(r);
		if (node_refs(atomic_load(&r->n.word)) != 0 || node_get(&r->n))
			atomic_fetch_add(&r->wrong, 1);
		meet(r);
	}
	return NULL;
}

static void
test_exactly_one_is_last(void **state)
{
	static struct race r;

	(void)state;
	run_threads(&r, get_while_dying);
	assert_int_equal(r.wrong, 0);
	assert_int_equal(r.last, ROUNDS);
	assert_int_equal(r.got + r.refused, ROUNDS * (THREADS - 1));
	print_message("           got %lu, refused %lu\n", r.got, r.refused);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_do_not_overlap),
		cmocka_unit_test(test_head_is_one_line),
		cmocka_unit_test(test_get_not_zero),
		cmocka_unit_test(test_no_reference_is_lost),
		cmocka_unit_test(test_exactly_one_is_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

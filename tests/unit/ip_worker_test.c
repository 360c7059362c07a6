/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "pkt.h"
#include "util.h"

static struct test_net net;

static int
setup(void **state)
{
	test_net_init(&net, 1);
	return 0;
}

static int
teardown(void **state)
{
	test_net_fini(&net);
	return 0;
}

/* The first outputs of xoshiro256** for the state {1, 2, 3, 4}, as its authors' program prints them. */
static void
random_is_xoshiro(void **state)
{
	static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
	struct worker *w = &net.w[0];

	for (unsigned i = 0; i < 4; i++)
		w->rng[i] = i + 1;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(worker_random(w), want[i]);
}

static void
random_seed_repeats(void **state)
{
	struct worker *w = &net.w[0];
	uint64_t a, b;

	worker_seed(w, 0);
	a = worker_random(w);
	worker_seed(w, 1);
	b = worker_random(w);
	assert_int_not_equal(a, b);
	worker_seed(w, 0);
	assert_int_equal(worker_random(w), a);
}

static void
every_drop_has_name_and_help(void **state)
{
	for (unsigned r = 0; r < DROP_MAX; r++) {
		assert_non_null(drop_name(r));
		assert_true(strlen(drop_help(r)) > 8);
		for (unsigned q = 0; q < r; q++)
			assert_string_not_equal(drop_name(r), drop_name(q));
	}
	assert_null(drop_name(DROP_MAX));
	assert_null(drop_help(DROP_MAX));
}

static void
drop_and_consume_count(void **state)
{
	struct worker *w = &net.w[0];

	w->c.received = 2;
	drop(w, test_mbuf(net.mp, "x", 1), DROP_ETH_SHORT);
	consume(w, test_mbuf(net.mp, "x", 1));
	assert_int_equal(w->c.drops[DROP_ETH_SHORT], 1);
	assert_int_equal(w->c.consumed, 1);
	test_net_balance(&net);
}

static void
full_burst_flushes_itself(void **state)
{
	struct worker *w = &net.w[0];

	for (unsigned i = 0; i < WORKER_BURST - 1; i++)
		worker_tx(w, 3, test_mbuf(net.mp, "x", 1));
	assert_int_equal(net.ntx, 0);
	worker_tx(w, 3, test_mbuf(net.mp, "x", 1));
	assert_int_equal(net.ntx, WORKER_BURST);
	assert_int_equal(w->tx_pending, 0);
	worker_tx(w, 3, test_mbuf(net.mp, "x", 1));
	worker_tx(w, WORKER_IFC_MAX - 1, test_mbuf(net.mp, "x", 1));
	worker_flush(w);
	assert_int_equal(net.ntx, WORKER_BURST + 2);
	assert_int_equal(w->c.sent, WORKER_BURST + 2);
}

static void
refused_packets_are_counted_and_freed(void **state)
{
	struct worker *w = &net.w[0];

	net.tx_refuse_from = 3;
	for (unsigned i = 0; i < 5; i++)
		worker_tx(w, 0, test_mbuf(net.mp, "x", 1));
	worker_flush(w);
	assert_int_equal(net.ntx, 3);
	assert_int_equal(w->c.sent, 3);
	assert_int_equal(w->c.tx_drops, 2);
	assert_int_equal(test_in_use(net.mp), 3);
}

static void
queue_is_fifo(void **state)
{
	struct pktq q = {NULL};
	struct rte_mbuf *m[3];

	assert_null(pktq_pop(&q));
	assert_null(pktq_last(&q));
	for (unsigned i = 0; i < 3; i++) {
		m[i] = test_mbuf(net.mp, "x", 1);
		pktq_push(&q, m[i]);
		assert_ptr_equal(pktq_last(&q), m[i]);
	}
	assert_ptr_equal(pktq_pop(&q), m[0]);
	assert_ptr_equal(pktq_last(&q), m[2]);
	pktq_push(&q, m[0]);
	assert_ptr_equal(pktq_pop(&q), m[1]);
	assert_int_equal(pktq_free(&q), 2);
	rte_pktmbuf_free(m[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_is_xoshiro, setup, teardown),
		cmocka_unit_test_setup_teardown(random_seed_repeats, setup, teardown),
		cmocka_unit_test_setup_teardown(every_drop_has_name_and_help, setup, teardown),
		cmocka_unit_test_setup_teardown(drop_and_consume_count, setup, teardown),
		cmocka_unit_test_setup_teardown(full_burst_flushes_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refused_packets_are_counted_and_freed, setup, teardown),
		cmocka_unit_test_setup_teardown(queue_is_fifo, setup, teardown),
	};

	test_eal("ip_worker");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

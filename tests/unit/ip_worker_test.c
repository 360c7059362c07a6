/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "ip_priv.h"
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

/* Tokens of a bucket taken in no time. */
static unsigned
burst(struct ip_bucket *b, uint32_t rate)
{
	unsigned n = 0;

	while (ip_bucket_take(&net.w[0], b, rate))
		n++;
	return n;
}

/* A tenth to a fifth of a second's worth at once, differently much each time (CVE-2020-25705). */
static void
bucket_bursts(void **state)
{
	struct ip_bucket b = {0};
	unsigned low = UINT32_MAX, high = 0, n;

	for (unsigned i = 0; i < 200; i++) {
		n = burst(&b, 10000);
		low = RTE_MIN(low, n);
		high = RTE_MAX(high, n);
		/* However long nobody asked, it is no more. */
		test_net_advance(&net, i % 2 != 0 ? 300000 : 3600000000);
	}
	assert_in_range(low, 950, 1050);
	assert_in_range(high, 1930, 2060);
	/* Of the least rate, 6 to 12: an answer or two are always there. */
	memset(&b, 0, sizeof(b));
	low = UINT32_MAX;
	high = 0;
	for (unsigned i = 0; i < 200; i++) {
		test_net_advance(&net, 20000000);
		n = burst(&b, 1);
		low = RTE_MIN(low, n);
		high = RTE_MAX(high, n);
	}
	assert_in_range(low, 4, 7);
	assert_in_range(high, 11, 14);
}

/* Over time it is the rate, however often one asks, also when a step adds less than anything. */
static void
bucket_rate(void **state)
{
	static const uint32_t rates[] = {1, 10, 1000, 100000};
	static const uint32_t steps[] = {7, 50, 900};

	for (unsigned i = 0; i < RTE_DIM(rates); i++) {
		for (unsigned j = 0; j < RTE_DIM(steps); j++) {
			struct ip_bucket b = {0};
			uint64_t taken = 0, want = (uint64_t)rates[i] * 20;

			test_net_advance(&net, 20000000);
			burst(&b, rates[i]);
			for (uint64_t us = 0; us < 20000000; us += steps[j]) {
				test_net_advance(&net, steps[j]);
				taken += burst(&b, rates[i]);
			}
			assert_in_range(taken, want - want / 50 - 12, want + want / 50 + 12);
		}
	}
}

/* Each worker has its share of a limit, one token a second at least. */
static void
limits_are_shared(void **state)
{
	struct ip_conf conf = {.name = "share", .workers = 4, .icmp_rate = 40000, .socket_id = 0};
	uint8_t who[16] = {1};
	unsigned n = 0;
	int err = 0;

	net.w[0].ip = ip_create(&conf, &err);
	assert_non_null(net.w[0].ip);
	while (ip_rate_ok(&net.w[0]))
		n++;
	assert_in_range(n, 950, 2060); /* of 10000 a second */
	for (n = 0; ip_peer_ok(&net.w[0], who); n++)
		;
	assert_in_range(n, 90, 210); /* of 1000 */
	/* Other peers have their own, but for the few whose hashes meet. */
	for (unsigned i = 0; i < 200; i++) {
		who[0] = 2;
		who[1] = (uint8_t)i;
		n += ip_peer_ok(&net.w[0], who);
	}
	assert_true(n >= 195 + 90);
	for (n = 0; ip_echo_ok(&net.w[0]); n++)
		;
	assert_in_range(n, 95000, 205000); /* of 1000000 */
	ip_free(net.w[0].ip);
	conf.icmp_rate = 1;
	net.w[0].ip = ip_create(&conf, &err);
	test_net_advance(&net, 16000000);
	for (n = 0; ip_rate_ok(&net.w[0]); n++)
		;
	assert_in_range(n, 4, 15);
	test_net_advance(&net, 3000000);
	assert_true(ip_rate_ok(&net.w[0]));
	for (n = 0; ip_peer_ok(&net.w[0], who); n++)
		;
	assert_in_range(n, 4, 15);
	ip_free(net.w[0].ip);
	/* Echo replies are never more than ten million a second. */
	conf.icmp_rate = 4000000000;
	conf.workers = 1;
	net.w[0].ip = ip_create(&conf, &err);
	for (n = 0; ip_echo_ok(&net.w[0]); n++)
		;
	assert_in_range(n, 950000, 2050000);
	ip_free(net.w[0].ip);
	net.w[0].ip = NULL;
}

/* What SplitMix64 makes of seed 0, as its authors' program prints it. */
static void
seed_is_splitmix(void **state)
{
	worker_seed(&net.w[0], 0);
	assert_int_equal(net.w[0].rng[0], UINT64_C(0xe220a8397b1dcdaf));
	assert_int_equal(net.w[0].rng[1], UINT64_C(0x6e789e6aa1b965f4));
	assert_int_equal(net.w[0].rng[2], UINT64_C(0x06c45d188009454f));
	assert_int_equal(net.w[0].rng[3], UINT64_C(0xf88bb8a8724c81ec));
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
		cmocka_unit_test_setup_teardown(bucket_bursts, setup, teardown),
		cmocka_unit_test_setup_teardown(bucket_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_are_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(seed_is_splitmix, setup, teardown),
	};

	test_eal("ip_worker");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

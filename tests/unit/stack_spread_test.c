/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Packets between workers: a ring that is full loses what does not fit, under a name, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stack.h"
#include "util.h"

#define RING 2047 /* what a ring of 2048 holds */

struct port {
	struct stack *s;
	unsigned left; /* frames to come */
	uint64_t now_us;
	struct test_frame frame;
};

static uint16_t
port_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct port *p = arg;
	uint16_t i = 0;

	(void)ifc;
	(void)queue;
	for (; i < n && p->left > 0; i++, p->left--) {
		m[i] = test_mbuf(stack_mempool(p->s), p->frame.b, p->frame.len);
		assert_non_null(m[i]);
	}
	return i;
}

static uint16_t
port_tx(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	(void)arg;
	(void)worker;
	(void)ifc;
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

static uint64_t
port_now(void *arg)
{
	return ((struct port *)arg)->now_us;
}

static void
port_open(struct port *p)
{
	struct stack_conf conf = {
		.name = "spread",
		.workers = 2,
		.seats = 2,
		.spread = STACK_SPREAD_PACKET,
		.limit_conversations = 8,
		.limit_half_open = 8,
		.limit_time_wait = 8,
		.limit_fragments = 8,
		.listeners = 8,
		.mbufs = 4095,
		.seed = 1,
		.virtual_workers = true,
		.socket_id = SOCKET_ID_ANY,
		.io = {port_rx, port_tx, port_now, p, NULL},
	};
	struct ip_ifc_conf ifc = {.name = "lan", .mtu = 1500};
	int err;

	memcpy(ifc.mac.addr_bytes, test_mac_us, 6);
	memset(p, 0, sizeof(*p));
	p->now_us = 1000000;
	p->s = stack_create(&conf, &err);
	assert_non_null(p->s);
	assert_int_equal(stack_ifc_add(p->s, &ifc, 1), 0);
	assert_int_equal(ip_address_add(stack_ip(p->s), 0, test_addr("10.77.0.2").b, 24), 0);
	assert_int_equal(stack_start(p->s), 0);
	for (unsigned w = 0; w < 2; w++)
		stack_worker_join(p->s, w);
	stack_control_join(p->s);
	test_frame_udp(
		&p->frame, test_addr("10.77.0.9"), test_addr("10.77.0.2"), 5000, 5001, "x", 1);
}

/* Every other packet is for a worker that does not run. */
static void
test_ring_full(void **state)
{
	struct stack_stats st;
	struct port p;

	(void)state;
	port_open(&p);
	p.left = 2 * (RING + 100);
	while (p.left > 0)
		stack_turn(p.s, 0);
	stack_stats(p.s, &st);
	assert_int_equal(st.sum.drops[DROP_SPREAD_FULL], 100);
	assert_int_equal(st.spread_full, 100);
	assert_int_equal(st.held, RING);
	assert_int_equal(st.missing, 0);
	/* It wakes up: all that was kept is processed. */
	while (stack_turn(p.s, 1) > 0)
		;
	stack_stats(p.s, &st);
	assert_int_equal(st.held, 0);
	assert_int_equal(st.missing, 0);
	assert_int_equal(st.sum.drops[DROP_UDP_NO_CONV], 2 * (RING + 100) - 100);
	stack_free(p.s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_full),
	};

	test_eal("stack_spread_test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

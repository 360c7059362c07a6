/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util.h"

static struct test_net net;
static struct test_frame f;
static uint8_t out[TEST_FRAME_MAX];
static struct test_addr us, peer;

static int
setup(void **state)
{
	test_net_init(&net, 1);
	test_net_ip(&net, NULL);
	us = test_addr("10.77.0.2");
	peer = test_addr("10.77.0.9");
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static void
expect_up(enum pkt_kind kind)
{
	struct rte_mbuf *m = test_input(&net, &f);

	assert_non_null(m);
	assert_int_equal(pkt_of(m)->kind, kind);
	net.w[0].c.delivered++;
	rte_pktmbuf_free(m);
}

static void
expect_drop(enum drop_reason r)
{
	uint64_t before = net.w[0].c.drops[r];

	assert_null(test_input(&net, &f));
	if (net.w[0].c.drops[r] != before + 1)
		for (unsigned i = 0; i < DROP_MAX; i++)
			if (net.w[0].c.drops[i] != 0)
				print_error("%s: %lu\n", drop_name(i), net.w[0].c.drops[i]);
	assert_int_equal(net.w[0].c.drops[r], before + 1);
}

static void
udp_is_handed_up(void **state)
{
	struct rte_mbuf *m;
	struct pkt *p;

	test_frame_udp(&f, peer, us, 4000, 7, "hello", 5);
	f.len += 13; /* the link's padding */
	m = test_input(&net, &f);
	assert_non_null(m);
	p = pkt_of(m);
	assert_int_equal(p->kind, PKT_UDP);
	assert_int_equal(p->flags, 0);
	assert_memory_equal(p->key.k.raddr, peer.b, 16);
	assert_memory_equal(p->key.k.laddr, us.b, 16);
	assert_int_equal(p->key.k.rport_be, htons(4000));
	assert_int_equal(p->key.k.lport_be, htons(7));
	assert_int_equal(p->key.k.proto, IPPROTO_UDP);
	assert_int_equal(p->key.k.kind, KEY_TUPLE);
	assert_int_equal(p->key.k.zone, 0);
	assert_int_equal(p->hash, key_hash(&(struct key_secret){1, 2}, &p->key.k));
	assert_int_equal(p->data_len, 5);
	assert_int_equal(m->pkt_len, 14 + 20 + 8 + 5);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, char *, p->data_off), "hello", 5);
	net.w[0].c.delivered++;
	rte_pktmbuf_free(m);
}

static void
echo_is_answered(void **state)
{
	uint8_t body[8 + 40] = {8, 0, 0, 0, 0x12, 0x34, 0, 1, 'x'};
	struct rte_mbuf *m;
	size_t len;

	test_net_peer(&net, peer, test_mac_peer);
	test_frame_icmp(&f, peer, us, 64, body, sizeof(body));
	assert_null(test_input(&net, &f));
	m = test_net_sent(&net, NULL);
	assert_non_null(m);
	len = test_bytes(m, out);
	rte_pktmbuf_free(m);
	assert_int_equal(len, f.len);
	assert_memory_equal(out, test_mac_peer, 6);
	assert_memory_equal(out + 6, test_mac_us, 6);
	assert_true(test_l4_cksum_ok(out + 14, len - 14));
	assert_memory_equal(out + 26, us.b + 12, 4);
	assert_memory_equal(out + 30, peer.b + 12, 4);
	assert_int_equal(out[34], 0);
	assert_memory_equal(out + 38, body + 4, sizeof(body) - 4);
	assert_null(test_net_sent(&net, NULL));
}

static void
tcp_is_handed_up(void **state)
{
	struct test_tcp t = {
		.sport = 1234, .dport = 80, .flags = 2, .opts = "\2\4\5\264", .opts_len = 4};

	test_frame_tcp(&f, peer, us, &t, NULL, 0);
	expect_up(PKT_TCP);
	f.b[f.l4 + 12] = 0x40;
	test_frame_l4_cksum(&f);
	expect_drop(DROP_TCP_SHORT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(udp_is_handed_up, setup, teardown),
		cmocka_unit_test_setup_teardown(echo_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_is_handed_up, setup, teardown),
	};

	test_eal("ip4_input");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

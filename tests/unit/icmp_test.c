/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * ICMP and ICMPv6: echo, errors that come in, errors that go out, limits.
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
static struct test_frame f, inner;
static uint8_t out[TEST_FRAME_MAX];

static int
setup(void **state)
{
	test_net_init(&net, 1);
	test_net_ip(&net, NULL);
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static struct test_addr
us(bool v6)
{
	return test_addr(v6 ? "fd77::2" : "10.77.0.2");
}

static struct test_addr
peer(bool v6)
{
	return test_addr(v6 ? "fd77::9" : "10.77.0.9");
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* An error from a router about the packet in `inner`, of which n bytes are quoted. */
static void
error(bool v6, uint8_t type, uint8_t code, uint32_t param, size_t n)
{
	uint8_t body[8 + 1500] = {type, code};

	put32(body + 4, param);
	memcpy(body + 8, inner.b + 14, n);
	test_frame_icmp(&f, test_addr(v6 ? "fd77::1" : "10.77.0.1"), us(v6), 60, body, 8 + n);
}

static void
quote_tcp(bool v6)
{
	struct test_tcp t = {.sport = 80, .dport = 5555, .seq = 0xdeadbeef, .flags = 0x10};

	test_frame_tcp(&inner, us(v6), peer(v6), &t, "data", 4);
}

static void
error_is_mapped_to_its_conversation(void **state)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct rte_mbuf *m;
		struct pkt *p;

		quote_tcp(v6);
		error(v6, v6 ? 1 : 3, v6 ? 4 : 3, 0, (v6 ? 40 : 20) + 8);
		m = test_expect_up(&net, &f, PKT_ICMP_ERROR);
		p = pkt_of(m);
		assert_memory_equal(p->key.k.laddr, us(v6).b, 16);
		assert_memory_equal(p->key.k.raddr, peer(v6).b, 16);
		assert_int_equal(p->key.k.lport_be, htons(80));
		assert_int_equal(p->key.k.rport_be, htons(5555));
		assert_int_equal(p->key.k.proto, IPPROTO_TCP);
		assert_int_equal(p->key.k.kind, KEY_TUPLE);
		assert_int_equal(p->hash, key_hash(&(struct key_secret){1, 2}, &p->key.k));
		assert_int_equal(p->icmp.seq, 0xdeadbeef);
		assert_int_equal(p->icmp.type, v6 ? 1 : 3);
		assert_int_equal(p->icmp.code, v6 ? 4 : 3);
		assert_int_equal(p->icmp.hard, 1);
		assert_int_equal(p->icmp.too_big, 0);
		assert_int_equal(p->data_off, p->l4_off + 8 + (v6 ? 40 : 20));
		assert_int_equal(p->data_len, 8);
		rte_pktmbuf_free(m);
		assert_int_equal(test_ip_stat(&net, "icmp_errors_in"), v6 + 1);
	}
}

static void
hard_and_soft(void **state)
{
	static const struct {
		bool v6;
		uint8_t type, code;
		bool hard;
	} cases[] = {{false, 3, 0, false}, {false, 3, 1, false}, {false, 3, 2, true},
		{false, 3, 3, true}, {false, 3, 13, false}, {false, 11, 0, false},
		{false, 12, 0, false}, {true, 1, 0, false}, {true, 1, 3, false}, {true, 1, 4, true},
		{true, 3, 0, false}, {true, 4, 1, true}, {true, 4, 0, false}, {false, 11, 4, false},
		{false, 11, 2, false}, {false, 12, 3, false}, {true, 3, 1, false},
		{true, 4, 4, false}, {true, 4, 2, false}, {true, 1, 1, false}};

	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct rte_mbuf *m;

		quote_tcp(cases[i].v6);
		error(cases[i].v6, cases[i].type, cases[i].code, 0x12345678, 60);
		m = test_expect_up(&net, &f, PKT_ICMP_ERROR);
		assert_int_equal(pkt_of(m)->icmp.hard, cases[i].hard);
		assert_int_equal(pkt_of(m)->icmp.too_big, 0);
		assert_int_equal(pkt_of(m)->icmp.mtu, 0);
		assert_int_equal(pkt_of(m)->icmp.type, cases[i].type);
		assert_int_equal(pkt_of(m)->icmp.code, cases[i].code);
		rte_pktmbuf_free(m);
	}
}

static uint32_t
too_big(bool v6, uint32_t mtu)
{
	struct rte_mbuf *m;
	uint32_t got;

	error(v6, v6 ? 2 : 3, v6 ? 0 : 4, mtu, 60);
	m = test_expect_up(&net, &f, PKT_ICMP_ERROR);
	assert_int_equal(pkt_of(m)->icmp.too_big, 1);
	assert_int_equal(pkt_of(m)->icmp.hard, 0);
	got = pkt_of(m)->icmp.mtu;
	rte_pktmbuf_free(m);
	return got;
}

static void
packet_too_big(void **state)
{
	static const struct {
		uint16_t total;
		uint32_t plateau;
	} cases[] = {{1500, 1492}, {1492, 1006}, {1006, 508}, {508, 296}, {296, 68}, {40, 68},
		{9000, 8166}, {65000, 32000}, {32001, 32000}, {32000, 17914}, {17914, 8166},
		{8166, 4352}, {4352, 2002}, {2002, 1492}, {1007, 1006}, {509, 508}, {297, 296},
		{0, 68}};

	quote_tcp(false);
	assert_int_equal(too_big(false, 1400), 1400);
	/* RFC 1191 section 7.1: a router that does not say. */
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		inner.b[16] = (uint8_t)(cases[i].total >> 8);
		inner.b[17] = (uint8_t)cases[i].total;
		assert_int_equal(too_big(false, 0), cases[i].plateau);
	}
	quote_tcp(true);
	assert_int_equal(too_big(true, 1400), 1400);
	assert_int_equal(too_big(true, 1280), 1280);
	error(true, 2, 0, 1279, 60);
	test_expect_drop(&net, &f, DROP_ICMP_TYPE);
}

static void
error_about_nothing_of_ours(void **state)
{
	struct test_tcp t = {.sport = 80, .dport = 5555};

	for (unsigned v6 = 0; v6 < 2; v6++) {
		/* Not from us. */
		test_frame_tcp(&inner, peer(v6), us(v6), &t, NULL, 0);
		error(v6, v6 ? 1 : 3, 0, 0, 60);
		test_expect_drop(&net, &f, DROP_ICMP_NO_CONV);
		/* Neither TCP nor UDP. */
		quote_tcp(v6);
		inner.b[v6 ? 20 : 23] = 132;
		error(v6, v6 ? 1 : 3, 0, 0, 60);
		test_expect_drop(&net, &f, DROP_ICMP_NO_CONV);
		/* Sent to a group. */
		quote_tcp(v6);
		error(v6, v6 ? 1 : 3, 0, 0, 60);
		if (v6) {
			memcpy(f.b + 38, test_addr("ff02::1").b, 16);
		} else {
			f.b[33] = 255;
			test_frame_ip4_cksum(&f);
		}
		test_frame_l4_cksum(&f);
		test_expect_drop(&net, &f, DROP_ICMP_NO_CONV);
	}
	/* A later piece of a datagram. */
	quote_tcp(false);
	inner.b[21] = 1;
	error(false, 3, 0, 0, 60);
	test_expect_drop(&net, &f, DROP_ICMP_NO_CONV);
	/* What is quoted is no IPv4 packet. */
	quote_tcp(false);
	inner.b[14] = 0x65;
	error(false, 3, 0, 0, 60);
	test_expect_drop(&net, &f, DROP_ICMP_SHORT);
	inner.b[14] = 0x44;
	error(false, 3, 0, 0, 60);
	test_expect_drop(&net, &f, DROP_ICMP_SHORT);
	/* Its options push the ports out of what is quoted. */
	inner.b[14] = 0x4f;
	error(false, 3, 0, 0, 44);
	test_expect_drop(&net, &f, DROP_ICMP_SHORT);
}

/* We fragment, so what is quoted may have a fragment header. */
static void
error_about_our_fragment(void **state)
{
	uint8_t frag[8] = {IPPROTO_UDP, 0, 0, 1, 1, 2, 3, 4};
	struct rte_mbuf *m;

	test_frame_udp(&inner, us(true), peer(true), 7, 4000, "12345678", 8);
	memmove(inner.b + 62, inner.b + 54, 16);
	memcpy(inner.b + 54, frag, 8);
	inner.b[20] = 44;
	error(true, 1, 0, 0, 64);
	m = test_expect_up(&net, &f, PKT_ICMP_ERROR);
	assert_int_equal(pkt_of(m)->key.k.lport_be, htons(7));
	assert_int_equal(pkt_of(m)->key.k.proto, IPPROTO_UDP);
	rte_pktmbuf_free(m);
	inner.b[57] = 0x18;
	error(true, 1, 0, 0, 64);
	test_expect_drop(&net, &f, DROP_ICMP_NO_CONV);
}

/* All types, all codes of the unused ones: no answer but echo's, no crash. */
static void
all_types(void **state)
{
	uint8_t body[64];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (unsigned type = 0; type < 256; type++) {
			for (unsigned code = 0; code < 256; code += 5) {
				struct rte_mbuf *m;

				memset(body, 0, sizeof(body));
				body[0] = (uint8_t)type;
				body[1] = (uint8_t)code;
				if (type == (v6 ? 128 : 8) && code == 0)
					continue;
				test_frame_icmp(&f, peer(v6), us(v6), 64, body, sizeof(body));
				m = test_input(&net, &f);
				assert_null(m);
			}
		}
	}
	assert_int_equal(test_net_discard(&net), 0);
	assert_true(net.w[0].c.drops[DROP_ICMP_TYPE] > 20000);
	assert_int_equal(net.w[0].c.consumed, 0);
}

static void
echo_is_answered(void **state)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		test_net_peer(&net, peer(v6), test_mac_peer);
		for (size_t n = 0; n < 70; n += 7) {
			uint8_t body[8 + 70] = {v6 ? 128 : 8, 0, 0, 0, 1, 2, 3, (uint8_t)n};
			size_t len, l4 = v6 ? 54 : 34;

			for (unsigned i = 0; i < n; i++)
				body[8 + i] = (uint8_t)(i * n);
			test_frame_icmp(&f, peer(v6), us(v6), 64, body, 8 + n);
			test_expect_consumed(&net, &f);
			len = test_expect_sent(&net, out);
			assert_int_equal(len, f.len);
			assert_true(test_l4_cksum_ok(out + 14, len - 14));
			assert_int_equal(out[l4], v6 ? 129 : 0);
			assert_memory_equal(out + l4 + 4, body + 4, 4 + n);
			assert_memory_equal(out, test_mac_peer, 6);
		}
	}
}

/* A message that is all zero but for its type: the one case where the difference of checksums
 * can't tell 0 from 0xffff. */
static void
echo_of_zeros(void **state)
{
	uint8_t body[16] = {8};

	test_net_peer(&net, peer(false), test_mac_peer);
	test_frame_icmp(&f, peer(false), us(false), 64, body, sizeof(body));
	test_expect_consumed(&net, &f);
	assert_int_equal(test_expect_sent(&net, out), 50);
	assert_int_equal(out[36] << 8 | out[37], 0xffff);
}

static void
echo_to_a_group(void **state)
{
	uint8_t body[16] = {8};

	test_frame_icmp(&f, peer(false), test_addr("10.77.0.255"), 64, body, sizeof(body));
	test_expect_drop(&net, &f, DROP_ICMP_TYPE);
	test_frame_icmp(&f, peer(false), test_addr("255.255.255.255"), 64, body, sizeof(body));
	test_expect_drop(&net, &f, DROP_ICMP_TYPE);
	body[0] = 128;
	test_frame_icmp(&f, peer(true), test_addr("ff02::1"), 64, body, sizeof(body));
	test_expect_drop(&net, &f, DROP_ICMP_TYPE);
	test_frame_icmp(&f, test_addr("::"), us(true), 64, body, sizeof(body));
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
}

/* The request's bytes may be somebody else's, too: they are not written to. */
static void
echo_of_a_shared_buffer(void **state)
{
	uint8_t body[8 + 32] = {8, 0, 0, 0, 9, 9};
	struct rte_mbuf *m, *held, *up = NULL;
	uint8_t before[128];
	size_t len;

	test_net_peer(&net, peer(false), test_mac_peer);
	test_frame_icmp(&f, peer(false), us(false), 64, body, sizeof(body));
	m = test_mbuf(net.mp, f.b, f.len);
	held = rte_pktmbuf_clone(m, net.mp_small);
	len = test_bytes(held, before);
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
	assert_int_equal(test_expect_sent(&net, out), f.len);
	assert_true(test_l4_cksum_ok(out + 14, f.len - 14));
	assert_int_equal(test_bytes(held, out), len);
	assert_memory_equal(out, before, len);
	rte_pktmbuf_free(held);
}

static void
echo_rate(void **state)
{
	uint8_t body[16] = {8};
	unsigned sent = 0;

	test_net_peer(&net, peer(false), test_mac_peer);
	test_frame_icmp(&f, peer(false), us(false), 64, body, sizeof(body));
	for (unsigned i = 0; i < 60000; i++) {
		assert_null(test_input(&net, &f));
		if (i % 1000 == 999)
			sent += test_net_discard(&net);
	}
	/* In no time a tenth to a fifth of a second's worth of 100 * 1000. */
	assert_in_range(sent, 9000, 22000);
	assert_int_equal(net.w[0].c.drops[DROP_ICMP_RATE], 60000 - sent);
	test_net_advance(&net, 1000000);
	assert_null(test_input(&net, &f));
	assert_int_equal(test_net_discard(&net), 1);
}

static struct rte_mbuf *
a_datagram(bool v6, size_t n)
{
	static uint8_t data[3000];

	test_frame_udp(&f, peer(v6), us(v6), 4000, 9999, data, n);
	return test_expect_up(&net, &f, PKT_UDP);
}

static void
port_unreachable(void **state)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		static const size_t sizes[] = {0, 5, 520, 521, 1472, 1184, 1185, 1400};

		test_net_peer(&net, peer(v6), test_mac_peer);
		for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
			size_t l4 = v6 ? 54 : 34, most = v6 ? 1280 : 576, len, quoted;
			struct rte_mbuf *m;

			if (v6 && sizes[i] > 1452)
				continue;
			m = a_datagram(v6, sizes[i]);
			test_net_advance(&net, 100000);
			ip_send_error(&net.w[0], m, IP_ERROR_PORT);
			rte_pktmbuf_free(m);
			len = test_expect_sent(&net, out);
			quoted = RTE_MIN(f.len - 14, most - (l4 - 14) - 8);
			assert_int_equal(len, l4 + 8 + quoted);
			assert_true(test_l4_cksum_ok(out + 14, len - 14));
			assert_int_equal(out[l4], v6 ? 1 : 3);
			assert_int_equal(out[l4 + 1], v6 ? 4 : 3);
			assert_memory_equal(out + l4 + 4, "\0\0\0\0", 4);
			assert_memory_equal(out + l4 + 8, f.b + 14, quoted);
		}
	}
	assert_true(test_ip_stat(&net, "icmp_errors_out") >= 14);
}

static void
no_error_about(struct rte_mbuf *m, enum ip_error e)
{
	ip_send_error(&net.w[0], m, e);
	rte_pktmbuf_free(m);
	assert_int_equal(test_net_discard(&net), 0);
	test_net_advance(&net, 1000000);
}

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e). */
static void
errors_that_must_not_be(void **state)
{
	uint8_t body[64] = {3, 3};

	test_net_peer(&net, peer(false), test_mac_peer);
	test_net_peer(&net, peer(true), test_mac_peer);
	/* About an error. */
	quote_tcp(false);
	error(false, 3, 3, 0, 28);
	no_error_about(test_expect_up(&net, &f, PKT_ICMP_ERROR), IP_ERROR_PORT);
	/* About what was sent to a group, of either layer. */
	test_frame_udp(&f, peer(false), test_addr("10.77.0.255"), 1, 2, NULL, 0);
	no_error_about(test_expect_up(&net, &f, PKT_UDP), IP_ERROR_PORT);
	test_frame_udp(&f, peer(true), test_addr("ff02::1"), 1, 2, NULL, 0);
	no_error_about(test_expect_up(&net, &f, PKT_UDP), IP_ERROR_PORT);
	/* About a later piece, and about a first one that is an error itself. */
	test_frame_ip(&f, peer(false), us(false), IPPROTO_UDP, body, 64);
	f.b[21] = 8;
	test_frame_ip4_cksum(&f);
	no_error_about(test_expect_up(&net, &f, PKT_FRAGMENT), IP_ERROR_REASSEMBLY);
	test_frame_ip(&f, peer(false), us(false), IPPROTO_ICMP, body, 64);
	f.b[20] = 0x20;
	test_frame_ip4_cksum(&f);
	no_error_about(test_expect_up(&net, &f, PKT_FRAGMENT), IP_ERROR_REASSEMBLY);
	/* An unknown protocol, sent to all. */
	test_frame_ip(&f, peer(false), test_addr("10.77.0.255"), 132, body, 64);
	test_expect_drop(&net, &f, DROP_IP_PROTO);
}

static void
reassembly_time_exceeded(void **state)
{
	uint8_t body[64] = {8};

	for (unsigned what = 0; what < 2; what++) { /* echo, UDP */
		struct rte_mbuf *m;

		test_net_peer(&net, peer(false), test_mac_peer);
		test_frame_ip(&f, peer(false), us(false), what == 0 ? IPPROTO_ICMP : IPPROTO_UDP,
			body, 64);
		f.b[20] = 0x20;
		test_frame_ip4_cksum(&f);
		m = test_expect_up(&net, &f, PKT_FRAGMENT);
		ip_send_error(&net.w[0], m, IP_ERROR_REASSEMBLY);
		rte_pktmbuf_free(m);
		assert_int_equal(test_expect_sent(&net, out), 34 + 8 + 84);
		assert_int_equal(out[34], 11);
		assert_int_equal(out[35], 1);
	}
}

/* One peer can have a tenth of the limit, all together the limit; in no time only the burst. */
static void
error_rates(void **state)
{
	struct rte_mbuf *m;
	unsigned one, seen[8], distinct = 0;

	test_net_peer(&net, peer(false), test_mac_peer);
	m = a_datagram(false, 5);
	for (unsigned i = 0; i < 1000; i++)
		ip_send_error(&net.w[0], m, IP_ERROR_PORT);
	one = test_net_discard(&net);
	assert_in_range(one, 6, 30);
	for (unsigned i = 0; i < 1000; i++) {
		test_net_advance(&net, 10000);
		ip_send_error(&net.w[0], m, IP_ERROR_PORT);
		ip_send_error(&net.w[0], m, IP_ERROR_PORT);
		test_net_flush(&net);
	}
	/* 10 s at 100 per second. */
	assert_in_range(test_net_discard(&net), 900, 1130);
	rte_pktmbuf_free(m);
	/* The common limit's burst differs from time to time: nobody can count on it. */
	for (unsigned i = 0; i < 8; i++) {
		seen[i] = 0;
		test_net_advance(&net, 10000000);
		while (ip_rate_ok(&net.w[0]))
			seen[i]++;
		assert_in_range(seen[i], 60, 260);
		for (unsigned j = 0; j < i; j++)
			distinct += seen[i] != seen[j];
	}
	assert_true(distinct > 14);
	assert_true(test_ip_stat(&net, "icmp_errors_limited") > 900);
}

static void
errors_without_buffers(void **state)
{
	struct rte_mbuf *m;
	uint8_t body[16] = {8};

	test_net_peer(&net, peer(false), test_mac_peer);
	m = a_datagram(false, 5);
	test_starve(net.mp);
	ip_send_error(&net.w[0], m, IP_ERROR_PORT);
	test_feed(net.mp);
	assert_int_equal(net.w[0].c.tx_no_mbuf, 1);
	rte_pktmbuf_free(m);
	/* An echo in a shared buffer needs a fresh header. */
	test_frame_icmp(&f, peer(false), us(false), 64, body, sizeof(body));
	m = test_mbuf(net.mp, f.b, f.len);
	{
		struct rte_mbuf *held = rte_pktmbuf_clone(m, net.mp_small), *up = NULL;

		test_starve(net.mp_small);
		test_starve(net.mp);
		assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
		test_feed(net.mp);
		test_feed(net.mp_small);
		rte_pktmbuf_free(held);
	}
	assert_int_equal(net.w[0].c.drops[DROP_NO_MBUF], 1);
}

/* RFC 1624 against a sum made anew: all sums there are. Its class is the request's, but nothing of ECN
 * is echoed (RFC 3168), and its TTL is our own (RFC 1122 section 3.2.2.6). */
static void
echo_of_anything(void **state)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		uint8_t body[8 + 16] = {v6 ? 128 : 8, 0, 0, 0, 1, 2, 3, 4, 0, 0, 5, 6};

		test_net_peer(&net, peer(v6), test_mac_peer);
		for (unsigned i = 0; i < 65536; i++) {
			size_t len;

			body[8] = (uint8_t)(i >> 8);
			body[9] = (uint8_t)i;
			test_frame_icmp(&f, peer(v6), us(v6), 3, body, sizeof(body));
			f.b[14] = v6 ? 0x6b : 0x45;
			f.b[15] = v6 ? 0xb0 : 0xbb;
			if (!v6)
				test_frame_ip4_cksum(&f);
			assert_null(test_input(&net, &f));
			len = test_expect_sent(&net, out);
			assert_int_equal(len, f.len);
			assert_true(test_l4_cksum_ok(out + 14, len - 14));
			assert_memory_equal(out + len - 20, body + 4, 20);
			test_net_advance(&net, 100);
		}
		assert_int_equal(out[15], v6 ? 0x80 : 0xb8);
		assert_int_equal(out[14], v6 ? 0x6b : 0x45);
		assert_int_equal(out[14 + (v6 ? 7 : 8)], 64);
	}
	assert_int_equal(test_ip_stat(&net, "icmp_echoes"), 2 * 65536);
}

/* A link-local peer is answered on the link that it is on (RFC 4007): echo and error. */
static void
link_local_peer(void **state)
{
	struct test_addr from = test_addr("fe80::9"), to = test_addr("fe80::ff:fe00:1");
	uint8_t body[16] = {128};
	struct rte_mbuf *m;

	test_net_peer(&net, from, test_mac_peer);
	test_frame_icmp(&f, from, to, 64, body, sizeof(body));
	test_expect_consumed(&net, &f);
	assert_int_equal(test_expect_sent(&net, out), f.len);
	assert_memory_equal(out + 22, to.b, 16);
	test_frame_udp(&f, from, to, 1, 2, NULL, 0);
	m = test_expect_up(&net, &f, PKT_UDP);
	ip_send_error(&net.w[0], m, IP_ERROR_PORT);
	rte_pktmbuf_free(m);
	assert_int_equal(test_expect_sent(&net, out), 62 + 48);
	assert_memory_equal(out + 38, from.b, 16);
}

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): no error about an error, nor about a redirect;
 * about a question or its answer there may be one. */
static void
errors_about_icmp(void **state)
{
	static const struct {
		bool v6;
		uint8_t type;
		bool told;
	} cases[] = {{false, 0, true}, {false, 3, false}, {false, 5, false}, {false, 7, false},
		{false, 8, true}, {false, 9, false}, {false, 12, false}, {false, 13, true},
		{false, 18, true}, {true, 1, false}, {true, 127, false}, {true, 128, true},
		{true, 129, true}, {true, 136, true}, {true, 137, false}, {true, 138, true}};

	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		bool v6 = cases[i].v6;
		uint8_t body[16] = {44, 0, 0, 0};
		struct rte_mbuf *m;

		test_net_advance(&net, 1000000);
		test_net_peer(&net, peer(v6), test_mac_peer);
		if (v6) {
			memcpy(body, "\x3a\0\0\1\1\2\3\4", 8);
			body[8] = cases[i].type;
			test_frame_ip(&f, peer(v6), us(v6), 44, body, 16);
		} else {
			body[0] = cases[i].type;
			test_frame_ip(&f, peer(v6), us(v6), IPPROTO_ICMP, body, 16);
			f.b[20] = 0x20;
			test_frame_ip4_cksum(&f);
		}
		m = test_expect_up(&net, &f, PKT_FRAGMENT);
		ip_send_error(&net.w[0], m, IP_ERROR_REASSEMBLY);
		rte_pktmbuf_free(m);
		assert_int_equal(test_net_discard(&net), cases[i].told);
	}
}

/* RFC 4443 section 3.3: the first piece came, the rest did not in time. */
static void
reassembly_time_exceeded_v6(void **state)
{
	uint8_t body[16] = {IPPROTO_UDP, 0, 0, 1, 1, 2, 3, 4};
	struct rte_mbuf *m;

	test_net_peer(&net, peer(true), test_mac_peer);
	test_frame_ip(&f, peer(true), us(true), 44, body, 16);
	m = test_expect_up(&net, &f, PKT_FRAGMENT);
	ip_send_error(&net.w[0], m, IP_ERROR_REASSEMBLY);
	rte_pktmbuf_free(m);
	assert_int_equal(test_expect_sent(&net, out), 54 + 8 + 56);
	assert_memory_equal(out + 54, "\3\1", 2);
	assert_memory_equal(out + 58, "\0\0\0\0", 4);
	assert_memory_equal(out + 62, f.b + 14, 56);
}

/* What is quoted ends in, or just behind, its fragment header. */
static void
quoted_fragment_is_cut(void **state)
{
	uint8_t frag[8] = {IPPROTO_UDP, 0, 0, 1, 1, 2, 3, 4};

	test_frame_udp(&inner, us(true), peer(true), 7, 4000, "12345678", 8);
	memmove(inner.b + 62, inner.b + 54, 16);
	memcpy(inner.b + 54, frag, 8);
	inner.b[20] = 44;
	for (size_t n = 40; n < 56; n++) {
		error(true, 1, 0, 0, n);
		test_expect_drop(&net, &f, DROP_ICMP_NO_CONV);
	}
	error(true, 1, 0, 0, 56);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_ICMP_ERROR));
	quote_tcp(true);
	inner.b[14] = 0x40;
	error(true, 1, 0, 0, 60);
	test_expect_drop(&net, &f, DROP_ICMP_NO_CONV);
}

/* A quoted header with all the options there can be, in any two segments. */
static void
quoted_options(void **state)
{
	struct test_tcp t = {.sport = 80, .dport = 5555, .seq = 0xdeadbeef};

	test_frame_tcp(&inner, us(false), peer(false), &t, NULL, 0);
	memmove(inner.b + 14 + 60, inner.b + 34, 20);
	memset(inner.b + 34, 1, 40);
	inner.b[14] = 0x4f;
	error(false, 3, 1, 0, 68);
	for (size_t cut = 0; cut <= f.len; cut++) {
		struct rte_mbuf *m = test_mbuf_exact(net.mp, f.b, f.len, &cut, 1), *up = NULL;

		assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 1);
		assert_int_equal(pkt_of(up)->icmp.seq, 0xdeadbeef);
		assert_int_equal(pkt_of(up)->key.k.lport_be, htons(80));
		assert_int_equal(pkt_of(up)->key.k.rport_be, htons(5555));
		net.w[0].c.delivered++;
		rte_pktmbuf_free(up);
	}
	/* A header as long as can be, and its ports just not there. */
	error(false, 3, 1, 0, 67);
	test_expect_drop(&net, &f, DROP_ICMP_SHORT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(error_is_mapped_to_its_conversation),
		T(hard_and_soft),
		T(packet_too_big),
		T(error_about_nothing_of_ours),
		T(error_about_our_fragment),
		T(all_types),
		T(echo_is_answered),
		T(echo_of_zeros),
		T(echo_to_a_group),
		T(echo_of_a_shared_buffer),
		T(echo_rate),
		T(port_unreachable),
		T(errors_that_must_not_be),
		T(reassembly_time_exceeded),
		T(error_rates),
		T(errors_without_buffers),
		T(echo_of_anything),
		T(link_local_peer),
		T(errors_about_icmp),
		T(reassembly_time_exceeded_v6),
		T(quoted_fragment_is_cut),
		T(quoted_options),
	};

	test_eal("icmp");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

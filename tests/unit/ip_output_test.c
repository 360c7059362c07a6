/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Output: headers, checksums and their offload, shared buffers, chains, fragments.
 */
#include <errno.h>
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
static struct key k;
static struct path p;

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

static int
setup_off(const struct ip_offloads *off)
{
	test_net_init(&net, 1);
	test_net_ip(&net, off);
	test_net_peer(&net, peer(false), test_mac_peer);
	test_net_peer(&net, peer(true), test_mac_peer);
	memset(&p, 0, sizeof(p));
	return 0;
}

static int
setup(void **state)
{
	return setup_off(NULL);
}

static int
setup_one_segment(void **state)
{
	return setup_off(&(struct ip_offloads){.multi_segs = false});
}

static int
setup_offloads(void **state)
{
	return setup_off(&(struct ip_offloads){.multi_segs = true,
		.tx_ip_cksum = true,
		.tx_tcp_cksum = true,
		.tx_udp_cksum = true});
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static void
to(bool v6)
{
	memset(&k, 0, sizeof(k));
	memcpy(k.raddr, peer(v6).b, 16);
	memcpy(k.laddr, us(v6).b, 16);
	memset(&p, 0, sizeof(p));
}

static struct rte_mbuf *
fresh(const void *b, size_t n)
{
	struct rte_mbuf *m = test_mbuf(net.mp, b, n);

	memset(pkt_of(m), 0, sizeof(struct pkt));
	return m;
}

static const struct ip_tx udp_tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};

/* A UDP message of n bytes: header, then a pattern that depends on salt. */
static size_t
message(uint8_t *b, size_t n, unsigned salt)
{
	uint8_t h[8] = {0, 7, 0x0f, 0xa0, (uint8_t)((n + 8) >> 8), (uint8_t)(n + 8)};

	memcpy(b, h, 8);
	for (size_t i = 0; i < n; i++)
		b[8 + i] = (uint8_t)((i * 131 + salt) >> 2);
	return n + 8;
}

/* What was sent is this message, right in all its headers. */
static void
expect_message(bool v6, const uint8_t *b, size_t n)
{
	size_t len = test_expect_sent(&net, out), l4 = v6 ? 54 : 34;

	assert_int_equal(len, l4 + n);
	assert_memory_equal(out, test_mac_peer, 6);
	assert_memory_equal(out + 6, test_mac_us, 6);
	assert_true(test_l4_cksum_ok(out + 14, len - 14));
	assert_memory_equal(out + l4, b, 6);
	assert_memory_equal(out + l4 + 8, b + 8, n - 8);
	assert_null(test_net_sent(&net, NULL));
}

/* RFC 6864: what a router may fragment has an identification of its own. */
static void
unfragmented_identifications(void **state)
{
	static uint8_t b[64];
	struct ip_tx tx = udp_tx;
	size_t n = message(b, 33, 1);
	unsigned same = 0;
	uint8_t last[2] = {0};

	to(false);
	tx.df = false;
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, n), &tx), 0);
		expect_message(false, b, n);
		same += memcmp(last, out + 18, 2) == 0;
		memcpy(last, out + 18, 2);
	}
	assert_true(same < 2);
}

static void
headers(void **state)
{
	static uint8_t b[2048];
	struct ip_tx tx = udp_tx;
	size_t n = message(b, 33, 1);

	for (unsigned v6 = 0; v6 < 2; v6++) {
		to(v6);
		tx.tos = 0xb9;
		tx.ttl = 0;
		tx.df = true;
		assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, n), &tx), 0);
		expect_message(v6, b, n);
		if (v6) {
			assert_memory_equal(out + 14, "\x6b\x90\0\0\0\x29\x11\x40", 8);
		} else {
			assert_memory_equal(out + 14, "\x45\xb9\0\x3d\0\0\x40\0\x40\x11", 10);
			assert_memory_equal(out + 26, us(false).b + 12, 4);
			assert_memory_equal(out + 30, peer(false).b + 12, 4);
		}
		assert_int_equal(p.mtu, 1500);
		assert_int_equal(ip_path_room(&p, &k), v6 ? 1460 : 1480);
		p.ttl = 9;
		p.dscp = 46;
		tx.tos = 1; /* ECN bits are not the conversation's to ask for */
		tx.df = false;
		assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, n), &tx), 0);
		expect_message(v6, b, n);
		assert_int_equal(out[14 + (v6 ? 7 : 8)], 9);
		assert_memory_equal(out + 14, v6 ? "\x6b\x90" : "\x45\xb9", 2);
		if (!v6)
			assert_int_equal(out[20], 0);
		tx.ttl = 3;
		assert_int_equal(ip_output(&net.w[0], NULL, &k, fresh(b, n), &tx), 0);
		expect_message(v6, b, n);
		assert_int_equal(out[14 + (v6 ? 7 : 8)], 3);
	}
}

/* Exact bytes: a datagram as scapy makes it. */
static void
known_vector(void **state)
{
	static const uint8_t want[] = {0x45, 0, 0, 32, 0, 0, 0x40, 0, 0x40, 0x11, 0x26, 0x29, 10,
		77, 0, 2, 10, 77, 0, 9, 0, 7, 0x0f, 0xa0, 0, 12, 0x16, 0xc4, 'a', 'b', 'c', 'd'};
	struct ip_tx tx = udp_tx;

	tx.df = true;
	to(false);
	assert_int_equal(
		ip_output(&net.w[0], &p, &k, fresh("\0\7\x0f\xa0\0\14\0\0abcd", 12), &tx), 0);
	assert_int_equal(test_expect_sent(&net, out), 46);
	assert_memory_equal(out + 14, want, 32);
}

/* RFC 768: a sum that comes out as zero is sent as ffff. */
static void
udp_sum_is_never_zero(void **state)
{
	uint8_t b[10];
	unsigned zeros = 0;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		to(v6);
		for (unsigned x = 0; x < 65536; x++) {
			message(b, 2, 0);
			b[8] = (uint8_t)(x >> 8);
			b[9] = (uint8_t)x;
			assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, 10), &udp_tx), 0);
			assert_true(test_expect_sent(&net, out) > 0);
			zeros += out[v6 ? 60 : 40] == 0xff && out[v6 ? 61 : 41] == 0xff;
			assert_false(out[v6 ? 60 : 40] == 0 && out[v6 ? 61 : 41] == 0);
		}
	}
	assert_int_equal(zeros, 2);
}

/* Headers may be put in front only where nobody else looks. */
static void
shared_buffers_are_not_written_to(void **state)
{
	static uint8_t b[2048], before[2048];
	size_t n = message(b, 100, 2);
	struct rte_mbuf *m, *held;

	to(false);
	/* Attached to by somebody: the data is shared. */
	m = fresh(b, n);
	held = rte_pktmbuf_clone(m, net.mp_small);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
	expect_message(false, b, n);
	assert_int_equal(test_bytes(held, before), n);
	assert_memory_equal(before, b, n);
	/* Indirect itself. */
	m = rte_pktmbuf_clone(held, net.mp_small);
	memset(pkt_of(m), 0, sizeof(struct pkt));
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
	expect_message(false, b, n);
	assert_int_equal(test_bytes(held, before), n);
	assert_memory_equal(before, b, n);
	rte_pktmbuf_free(held);
	/* The very mbuf stands somewhere else, too. */
	m = fresh(b, n);
	rte_mbuf_refcnt_update(m, 1);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
	expect_message(false, b, n);
	assert_int_equal(m->pkt_len, n);
	assert_int_equal(m->nb_segs, 1);
	assert_int_equal(test_bytes(m, before), n);
	assert_memory_equal(before, b, n);
	rte_pktmbuf_free(m);
}

/* As TCP sends: header of its own, payload shared with the send queue. */
static void
header_in_front_of_a_shared_payload(void **state)
{
	static uint8_t b[2048], before[2048];
	size_t n = message(b, 1000, 3);
	struct rte_mbuf *payload = fresh(b + 8, n - 8), *m;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		to(v6);
		m = ip_header_mbuf(&net.w[0]);
		memcpy(rte_pktmbuf_append(m, 8), b, 8);
		assert_int_equal(rte_pktmbuf_chain(m, rte_pktmbuf_clone(payload, net.mp_small)), 0);
		assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
		assert_int_equal(net.w[0].tx[0].m[0]->nb_segs, 2); /* no third for the headers */
		expect_message(v6, b, n);
		assert_int_equal(test_bytes(payload, before), n - 8);
		assert_memory_equal(before, b + 8, n - 8);
	}
	rte_pktmbuf_free(payload);
}

static void
without_headroom(void **state)
{
	static uint8_t b[2048];
	size_t n = message(b, 10, 4);
	struct rte_mbuf *m = fresh(b, n);

	to(false);
	rte_pktmbuf_prepend(m, rte_pktmbuf_headroom(m) - 33); /* one byte too little is left */
	rte_pktmbuf_trim(m, (uint16_t)(m->data_len - n));
	memcpy(rte_pktmbuf_mtod(m, void *), b, n);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
	assert_int_equal(net.w[0].tx[0].m[0]->nb_segs, 2);
	expect_message(false, b, n);
}

static void
chains_split_anywhere(void **state)
{
	static uint8_t b[128];
	size_t n = message(b, 51, 5);

	for (unsigned v6 = 0; v6 < 2; v6++) {
		to(v6);
		for (size_t cut = 0; cut <= n; cut++) {
			struct rte_mbuf *m = test_mbuf_cut(net.mp, b, n, &cut, 1);

			memset(pkt_of(m), 0, sizeof(struct pkt));
			assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
			expect_message(v6, b, n);
		}
	}
}

static void
chains_are_linearised(void **state)
{
	static uint8_t b[2048];
	size_t n = message(b, 1400, 6), cuts[13];

	for (unsigned i = 0; i < 13; i++)
		cuts[i] = 8 + i * 101;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct rte_mbuf *m = test_mbuf_cut(net.mp, b, n, cuts, 13);

		to(v6);
		memset(pkt_of(m), 0, sizeof(struct pkt));
		assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
		assert_int_equal(net.w[0].tx[0].m[0]->nb_segs, 1);
		expect_message(v6, b, n);
	}
	assert_int_equal(test_ip_stat(&net, "out_linearised"), 2);
}

static void
offloads(void **state)
{
	static uint8_t b[2048];
	struct ip_tx tx = {.proto = IPPROTO_TCP, .l4_len = 20, .cksum_off = 16, .df = true};

	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct rte_mbuf *m;
		uint64_t want = RTE_MBUF_F_TX_TCP_CKSUM |
			(v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);

		to(v6);
		memset(b, 0, 60);
		m = fresh(b, 60);
		m->ol_flags |=
			RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_VLAN; /* it was received once */
		assert_int_equal(ip_output(&net.w[0], &p, &k, m, &tx), 0);
		m = test_net_sent(&net, NULL);
		assert_non_null(m);
		assert_int_equal(m->ol_flags, want);
		assert_int_equal(m->l2_len, 14);
		assert_int_equal(m->l3_len, v6 ? 40 : 20);
		assert_int_equal(m->l4_len, 20);
		/* DPDK's own idea of what the port wants: the pseudo header's sum. */
		test_bytes(m, out);
		assert_int_equal(rte_validate_tx_offload(m), 0);
		if (!v6)
			assert_memory_equal(out + 24, "\0\0", 2);
		memset(f.b, 0, 100);
		memcpy(f.b, out + 14, v6 ? 40 : 20);
		/* The port adds the rest and takes the complement: then it is right. */
		{
			uint32_t sum = 0;
			size_t l4 = v6 ? 54 : 34;

			for (size_t i = l4; i < l4 + 60; i += 2)
				sum += (uint32_t)(out[i] << 8 | out[i + 1]);
			while (sum >> 16)
				sum = (sum & 0xffff) + (sum >> 16);
			out[l4 + 16] = (uint8_t)(~sum >> 8);
			out[l4 + 17] = (uint8_t)~sum;
			if (!v6) {
				sum = 0;
				for (size_t i = 14; i < 34; i += 2)
					sum += (uint32_t)(out[i] << 8 | out[i + 1]);
				while (sum >> 16)
					sum = (sum & 0xffff) + (sum >> 16);
				out[24] = (uint8_t)(~sum >> 8);
				out[25] = (uint8_t)~sum;
			}
			assert_true(test_l4_cksum_ok(out + 14, l4 + 60 - 14));
		}
		rte_pktmbuf_free(m);
	}
}

static void
no_checksum_wanted(void **state)
{
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = -1};
	static const uint8_t b[12] = {0, 7, 0, 9, 0, 12, 0, 0, 'a', 'b', 'c', 'd'};

	to(false);
	assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, 12), &tx), 0);
	assert_int_equal(test_expect_sent(&net, out), 46);
	assert_memory_equal(out + 34, b, 12);
}

static void
errors(void **state)
{
	static uint8_t b[70000];
	struct ip_tx tx = udp_tx;

	/* Too long, and not to be fragmented. */
	for (unsigned v6 = 0; v6 < 2; v6++) {
		to(v6);
		tx.df = true;
		assert_int_equal(
			ip_output(&net.w[0], &p, &k, fresh(b, v6 ? 1461 : 1481), &tx), -EMSGSIZE);
		assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, v6 ? 1460 : 1480), &tx), 0);
		assert_int_equal(test_expect_sent(&net, out), 1514);
		/* Longer than any datagram. */
		tx.df = false;
		assert_int_equal(
			ip_output(&net.w[0], &p, &k, fresh(b, v6 ? 65536 : 65516), &tx), -EMSGSIZE);
	}
	to(false);
	memcpy(k.laddr, test_addr("10.77.0.3").b, 16);
	assert_int_equal(ip_output(&net.w[0], NULL, &k, fresh(b, 20), &tx), -EADDRNOTAVAIL);
	to(false);
	memcpy(k.raddr, test_addr("224.0.0.1").b, 16);
	assert_int_equal(ip_output(&net.w[0], NULL, &k, fresh(b, 20), &tx), -ENETUNREACH);
	assert_int_equal(test_net_discard(&net), 0);
	assert_int_equal(test_in_use(net.mp), 0);
}

/** Send it; what went out, with what the port is told. @return bytes, or the error */
static int
sent(struct rte_mbuf *m, const struct ip_tx *tx, uint8_t *buf, uint64_t *ret_flags,
	uint64_t *ret_off)
{
	int err = ip_output(&net.w[0], &p, &k, m, tx);
	struct rte_mbuf *o;
	size_t len;

	if (err != 0)
		return err;
	o = test_net_sent(&net, NULL);
	assert_non_null(o);
	len = test_bytes(o, buf);
	*ret_flags = o->ol_flags & ~RTE_MBUF_F_INDIRECT;
	*ret_off = o->tx_offload;
	rte_pktmbuf_free(o);
	assert_null(test_net_sent(&net, NULL));
	return (int)len;
}

/* The short way (ip4_output_plain) makes the frame that the long one makes, which a shared buffer takes. */
static void
short_way_and_long_way(void **state)
{
	static uint8_t b[2048], one[TEST_FRAME_MAX], other[TEST_FRAME_MAX];
	uint64_t flags[2], off[2];

	(void)state;
	to(false);
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t r = worker_random(&net.w[0]);
		size_t n = message(
			b, r % 8 == 0 ? 1460 + (r >> 4) % 24 : (r >> 4) % 1400, (unsigned)r);
		size_t cut = 8 + (r >> 24) % (n - 7);
		struct ip_tx tx = udp_tx;
		struct rte_mbuf *m, *clone;
		int len;

		tx.df = true;
		tx.tos = (uint8_t)(r >> 40);
		tx.ttl = (uint8_t)((r >> 48) % 3 * 7);
		if ((r >> 50 & 1) != 0 && n >= 20) {
			tx.proto = IPPROTO_TCP;
			tx.l4_len = 20;
			tx.cksum_off = 16;
			cut = RTE_MAX(cut, (size_t)20);
		}
		p.dscp = r >> 52 & 7;
		p.ttl = (uint8_t)((r >> 56) % 2 * 33);
		m = test_mbuf_cut(net.mp, b, n, &cut, r >> 58 & 1);
		memset(pkt_of(m), 0, sizeof(struct pkt));
		clone = rte_pktmbuf_clone(m, net.mp_small);
		len = sent(clone, &tx, other, &flags[1], &off[1]);
		assert_int_equal(sent(m, &tx, one, &flags[0], &off[0]), len);
		if (len < 0) {
			assert_int_equal(len, -EMSGSIZE);
			continue;
		}
		assert_memory_equal(one, other, (size_t)len);
		assert_true(flags[0] == flags[1] && off[0] == off[1]);
	}
}

static void
buffers_run_out(void **state)
{
	static uint8_t b[4000];
	size_t n = message(b, 3000, 1), small = message(b, 10, 1);
	struct rte_mbuf *m, *held;

	/* For a header in front. */
	to(false);
	m = fresh(b, small);
	held = rte_pktmbuf_clone(m, net.mp_small);
	test_starve(net.mp_small);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), -ENOBUFS);
	test_feed(net.mp_small);
	rte_pktmbuf_free(held);
	/* There is no room in front of it. */
	m = fresh(b, small);
	memmove(m->buf_addr, rte_pktmbuf_mtod(m, void *), small);
	m->data_off = 0;
	test_starve(net.mp_small);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), -ENOBUFS);
	test_feed(net.mp_small);
	/* For fragments: none, or only some. */
	n = message(b, 3000, 1);
	m = fresh(b, n);
	test_starve(net.mp_small);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), -ENOBUFS);
	test_feed(net.mp_small);
	assert_true(net.w[0].c.tx_no_mbuf >= 3);
	test_net_discard(&net);
}

/* Every allocation fails in turn: nothing is lost but what is counted, no buffer either. */
static void
each_allocation_fails(void **state)
{
	static uint8_t b[20008], body[8 + 300];
	size_t cuts[] = {5, 60, 200, 240}, n = message(b, 20000, 1);
	unsigned failed = 0;

	for (unsigned left = 0; left < 60; left++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct rte_mbuf *m = fresh(b, n), *echo, *held, *up = NULL;

			to(v6);
			body[0] = v6 ? 128 : 8;
			test_frame_icmp(&f, peer(v6), us(v6), 64, body, sizeof(body));
			echo = test_mbuf_cut(net.mp, f.b, f.len, cuts, 4);
			held = rte_pktmbuf_clone(echo, net.mp_small);
			test_starve_but(net.mp_small, left);
			test_starve_but(net.mp, left);
			failed += ip_output(&net.w[0], &p, &k, m, &udp_tx) == -ENOBUFS;
			test_net_discard(&net);
			assert_int_equal(ip_input_burst(&net.w[0], 0, &echo, 1, &up), 0);
			test_net_discard(&net);
			test_feed(net.mp);
			test_feed(net.mp_small);
			rte_pktmbuf_free(held);
			assert_int_equal(test_in_use(net.mp), 0);
			assert_int_equal(test_in_use(net.mp_small), 0);
			test_net_balance(&net);
		}
	}
	assert_in_range(failed, 20, 110); /* at first all, at last none */
	assert_true(net.w[0].c.tx_no_mbuf >= failed);
}

/* Join the fragments that were sent, as any receiver would; returns the payload's length. */
static size_t
join(bool v6, uint8_t *whole, size_t mtu)
{
	size_t at = 0, total = 0;
	uint8_t id[4];
	bool last = false;

	while (!last) {
		size_t len = test_expect_sent(&net, out), h = v6 ? 62 : 34;
		size_t offset = v6 ? (out[56] << 8 | out[57]) & 0xfff8
				   : ((out[20] << 8 | out[21]) & 0x1fff) * 8;
		bool more = v6 ? out[57] & 1 : out[20] >> 5 & 1;

		assert_true(len - 14 <= mtu);
		assert_int_equal(offset, at);
		if (at == 0)
			memcpy(id, v6 ? out + 58 : out + 18, v6 ? 4 : 2);
		assert_memory_equal(id, v6 ? out + 58 : out + 18, v6 ? 4 : 2);
		if (v6) {
			assert_int_equal(out[20], 44);
			assert_int_equal(out[54], IPPROTO_UDP);
			assert_int_equal(out[18] << 8 | out[19], len - 54);
		} else {
			assert_int_equal(out[20] & 0x40, 0);
			assert_int_equal(out[16] << 8 | out[17], len - 14);
		}
		memcpy(whole + at, out + h, len - h);
		if (more) {
			assert_int_equal((len - h) % 8, 0);
			assert_true(len - 14 > mtu - 8); /* as large as can be */
		}
		at += len - h;
		last = !more;
		total = at;
	}
	assert_null(test_net_sent(&net, NULL));
	return total;
}

static void
fragments_join_to_the_same_bytes(void **state)
{
	static uint8_t b[65536], back[65536 + 2000];
	static const size_t sizes[] = {1473, 1474, 1480, 1453, 2952, 2953, 4000, 20000, 65507};
	static const uint16_t mtus[] = {1500, 1280, 1400, 1301, 552};

	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
			for (unsigned j = 0; j < RTE_DIM(mtus); j++) {
				size_t n = message(b, RTE_MIN(sizes[i], (size_t)65507), i + j);

				if (v6 && mtus[j] < 1280)
					continue;
				to(v6);
				assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
				ip_path_mtu(&p, &k, mtus[j]);
				assert_int_equal(p.mtu, mtus[j]);
				assert_int_equal(
					ip_output(&net.w[0], &p, &k, fresh(b, n), &udp_tx), 0);
				assert_int_equal(join(v6, back, mtus[j]), n);
				/* The sum is the whole message's. */
				test_frame_udp(&f, us(v6), peer(v6), 7, 4000, b + 8, n - 8);
				assert_memory_equal(back, f.b + f.l4, n);
			}
		}
	}
	assert_int_equal(test_in_use(net.mp), 0);
}

static void
fragments_of_one_segment_each(void **state)
{
	static uint8_t b[20008], back[20008];
	size_t n = message(b, 20000, 1);

	to(false);
	assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, n), &udp_tx), 0);
	worker_flush(&net.w[0]);
	for (unsigned i = 0; i < net.ntx; i++)
		assert_int_equal(net.tx[i].m->nb_segs, 1);
	assert_int_equal(join(false, back, 1500), n);
	assert_memory_equal(back + 8, b + 8, n - 8);
}

/* RFC 6864, RFC 7739: no two datagrams in a row under one identification, none that tells of others. */
static void
identifications_differ(void **state)
{
	static uint8_t b[4000];
	uint32_t seen[2][64];
	size_t n = message(b, 2000, 1);

	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (unsigned i = 0; i < 64; i++) {
			to(v6);
			assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, n), &udp_tx), 0);
			test_expect_sent(&net, out);
			seen[v6][i] = v6
				? (uint32_t)out[58] << 24 | out[59] << 16 | out[60] << 8 | out[61]
				: (uint32_t)(out[18] << 8 | out[19]);
			test_net_discard(&net);
			for (unsigned j = 0; j < i; j++)
				assert_int_not_equal(seen[v6][i], seen[v6][j]);
		}
	}
}

/* A message to somebody unknown waits whole and leaves whole, fragments too. */
static void
fragments_wait_for_the_neighbour(void **state)
{
	static uint8_t b[8008], back[8008];
	size_t n = message(b, 8000, 9);

	to(false);
	memcpy(k.raddr, test_addr("10.77.0.77").b, 16);
	assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, n), &udp_tx), 0);
	assert_int_equal(test_expect_sent(&net, out), 42);
	assert_null(test_net_sent(&net, NULL));
	test_frame_arp(&f, 2, test_addr("10.77.0.77"), test_mac_peer, us(false), test_mac_us);
	test_expect_consumed(&net, &f);
	assert_int_equal(join(false, back, 1500), n);
	assert_memory_equal(back + 8, b + 8, n - 8);
}

/* Offload or not, of the transport's header only the checksum field is written to. */
static void
only_the_checksum_is_written(void **state)
{
	static uint8_t b[100];

	for (unsigned off = 0; off < 60; off += 2) {
		for (unsigned i = 0; i < 4; i++) {
			struct ip_tx tx = {.proto = i & 1 ? IPPROTO_TCP : IPPROTO_UDP,
				.l4_len = 20,
				.cksum_off = (int16_t)off,
				.df = true};
			size_t l4 = i & 2 ? 54 : 34;

			memset(b, 0xa7, sizeof(b));
			b[off] = b[off + 1] = 0;
			to(i >> 1);
			assert_int_equal(ip_output(&net.w[0], &p, &k, fresh(b, 100), &tx), 0);
			assert_int_equal(test_expect_sent(&net, out), l4 + 100);
			assert_memory_equal(out + l4, b, off);
			assert_memory_equal(out + l4 + off + 2, b + off + 2, 98 - off);
		}
	}
}

/* Segments without bytes, and segments of odd lengths: fragments are made of bytes only. */
static void
fragments_of_a_chain(void **state)
{
	static uint8_t b[4008], back[4008];
	size_t cuts[] = {0, 8, 8, 13, 1500, 1500, 2961, 4008}, n = message(b, 4000, 3);
	struct rte_mbuf *m = test_mbuf_cut(net.mp, b, n, cuts, RTE_DIM(cuts));

	memset(pkt_of(m), 0, sizeof(struct pkt));
	to(false);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &udp_tx), 0);
	test_net_flush(&net);
	assert_int_equal(net.ntx, 3);
	for (unsigned i = 0; i < net.ntx; i++)
		for (m = net.tx[i].m; m != NULL; m = m->next)
			assert_true(m->data_len > 0);
	assert_int_equal(join(false, back, 1500), n);
	assert_memory_equal(back + 8, b + 8, n - 8);
	assert_int_equal(test_ip_stat(&net, "fragments_out"), 3);
	assert_int_equal(test_ip_stat(&net, "fragmented_out"), 1);
}

/* RFC 7739 section 3: a peer who sees his identifications grow learns nothing of what others are sent. */
static void
identifications_tell_nothing(void **state)
{
	static uint8_t b[2008];
	uint16_t last[100] = {0};
	size_t n = message(b, 2000, 1);
	unsigned by_one = 0;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 100; i++) {
			uint16_t id;

			to(false);
			k.raddr[15] = (uint8_t)(100 + i);
			if (round == 0)
				test_net_peer(&net, *(struct test_addr *)k.raddr, test_mac_peer);
			assert_int_equal(ip_output(&net.w[0], NULL, &k, fresh(b, n), &udp_tx), 0);
			test_expect_sent(&net, out);
			test_net_discard(&net);
			id = (uint16_t)(out[18] << 8 | out[19]);
			by_one += round == 1 && (uint16_t)(id - last[i]) == 1;
			last[i] = id;
		}
	}
	assert_true(by_one >= 80); /* but for the few whose hashes meet */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(headers),
		T(unfragmented_identifications),
		T(known_vector),
		T(udp_sum_is_never_zero),
		T(shared_buffers_are_not_written_to),
		T(header_in_front_of_a_shared_payload),
		T(without_headroom),
		T(chains_split_anywhere),
		cmocka_unit_test_setup_teardown(chains_are_linearised, setup_one_segment, teardown),
		cmocka_unit_test_setup_teardown(offloads, setup_offloads, teardown),
		T(no_checksum_wanted),
		T(short_way_and_long_way),
		cmocka_unit_test_setup_teardown(
			short_way_and_long_way, setup_one_segment, teardown),
		cmocka_unit_test_setup_teardown(short_way_and_long_way, setup_offloads, teardown),
		T(errors),
		T(buffers_run_out),
		T(each_allocation_fails),
		cmocka_unit_test_setup_teardown(each_allocation_fails, setup_one_segment, teardown),
		T(fragments_join_to_the_same_bytes),
		cmocka_unit_test_setup_teardown(
			fragments_of_one_segment_each, setup_one_segment, teardown),
		T(identifications_differ),
		T(fragments_wait_for_the_neighbour),
		T(only_the_checksum_is_written),
		cmocka_unit_test_setup_teardown(
			only_the_checksum_is_written, setup_offloads, teardown),
		T(fragments_of_a_chain),
		T(identifications_tell_nothing),
	};

	test_eal("ip_output");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Packets in pieces: cut, trimmed, copied, wrapped; datagrams joined of pieces.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ip_priv.h"
#include "util.h"

static struct test_net net;
static struct test_frame f;
static uint8_t out[TEST_FRAME_MAX], data[300];
static struct test_addr us, peer;

static int
setup(void **state)
{
	test_net_init(&net, 1);
	test_net_ip(&net, &(struct ip_offloads){.multi_segs = true, .rx_l4_cksum = true});
	us = test_addr("10.77.0.2");
	peer = test_addr("10.77.0.9");
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static const size_t cuts[] = {0, 10, 10, 50, 51, 200, 300};

static struct rte_mbuf *
chain(void)
{
	struct rte_mbuf *m = test_mbuf_cut(net.mp, data, sizeof(data), cuts, RTE_DIM(cuts));

	memset(pkt_of(m), 0, sizeof(struct pkt));
	return m;
}

/* The packet is bytes from .. from + n - 1, and its lengths and counts agree. */
static void
check(struct rte_mbuf *m, size_t from, size_t n)
{
	assert_int_equal(test_bytes(m, out), n);
	assert_memory_equal(out, data + from, n);
	__rte_mbuf_sanity_check(m, 1);
}

static void
cut_off_the_front(void **state)
{
	for (uint32_t len = 0; len < sizeof(data); len++) {
		struct rte_mbuf *m = ip_cut(chain(), len);

		assert_non_null(m);
		check(m, len, sizeof(data) - len);
		assert_true(m->data_len > 0); /* segments that are used up are gone */
		rte_pktmbuf_free(m);
		assert_int_equal(test_in_use(net.mp), 0);
	}
	assert_null(ip_cut(chain(), sizeof(data)));
	assert_int_equal(test_in_use(net.mp), 0);
}

static void
trim_the_end(void **state)
{
	for (uint32_t len = 0; len <= sizeof(data); len++) {
		struct rte_mbuf *m = chain();

		ip_trim(m, len);
		check(m, 0, len);
		if (len < sizeof(data)) {
			/* What is behind the end goes back at once. */
			assert_int_equal(m->nb_segs, test_in_use(net.mp));
			assert_true(m->nb_segs == 1 || rte_pktmbuf_lastseg(m)->data_len > 0);
		}
		rte_pktmbuf_free(m);
	}
}

/* What a packet brought along is still known of it when its front was copied. */
static void
a_copy_of_the_front(void **state)
{
	for (uint16_t len = 1; len <= 300; len++) {
		struct rte_mbuf *m = chain(), *h;

		m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_RSS_HASH;
		m->vlan_tci = 77;
		m->port = 5;
		m->tx_offload = 0x1234;
		pkt_of(m)->hash = 0xabcdef;
		pkt_of(m)->tail = m;
		h = ip_unshare(&net.w[0], m, len);
		assert_non_null(h);
		check(h, 0, 300);
		assert_true(h->data_len >= len);
		assert_true(ip_exclusive(h));
		assert_int_equal(h->ol_flags, RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_RSS_HASH);
		assert_int_equal(h->vlan_tci, 77);
		assert_int_equal(h->port, 5);
		assert_int_equal(h->tx_offload, 0x1234);
		assert_int_equal(pkt_of(h)->hash, 0xabcdef);
		assert_ptr_equal(pkt_of(h)->tail, m);
		rte_pktmbuf_free(h);
	}
	/* In one piece and ours alone: as it is. */
	{
		struct rte_mbuf *m = test_mbuf(net.mp, data, 100);

		assert_ptr_equal(ip_unshare(&net.w[0], m, 100), m);
		rte_pktmbuf_free(m);
	}
}

/* Somebody else holds the packet, from its first, second or third segment on: his bytes and lengths
 * stay, and nothing is cloned that is ours alone. */
static void
shared_from_a_segment_on(void **state)
{
	static const uint16_t lens[] = {5, 10, 11, 40, 50, 51, 120, 250};

	for (unsigned i = 0; i < RTE_DIM(lens); i++) {
		for (unsigned from = 0; from < 7; from++) {
			struct rte_mbuf *m = chain(), *held = m, *h;
			size_t before = 0, n;

			for (unsigned s = 0; s < from; s++) {
				before += held->data_len;
				held = held->next;
			}
			for (struct rte_mbuf *s = held; s != NULL; s = s->next)
				rte_mbuf_refcnt_update(s, 1);
			h = ip_unshare(&net.w[0], m, lens[i]);
			assert_non_null(h);
			check(h, 0, 300);
			if (h != m) {
				assert_true(h->data_len >= lens[i]);
				assert_true(ip_exclusive(h));
			}
			rte_pktmbuf_free(h);
			/* His: whole from there on, whatever was done to ours. */
			n = before;
			for (struct rte_mbuf *s = held; s != NULL; s = s->next) {
				assert_memory_equal(
					rte_pktmbuf_mtod(s, void *), data + n, s->data_len);
				n += s->data_len;
			}
			assert_int_equal(n, 300);
			while (held != NULL) {
				struct rte_mbuf *next = held->next;

				rte_pktmbuf_free_seg(held);
				held = next;
			}
			assert_int_equal(test_in_use(net.mp), 0);
			assert_int_equal(test_in_use(net.mp_small), 0);
		}
	}
}

/* Headers are pulled together once, link to TCP: not step by step. */
static void
pulled_once(void **state)
{
	struct test_tcp t = {.sport = 1, .dport = 2, .flags = 2};
	struct rte_mbuf *m, *up = NULL;
	size_t each[90];

	test_frame_tcp(&f, peer, us, &t, data, 60);
	for (unsigned i = 0; i < RTE_DIM(each); i++)
		each[i] = i + 1;
	m = test_mbuf_cut(net.mp, f.b, f.len, each, RTE_DIM(each));
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 1);
	assert_int_equal(test_ip_stat(&net, "headers_pulled"), 1);
	assert_int_equal(test_bytes(up, out), f.len);
	assert_memory_equal(out, f.b, f.len);
	consume(&net.w[0], up);
	/* What ends with its headers needs nothing. */
	test_frame_udp(&f, peer, us, 1, 2, NULL, 0);
	m = test_mbuf(net.mp, f.b, f.len);
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 1);
	assert_ptr_equal(up, m);
	consume(&net.w[0], up);
	assert_int_equal(test_ip_stat(&net, "headers_pulled"), 1);
}

/* RFC 6980: neighbour discovery in pieces is ignored. */
static void
solicitation_in_pieces(void **state)
{
	static struct test_frame whole;
	struct test_addr a = test_addr("fd77::9"), b = test_addr("fd77::2");
	uint8_t body[32] = {135}, part[8 + 24] = {58, 0, 0, 1, 1, 2, 3, 4};
	struct rte_mbuf *m, *rest;

	memcpy(body + 8, b.b, 16);
	body[24] = body[25] = 1;
	memcpy(body + 26, test_mac_peer, 6);
	test_frame_icmp(&whole, a, b, 255, body, 32);
	memcpy(part + 8, whole.b + whole.l4, 24);
	test_frame_ip(&f, a, b, 44, part, 32);
	f.b[21] = 255;
	m = test_expect_up(&net, &f, PKT_FRAGMENT);
	rest = test_mbuf(net.mp, whole.b + whole.l4 + 24, 8);
	assert_int_equal(rte_pktmbuf_chain(m, rest), 0);
	net.w[0].c.delivered--;
	assert_null(ip_input_joined(&net.w[0], m));
	assert_int_equal(net.w[0].c.drops[DROP_NDP_BAD], 1);
	assert_int_equal(test_net_discard(&net), 0);
}

/* In a burst each packet finds its own way; those for above keep their order. */
static void
bursts(void **state)
{
	struct rte_mbuf *m[24], *up[24];
	unsigned n = 0;

	for (unsigned i = 0; i < 24; i++) {
		test_frame_udp(&f, peer, us, 1000 + i, 7, data, i);
		if (i % 3 == 1)
			f.b[0] ^= 2; /* not for us */
		m[i] = test_mbuf(net.mp, f.b, f.len);
	}
	assert_int_equal(ip_input_burst(&net.w[0], 0, m, 24, up), 16);
	for (unsigned i = 0; i < 24; i++) {
		if (i % 3 == 1)
			continue;
		assert_int_equal(pkt_of(up[n])->key.k.rport_be, htons(1000 + i));
		assert_int_equal(pkt_of(up[n])->data_len, i);
		consume(&net.w[0], up[n++]);
	}
	assert_int_equal(net.w[0].c.drops[DROP_ETH_DST], 8);
	assert_int_equal(net.w[0].c.received, 24);
}

/* A piece of a UDP datagram over IPv4. */
static struct rte_mbuf *
piece(const struct test_frame *whole, size_t at, size_t n, bool more)
{
	test_frame_ip(&f, peer, us, IPPROTO_UDP, whole->b + whole->l4 + at, n);
	f.b[20] = (uint8_t)(at / 8 >> 8 | (more ? 0x20 : 0));
	f.b[21] = (uint8_t)(at / 8);
	test_frame_ip4_cksum(&f);
	return test_expect_up(&net, &f, PKT_FRAGMENT);
}

static struct rte_mbuf *
append(struct rte_mbuf *a, struct rte_mbuf *b)
{
	rte_pktmbuf_adj(b, pkt_of(b)->data_off);
	assert_int_equal(rte_pktmbuf_chain(a, b), 0);
	return a;
}

/* Congestion that any piece met is the datagram's (RFC 3168 section 5.3), a group stays one; the port's
 * word about a piece is none about the whole. */
static void
marks_of_pieces(void **state)
{
	static struct test_frame whole;
	struct rte_mbuf *a, *m;

	test_frame_udp(&whole, peer, us, 4000, 7, data, 100);
	for (unsigned mark = 0; mark < 16; mark++) {
		a = piece(&whole, 0, 64, true);
		pkt_of(a)->flags = (uint8_t)mark & ~PKT_V6;
		m = ip_input_joined(&net.w[0], append(a, piece(&whole, 64, 44, false)));
		if ((mark & PKT_GROUP) != 0) { /* one host's address, but sent to a group */
			assert_null(m);
			net.w[0].c.delivered--;
			continue;
		}
		assert_non_null(m);
		assert_int_equal(pkt_of(m)->flags, (mark & PKT_CE) | PKT_JOINED);
		assert_null(pkt_of(m)->next);
		rte_pktmbuf_free(m);
	}
	whole.b[whole.l4 + 80] ^= 1;
	a = piece(&whole, 0, 64, true);
	a->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	net.w[0].c.delivered--;
	assert_null(ip_input_joined(&net.w[0], append(a, piece(&whole, 64, 44, false))));
	assert_int_equal(net.w[0].c.drops[DROP_UDP_CKSUM], 1);
	assert_int_equal(test_ip_stat(&net, "joined_in"), 17);
}

/* RFC 791, RFC 8200: 65535 bytes, header included or not, are the most; joined from wrong pieces. */
static void
joined_at_the_limit(void **state)
{
	static uint8_t bytes[66000];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (unsigned over = 0; over < 2; over++) {
			size_t most = v6 ? 65535 : 65515, n = most - 40000 + over;
			struct rte_mbuf *a, *b;

			memcpy(bytes, "\x2c\0\0\1\1\2\3\4", 8);
			bytes[0] = 132;
			test_frame_ip(&f, v6 ? test_addr("fd77::9") : peer,
				v6 ? test_addr("fd77::2") : us, v6 ? 44 : 132, bytes,
				v6 ? 40008 : 40000);
			if (!v6) {
				f.b[20] = 0x20;
				test_frame_ip4_cksum(&f);
			}
			a = test_expect_up(&net, &f, PKT_FRAGMENT);
			b = test_mbuf(net.mp, bytes, n);
			net.w[0].c.delivered--;
			assert_int_equal(rte_pktmbuf_chain(a, b), 0);
			assert_null(ip_input_joined(&net.w[0], a));
			test_net_discard(&net);
			assert_int_equal(net.w[0].c.drops[DROP_FRAG_BAD], v6 + over);
			assert_int_equal(net.w[0].c.drops[DROP_IP_PROTO], v6 + 1);
		}
	}
	/* The errors that were sent wait for a neighbour. */
	for (unsigned i = 0; i < 100; i++) {
		test_net_advance(&net, 100000);
		ip_tick(&net.w[0]);
	}
}

static void
adopted(void **state)
{
	struct rte_mbuf *a = test_mbuf(net.mp, data, 5), *b = test_mbuf(net.mp_small, data, 5);

	assert_ptr_equal(ip_adopt(&net.w[0], a), a);
	assert_ptr_equal(ip_adopt(&net.w[0], b), b);
	assert_int_equal(test_ip_stat(&net, "foreign_wrapped"), 0);
	rte_pktmbuf_free(a);
	rte_pktmbuf_free(b);
	a = ip_header_mbuf(&net.w[0]);
	for (unsigned i = 0; i < sizeof(struct pkt); i++)
		assert_int_equal(((uint8_t *)pkt_of(a))[i], 0);
	rte_pktmbuf_free(a);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(cut_off_the_front),
		T(trim_the_end),
		T(a_copy_of_the_front),
		T(shared_from_a_segment_on),
		T(pulled_once),
		T(solicitation_in_pieces),
		T(bursts),
		T(marks_of_pieces),
		T(joined_at_the_limit),
		T(adopted),
	};

	test_eal("ip_mbuf");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

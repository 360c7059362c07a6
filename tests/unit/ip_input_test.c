/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Link header, VLAN, foreign buffers, transport headers; every header cut at every byte, and
 * every chain split at every byte, for both IP versions.
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

static int
setup(void **state)
{
	test_net_init(&net, 1);
	test_net_ip(&net, NULL);
	return 0;
}

static int
setup_bare(void **state)
{
	test_net_init(&net, 1);
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

static const uint8_t tcp_opts[12] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

/* The kinds of packet that come in: 0 TCP, 1 UDP, 2 echo, 3 ICMP error. */
static void
build(unsigned what, bool v6)
{
	struct test_tcp t = {.sport = 1234,
		.dport = 80,
		.seq = 1,
		.ack = 2,
		.wnd = 3,
		.flags = 0x18,
		.opts = tcp_opts,
		.opts_len = sizeof(tcp_opts)};
	uint8_t body[8 + 60] = {v6 ? 128 : 8};
	static struct test_frame inner;

	switch (what) {
	case 0:
		test_frame_tcp(&f, peer(v6), us(v6), &t, "data!", 5);
		break;
	case 1:
		test_frame_udp(&f, peer(v6), us(v6), 4000, 7, "hello", 5);
		break;
	case 2:
		test_frame_icmp(&f, peer(v6), us(v6), 64, body, 8 + 13);
		break;
	default:
		test_frame_udp(&inner, us(v6), peer(v6), 7, 4000, NULL, 0);
		body[0] = v6 ? 1 : 3;
		body[1] = v6 ? 4 : 3;
		memcpy(body + 8, inner.b + 14, inner.len - 14);
		test_frame_icmp(&f, peer(v6), us(v6), 64, body, 8 + inner.len - 14);
		break;
	}
}

static const enum pkt_kind kinds[] = {PKT_TCP, PKT_UDP, PKT_KINDS, PKT_ICMP_ERROR};

static void
link_header(void **state)
{
	build(1, false);
	f.len = 0;
	for (; f.len < 14; f.len++)
		test_expect_drop(&net, &f, DROP_ETH_SHORT);
	build(1, false);
	f.b[5] ^= 1;
	test_expect_drop(&net, &f, DROP_ETH_DST);
	build(1, false);
	f.b[12] = 0x88;
	f.b[13] = 0xcc;
	test_expect_drop(&net, &f, DROP_ETH_TYPE);
}

static void
tag_on_untagged_interface(void **state)
{
	build(1, false);
	test_frame_tag(&f, 5);
	test_expect_drop(&net, &f, DROP_VLAN);
	build(1, false);
	test_frame_tag(&f, 7 << 13); /* priority only */
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	f.len = 14;
	for (; f.len < 18; f.len++)
		test_expect_drop(&net, &f, DROP_ETH_SHORT);
}

static void
tagged_interface(void **state)
{
	struct ip_ifc_conf conf = {.name = "lan", .mtu = 1500, .vlan = 100};
	uint8_t body[8 + 5] = {8};
	struct rte_mbuf *m, *up = NULL;
	size_t len;

	memcpy(&conf.mac, test_mac_us, 6);
	test_net_ip_ifc(&net, &conf);
	assert_int_equal(ip_address_add(net.ip, 0, us(false).b, 24), 0);
	build(1, false);
	test_expect_drop(&net, &f, DROP_VLAN);
	test_frame_tag(&f, 100);
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->l3_off, 18);
	rte_pktmbuf_free(m);
	/* Cut off in the tag, or behind it. */
	for (len = 14; len < 18; len++) {
		struct test_frame cut = f;

		cut.len = len;
		test_expect_drop(&net, &cut, DROP_ETH_SHORT);
	}
	/* The port took the tag off. */
	build(1, false);
	m = test_mbuf(net.mp, f.b, f.len);
	m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 100 | 3 << 13;
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 1);
	consume(&net.w[0], up);
	/* And out: ARP's reply and the echo's are tagged. */
	test_frame_arp(&f, 1, peer(false), test_mac_peer, us(false), test_mac_broadcast);
	test_frame_tag(&f, 100);
	test_expect_consumed(&net, &f);
	assert_int_equal(test_expect_sent(&net, out), 18 + 28);
	assert_memory_equal(out + 12, "\x81\x00\x00\x64\x08\x06", 6);
	test_frame_icmp(&f, peer(false), us(false), 64, body, sizeof(body));
	test_frame_tag(&f, 100);
	test_expect_consumed(&net, &f);
	len = test_expect_sent(&net, out);
	assert_int_equal(len, f.len);
	assert_memory_equal(out + 12, "\x81\x00\x00\x64\x08\x00", 6);
	assert_true(test_l4_cksum_ok(out + 18, len - 18));
}

/* All of the 4094 tags are told apart, in the frame and when the port took it off; what the port did not
 * say it took off is none. */
static void
highest_tag(void **state)
{
	struct ip_ifc_conf conf = {.name = "lan", .mtu = 1500, .vlan = 4094};
	struct rte_mbuf *m, *up = NULL;

	memcpy(&conf.mac, test_mac_us, 6);
	test_net_ip_ifc(&net, &conf);
	assert_int_equal(ip_address_add(net.ip, 0, us(false).b, 24), 0);
	for (unsigned i = 0; i < 2; i++) {
		unsigned vid = i == 0 ? 4094 : 2046;

		for (unsigned stripped = 0; stripped < 2; stripped++) {
			build(1, false);
			if (stripped == 0)
				test_frame_tag(&f, (uint16_t)(vid | 5 << 13));
			m = test_mbuf(net.mp, f.b, f.len);
			m->vlan_tci = (uint16_t)(vid | 5 << 13);
			if (stripped == 1)
				m->ol_flags |= RTE_MBUF_F_RX_VLAN_STRIPPED;
			assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), vid == 4094);
			if (vid == 4094)
				consume(&net.w[0], up);
		}
	}
	build(1, false);
	m = test_mbuf(net.mp, f.b, f.len);
	m->vlan_tci = 4094;
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
	assert_int_equal(net.w[0].c.drops[DROP_VLAN], 3);
	/* A tag and nothing behind it. */
	test_frame_tag(&f, 4094);
	f.len = 18;
	test_expect_drop(&net, &f, DROP_IP4_SHORT);
}

/* What is cut off ends as a counted drop, whatever the cut; nothing is sent. */
static void
cut_at_every_byte(void **state)
{
	for (unsigned what = 0; what < 4; what++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			build(what, v6);
			for (size_t len = f.len - 1; len > 0; len--) {
				uint64_t consumed = net.w[0].c.consumed;
				/* Once with the rest still there behind it, once with nothing. */
				struct rte_mbuf *m = test_mbuf(net.mp, f.b, len), *up = NULL;

				memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, len), f.b + len,
					f.len - len);
				assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
				m = test_mbuf_exact(net.mp, f.b, len, NULL, 0);
				assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
				assert_int_equal(net.w[0].c.consumed, consumed);
			}
		}
	}
	assert_int_equal(test_net_discard(&net), 0);
	test_net_balance(&net);
}

/* The same, with IP's length put right, so that the transport is what is short. */
static void
transport_cut_at_every_byte(void **state)
{
	static const enum drop_reason want[] = {
		DROP_TCP_SHORT, DROP_UDP_SHORT, DROP_ICMP_SHORT, DROP_ICMP_SHORT};

	for (unsigned what = 0; what < 4; what++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			build(what, v6);
			for (size_t len = 0; len < (what == 0 ? 32 : 8); len++) {
				uint8_t *ip = f.b + f.l3;

				f.len = f.l4 + len;
				ip[v6 ? 4 : 2] = 0;
				ip[v6 ? 5 : 3] = (uint8_t)(v6 ? len : 20 + len);
				if (!v6)
					test_frame_ip4_cksum(&f);
				test_expect_drop(&net, &f, want[what]);
			}
		}
	}
}

static void
quoted_packet_cut_at_every_byte(void **state)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		build(3, v6);
		for (size_t full = f.len, len = f.l4 + 8; len < full; len++) {
			uint8_t *ip = f.b + f.l3;
			uint64_t up = net.w[0].c.delivered;

			f.len = len;
			ip[v6 ? 5 : 3] = (uint8_t)(v6 ? len - f.l4 : len - f.l3);
			if (!v6)
				test_frame_ip4_cksum(&f);
			test_frame_l4_cksum(&f);
			/* All but the last 0 bytes of 8 of the UDP header are missed. */
			test_expect_drop(&net, &f,
				v6 && len >= f.l4 + 48 ? DROP_ICMP_NO_CONV : DROP_ICMP_SHORT);
			assert_int_equal(net.w[0].c.delivered, up);
		}
	}
}

static void
check_whole(struct rte_mbuf *m, unsigned what)
{
	uint8_t got[2048];

	assert_int_equal(test_bytes(m, got), f.len);
	assert_memory_equal(got, f.b, f.len);
	assert_int_equal(pkt_of(m)->kind, kinds[what]);
	/* Headers are contiguous up to the payload. */
	assert_true(m->data_len >= pkt_of(m)->data_off);
}

static void
split_at(unsigned what, bool v6, struct rte_mbuf *m)
{
	struct rte_mbuf *up = NULL;
	unsigned n = ip_input_burst(&net.w[0], 0, &m, 1, &up);
	size_t len;

	if (what == 2) {
		assert_int_equal(n, 0);
		len = test_expect_sent(&net, out);
		assert_int_equal(len, f.len);
		assert_true(test_l4_cksum_ok(out + 14, len - 14));
		assert_memory_equal(out + f.l4 + 4, f.b + f.l4 + 4, f.len - f.l4 - 4);
		return;
	}
	for (unsigned i = 0; n == 0 && i < DROP_MAX; i++)
		if (net.w[0].c.drops[i] != 0)
			print_error("kind %u, IPv%d: %s\n", what, v6 ? 6 : 4, drop_name(i));
	assert_int_equal(n, 1);
	check_whole(up, what);
	net.w[0].c.delivered++;
	rte_pktmbuf_free(up);
}

static void
split_at_every_byte(void **state)
{
	test_net_peer(&net, peer(false), test_mac_peer);
	test_net_peer(&net, peer(true), test_mac_peer);
	for (unsigned what = 0; what < 4; what++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			build(what, v6);
			for (size_t cut = 0; cut <= f.len; cut++) {
				split_at(what, v6, test_mbuf_cut(net.mp, f.b, f.len, &cut, 1));
				split_at(what, v6, test_mbuf_exact(net.mp, f.b, f.len, &cut, 1));
			}
		}
	}
	assert_true(test_ip_stat(&net, "headers_pulled") > 300);
}

static void
one_byte_per_segment(void **state)
{
	size_t cuts[256];

	test_net_peer(&net, peer(false), test_mac_peer);
	test_net_peer(&net, peer(true), test_mac_peer);
	for (unsigned what = 0; what < 4; what++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			build(what, v6);
			for (size_t i = 0; i + 1 < f.len; i++)
				cuts[i] = i + 1;
			split_at(what, v6,
				test_mbuf_cut(net.mp, f.b, f.len, cuts, (unsigned)f.len - 1));
		}
	}
}

/* A pool of somebody else, without a private area: as net_ring hands over. */
static void
foreign_buffers(void **state)
{
	struct rte_mempool *mp = rte_pktmbuf_pool_create("foreign", 511, 0, 0, 2176, SOCKET_ID_ANY);
	size_t cut = 20;

	assert_non_null(mp);
	test_net_peer(&net, peer(false), test_mac_peer);
	test_net_peer(&net, peer(true), test_mac_peer);
	for (unsigned what = 0; what < 4; what++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct rte_mbuf *m;

			build(what, v6);
			m = rte_pktmbuf_alloc(mp);
			memcpy(rte_pktmbuf_append(m, (uint16_t)f.len), f.b, f.len);
			split_at(what, v6, m);
			m = rte_pktmbuf_alloc(mp);
			memcpy(rte_pktmbuf_append(m, (uint16_t)cut), f.b, cut);
			m->next = rte_pktmbuf_alloc(mp);
			memcpy(rte_pktmbuf_append(m->next, (uint16_t)(f.len - cut)), f.b + cut,
				f.len - cut);
			m->nb_segs = 2;
			m->pkt_len = (uint32_t)f.len;
			split_at(what, v6, m);
		}
	}
	assert_int_equal(test_ip_stat(&net, "foreign_wrapped"), 16);
	assert_int_equal(rte_mempool_in_use_count(mp), 0);
	rte_mempool_free(mp);
}

static void
no_buffers(void **state)
{
	struct rte_mempool *mp = rte_pktmbuf_pool_create("foreign", 511, 0, 0, 2176, SOCKET_ID_ANY);
	struct rte_mbuf *m, *up = NULL;
	size_t cut = 20;

	/* A foreign buffer can't be wrapped. */
	build(0, false);
	m = rte_pktmbuf_alloc(mp);
	memcpy(rte_pktmbuf_append(m, (uint16_t)f.len), f.b, f.len);
	test_starve(net.mp_small);
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
	test_feed(net.mp_small);
	assert_int_equal(net.w[0].c.drops[DROP_NO_MBUF], 1);
	assert_int_equal(rte_mempool_in_use_count(mp), 0);
	rte_mempool_free(mp);
	/* A header can't be pulled together. */
	m = test_mbuf_cut(net.mp, f.b, f.len, &cut, 1);
	test_starve(net.mp_small);
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
	test_feed(net.mp_small);
	assert_int_equal(net.w[0].c.drops[DROP_NO_MBUF], 2);
}

static void
checksums(void **state)
{
	static const enum drop_reason want[] = {
		DROP_TCP_CKSUM, DROP_UDP_CKSUM, DROP_ICMP_CKSUM, DROP_ICMP_CKSUM};

	for (unsigned what = 0; what < 4; what++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			build(what, v6);
			/* Each byte of the transport is covered; UDP's length is looked at first, and TCP's. */
			for (size_t i = f.l4; i < f.len; i++) {
				if ((what == 1 && (i == f.l4 + 4 || i == f.l4 + 5)) ||
					(what == 0 && i == f.l4 + 12))
					continue;
				f.b[i] ^= 0x10;
				test_expect_drop(&net, &f, want[what]);
				f.b[i] ^= 0x10;
			}
			/* And the addresses, but for ICMP over IPv4. */
			if (what >= 2 && !v6)
				continue;
			f.b[v6 ? f.l3 + 8 + 15 : f.l3 + 15] ^= 0x10;
			if (!v6)
				test_frame_ip4_cksum(&f);
			test_expect_drop(&net, &f, want[what]);
		}
	}
}

static void
udp_without_checksum(void **state)
{
	build(1, false);
	f.b[f.l4 + 6] = f.b[f.l4 + 7] = 0;
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	build(1, true);
	f.b[f.l4 + 6] = f.b[f.l4 + 7] = 0;
	test_expect_drop(&net, &f, DROP_UDP_CKSUM);
}

static void
udp_lengths(void **state)
{
	struct rte_mbuf *m;

	build(1, false);
	f.b[f.l4 + 5] = 7;
	test_expect_drop(&net, &f, DROP_UDP_SHORT);
	f.b[f.l4 + 5] = 14;
	test_expect_drop(&net, &f, DROP_UDP_SHORT);
	/* Shorter than IP says is allowed; what follows is not the datagram's. */
	f.b[f.l4 + 5] = 10;
	f.len = f.l4 + 10;
	test_frame_l4_cksum(&f);
	f.len = f.l4 + 13;
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->data_len, 2);
	assert_int_equal(m->pkt_len, f.l4 + 10);
	rte_pktmbuf_free(m);
}

static void
tcp_data_offset(void **state)
{
	struct test_tcp t = {.sport = 1, .dport = 2, .flags = 2};

	for (unsigned doff = 0; doff < 16; doff++) {
		test_frame_tcp(&f, peer(false), us(false), &t, "12345678", 8);
		f.b[f.l4 + 12] = (uint8_t)(doff << 4);
		test_frame_l4_cksum(&f);
		if (doff < 5 || doff > 7) {
			test_expect_drop(&net, &f, DROP_TCP_SHORT);
		} else {
			struct rte_mbuf *m = test_expect_up(&net, &f, PKT_TCP);

			assert_int_equal(pkt_of(m)->data_off, f.l4 + doff * 4);
			assert_int_equal(pkt_of(m)->data_len, 28 - doff * 4);
			rte_pktmbuf_free(m);
		}
	}
}

/* A port that checks is believed, when it says so and is said to. */
static void
checksum_offload(void **state)
{
	struct ip_offloads off = {.rx_l4_cksum = true, .rx_ip_cksum = true};
	struct rte_mbuf *m, *up = NULL;

	test_net_ip(&net, &off);
	build(0, false);
	f.b[f.l4 + 16] ^= 1;
	test_expect_drop(&net, &f, DROP_TCP_CKSUM);
	m = test_mbuf(net.mp, f.b, f.len);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_BAD;
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
	assert_int_equal(net.w[0].c.drops[DROP_TCP_CKSUM], 2);
	m = test_mbuf(net.mp, f.b, f.len);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 1);
	consume(&net.w[0], up);
	m = test_mbuf(net.mp, f.b, f.len);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 1);
	consume(&net.w[0], up);
	f.b[f.l3 + 10] ^= 1;
	test_expect_drop(&net, &f, DROP_IP4_CKSUM);
	m = test_mbuf(net.mp, f.b, f.len);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 1);
	consume(&net.w[0], up);
}

static void
tcp_to_a_group(void **state)
{
	struct test_tcp t = {.sport = 1, .dport = 2, .flags = 2};

	test_frame_tcp(&f, peer(false), test_addr("10.77.0.255"), &t, NULL, 0);
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	test_frame_tcp(&f, peer(true), test_addr("ff02::1"), &t, NULL, 0);
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
}

/* Fragments, extension headers, ARP and solicitations among them. */
static void
build_any(unsigned what)
{
	static const uint8_t no_mac[6];
	uint8_t body[32] = {135};

	if (what < 8) {
		build(what & 3, what >> 2);
	} else if (what == 8) {
		test_frame_arp(&f, 1, peer(false), test_mac_peer, us(false), no_mac);
	} else if (what == 9) {
		memcpy(body + 8, us(true).b, 16);
		body[24] = body[25] = 1;
		memcpy(body + 26, test_mac_peer, 6);
		test_frame_icmp(&f, peer(true), us(true), 255, body, sizeof(body));
	} else if (what == 10) {
		test_frame_ip(&f, peer(false), us(false), IPPROTO_UDP, body, 32);
		f.b[20] = 0x20;
		test_frame_ip4_cksum(&f);
	} else {
		test_frame_ip(&f, peer(true), us(true), 0,
			"\x3c\0\5\2\0\0\1\0\x2c\0\1\4\0\0\0\0"
			"\x11\0\0\1\1\2\3\4\0\7\0\11\0\20\0\0abcdefgh",
			40);
	}
}

/* The frame's protocol is still one whose sum test_frame_l4_cksum knows. */
static bool
sum_is_known(void)
{
	uint8_t version = f.b[f.l3] >> 4, proto = f.b[f.l3 + (version == 4 ? 9 : 6)];

	return (version == 4 || version == 6) && f.l4 == f.l3 + (version == 4 ? 20 : 40) &&
		(proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMP ||
			proto == IPPROTO_ICMPV6);
}

/* A few bytes changed, most sums put right again, cut anywhere: each frame is counted once, no
 * buffer is lost, and (under ASan) nothing is read that is not there. */
static void
mutated_frames(void **state)
{
	struct worker *w = &net.w[0];
	uint64_t up_kinds[PKT_KINDS] = {0};

	for (unsigned round = 0; round < 60000; round++) {
		struct rte_mbuf *m, *up = NULL;
		uint64_t r = worker_random(w);
		size_t cut[2];

		build_any((unsigned)(r % 12));
		for (unsigned i = 0; i < (r >> 8) % 4; i++)
			f.b[14 + worker_random(w) % (f.len - 14)] = (uint8_t)worker_random(w);
		if ((r >> 16 & 3) != 0 && f.b[12] == 8 && f.b[13] == 0 && f.b[14] >> 4 == 4)
			test_frame_ip4_cksum(&f);
		if ((r >> 18 & 3) != 0 && r % 12 < 8 && sum_is_known())
			test_frame_l4_cksum(&f);
		if ((r >> 20 & 7) == 0)
			f.len = worker_random(w) % (f.len + 1);
		cut[0] = worker_random(w) % (f.len + 1);
		cut[1] = cut[0] + worker_random(w) % (f.len - cut[0] + 1);
		m = (r >> 28 & 1 ? test_mbuf_exact : test_mbuf_cut)(net.mp, f.b, f.len, cut, 2);
		if (ip_input_burst(w, 0, &m, 1, &up) == 1) {
			up_kinds[pkt_of(up)->kind]++;
			assert_true(pkt_of(up)->data_off + pkt_of(up)->data_len <= up->pkt_len);
			assert_true(pkt_of(up)->data_off <= up->data_len);
			if ((r >> 24 & 3) == 0)
				ip_send_error(
					w, up, r >> 26 & 1 ? IP_ERROR_PORT : IP_ERROR_REASSEMBLY);
			w->c.delivered++;
			rte_pktmbuf_free(up);
		}
		if (round % 1000 == 0)
			test_net_balance(&net);
		if (round % 64 == 0) {
			test_net_discard(&net);
			test_net_advance(&net, 50000);
			ip_tick(w);
		}
	}
	for (unsigned i = 0; i < PKT_KINDS; i++)
		assert_true(up_kinds[i] > 500);
	/* Nobody answers any more: what waits for neighbours goes. */
	for (unsigned i = 0; i < 100; i++) {
		test_net_discard(&net);
		test_net_advance(&net, 100000);
		ip_tick(w);
	}
}

/* Whatever comes in pieces while there is no buffer: it goes up or is dropped, once, and nothing is read
 * that was not pulled together. */
static void
pieces_without_buffers(void **state)
{
	for (unsigned what = 0; what < 12; what++) {
		build_any(what);
		for (size_t cut = 0; cut <= f.len; cut++) {
			struct rte_mbuf *m = test_mbuf_cut(net.mp, f.b, f.len, &cut, 1), *up = NULL;

			test_starve(net.mp);
			test_starve(net.mp_small);
			if (ip_input_burst(&net.w[0], 0, &m, 1, &up) == 1) {
				assert_true(pkt_of(up)->data_off <= up->data_len);
				consume(&net.w[0], up);
			}
			test_feed(net.mp);
			test_feed(net.mp_small);
			test_net_balance(&net);
		}
	}
	assert_true(net.w[0].c.drops[DROP_NO_MBUF] > 400);
}

/** What becomes of the frame, in one piece or, cut, in two. */
struct fate {
	uint64_t drops[DROP_MAX], consumed;
	bool up;
	struct pkt p;
	uint32_t len;
};

static void
fate(struct fate *ret, bool whole)
{
	struct worker *w = &net.w[0];
	struct worker_counters was = w->c;
	const size_t cut = f.len / 2;
	struct rte_mbuf *m = test_mbuf_cut(net.mp, f.b, f.len, &cut, whole ? 0 : 1), *up = NULL;

	memset(ret, 0, sizeof(*ret));
	ret->up = ip_input_burst(w, 0, &m, 1, &up) == 1;
	for (unsigned i = 0; i < DROP_MAX; i++)
		ret->drops[i] = w->c.drops[i] - was.drops[i];
	ret->consumed = w->c.consumed - was.consumed;
	if (!ret->up)
		return;
	ret->len = up->pkt_len;
	memcpy(&ret->p, pkt_of(up), offsetof(struct pkt, spare));
	consume(w, up);
}

/* What goes the short way (ip4_plain) ends as it does by the long one, which a packet in pieces takes. */
static void
short_way_and_long_way(void **state)
{
	struct worker *w = &net.w[0];
	struct fate plain, cut;
	unsigned up = 0;

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		uint64_t r = worker_random(w);

		build(r % 2 == 0 ? 0 : 1, false);
		/* One word of the headers, then the checksum of IP's made right again in most. */
		if (r % 8 != 0) {
			size_t at = (r >> 8) % 42;

			f.b[at] = (r >> 20) % 4 == 0 ? (uint8_t)(f.b[at] ^ 1u << (r >> 24) % 8)
						     : (uint8_t)(r >> 32);
		}
		if ((r >> 3) % 4 != 0)
			test_frame_ip4_cksum(&f);
		if ((r >> 16) % 16 == 0)
			f.len = (r >> 40) % (f.len + 1);
		fate(&plain, true);
		fate(&cut, false);
		assert_memory_equal(&plain, &cut, sizeof(plain));
		up += plain.up;
		test_net_discard(&net);
	}
	assert_in_range(up, 4000, 36000);
}

static void
counts_packets_and_bytes(void **state)
{
	struct ip_ifc_info info;

	build(2, false);
	test_net_peer(&net, peer(false), test_mac_peer);
	test_expect_consumed(&net, &f);
	worker_flush(&net.w[0]);
	ip_ifc_info(net.ip, 0, &info);
	assert_int_equal(info.rx_packets, 2);
	assert_int_equal(info.rx_bytes, 42 + f.len);
	assert_int_equal(info.tx_packets, 2);
	assert_int_equal(info.tx_bytes, 42 + f.len);
}

#define T(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TB(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(link_header),
		T(tag_on_untagged_interface),
		TB(tagged_interface),
		T(cut_at_every_byte),
		T(transport_cut_at_every_byte),
		T(quoted_packet_cut_at_every_byte),
		T(split_at_every_byte),
		T(one_byte_per_segment),
		T(foreign_buffers),
		T(no_buffers),
		T(checksums),
		T(udp_without_checksum),
		T(udp_lengths),
		T(tcp_data_offset),
		TB(checksum_offload),
		T(tcp_to_a_group),
		T(mutated_frames),
		T(short_way_and_long_way),
		T(counts_packets_and_bytes),
		T(pieces_without_buffers),
		TB(highest_tag),
	};

	test_eal("ip_input");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

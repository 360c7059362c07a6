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
	us = test_addr("fd77::2");
	peer = test_addr("fd77::9");
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
udp(struct test_addr src, struct test_addr dst)
{
	test_frame_udp(&f, src, dst, 4000, 7, "hello", 5);
}

/* Put an extension header of n bytes between IPv6's and what follows; its first byte is filled in. */
static void
extend(uint8_t type, const void *header, size_t n)
{
	uint8_t *ip = f.b + f.l3;
	size_t len;

	memmove(f.b + f.l3 + 40 + n, f.b + f.l3 + 40, f.len - f.l3 - 40);
	memcpy(f.b + f.l3 + 40, header, n);
	f.b[f.l3 + 40] = ip[6];
	ip[6] = type;
	f.len += n;
	f.l4 += n;
	len = f.len - f.l3 - 40;
	ip[4] = (uint8_t)(len >> 8);
	ip[5] = (uint8_t)len;
}

/* Expect a parameter problem about the frame and, beside it, a drop for r. */
static void
expect_problem(enum drop_reason r, uint8_t code, uint32_t pointer)
{
	uint64_t before = net.w[0].c.drops[r];
	size_t len, quoted;

	test_net_advance(&net, 1000000);
	test_net_peer(&net, peer, test_mac_peer);
	assert_null(test_input(&net, &f));
	assert_int_equal(net.w[0].c.drops[r], before + 1);
	len = test_expect_sent(&net, out);
	assert_true(test_l4_cksum_ok(out + 14, len - 14));
	assert_int_equal(out[54], 4);
	assert_int_equal(out[55], code);
	assert_int_equal((uint32_t)out[58] << 24 | out[59] << 16 | out[60] << 8 | out[61], pointer);
	quoted = RTE_MIN(f.len - 14, (size_t)1232);
	assert_int_equal(len, 14 + 40 + 8 + quoted);
	assert_memory_equal(out + 62, f.b + 14, quoted);
	assert_null(test_net_sent(&net, NULL));
}

static void
udp_is_handed_up(void **state)
{
	struct rte_mbuf *m;
	struct pkt *p;

	udp(peer, us);
	f.b[14] = 0x6b; /* traffic class 0xbb */
	f.b[15] = 0xb0;
	f.len += 7;
	m = test_expect_up(&net, &f, PKT_UDP);
	p = pkt_of(m);
	assert_int_equal(p->flags, PKT_V6 | PKT_CE);
	assert_int_equal(p->tos, 0xbb);
	assert_int_equal(p->ttl, 64);
	assert_memory_equal(p->key.k.raddr, peer.b, 16);
	assert_memory_equal(p->key.k.laddr, us.b, 16);
	assert_int_equal(p->key.k.zone, 0);
	assert_int_equal(p->hash, key_hash(&(struct key_secret){1, 2}, &p->key.k));
	assert_int_equal(p->data_len, 5);
	assert_int_equal(m->pkt_len, 14 + 40 + 8 + 5);
	rte_pktmbuf_free(m);
}

/* Link-local addresses belong to their link: the zone is in the key. */
static void
link_local_has_a_zone(void **state)
{
	struct rte_mbuf *m;

	udp(test_addr("fe80::9"), test_addr("fe80::ff:fe00:1"));
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->key.k.zone, 1);
	rte_pktmbuf_free(m);
}

static void
header_faults(void **state)
{
	udp(peer, us);
	f.b[14] = 0x40;
	test_expect_drop(&net, &f, DROP_IP6_HEADER);
	udp(peer, us);
	f.b[19]++;
	test_expect_drop(&net, &f, DROP_IP6_SHORT);
	f.len = 14 + 39;
	test_expect_drop(&net, &f, DROP_IP6_SHORT);
}

static void
martians(void **state)
{
	static const char *const sources[] = {
		"::1", "ff02::1", "ff00::", "::ffff:1.2.3.4", "fd77::2"};
	static const char *const destinations[] = {
		"::", "::1", "ff00::1", "ff01::1", "::ffff:10.77.0.2"};

	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		udp(peer, us);
		memcpy(f.b + 22, test_addr(sources[i]).b, 16);
		test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	}
	for (unsigned i = 0; i < RTE_DIM(destinations); i++) {
		udp(peer, us);
		memcpy(f.b + 38, test_addr(destinations[i]).b, 16);
		test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	}
	/* Who has no address yet speaks only ICMPv6. */
	udp(test_addr("::"), us);
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	udp(peer, us);
	f.b[0] = 0x33;
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
}

static void
not_ours_and_groups(void **state)
{
	static const char *const others[] = {
		"fd77::3", "2001:db8::1", "ff02::2", "ff05::1", "ff02::1:ff00:3", "fe80::1"};
	static const char *const groups[] = {
		"ff02::1", "ff02::1:ff00:2", "ff02::1:ff00:1", "ff02::1:ff4d:1234"};

	for (unsigned i = 0; i < RTE_DIM(others); i++) {
		udp(peer, test_addr(others[i]));
		test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
	}
	/* All 24 bits of an address count. */
	assert_int_equal(ip_address_add(net.ip, 0, test_addr("fd77::4d:1234").b, 64), 0);
	for (unsigned i = 0; i < RTE_DIM(groups); i++) {
		struct rte_mbuf *m;

		udp(peer, test_addr(groups[i]));
		m = test_expect_up(&net, &f, PKT_UDP);
		assert_int_equal(pkt_of(m)->flags, PKT_V6 | PKT_GROUP);
		rte_pktmbuf_free(m);
	}
}

static const uint8_t padding[8] = {0, 0, 1, 4, 0, 0, 0, 0};

static void
extension_headers_are_skipped(void **state)
{
	static const uint8_t routing_done[8] = {0, 0, 0, 0}, alert[8] = {0, 0, 5, 2, 0, 0, 1, 0};
	static const uint8_t skip[16] = {0, 1, 0x1e, 3, 1, 2, 3, 0, 0, 0x3f, 0, 1, 2, 0, 0, 0};
	struct rte_mbuf *m;

	udp(peer, us);
	extend(60, padding, 8);
	extend(43, routing_done, 8);
	extend(60, skip, 16);
	extend(0, alert, 8);
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->l4_off, 54 + 40);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, char *, pkt_of(m)->data_off), "hello", 5);
	rte_pktmbuf_free(m);
}

static void
extension_headers_are_bounded(void **state)
{
	uint8_t large[256 + 8] = {0, 32, 1, 255};

	udp(peer, us);
	for (unsigned i = 0; i < 8; i++)
		extend(60, padding, 8);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	extend(60, padding, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	large[259] = 1;
	large[260] = 3;
	udp(peer, us);
	extend(60, large, sizeof(large));
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	extend(60, large, sizeof(large));
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
}

static void
options_are_bounded(void **state)
{
	uint8_t many[40] = {0, 4};

	for (unsigned i = 0; i < 16; i++)
		many[2 + 2 * i] = 0x1e;
	udp(peer, us);
	extend(60, many, 40);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	many[34] = 0x1e;
	udp(peer, us);
	extend(60, many, 40);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
}

static void
options_say_what_to_do(void **state)
{
	uint8_t o[8] = {0, 0, 1, 0, 0x40, 2, 0, 0};

	udp(peer, us);
	extend(60, o, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION); /* 01: silently */
	o[4] = 0x80;
	udp(peer, us);
	extend(60, o, 8);
	expect_problem(DROP_IP6_EXTENSION, 2, 44);
	o[4] = 0xc2; /* 11, jumbo payload */
	udp(peer, us);
	extend(0, o, 8);
	expect_problem(DROP_IP6_EXTENSION, 2, 44);
	/* To a group: 11 is silent, 10 is told, from an address of ours. */
	udp(peer, test_addr("ff02::1"));
	extend(60, o, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	o[4] = 0x80;
	udp(peer, test_addr("ff02::1"));
	extend(60, o, 8);
	expect_problem(DROP_IP6_EXTENSION, 2, 44);
	assert_memory_equal(out + 22, us.b, 16);
}

static void
malformed_extensions(void **state)
{
	static const uint8_t past[8] = {0, 9}, option_past[8] = {0, 0, 0x1e, 5},
			     no_length[8] = {0, 0, 1, 3, 0, 0, 0, 1};

	udp(peer, us);
	extend(60, past, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	udp(peer, us);
	extend(60, option_past, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	udp(peer, us);
	extend(60, no_length, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	/* Cut inside the header, at every byte. */
	for (unsigned len = 0; len < 8; len++) {
		udp(peer, us);
		extend(60, padding, 8);
		f.len = 54 + len;
		f.b[19] = (uint8_t)len;
		test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	}
}

static void
routing_header(void **state)
{
	static const uint8_t type0[24] = {0, 2, 0, 1}, type4[8] = {0, 0, 4, 1};

	udp(peer, us);
	extend(43, type0, 24);
	expect_problem(DROP_IP6_EXTENSION, 0, 42);
	udp(peer, us);
	extend(43, type4, 8);
	expect_problem(DROP_IP6_EXTENSION, 0, 42);
}

static void
unknown_next_headers(void **state)
{
	static const uint8_t known[] = {50, 51, 135, 139, 140};

	for (unsigned i = 0; i < sizeof(known); i++) {
		udp(peer, us);
		f.b[20] = known[i];
		expect_problem(DROP_IP6_EXTENSION, 1, 6);
	}
	udp(peer, us);
	f.b[20] = 132;
	expect_problem(DROP_IP_PROTO, 1, 6);
	udp(peer, us);
	extend(60, padding, 8);
	f.b[54] = 132;
	expect_problem(DROP_IP_PROTO, 1, 40);
	/* Hop-by-hop anywhere but first. */
	udp(peer, us);
	extend(0, padding, 8);
	extend(60, padding, 8);
	expect_problem(DROP_IP6_EXTENSION, 1, 40);
	/* No next header: nothing to say. */
	udp(peer, us);
	f.b[20] = 59;
	test_expect_drop(&net, &f, DROP_IP_PROTO);
}

/* Put a fragment header in front of what the frame carries. */
static void
fragment(uint32_t offset, bool more)
{
	uint8_t h[8] = {
		0, 0, (uint8_t)(offset >> 8), (uint8_t)(offset | more), 0xde, 0xad, 0xbe, 0xef};

	extend(44, h, 8);
}

static void
atomic_fragment(void **state)
{
	struct rte_mbuf *m;

	udp(peer, us);
	fragment(0, false);
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->l4_off, 62);
	rte_pktmbuf_free(m);
	assert_int_equal(test_ip_stat(&net, "atomic_fragments_in"), 1);
}

static void
fragments_are_handed_up(void **state)
{
	struct rte_mbuf *m;
	struct pkt *p;

	udp(peer, us);
	f.len -= 5;
	f.b[19] = 8;
	fragment(1232, true);
	extend(60, padding, 8);
	m = test_expect_up(&net, &f, PKT_FRAGMENT);
	p = pkt_of(m);
	assert_int_equal(p->frag.offset, 1232);
	assert_int_equal(p->frag.len, 8);
	assert_int_equal(p->frag.more, 1);
	assert_int_equal(p->frag.proto, IPPROTO_UDP);
	assert_int_equal(p->data_off, 54 + 16);
	assert_int_equal(p->flags, PKT_V6);
	assert_int_equal(p->key.k.kind, KEY_FRAGMENT);
	assert_int_equal(p->key.k.rport_be, htons(0xdead));
	assert_int_equal(p->key.k.lport_be, htons(0xbeef));
	assert_int_equal(p->key.k.proto, IPPROTO_FRAGMENT);
	assert_int_equal(p->hash, key_hash(&(struct key_secret){1, 2}, &p->key.k));
	rte_pktmbuf_free(m);
}

static void
bad_fragments(void **state)
{
	/* Not a multiple of 8: the payload length is at fault. */
	udp(peer, us);
	fragment(8, true);
	expect_problem(DROP_FRAG_BAD, 0, 4);
	/* Past 65535: the offset is. */
	udp(peer, us);
	fragment(65528, false);
	expect_problem(DROP_FRAG_BAD, 0, 42);
	test_frame_ip(&f, peer, us, IPPROTO_UDP, NULL, 0);
	fragment(8, false);
	test_expect_drop(&net, &f, DROP_FRAG_BAD);
	/* RFC 7112: the first one lacks headers. */
	test_frame_ip(&f, peer, us, IPPROTO_TCP, "0123456789abcdef", 16);
	fragment(0, true);
	expect_problem(DROP_IP6_EXTENSION, 3, 40);
	test_frame_ip(&f, peer, us, 60, "\6\1\1\14\0\0\0\0", 8);
	fragment(0, true);
	expect_problem(DROP_IP6_EXTENSION, 3, 40);
	/* About a later one nothing is said. */
	udp(peer, us);
	f.len -= 1;
	f.b[19]--;
	fragment(8, true);
	net.w[0].now_us += 1000000;
	assert_null(test_input(&net, &f));
	test_net_discard(&net);
}

static struct rte_mbuf *
chain(struct rte_mbuf *a, struct rte_mbuf *b)
{
	rte_pktmbuf_adj(b, pkt_of(b)->data_off);
	assert_int_equal(rte_pktmbuf_chain(a, b), 0);
	return a;
}

/* The fragment header goes, the headers before it stay. */
static void
joined_datagram(void **state)
{
	static struct test_frame whole;
	struct rte_mbuf *a, *b, *m;
	uint8_t data[100];

	memset(data, 0x5a, sizeof(data));
	test_frame_udp(&f, peer, us, 4000, 7, data, sizeof(data));
	memcpy(&whole, &f, sizeof(f));
	test_frame_ip(&f, peer, us, IPPROTO_UDP, whole.b + whole.l4, 64);
	fragment(0, true);
	extend(60, padding, 8);
	extend(0, padding, 8);
	a = test_expect_up(&net, &f, PKT_FRAGMENT);
	test_frame_ip(&f, peer, us, 99, whole.b + whole.l4 + 64, 44);
	fragment(64, false);
	b = test_expect_up(&net, &f, PKT_FRAGMENT);
	assert_true(key_equal(&pkt_of(a)->key.k, &pkt_of(b)->key.k));
	m = ip_input_joined(&net.w[0], chain(a, b));
	assert_non_null(m);
	assert_int_equal(pkt_of(m)->kind, PKT_UDP);
	assert_int_equal(pkt_of(m)->flags, PKT_V6 | PKT_JOINED);
	assert_int_equal(pkt_of(m)->data_len, 100);
	memcpy(&f, &whole, sizeof(f));
	extend(60, padding, 8);
	extend(0, padding, 8);
	assert_int_equal(test_bytes(m, out), f.len);
	assert_memory_equal(out, f.b, f.len);
	rte_pktmbuf_free(m);
}

static void
joined_echo(void **state)
{
	static uint8_t body[8 + 60000] = {128}, back[sizeof(body)];
	static struct test_frame whole;
	struct rte_mbuf *m = NULL, *p;
	size_t at = 0, len, part;
	uint8_t id[4];

	for (size_t i = 4; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31 >> 3);
	test_net_peer(&net, peer, test_mac_peer);
	test_frame_icmp(&whole, peer, us, 64, body, sizeof(body));
	for (; at < sizeof(body); at += part) {
		part = RTE_MIN(sizeof(body) - at, (size_t)1448);
		test_frame_ip(&f, peer, us, IPPROTO_ICMPV6, whole.b + whole.l4 + at, part);
		fragment((uint32_t)at, at + part < sizeof(body));
		p = test_expect_up(&net, &f, PKT_FRAGMENT);
		m = m == NULL ? p : chain(m, p);
	}
	net.w[0].c.delivered--;
	assert_null(ip_input_joined(&net.w[0], m));
	for (at = 0; at < sizeof(body); at += part) {
		len = test_expect_sent(&net, out);
		part = len - 62;
		assert_true(len <= 1514);
		assert_int_equal(out[20], 44);
		assert_int_equal(out[54], IPPROTO_ICMPV6);
		assert_int_equal((out[56] << 8 | out[57]) & 0xfff8, at);
		assert_int_equal(out[57] & 1, at + part < sizeof(body));
		if (at == 0)
			memcpy(id, out + 58, 4);
		assert_memory_equal(out + 58, id, 4);
		memcpy(back + at, out + 62, part);
	}
	assert_int_equal(at, sizeof(body));
	assert_memory_equal(back + 4, body + 4, sizeof(body) - 4);
	assert_int_equal(back[0], 129);
	test_frame_icmp(&f, us, peer, 64, back, sizeof(back));
	assert_memory_equal(f.b + f.l4, back, 8);
}

/* RFC 7112: all headers up to the transport's are in the first fragment, 8 extensions at most. */
static void
first_fragments(void **state)
{
	static const struct {
		uint8_t nh;
		const char *bytes;
		size_t n;
		bool whole;
	} cases[] = {{IPPROTO_UDP, "01234567", 8, true}, {IPPROTO_ICMPV6, "01234567", 8, true},
		{IPPROTO_TCP, "0123456789abcdef", 16, false},
		{IPPROTO_TCP, "0123456789abcdef01234567", 24, true},
		{60, "\x11\0\1\4\0\0\0\0", 8, false},
		{60,
			"\x11\0\1\4\0\0\0\0"
			"01234567",
			16, true},
		{60,
			"\x11\1\1\14\0\0\0\0\0\0\0\0\0\0\0\0"
			"01234567",
			24, true},
		{0, "\x11\0\1\4\0\0\0\0", 8, false}, {43, "\x11\0\1\4\0\0\0\0", 8, false},
		{43,
			"\x11\0\1\4\0\0\0\0"
			"01234567",
			16, true},
		/* Of what we don't know only that it begins there. */
		{132, "01234567", 8, true}, {60, "\x84\0\1\4\0\0\0\0", 8, true},
		{60, "\x84\1\1\14\0\0\0\0", 8, false}};

	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		test_frame_ip(&f, peer, us, cases[i].nh, cases[i].bytes, cases[i].n);
		fragment(0, true);
		if (cases[i].whole)
			rte_pktmbuf_free(test_expect_up(&net, &f, PKT_FRAGMENT));
		else
			expect_problem(DROP_IP6_EXTENSION, 3, 40);
	}
	udp(peer, us);
	f.len -= 5;
	f.b[19] = 8;
	for (unsigned i = 0; i < 8; i++)
		extend(60, padding, 8);
	fragment(0, true);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_FRAGMENT));
	udp(peer, us);
	f.len -= 5;
	f.b[19] = 8;
	for (unsigned i = 0; i < 9; i++)
		extend(60, padding, 8);
	fragment(0, true);
	expect_problem(DROP_IP6_EXTENSION, 3, 40);
}

/* RFC 8200 section 4.5: the whole datagram, unfragmentable headers included, has at most 65535 bytes. */
static void
last_fragment_ends_at_65535(void **state)
{
	static const uint8_t data[8];
	struct rte_mbuf *m;

	test_frame_ip(&f, peer, us, IPPROTO_UDP, data, 7);
	fragment(65528, false);
	m = test_expect_up(&net, &f, PKT_FRAGMENT);
	assert_int_equal(pkt_of(m)->frag.offset, 65528);
	assert_int_equal(pkt_of(m)->frag.more, 0);
	rte_pktmbuf_free(m);
	test_frame_ip(&f, peer, us, IPPROTO_UDP, data, 8);
	fragment(65528, false);
	expect_problem(DROP_FRAG_BAD, 0, 42);
	test_frame_ip(&f, peer, us, IPPROTO_UDP, data, 7);
	fragment(65520, false);
	extend(60, padding, 8);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_FRAGMENT));
	test_frame_ip(&f, peer, us, IPPROTO_UDP, data, 8);
	fragment(65520, false);
	extend(60, padding, 8);
	expect_problem(DROP_FRAG_BAD, 0, 50);
	/* In the middle: a multiple of 8, whatever the reserved bits (section 4.5: ignored). */
	test_frame_ip(&f, peer, us, IPPROTO_UDP, data, 8);
	fragment(64 | 6, true);
	m = test_expect_up(&net, &f, PKT_FRAGMENT);
	assert_int_equal(pkt_of(m)->frag.offset, 64);
	assert_int_equal(pkt_of(m)->frag.more, 1);
	rte_pktmbuf_free(m);
}

/* The limits of RFC 8504 section 5.3, to the byte: 512 of headers, 8 headers, atomic fragments too. */
static void
limits_to_the_byte(void **state)
{
	uint8_t large[256] = {0, 31, 1, 252};

	udp(peer, us);
	extend(60, large, 256);
	extend(60, large, 256);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	extend(60, padding, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	udp(peer, us);
	fragment(0, false);
	for (unsigned i = 0; i < 7; i++)
		extend(60, padding, 8);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	udp(peer, us);
	fragment(0, false);
	for (unsigned i = 0; i < 8; i++)
		extend(60, padding, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	/* Nothing after the fragment header of a packet in one piece. */
	udp(peer, us);
	f.len = 54;
	f.b[19] = 0;
	for (unsigned n = 0; n < 8; n++) {
		test_frame_ip(&f, peer, us, 44, "\x11\0\0\1\0\0\0", n);
		test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	}
}

static void
options_at_the_edges(void **state)
{
	static const uint8_t good[][8] = {{0, 0, 1, 4, 0, 0, 0, 0}, {0, 0, 1, 2, 0, 0, 1, 0},
		{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 1, 3, 0x80, 0x80, 0x80},
		{0, 0, 1, 0, 1, 0, 1, 0}};
	static const uint8_t bad[][8] = {{0, 0, 1, 5, 0, 0, 0, 0}, {0, 0, 1, 3, 0, 0, 0, 1},
		{0, 0, 0x40, 4, 0, 0, 0, 0}, {0, 0, 0, 0x41, 3, 0, 0, 0},
		{0, 0, 1, 2, 0, 0, 0x40, 0}};

	for (unsigned i = 0; i < RTE_DIM(good); i++) {
		udp(peer, us);
		extend(60, good[i], 8);
		rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
		udp(peer, us);
		extend(0, good[i], 8);
		rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	}
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		udp(peer, us);
		extend(60, bad[i], 8);
		test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	}
	/* At once behind the two fixed bytes. */
	udp(peer, us);
	extend(60, "\0\0\x80\4\0\0\0\0", 8);
	expect_problem(DROP_IP6_EXTENSION, 2, 42);
}

/* Each byte of the groups that we are in counts (RFC 4291 section 2.7.1), and each of ::1. */
static void
almost_our_addresses(void **state)
{
	for (unsigned i = 0; i < 16; i++) {
		struct test_addr a = test_addr("ff02::1");

		a.b[i] ^= 0x40;
		udp(peer, a);
		test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
		a = test_addr("ff02::1:ff00:2");
		a.b[i] ^= 0x40;
		udp(peer, a);
		test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
		a = test_addr("::1");
		a.b[i] ^= 0x40;
		udp(peer, a);
		test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
		udp(a, us);
		rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	}
	/* The scope is the low half of the second byte: 0 and 1 never leave a host. */
	udp(peer, test_addr("ff11::1"));
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	udp(peer, test_addr("ff10::1"));
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	udp(peer, test_addr("fe01::1"));
	test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
	/* The last three bytes of an IPv4 address make no group of ours. */
	udp(peer, test_addr("ff02::1:ff4d:2"));
	test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
}

static void
ecn_codepoints(void **state)
{
	for (unsigned ecn = 0; ecn < 4; ecn++) {
		struct rte_mbuf *m;

		udp(peer, us);
		f.b[14] = 0x64;
		f.b[15] = (uint8_t)(ecn << 4 | 0xf); /* the low half is the flow label's */
		m = test_expect_up(&net, &f, PKT_UDP);
		assert_int_equal(pkt_of(m)->flags, ecn == 3 ? PKT_V6 | PKT_CE : PKT_V6);
		assert_int_equal(pkt_of(m)->tos, 0x40 | ecn);
		rte_pktmbuf_free(m);
	}
}

/* As long as no address of ours may be used, there is none to complain from. */
static void
nobody_complains(void **state)
{
	ip_announce(&net.w[0]);
	test_net_discard(&net);
	udp(peer, test_addr("ff02::1"));
	extend(60, "\0\0\x80\4\0\0\0\0", 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
}

/* RFC 4443 section 2.4 (e.1), (e.2): about an ICMPv6 error or a redirect nothing is said, whatever headers
 * stand before it and whichever of them is at fault; about a question there is. */
static void
no_error_about_an_error(void **state)
{
	static const struct {
		uint8_t type;
		bool told;
	} cases[] = {{1, false}, {3, false}, {127, false}, {128, true}, {136, true}, {137, false},
		{138, true}};
	static const uint8_t routing[8] = {0, 0, 4, 1}, bad[8] = {0, 0, 0x80, 4};

	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		uint8_t body[16] = {cases[i].type};

		for (unsigned how = 0; how < 4; how++) {
			test_net_advance(&net, 1000000);
			test_net_peer(&net, peer, test_mac_peer);
			test_frame_icmp(&f, peer, us, 64, body, sizeof(body));
			if (how == 1)
				extend(60, padding, 8);
			if (how == 2)
				fragment(0, false);
			extend(how == 0 ? 43 : 60, how == 0 ? routing : bad, 8);
			if (how == 3)
				extend(0, padding, 8);
			assert_null(test_input(&net, &f));
			assert_int_equal(test_net_discard(&net), cases[i].told);
		}
	}
	/* Nothing of it there: it might be one. */
	test_frame_ip(&f, peer, us, IPPROTO_ICMPV6, NULL, 0);
	extend(60, bad, 8);
	test_expect_drop(&net, &f, DROP_IP6_EXTENSION);
	/* Headers that are not all there name nothing. */
	test_frame_ip(&f, peer, us, 60, NULL, 0);
	extend(60, bad, 8);
	expect_problem(DROP_IP6_EXTENSION, 2, 42);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(udp_is_handed_up),
		T(link_local_has_a_zone),
		T(header_faults),
		T(martians),
		T(not_ours_and_groups),
		T(extension_headers_are_skipped),
		T(extension_headers_are_bounded),
		T(options_are_bounded),
		T(options_say_what_to_do),
		T(malformed_extensions),
		T(routing_header),
		T(unknown_next_headers),
		T(atomic_fragment),
		T(fragments_are_handed_up),
		T(bad_fragments),
		T(joined_datagram),
		T(joined_echo),
		T(first_fragments),
		T(last_fragment_ends_at_65535),
		T(limits_to_the_byte),
		T(options_at_the_edges),
		T(almost_our_addresses),
		T(ecn_codepoints),
		T(nobody_complains),
		T(no_error_about_an_error),
	};

	test_eal("ip6_input");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

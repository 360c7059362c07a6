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
udp(struct test_addr src, struct test_addr dst)
{
	test_frame_udp(&f, src, dst, 4000, 7, "hello", 5);
}

static void
header_faults(void **state)
{
	uint8_t *ip = f.b + 14;

	udp(peer, us);
	ip[0] = 0x55;
	test_expect_drop(&net, &f, DROP_IP4_HEADER);
	for (unsigned ihl = 0; ihl < 5; ihl++) {
		udp(peer, us);
		ip[0] = (uint8_t)(0x40 | ihl);
		test_expect_drop(&net, &f, DROP_IP4_HEADER);
	}
	for (unsigned bit = 0; bit < 16; bit++) {
		udp(peer, us);
		ip[10 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		test_expect_drop(&net, &f, DROP_IP4_CKSUM);
	}
	/* The length says more than came, or less than a header. */
	udp(peer, us);
	ip[3]++;
	test_frame_ip4_cksum(&f);
	test_expect_drop(&net, &f, DROP_IP4_SHORT);
	udp(peer, us);
	ip[3] = 19;
	test_frame_ip4_cksum(&f);
	test_expect_drop(&net, &f, DROP_IP4_SHORT);
}

/* A frame with the given options; n is padded with zeros to a multiple of 4. */
static void
with_options(const void *opts, size_t n)
{
	size_t room = (n + 3) & ~(size_t)3;
	uint8_t udp_part[13], all[64] = {0};

	udp(peer, us);
	memcpy(udp_part, f.b + f.l4, 13);
	memcpy(all, opts, n);
	memcpy(f.b + f.l4, all, room);
	memcpy(f.b + f.l4 + room, udp_part, 13);
	f.l4 += room;
	f.len += room;
	f.b[14] = (uint8_t)(0x40 | (5 + room / 4));
	f.b[17] = (uint8_t)(f.len - 14);
	test_frame_ip4_cksum(&f);
}

static void
options(void **state)
{
	static const uint8_t record[7] = {7, 7, 4, 0, 0, 0, 0},
			     stamp[8] = {68, 8, 5, 0, 0, 0, 0, 0};
	static const uint8_t alert[4] = {148, 4, 0, 0}, most[40] = {1, 1, 1, 7, 37, 4};
	static const uint8_t lsrr[7] = {131, 7, 4, 10, 0, 0, 1}, ssrr[7] = {137, 7, 4, 10, 0, 0, 1};
	static const uint8_t after_end[8] = {0, 131, 7, 4, 0, 0, 0, 0};
	struct rte_mbuf *m;

	with_options(record, sizeof(record));
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	with_options(stamp, sizeof(stamp));
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	with_options(alert, sizeof(alert));
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	with_options(after_end, sizeof(after_end));
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	with_options(most, sizeof(most));
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->l4_off, 14 + 60);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, char *, pkt_of(m)->data_off), "hello", 5);
	rte_pktmbuf_free(m);
	with_options(lsrr, sizeof(lsrr));
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
	with_options(ssrr, sizeof(ssrr));
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
	with_options("\1\1\1\203\3\4\1\1", 8);
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
}

static void
malformed_options(void **state)
{
	with_options("\7\0\0\0", 4); /* no length */
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
	with_options("\7\1\0\0", 4); /* too short for itself */
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
	with_options("\7\5\4\0", 4); /* past the header */
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
	with_options("\1\1\1\7", 4); /* one byte left */
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
}

static void
martians(void **state)
{
	static const char *const sources[] = {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255",
		"224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "10.77.0.255",
		"10.77.0.0", "10.77.0.2"};
	static const char *const destinations[] = {"0.0.0.0", "127.0.0.1", "0.0.0.9"};

	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		udp(test_addr(sources[i]), us);
		test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	}
	for (unsigned i = 0; i < RTE_DIM(destinations); i++) {
		udp(peer, test_addr(destinations[i]));
		test_expect_drop(&net, &f, DROP_IP_MARTIAN);
	}
	/* RFC 1122 section 3.3.6: to all on the link, but one host's address. */
	udp(peer, us);
	memcpy(f.b, test_mac_broadcast, 6);
	test_expect_drop(&net, &f, DROP_IP_MARTIAN);
}

static void
not_ours(void **state)
{
	static const char *const others[] = {
		"10.77.0.3", "8.8.8.8", "224.0.0.5", "239.255.255.250", "10.78.0.255"};

	for (unsigned i = 0; i < RTE_DIM(others); i++) {
		udp(peer, test_addr(others[i]));
		test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
	}
}

static void
groups_are_marked(void **state)
{
	static const char *const groups[] = {
		"255.255.255.255", "10.77.0.255", "10.77.0.0", "224.0.0.1"};

	for (unsigned i = 0; i < RTE_DIM(groups); i++) {
		struct rte_mbuf *m;

		udp(peer, test_addr(groups[i]));
		memcpy(f.b, test_mac_broadcast, 6);
		m = test_expect_up(&net, &f, PKT_UDP);
		assert_int_equal(pkt_of(m)->flags, PKT_GROUP);
		rte_pktmbuf_free(m);
	}
}

/* RFC 1122 section 3.2.1.7: no host drops for a small TTL. ECN and TOS are noted. */
static void
fields_are_noted(void **state)
{
	struct rte_mbuf *m;

	for (unsigned ttl = 0; ttl < 3; ttl++) {
		udp(peer, us);
		f.b[14 + 8] = (uint8_t)ttl;
		f.b[14 + 1] = 0xb8 | 3;
		test_frame_ip4_cksum(&f);
		m = test_expect_up(&net, &f, PKT_UDP);
		assert_int_equal(pkt_of(m)->ttl, ttl);
		assert_int_equal(pkt_of(m)->tos, 0xbb);
		assert_int_equal(pkt_of(m)->flags, PKT_CE);
		assert_int_equal(pkt_of(m)->ifc, 0);
		rte_pktmbuf_free(m);
	}
}

static void
unknown_protocol(void **state)
{
	size_t len;

	test_net_peer(&net, peer, test_mac_peer);
	test_frame_ip(&f, peer, us, 132, "0123456789abcdef", 16);
	assert_null(test_input(&net, &f));
	assert_int_equal(net.w[0].c.drops[DROP_IP_PROTO], 1);
	len = test_expect_sent(&net, out);
	assert_int_equal(len, 14 + 20 + 8 + 36);
	assert_true(test_l4_cksum_ok(out + 14, len - 14));
	assert_int_equal(out[34], 3);
	assert_int_equal(out[35], 2);
	assert_memory_equal(out + 42, f.b + 14, 36);
}

/* Make the frame a fragment. */
static void
fragment(size_t offset, size_t len, bool more)
{
	static uint8_t data[70000];

	test_frame_ip(&f, peer, us, IPPROTO_UDP, data, len);
	f.b[14 + 6] = (uint8_t)(offset / 8 >> 8 | (more ? 0x20 : 0));
	f.b[14 + 7] = (uint8_t)(offset / 8);
	test_frame_ip4_cksum(&f);
}

static void
fragments_are_handed_up(void **state)
{
	struct rte_mbuf *m;
	struct pkt *p;

	fragment(1480, 40, true);
	m = test_expect_up(&net, &f, PKT_FRAGMENT);
	p = pkt_of(m);
	assert_int_equal(p->frag.offset, 1480);
	assert_int_equal(p->frag.len, 40);
	assert_int_equal(p->frag.more, 1);
	assert_int_equal(p->frag.proto, IPPROTO_UDP);
	assert_int_equal(p->data_off, 34);
	assert_int_equal(p->data_len, 40);
	assert_int_equal(p->key.k.kind, KEY_FRAGMENT);
	assert_int_equal(p->key.k.rport_be, htons(0x1234));
	assert_int_equal(p->key.k.lport_be, 0);
	assert_int_equal(p->key.k.proto, IPPROTO_UDP);
	assert_memory_equal(p->key.k.raddr, peer.b, 16);
	assert_memory_equal(p->key.k.laddr, us.b, 16);
	assert_int_equal(p->hash, key_hash(&(struct key_secret){1, 2}, &p->key.k));
	rte_pktmbuf_free(m);
	/* The last one may have any length. */
	fragment(1480, 1, false);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_FRAGMENT));
	/* The largest datagram there is: 65535 with its header. */
	fragment(65512, 3, false);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_FRAGMENT));
}

static void
bad_fragments(void **state)
{
	fragment(8, 0, false);
	test_expect_drop(&net, &f, DROP_FRAG_BAD);
	fragment(8, 7, true);
	test_expect_drop(&net, &f, DROP_FRAG_BAD);
	fragment(65512, 4, false); /* ping of death */
	test_expect_drop(&net, &f, DROP_FRAG_BAD);
	fragment(65528, 1400, false);
	test_expect_drop(&net, &f, DROP_FRAG_BAD);
}

/* Chain the payloads of two fragments, as lib/conv does. */
static struct rte_mbuf *
chain(struct rte_mbuf *a, struct rte_mbuf *b)
{
	rte_pktmbuf_adj(b, pkt_of(b)->data_off);
	assert_int_equal(rte_pktmbuf_chain(a, b), 0);
	return a;
}

static void
joined_datagram(void **state)
{
	static struct test_frame whole;
	struct rte_mbuf *a, *b, *m;
	uint8_t data[100];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	test_frame_udp(&whole, peer, us, 4000, 7, data, sizeof(data));
	fragment(0, 64, true);
	memcpy(f.b + f.l4, whole.b + whole.l4, 64);
	a = test_expect_up(&net, &f, PKT_FRAGMENT);
	fragment(64, 44, false);
	memcpy(f.b + f.l4, whole.b + whole.l4 + 64, 44);
	b = test_expect_up(&net, &f, PKT_FRAGMENT);
	m = ip_input_joined(&net.w[0], chain(a, b));
	assert_non_null(m);
	assert_int_equal(pkt_of(m)->kind, PKT_UDP);
	assert_int_equal(pkt_of(m)->flags, PKT_JOINED);
	assert_int_equal(pkt_of(m)->data_len, 100);
	assert_int_equal(test_bytes(m, out), whole.len);
	assert_memory_equal(out, whole.b, whole.len);
	rte_pktmbuf_free(m);
}

static void
joined_too_long(void **state)
{
	struct rte_mbuf *a, *b;

	fragment(0, 40000, true);
	a = test_expect_up(&net, &f, PKT_FRAGMENT);
	fragment(0, 40000, true); /* a wrong piece: joining it makes 80020 bytes */
	b = test_expect_up(&net, &f, PKT_FRAGMENT);
	net.w[0].c.delivered--;
	assert_null(ip_input_joined(&net.w[0], chain(a, b)));
	assert_int_equal(net.w[0].c.drops[DROP_FRAG_BAD], 1);
}

/* 60000 bytes come in pieces and leave in pieces. */
static void
joined_echo(void **state)
{
	static uint8_t body[8 + 60000] = {8}, back[sizeof(body)];
	static struct test_frame whole;
	struct rte_mbuf *m = NULL, *p;
	size_t at = 0, len, part;

	for (size_t i = 4; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31 >> 3);
	test_net_peer(&net, peer, test_mac_peer);
	test_frame_icmp(&whole, peer, us, 64, body, sizeof(body));
	for (; at < sizeof(body); at += part) {
		part = RTE_MIN(sizeof(body) - at, (size_t)1480);
		fragment(at, part, at + part < sizeof(body));
		f.b[14 + 9] = IPPROTO_ICMP;
		memcpy(f.b + f.l4, whole.b + whole.l4 + at, part);
		test_frame_ip4_cksum(&f);
		p = test_expect_up(&net, &f, PKT_FRAGMENT);
		m = m == NULL ? p : chain(m, p);
	}
	net.w[0].c.delivered--;
	assert_null(ip_input_joined(&net.w[0], m));
	assert_int_equal(net.w[0].c.consumed, 2);
	for (at = 0; at < sizeof(body); at += part) {
		len = test_expect_sent(&net, out);
		part = len - 34;
		assert_true(len <= 1514);
		assert_int_equal((out[20] << 8 | out[21]) & 0x1fff, at / 8);
		assert_int_equal(out[20] >> 5 & 1, at + part < sizeof(body));
		memcpy(back + at, out + 34, part);
	}
	assert_int_equal(at, sizeof(body));
	assert_null(test_net_sent(&net, NULL));
	assert_memory_equal(back + 4, body + 4, sizeof(body) - 4);
	assert_int_equal(back[0], 0);
	test_frame_icmp(&f, us, peer, 64, back, sizeof(back));
	assert_memory_equal(f.b + f.l4, back, 8); /* its checksum was right */
}

/* Truncated is truncated, whatever stands behind the frame's end in its buffer. */
static void
truncated_header(void **state)
{
	udp(peer, us);
	f.b[14] = 0x65;
	for (f.len = 14; f.len < 34; f.len++)
		test_expect_drop(&net, &f, DROP_IP4_SHORT);
}

/* Only 0/8, 127/8 and 224/3 are no host's (RFC 6890); a neighbour of theirs is. */
static void
hosts_beside_the_martians(void **state)
{
	static const char *const sources[] = {
		"1.0.0.1", "126.255.255.254", "128.0.0.1", "223.255.255.254", "10.77.0.254"};

	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		udp(test_addr(sources[i]), us);
		rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	}
	udp(peer, test_addr("224.0.0.2"));
	test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
}

/* RFC 3168 section 5: 11 alone is "congestion experienced". */
static void
ecn_codepoints(void **state)
{
	for (unsigned ecn = 0; ecn < 4; ecn++) {
		struct rte_mbuf *m;

		udp(peer, us);
		f.b[15] = (uint8_t)(0x40 | ecn);
		test_frame_ip4_cksum(&f);
		m = test_expect_up(&net, &f, PKT_UDP);
		assert_int_equal(pkt_of(m)->flags, ecn == 3 ? PKT_CE : 0);
		assert_int_equal(pkt_of(m)->tos, 0x40 | ecn);
		rte_pktmbuf_free(m);
	}
}

/* DF and the reserved bit make no fragment. */
static void
flags_of_a_whole_packet(void **state)
{
	for (unsigned bits = 0; bits < 4; bits++) {
		udp(peer, us);
		f.b[20] = (uint8_t)(bits << 6);
		test_frame_ip4_cksum(&f);
		rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	}
}

/* A header's checksum is believed to be good only if the port was said to look, and says so. */
static void
header_checksum_by_the_port(void **state)
{
	static const uint64_t marks[] = {0, RTE_MBUF_F_RX_IP_CKSUM_BAD, RTE_MBUF_F_RX_IP_CKSUM_NONE,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD};

	for (unsigned can = 0; can < 2; can++) {
		test_net_fini(&net);
		test_net_init(&net, 1);
		test_net_ip(&net, &(struct ip_offloads){.rx_ip_cksum = can != 0});
		for (unsigned i = 0; i < RTE_DIM(marks); i++) {
			struct rte_mbuf *m, *up = NULL;

			udp(peer, us);
			f.b[24] ^= 1;
			m = test_mbuf(net.mp, f.b, f.len);
			m->ol_flags |= marks[i];
			assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up),
				can != 0 && marks[i] == RTE_MBUF_F_RX_IP_CKSUM_GOOD);
			if (up != NULL)
				consume(&net.w[0], up);
		}
	}
}

/* The options end where the header does: what follows is not looked at as one. */
static void
options_end_with_the_header(void **state)
{
	struct rte_mbuf *m;

	/* The first bytes of the UDP header, 0x83 0x03, would be a source route. */
	with_options("\1\1\1\1", 4);
	f.b[f.l4] = 0x83;
	f.b[f.l4 + 1] = 3;
	f.b[f.l4 + 6] = f.b[f.l4 + 7] = 0; /* no checksum */
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->key.k.rport_be, htons(0x8303));
	rte_pktmbuf_free(m);
	/* The shortest option there is; one that ends with the header. */
	with_options("\7\2\1\1", 4);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	with_options("\1\1\7\2", 4);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	with_options("\1\1\7\3", 4);
	test_expect_drop(&net, &f, DROP_IP4_OPTION);
}

/* The first piece's buffer is somebody else's, too, and there is no other for the joined header. */
static void
joined_without_buffers(void **state)
{
	struct rte_mbuf *a, *b, *held;

	fragment(0, 64, true);
	a = test_expect_up(&net, &f, PKT_FRAGMENT);
	held = rte_pktmbuf_clone(a, net.mp_small);
	fragment(64, 44, false);
	b = test_expect_up(&net, &f, PKT_FRAGMENT);
	net.w[0].c.delivered--;
	a = chain(a, b);
	test_starve(net.mp_small);
	test_starve(net.mp);
	assert_null(ip_input_joined(&net.w[0], a));
	test_feed(net.mp);
	test_feed(net.mp_small);
	rte_pktmbuf_free(held);
	assert_int_equal(net.w[0].c.drops[DROP_NO_MBUF], 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(udp_is_handed_up),
		T(echo_is_answered),
		T(header_faults),
		T(options),
		T(malformed_options),
		T(martians),
		T(not_ours),
		T(groups_are_marked),
		T(fields_are_noted),
		T(unknown_protocol),
		T(fragments_are_handed_up),
		T(bad_fragments),
		T(joined_datagram),
		T(joined_too_long),
		T(joined_echo),
		T(truncated_header),
		T(hosts_beside_the_martians),
		T(ecn_codepoints),
		T(flags_of_a_whole_packet),
		T(header_checksum_by_the_port),
		T(options_end_with_the_header),
		T(joined_without_buffers),
	};

	test_eal("ip4_input");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

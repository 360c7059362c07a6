/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ip.h>

#include <cmocka.h>

#include "gen_frame.h"
#include "util.h"

#define L3 14
#define L4 34

static struct rte_mempool *mp;
static struct rte_mbuf *m;
static const struct gen_link link = {.us = {{2, 0, 0, 0, 0, 1}}, .them = {{2, 0, 0, 0, 0, 2}}};
static const struct gen_seg plain = {
	.t = {0x0a400001, 0x0a4d0002, 1024, 7},
	.seq = 0x01020304,
	.ack = 0xa0b0c0d0,
	.flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG,
	.ts = true,
	.ts_val = 0x11223344,
	.ts_ecr = 0x55667788,
	.data = (const uint8_t *)"hello",
	.len = 5,
};

static int
setup(void **state)
{
	(void)state;
	m = rte_pktmbuf_alloc(mp);
	return m == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	rte_pktmbuf_free(m);
	return rte_mempool_avail_count(mp) != 255;
}

static uint8_t *
bytes(void)
{
	return rte_pktmbuf_mtod(m, uint8_t *);
}

/** A SYN as Linux sends it, byte by byte. */
static void
test_syn(void **state)
{
	static const uint8_t options[] = {
		2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7};
	struct gen_seg s = {.t = plain.t, .seq = 9, .flags = RTE_TCP_SYN_FLAG, .ts_val = 258};
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(bytes() + L3);

	(void)state;
	s.options = true;
	gen_frame_tcp(m, &link, &s);
	assert_int_equal(m->pkt_len, 74);
	assert_int_equal(m->data_len, 74);
	assert_memory_equal(bytes(), &link.them, 6);
	assert_memory_equal(bytes() + 6, &link.us, 6);
	assert_memory_equal(bytes() + 12, "\x08\x00\x45\x00\x00\x3c", 6);
	assert_memory_equal(bytes() + 26, "\x0a\x40\x00\x01\x0a\x4d\x00\x02", 8);
	assert_memory_equal(bytes() + L4, "\x04\x00\x00\x07\0\0\0\x09\0\0\0\0\xa0\x02", 14);
	assert_memory_equal(bytes() + L4 + 20, options, sizeof(options));
	assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
	assert_int_equal(rte_ipv4_udptcp_cksum(ip, ip + 1), 0);
}

/** Without options it is as short as can be. */
static void
test_syn_plain(void **state)
{
	struct gen_seg s = {.t = plain.t, .seq = 9, .flags = RTE_TCP_SYN_FLAG, .ts_val = 258}, r;

	(void)state;
	gen_frame_tcp(m, &link, &s);
	assert_int_equal(m->pkt_len, 54);
	assert_int_equal(gen_frame_read(m, &r), GEN_FRAME_TCP);
	assert_false(r.ts);
	assert_int_equal(r.len, 0);
}

/** What is written is read. */
static void
test_round(void **state)
{
	struct gen_seg r;

	(void)state;
	gen_frame_tcp(m, &link, &plain);
	assert_int_equal(gen_frame_read(m, &r), GEN_FRAME_TCP);
	assert_memory_equal(&r.t, &plain.t, sizeof(r.t));
	assert_int_equal(r.seq, plain.seq);
	assert_int_equal(r.ack, plain.ack);
	assert_int_equal(r.flags, plain.flags);
	assert_true(r.ts);
	assert_int_equal(r.ts_val, plain.ts_val);
	assert_int_equal(r.ts_ecr, plain.ts_ecr);
	assert_int_equal(r.len, 5);
	assert_memory_equal(r.data, "hello", 5);
}

/** Bytes behind the IP packet are padding. */
static void
test_padding(void **state)
{
	struct gen_seg r;

	(void)state;
	gen_frame_tcp(m, &link, &plain);
	m->data_len += 9;
	m->pkt_len += 9;
	assert_int_equal(gen_frame_read(m, &r), GEN_FRAME_TCP);
	assert_int_equal(r.len, 5);
}

/** Of a frame with one bit changed behind its Ethernet header nothing is taken for a segment. */
static void
test_flipped(void **state)
{
	struct gen_seg r;

	(void)state;
	gen_frame_tcp(m, &link, &plain);
	for (unsigned bit = L3 * 8; bit < m->data_len * 8u; bit++) {
		bytes()[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(gen_frame_read(m, &r), GEN_FRAME_TCP);
		bytes()[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(gen_frame_read(m, &r), GEN_FRAME_TCP);
}

/** Cut off anywhere, it is bad. */
static void
test_cut(void **state)
{
	struct gen_seg r;
	uint16_t whole;

	(void)state;
	gen_frame_tcp(m, &link, &plain);
	whole = m->data_len;
	for (uint16_t n = 0; n < whole; n++) {
		m->data_len = n;
		m->pkt_len = n;
		assert_int_equal(gen_frame_read(m, &r), GEN_FRAME_BAD);
	}
}

static void
sum_again(void)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(bytes() + L3);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(bytes() + L4);

	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	tcp->cksum = 0;
	tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
}

/** Headers whose lengths lie, with right checksums; fragments; other protocols. */
static void
test_wrong(void **state)
{
	static const struct {
		unsigned at;
		uint8_t byte;
		enum gen_frame_kind kind;
	} wrong[] = {
		{12, 0x86, GEN_FRAME_OTHER},
		{L3, 0x44, GEN_FRAME_BAD},
		{L3, 0x65, GEN_FRAME_BAD},
		{L3 + 6, 0x20, GEN_FRAME_BAD},
		{L3 + 7, 0x01, GEN_FRAME_BAD},
		{L3 + 9, 17, GEN_FRAME_OTHER},
		{L4 + 12, 0x40, GEN_FRAME_BAD},
		{L4 + 12, 0xf0, GEN_FRAME_BAD},
	};
	struct gen_seg r;

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		gen_frame_tcp(m, &link, &plain);
		bytes()[wrong[i].at] = wrong[i].byte;
		sum_again();
		assert_int_equal(gen_frame_read(m, &r), wrong[i].kind);
	}
}

/** Options that are malformed have no timestamps, and lead nowhere. */
static void
test_options(void **state)
{
	static const uint8_t options[][12] = {
		{8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1}, /* well formed, as the last one is */
		{8, 0, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1},
		{8, 1, 8, 10, 0, 1, 0, 0, 0, 2, 1, 1},
		{8, 9, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1},
		{0, 0, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2},
		{1, 1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 2},
		{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8},
		{5, 200, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2},
		{4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2},
	};
	struct gen_seg r;

	(void)state;
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		bool fine = i == 0 || i == sizeof(options) / sizeof(options[0]) - 1;

		gen_frame_tcp(m, &link, &plain);
		memcpy(bytes() + L4 + 20, options[i], 12);
		sum_again();
		assert_int_equal(gen_frame_read(m, &r), GEN_FRAME_TCP);
		assert_int_equal(r.ts, fine);
		if (fine) {
			assert_int_equal(r.ts_val, 1);
			assert_int_equal(r.ts_ecr, 2);
		}
	}
}

static void
test_arp(void **state)
{
	const struct gen_arp ask = {.op = 1, .sha = link.us, .spa = 0x0a4d0001};
	struct gen_arp r;
	struct gen_seg s;

	(void)state;
	gen_frame_arp(m, &ask, NULL, 0x0a4d0002);
	assert_int_equal(m->pkt_len, 42);
	assert_memory_equal(bytes(), "\xff\xff\xff\xff\xff\xff", 6);
	assert_int_equal(gen_frame_read(m, &s), GEN_FRAME_ARP);
	assert_true(gen_frame_read_arp(m, &r));
	assert_int_equal(r.op, 1);
	assert_memory_equal(&r.sha, &link.us, 6);
	assert_int_equal(r.spa, 0x0a4d0001);
	assert_int_equal(r.tpa, 0x0a4d0002);
	m->data_len = 41;
	assert_false(gen_frame_read_arp(m, &r));
	m->data_len = 42;
	bytes()[L3 + 1] = 6;
	assert_false(gen_frame_read_arp(m, &r));
	gen_frame_arp(m, &ask, &link.them, 0x0a4d0002);
	assert_memory_equal(bytes(), &link.them, 6);
	assert_memory_equal(bytes() + 32, &link.them, 6);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_syn),
		TEST(test_syn_plain),
		TEST(test_round),
		TEST(test_padding),
		TEST(test_flipped),
		TEST(test_cut),
		TEST(test_wrong),
		TEST(test_options),
		TEST(test_arp),
	};

	test_eal("gen_frame_test");
	mp = rte_pktmbuf_pool_create("frames", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return mp == NULL ? 1 : cmocka_run_group_tests_name("gen_frame", tests, NULL, NULL);
}

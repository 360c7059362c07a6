/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What all of lib/ip stands on: checksums of chains (RFC 1071), kinds of addresses, times that wrap.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ip_cksum.h"
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

/* RFC 1071 as it is written, byte by byte; in the wire's order. */
static uint32_t
plain_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* 0 and 0xffff are the same number here, but not on the wire: a sum of anything but zeros is never 0. */
static void
fold_is_modulo_65535(void **state)
{
	static const uint64_t sums[] = {0, 1, 0xfffe, 0xffff, 0x10000, 0x1ffff, 0xfffeffff,
		0xffff0000, 0xffffffff, 0x100000000, 0x1fffffffe, 0xffffffff00000000,
		0xfffffffeffffffff, 0xffffffffffff0000, 0xfffffffffffffffe, UINT64_MAX,
		0x0001000200030004, 0x8000800080008000, 0x7fff7fff7fff8001};

	for (unsigned i = 0; i < RTE_DIM(sums); i++) {
		uint16_t want = (uint16_t)(sums[i] % 0xffff);

		if (want == 0 && sums[i] != 0)
			want = 0xffff;
		assert_int_equal(ip_cksum_fold(sums[i]), want);
	}
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = worker_random(&net.w[0]) >> worker_random(&net.w[0]) % 64;
		uint16_t want = (uint16_t)(r % 0xffff);

		assert_int_equal(ip_cksum_fold(r), want == 0 && r != 0 ? 0xffff : want);
	}
}

/* All of them, as far as this CPU has them, from any offset on; all ones carry most. */
static void
vectors_sum_to_the_same(void **state)
{
	static uint64_t (*const ways[])(const uint8_t *p, uint32_t blocks) = {
		ip_cksum_blocks,
#ifdef RTE_ARCH_X86
		ip_cksum_blocks_avx2,
		ip_cksum_blocks_avx512,
#endif
	};
	static uint8_t b[65536 + 64];

	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(b); i++)
			b[i] = round == 0 ? 0xff : (uint8_t)worker_random(&net.w[0]);
		for (unsigned i = 0; i < RTE_DIM(ways); i++) {
#ifdef RTE_ARCH_X86
			if ((i == 1 && !__builtin_cpu_supports("avx2")) ||
				(i == 2 && !__builtin_cpu_supports("avx512f")))
				continue;
#endif
			for (uint32_t blocks = 0; blocks <= 1024; blocks += 1 + blocks / 3)
				assert_int_equal(ip_cksum_fold(ways[i](b + blocks % 64, blocks)),
					htons((uint16_t)plain_sum(
						b + blocks % 64, 64 * (size_t)blocks, 0)));
		}
	}
}

/* Any length, any content (all ones carry most), cut in two at any place, from any offset on. */
static void
chains_sum_to_the_same(void **state)
{
	uint8_t b[300];

	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(b); i++)
			b[i] = round == 0
				? 0xff
				: (uint8_t)(worker_random(&net.w[0]) | (round - 1) * 0xf0);
		for (size_t len = 0; len <= sizeof(b); len += 1 + len / 24) {
			for (size_t cut = 0; cut <= len; cut++) {
				struct rte_mbuf *m = test_mbuf_cut(net.mp, b, len, &cut, 1);
				uint32_t off = (uint32_t)(cut * 7 % (len + 1));
				uint32_t want = plain_sum(b + off, len - off, 0x1234);

				assert_int_equal(
					ip_cksum_mbuf(m, off, (uint32_t)len - off, htons(0x1234)),
					htons((uint16_t)want));
				rte_pktmbuf_free(m);
			}
		}
	}
}

/* Less than what is there, and over several segments of odd lengths. */
static void
part_of_a_chain(void **state)
{
	size_t cuts[] = {1, 1, 4, 9, 150, 153};
	uint8_t b[300];
	struct rte_mbuf *m;

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 37 + 200);
	m = test_mbuf_cut(net.mp, b, sizeof(b), cuts, RTE_DIM(cuts));
	for (uint32_t off = 0; off < sizeof(b); off++)
		for (uint32_t len = 0; off + len <= sizeof(b); len += 13)
			assert_int_equal(ip_cksum_mbuf(m, off, len, 0),
				htons((uint16_t)plain_sum(b + off, len, 0)));
	rte_pktmbuf_free(m);
}

/* RFC 9293 section 3.1 and RFC 8200 section 8.1: addresses, protocol, length; each byte counts. */
static void
pseudo_headers(void **state)
{
	struct test_addr a4 = test_addr("10.77.0.2"), b4 = test_addr("192.0.2.129");
	struct test_addr a6 = test_addr("fd77:1:2:3:4:5:6:7"), b6 = test_addr("2001:db8::9");
	uint8_t p4[12] = {10, 77, 0, 2, 192, 0, 2, 129, 0, 6, 0x12, 0x34}, p6[40] = {0};

	assert_int_equal(ip_cksum_pseudo(a4.b, b4.b, 6, 0x1234), htons(plain_sum(p4, 12, 0)));
	memcpy(p6, a6.b, 16);
	memcpy(p6 + 16, b6.b, 16);
	p6[33] = 1; /* a length of more than 16 bits: a jumbo chain is summed right, too */
	p6[34] = 0x12;
	p6[35] = 0x34;
	p6[39] = 58;
	assert_int_equal(ip_cksum_pseudo(a6.b, b6.b, 58, 0x11234), htons(plain_sum(p6, 40, 0)));
	/* Almost a mapped address is an IPv6 one. */
	memset(p6, 0, sizeof(p6));
	p6[35] = 8;
	p6[39] = 17;
	for (unsigned i = 0; i < 12; i++) {
		a6 = a4;
		a6.b[i] ^= 1;
		memcpy(p6, a6.b, 16);
		memcpy(p6 + 16, a6.b, 16);
		assert_false(ip_v4(a6.b));
		assert_int_equal(ip_cksum_pseudo(a6.b, a6.b, 17, 8), htons(plain_sum(p6, 40, 0)));
	}
	assert_true(ip_v4(a4.b));
	assert_true(ip_v4(test_addr("255.255.255.255").b));
}

static void
kinds_of_addresses(void **state)
{
	struct test_addr a = {{0}};
	uint8_t mapped[16];

	assert_true(ip_zero(a.b));
	for (unsigned i = 0; i < 16; i++) {
		a.b[i] = 1;
		assert_false(ip_zero(a.b));
		a.b[i] = 0;
	}
	/* fe80::/10 */
	assert_true(ip_link_local(test_addr("fe80::").b));
	assert_true(ip_link_local(test_addr("febf:ffff::1").b));
	assert_false(ip_link_local(test_addr("fec0::1").b));
	assert_false(ip_link_local(test_addr("fe7f::1").b));
	assert_false(ip_link_local(test_addr("fe00::1").b));
	assert_false(ip_link_local(test_addr("fd80::1").b));
	assert_false(ip_link_local(test_addr("ff80::1").b));
	/* A zone is counted from 1, and either side's address binds to it. */
	assert_int_equal(ip_zone(test_addr("fe80::1").b, test_addr("fd77::1").b, 4), 5);
	assert_int_equal(ip_zone(test_addr("fd77::1").b, test_addr("fe80::1").b, 0), 1);
	assert_int_equal(ip_zone(test_addr("fd77::1").b, test_addr("fd77::2").b, 4), 0);
	ip_map_v4(mapped, htonl(0x0a4d0002));
	assert_memory_equal(mapped, test_addr("10.77.0.2").b, 16);
	ip_map_v4(mapped, htonl(0xfffefdfc));
	assert_memory_equal(mapped, test_addr("255.254.253.252").b, 16);
}

/* Milliseconds in 32 bits wrap after 49 days. */
static void
times_wrap(void **state)
{
	assert_true(ip_past(1000, 1000));
	assert_true(ip_past(1000, 999));
	assert_false(ip_past(1000, 1001));
	assert_true(ip_past(5, UINT32_MAX - 5));
	assert_false(ip_past(UINT32_MAX - 5, 5));
	net.w[0].now_ms = 3;
	assert_int_equal(worker_since_ms(&net.w[0], 3), 0);
	assert_int_equal(worker_since_ms(&net.w[0], 2), 1);
	assert_int_equal(worker_since_ms(&net.w[0], UINT32_MAX - 6), 10);
	/* Another worker's clock may be a turn ahead. */
	assert_int_equal(worker_since_ms(&net.w[0], 4), 0);
	assert_int_equal(worker_since_ms(&net.w[0], 1003), 0);
}

static void
bytes_of_the_wire(void **state)
{
	static const uint8_t b[4] = {0x12, 0x84, 0xa6, 0x78};
	uint8_t w[6] = {0, 0, 0, 0, 0xee, 0xee};

	assert_int_equal(ip_get16(b), 0x1284);
	assert_int_equal(ip_get32(b), 0x1284a678);
	ip_put16(w, 0x1284);
	ip_put16(w + 2, 0xa678);
	assert_memory_equal(w, b, 4);
	ip_put32(w, 0x78a68412);
	assert_memory_equal(w, "\x78\xa6\x84\x12\xee\xee", 6);
	ip_put16(w, 0x0102);
	assert_memory_equal(w, "\1\2\x84\x12", 4);
}

/* A buffer may be written to if nobody else holds it and its bytes are its own. */
static void
exclusive(void **state)
{
	struct rte_mbuf *m = test_mbuf(net.mp, "abc", 3), *c;

	assert_true(ip_exclusive(m));
	rte_mbuf_refcnt_update(m, 1);
	assert_false(ip_exclusive(m));
	rte_mbuf_refcnt_update(m, -1);
	c = rte_pktmbuf_clone(m, net.mp_small);
	assert_false(ip_exclusive(c));
	assert_false(ip_exclusive(m));
	rte_pktmbuf_free(c);
	rte_pktmbuf_free(m);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(fold_is_modulo_65535),
		T(vectors_sum_to_the_same),
		T(chains_sum_to_the_same),
		T(part_of_a_chain),
		T(pseudo_headers),
		T(kinds_of_addresses),
		T(times_wrap),
		T(bytes_of_the_wire),
		T(exclusive),
	};

	test_eal("ip_cksum");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

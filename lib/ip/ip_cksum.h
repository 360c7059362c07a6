/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Internet checksums (RFC 1071) of packets in pieces. Sums are in the byte order of the wire,
 * folded to 16 bits, not complemented. Any thread.
 */
#pragma once

#include "ip_priv.h"

/** Fold a sum to 16 bits. */
static inline uint16_t
ip_cksum_fold(uint64_t sum)
{
	uint32_t half;

	/* Twice: add the halves, with the carry around, in the upper half. */
	sum += sum << 32 | sum >> 32;
	half = (uint32_t)(sum >> 32);
	half += half << 16 | half >> 16;
	return (uint16_t)(half >> 16);
}

static inline uint64_t
ip_cksum_words(const uint8_t *p, unsigned words32)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < words32; i++) {
		uint32_t v;

		memcpy(&v, p + (size_t)4 * i, 4);
		sum += v;
	}
	return sum;
}

/** Sum of len bytes in one piece, 8 at a time: for headers. */
static inline uint16_t
ip_cksum_short(const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint64_t sum = 0, v;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&v, p, 8);
		sum += (v & UINT32_MAX) + (v >> 32);
	}
	if (len >= 4) {
		sum += ip_cksum_words(p, 1);
		p += 4;
		len -= 4;
	}
	v = 0;
	for (uint32_t i = 0; i < len; i++)
		v |= rte_cpu_to_be_32((uint32_t)p[i] << (24 - 8 * i));
	return ip_cksum_fold(sum + v);
}

#define IP_CKSUM_BLOCK 64

/** Sum of blocks of IP_CKSUM_BLOCK bytes as words of 32 bits; fewer than 2^28 of them. With the vectors that each build has, ... */
uint64_t ip_cksum_blocks(const uint8_t *p, uint32_t blocks);
/* ... and with those of a CPU that has more. */
uint64_t ip_cksum_blocks_avx2(const uint8_t *p, uint32_t blocks);
uint64_t ip_cksum_blocks_avx512(const uint8_t *p, uint32_t blocks);
/** Sum of len bytes in one piece, by the widest vectors that the CPU has. */
uint16_t ip_cksum_long(const void *data, uint32_t len);

/** Sum of len bytes in one piece. */
static inline uint16_t
ip_cksum_bytes(const void *data, uint32_t len)
{
	return len > 128 ? ip_cksum_long(data, len) : ip_cksum_short(data, len);
}

/** Pseudo header of RFC 9293 section 3.1 or RFC 8200 section 8.1; a and b are mapped addresses. */
static inline uint16_t
ip_cksum_pseudo(const uint8_t a[16], const uint8_t b[16], uint8_t proto, uint32_t len)
{
	uint64_t sum = (uint64_t)rte_cpu_to_be_32(len) + rte_cpu_to_be_32(proto);

	if (ip_v4(a))
		sum += ip_cksum_words(a + 12, 1) + ip_cksum_words(b + 12, 1);
	else
		sum += ip_cksum_words(a, 4) + ip_cksum_words(b, 4);
	return ip_cksum_fold(sum);
}

/**
 * sum plus len bytes of m from off on; the bytes are there.
 * Not rte_raw_cksum_mbuf: DPDK 22.11's loses carries of a segment that starts at an odd offset.
 */
static inline uint16_t
ip_cksum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len, uint16_t sum)
{
	uint64_t total = sum;
	bool odd = false;

	while (off >= m->data_len && m->next != NULL) {
		off -= m->data_len;
		m = m->next;
	}
	for (; len > 0; m = m->next, off = 0) {
		uint32_t n = RTE_MIN(len, m->data_len - off);
		uint16_t part = ip_cksum_bytes(rte_pktmbuf_mtod_offset(m, const void *, off), n);

		total += odd ? rte_bswap16(part) : part;
		odd ^= n & 1;
		len -= n;
	}
	return ip_cksum_fold(total);
}

/* The header's checksum, if the port has not looked at it. */
static inline bool
ip4_cksum_ok(const struct ip_ifc *ifc, const struct rte_mbuf *m, const struct rte_ipv4_hdr *h,
	uint32_t hlen)
{
	if (ifc->off.rx_ip_cksum &&
		(m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		return true;
	return ip_cksum_fold(ip_cksum_words((const uint8_t *)h, hlen / 4)) == 0xffff;
}

/** As ip_cksum_pseudo, of IPv4 addresses. */
static inline uint64_t
ip4_cksum_pseudo(uint32_t src_be, uint32_t dst_be, uint8_t proto, uint32_t len)
{
	return (uint64_t)src_be + dst_be + rte_cpu_to_be_32((uint32_t)proto << 16 | len);
}

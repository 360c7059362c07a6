/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "ip_cksum.h"

_Static_assert(IP_CKSUM_BLOCK == 64, "lanes");
typedef uint64_t lanes __attribute__((vector_size(64), aligned(1), may_alias));

/*
 * 2^16 is 1 modulo 65535, so the words to be added may be of 32 bits; in lanes of 64 their carries are not lost. As wide as the
 * vectors of the function that it is inlined into.
 */
static inline __attribute__((always_inline)) uint64_t
cksum_lanes(const uint8_t *p, uint32_t blocks)
{
	lanes even = {0}, odd = {0};
	uint64_t sum = 0;

	for (; blocks > 0; blocks--, p += sizeof(lanes)) {
		lanes v = *(const lanes *)p;

		even += v & UINT32_MAX;
		odd += v >> 32;
	}
	even += odd;
	for (unsigned i = 0; i < sizeof(lanes) / sizeof(uint64_t); i++)
		sum += even[i];
	return sum;
}

uint64_t
ip_cksum_blocks(const uint8_t *p, uint32_t blocks)
{
	return cksum_lanes(p, blocks);
}

#ifdef RTE_ARCH_X86
__attribute__((target("avx2"))) uint64_t
ip_cksum_blocks_avx2(const uint8_t *p, uint32_t blocks)
{
	return cksum_lanes(p, blocks);
}

__attribute__((target("avx512f"))) uint64_t
ip_cksum_blocks_avx512(const uint8_t *p, uint32_t blocks)
{
	return cksum_lanes(p, blocks);
}
#endif

static uint64_t
cksum_blocks(const uint8_t *p, uint32_t blocks)
{
#ifdef RTE_ARCH_X86
	if (__builtin_cpu_supports("avx512f"))
		return ip_cksum_blocks_avx512(p, blocks);
	if (__builtin_cpu_supports("avx2"))
		return ip_cksum_blocks_avx2(p, blocks);
#endif
	return ip_cksum_blocks(p, blocks);
}

uint16_t
ip_cksum_long(const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint32_t blocks = len / IP_CKSUM_BLOCK, whole = blocks * IP_CKSUM_BLOCK;

	return ip_cksum_fold(cksum_blocks(p, blocks) + ip_cksum_short(p + whole, len - whole));
}

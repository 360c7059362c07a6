/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The key and its hash. SipHash-1-3 is checked against fixed values, and against a
 * second implementation that is itself checked against the value in the paper.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_byteorder.h>

#include <cmocka.h>

#include "key.h"

static uint64_t seed;

static uint64_t
rnd(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* ---- SipHash-c-d by the letter of the paper, section 2: pad to whole words, then a loop */

static uint64_t
left(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void
plain_rounds(uint64_t v[4], unsigned n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = left(v[1], 13);
		v[3] = left(v[3], 16);
		v[1] ^= v[0];
		v[3] ^= v[2];
		v[0] = left(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = left(v[1], 17);
		v[3] = left(v[3], 21);
		v[1] ^= v[2];
		v[3] ^= v[0];
		v[2] = left(v[2], 32);
	}
}

static uint64_t
plain_siphash(unsigned c, unsigned d, const struct key_secret *s, const uint8_t *data, size_t len)
{
	uint64_t v[4];
	uint8_t padded[512] = {0};
	size_t words = len / 8 + 1;

	assert_true(len + 8 <= sizeof(padded));
	memcpy(padded, data, len);
	padded[words * 8 - 1] = (uint8_t)len;
	memcpy(v, "uespemosmodnarodarenegylsetybdet", 32); /* little-endian words */
	v[0] ^= s->k0;
	v[1] ^= s->k1;
	v[2] ^= s->k0;
	v[3] ^= s->k1;
	for (size_t i = 0; i < words; i++) {
		uint64_t word = 0;

		for (unsigned b = 8; b-- > 0;)
			word = word << 8 | padded[i * 8 + b];
		v[3] ^= word;
		plain_rounds(v, c);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	plain_rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const struct key_secret paper = {
	.k0 = UINT64_C(0x0706050403020100), .k1 = UINT64_C(0x0f0e0d0c0b0a0908)};
/* what CPython 3.11, whose hash of bytes is SipHash-1-3, makes of PYTHONHASHSEED=42 */
static const struct key_secret python = {
	.k0 = UINT64_C(0xdc504fd368cd90af), .k1 = UINT64_C(0xb920bb9ffe99e9c1)};

static const struct {
	size_t len; /* of the message 00 01 02 ... */
	uint64_t paper, python;
} vectors[] = {
	{0, UINT64_C(0xabac0158050fc4dc), UINT64_C(0x368659063128bff6)},
	{1, UINT64_C(0xc9f49bf37d57ca93), UINT64_C(0xce880c366bcf3489)},
	{7, UINT64_C(0xd3927d989bb11140), UINT64_C(0xce280fabc397fbda)},
	{8, UINT64_C(0x369095118d299a8e), UINT64_C(0x60866c3c108c6afb)},
	{15, UINT64_C(0xd320d86d2a519956), UINT64_C(0x94ace24d68c18cf8)},
	{16, UINT64_C(0xcc4fdd1a7d908b66), UINT64_C(0x339176f3ac59ce05)},
	{39, UINT64_C(0x626b57547b108392), UINT64_C(0xc6e27a94ae5452f3)},
	{40, UINT64_C(0xc1d2363299e41531), UINT64_C(0xde03d697bf20e38a)},
	{63, UINT64_C(0x9d199062b7bbb3a8), UINT64_C(0x06e24d6f0d014c37)},
};

static void
test_siphash_vectors(void **state)
{
	uint8_t message[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	/* "SipHash: a fast short-input PRF", appendix A */
	assert_true(plain_siphash(2, 4, &paper, message, 15) == UINT64_C(0xa129ca6149be45e5));
	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		size_t len = vectors[i].len;

		assert_true(key_siphash(&paper, message, len) == vectors[i].paper);
		assert_true(key_siphash(&python, message, len) == vectors[i].python);
	}
}

static void
test_siphash_against_a_second_one(void **state)
{
	uint8_t message[300];
	uint64_t rng = seed;

	(void)state;
	for (size_t len = 0; len <= 270; len++) {
		struct key_secret s = {.k0 = rnd(&rng), .k1 = rnd(&rng)};
		size_t at = rnd(&rng) % 8; /* any alignment */

		for (unsigned i = 0; i < sizeof(message); i++)
			message[i] = (uint8_t)rnd(&rng);
		assert_true(key_siphash(&s, message + at, len) ==
			plain_siphash(1, 3, &s, message + at, len));
	}
}

static struct key
random_key(uint64_t *rng)
{
	struct key k;
	uint64_t words[5];

	for (unsigned i = 0; i < 5; i++)
		words[i] = rnd(rng);
	memcpy(&k, words, sizeof(k));
	return k;
}

/** The one that is used here, and the one of CPUs without AES. */
static uint32_t (*const hashes[])(const struct key_secret *, const struct key *) = {
	key_hash, key_hash_portable};

static void
test_portable_hash_is_siphash_of_the_key(void **state)
{
	uint64_t rng = seed;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct key k = random_key(&rng);
		struct key_secret s = {.k0 = rnd(&rng), .k1 = rnd(&rng)};
		uint64_t want = plain_siphash(1, 3, &s, (const uint8_t *)&k, sizeof(k));

		assert_int_equal(key_hash_portable(&s, &k), (uint32_t)want);
	}
}

/** Each bit of key and secret changes each bit of the hash about every second time. */
static void
every_bit_counts(uint32_t (*hash)(const struct key_secret *, const struct key *))
{
	enum {
		BITS = 40 * 8 + 128,
		TRIES = 2000
	};
	static unsigned flips[BITS][32];
	uint64_t rng = seed;

	memset(flips, 0, sizeof(flips));
	for (unsigned t = 0; t < TRIES; t++) {
		struct {
			struct key k;
			struct key_secret s;
		} v = {.k = random_key(&rng), .s = {.k0 = rnd(&rng), .k1 = rnd(&rng)}};
		uint8_t *bytes = (uint8_t *)&v;
		uint32_t before = hash(&v.s, &v.k);

		_Static_assert(sizeof(v) * 8 == BITS, "no padding");
		for (unsigned i = 0; i < BITS; i++) {
			uint32_t differ;

			bytes[i / 8] ^= (uint8_t)(1 << i % 8);
			differ = before ^ hash(&v.s, &v.k);
			bytes[i / 8] ^= (uint8_t)(1 << i % 8);
			for (unsigned b = 0; b < 32; b++)
				flips[i][b] += differ >> b & 1;
		}
	}
	/* mean 1000, deviation 22: 8 deviations never happen in 14336 trials */
	for (unsigned i = 0; i < BITS; i++)
		for (unsigned b = 0; b < 32; b++)
			assert_in_range(flips[i][b], TRIES / 2 - 180, TRIES / 2 + 180);
}

static void
test_every_bit_counts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		every_bit_counts(hashes[i]);
}

/**
 * Keys that differ little: so many pairs have a hash in common as of random numbers. step: what makes the i-th of 65536 keys.
 */
static void
few_collide(uint32_t (*hash)(const struct key_secret *, const struct key *),
	void (*step)(struct key *k, uint16_t i))
{
	enum {
		KEYS = 65536,
		BITS = 24 /* of the hash: some must collide */
	};
	static uint8_t seen[1u << BITS];
	struct key_secret s;
	uint64_t rng = seed ^ 1;
	struct key k = random_key(&rng);
	unsigned pairs = 0;

	s.k0 = rnd(&rng);
	s.k1 = rnd(&rng);
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < KEYS; i++) {
		step(&k, (uint16_t)i);
		pairs += seen[hash(&s, &k) >> (32 - BITS)]++;
	}
	/* 65536^2 / 2^25 = 128, deviation 11 */
	assert_in_range(pairs, 128 - 90, 128 + 90);
}

static void
step_port(struct key *k, uint16_t i)
{
	k->rport_be = i;
}

static void
step_address(struct key *k, uint16_t i)
{
	memcpy(k->raddr + 14, &i, 2);
}

/** As somebody would who hopes that one change takes back the other. */
static void
step_both(struct key *k, uint16_t i)
{
	memcpy(k->raddr, &i, 2);
	memcpy(k->laddr, &i, 2);
	k->rport_be = i;
}

static void
test_close_keys_rarely_collide(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		few_collide(hashes[i], step_port);
		few_collide(hashes[i], step_address);
		few_collide(hashes[i], step_both);
	}
}

/**
 * Thousands of calls to one port (hazard C8): neither low bits (the bucket) nor
 * high ones (the signature) may crowd.
 */
static void
calls_to_one_port_spread(uint32_t (*hash)(const struct key_secret *, const struct key *))
{
	enum {
		CALLS = 64000,
		BUCKETS = 1024
	};
	static unsigned low[BUCKETS], high[BUCKETS];
	struct key k = {.lport_be = rte_cpu_to_be_16(80), .proto = IPPROTO_TCP};
	struct key_secret s;
	uint64_t rng = seed;
	double chi_low = 0, chi_high = 0;
	const double mean = (double)CALLS / BUCKETS;

	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	s.k0 = rnd(&rng);
	s.k1 = rnd(&rng);
	key_map_v4(k.raddr, rte_cpu_to_be_32(0x0a000001));
	key_map_v4(k.laddr, rte_cpu_to_be_32(0x0a000002));
	for (unsigned i = 0; i < CALLS; i++) {
		uint32_t h;

		k.rport_be = rte_cpu_to_be_16((uint16_t)(1024 + i));
		h = hash(&s, &k);
		low[h % BUCKETS]++;
		high[h >> 22]++;
	}
	for (unsigned i = 0; i < BUCKETS; i++) {
		chi_low += (low[i] - mean) * (low[i] - mean) / mean;
		chi_high += (high[i] - mean) * (high[i] - mean) / mean;
	}
	/* chi-square of 1023 degrees: mean 1023, deviation 45 */
	assert_true(chi_low > 1023 - 8 * 45 && chi_low < 1023 + 8 * 45);
	assert_true(chi_high > 1023 - 8 * 45 && chi_high < 1023 + 8 * 45);
}

static void
test_c8_calls_to_one_port_spread(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		calls_to_one_port_spread(hashes[i]);
}

static void
test_layout(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct key, raddr), 0);
	assert_int_equal(offsetof(struct key, laddr), 16);
	assert_int_equal(offsetof(struct key, rport_be), 32);
	assert_int_equal(offsetof(struct key, lport_be), 34);
	assert_int_equal(offsetof(struct key, proto), 36);
	assert_int_equal(offsetof(struct key, kind), 37);
	assert_int_equal(offsetof(struct key, zone), 38);
	assert_int_equal(offsetof(struct key48, pad), 40);
	assert_int_equal(_Alignof(struct key48), 16);
}

static void
test_equal_sees_every_byte(void **state)
{
	uint64_t rng = seed;
	struct key a = random_key(&rng), b = a;

	(void)state;
	assert_true(key_equal(&a, &b));
	for (unsigned i = 0; i < sizeof(a); i++) {
		((uint8_t *)&b)[i] ^= 1;
		assert_false(key_equal(&a, &b));
		((uint8_t *)&b)[i] ^= 1;
	}
}

static void
test_mapped_addresses(void **state)
{
	static const uint8_t want[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 2, 33};
	uint32_t v4_be = rte_cpu_to_be_32(0xc0000221);
	struct key k = {0};

	(void)state;
	memset(k.laddr, 0xaa, sizeof(k.laddr));
	assert_false(key_is_v4(&k));
	key_map_v4(k.laddr, v4_be);
	assert_memory_equal(k.laddr, want, 16);
	assert_int_equal(key_v4_be(k.laddr), v4_be);
	assert_true(key_is_v4(&k));
	for (unsigned i = 0; i < 12; i++) {
		k.laddr[i] ^= 0x80;
		assert_false(key_is_v4(&k));
		k.laddr[i] ^= 0x80;
	}
	memset(k.laddr, 0, sizeof(k.laddr)); /* :: is not ::ffff:0.0.0.0 */
	assert_false(key_is_v4(&k));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_siphash_against_a_second_one),
		cmocka_unit_test(test_portable_hash_is_siphash_of_the_key),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_close_keys_rarely_collide),
		cmocka_unit_test(test_c8_calls_to_one_port_spread),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_equal_sees_every_byte),
		cmocka_unit_test(test_mapped_addresses),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu (give it as the argument to repeat)\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "key.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline uint64_t
rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline void
sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

static inline struct sip
sip_start(const struct key_secret *secret)
{
	return (struct sip){
		.v0 = secret->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = secret->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = secret->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = secret->k1 ^ UINT64_C(0x7465646279746573),
	};
}

static inline uint64_t
sip_end(struct sip *s)
{
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t
key_siphash(const struct key_secret *secret, const void *data, size_t len)
{
	struct sip s = sip_start(secret);
	const uint8_t *p = data;
	uint64_t word;
	size_t left = len;

	for (; left >= 8; p += 8, left -= 8) {
		memcpy(&word, p, 8);
		sip_word(&s, word);
	}
	word = (uint64_t)(len & 0xff) << 56;
	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)p[i] << (8 * i);
	sip_word(&s, word);
	return sip_end(&s);
}

uint32_t
key_hash_portable(const struct key_secret *secret, const struct key *k)
{
	struct sip s = sip_start(secret);
	uint64_t word[sizeof(*k) / 8];

	memcpy(word, k, sizeof(*k));
	for (unsigned i = 0; i < sizeof(*k) / 8; i++)
		sip_word(&s, word[i]);
	sip_word(&s, (uint64_t)sizeof(*k) << 56);
	return (uint32_t)sip_end(&s);
}

#if defined(__x86_64__)
/**
 * The three blocks of a key (the last one half), each behind two rounds of AES of its own, are added up and mixed by three
 * more. Two keys that differ in one block never meet before the last three; with differences in more than one, those that
 * two rounds make of them must be equal: no more than 2^-29 for any choice of them (Keliher, Sui: "Exact maximum expected
 * differential and linear probability for two-round AES", 2007). Whoever does not see the hash learns nothing from it.
 */
__attribute__((target("aes,sse2"))) static inline uint32_t
key_hash_aes(const struct key_secret *secret, const struct key *k)
{
	/* Digits of pi, so that the rounds' keys differ. */
	const __m128i pi0 = _mm_set_epi64x(0x243f6a8885a308d3, 0x13198a2e03707344);
	const __m128i pi1 = _mm_set_epi64x((long long)0xa4093822299f31d0, 0x082efa98ec4e6c89);
	const __m128i key = _mm_loadu_si128((const __m128i *)secret);
	const __m128i key0 = _mm_xor_si128(key, pi0), key1 = _mm_xor_si128(key, pi1);
	const uint8_t *b = (const uint8_t *)k;
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)b), key);
	__m128i y = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(b + 16)), key0);
	__m128i z = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)(b + 32)), key1);

	x = _mm_aesenc_si128(_mm_aesenc_si128(x, key0), key1);
	y = _mm_aesenc_si128(_mm_aesenc_si128(y, key1), key);
	z = _mm_aesenc_si128(_mm_aesenc_si128(z, key), key0);
	x = _mm_xor_si128(x, _mm_xor_si128(y, z));
	x = _mm_aesenc_si128(_mm_aesenc_si128(_mm_aesenc_si128(x, key), key0), key1);
	return (uint32_t)_mm_cvtsi128_si32(x);
}

/** One block, five rounds. */
__attribute__((target("aes,sse2"))) static inline uint32_t
key_hash8_aes(const struct key_secret *secret, uint64_t word)
{
	const __m128i key = _mm_loadu_si128((const __m128i *)secret);
	const __m128i turned = _mm_shuffle_epi32(key, 0x4e);
	__m128i x = _mm_xor_si128(_mm_set_epi64x(8, (long long)word), key);

	x = _mm_aesenc_si128(_mm_aesenc_si128(x, turned), key);
	x = _mm_aesenc_si128(_mm_aesenc_si128(x, turned), key);
	return (uint32_t)_mm_cvtsi128_si32(_mm_aesenc_si128(x, turned));
}

__attribute__((target("aes,sse2"))) static void
key_hash_burst_aes(
	const struct key_secret *secret, const struct key *const keys[], unsigned n, uint32_t ret[])
{
	for (unsigned i = 0; i < n; i++)
		ret[i] = key_hash_aes(secret, keys[i]);
}
#endif

uint32_t
key_hash(const struct key_secret *secret, const struct key *k)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("aes"))
		return key_hash_aes(secret, k);
#endif
	return key_hash_portable(secret, k);
}

uint32_t
key_hash8(const struct key_secret *secret, uint64_t word)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("aes"))
		return key_hash8_aes(secret, word);
#endif
	return (uint32_t)key_siphash(secret, &word, sizeof(word));
}

void
key_hash_burst(
	const struct key_secret *secret, const struct key *const keys[], unsigned n, uint32_t ret[])
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("aes")) {
		key_hash_burst_aes(secret, keys, n, ret);
		return;
	}
#endif
	for (unsigned i = 0; i < n; i++)
		ret[i] = key_hash_portable(secret, keys[i]);
}

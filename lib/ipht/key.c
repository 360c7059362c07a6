/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "key.h"

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
key_hash(const struct key_secret *secret, const struct key *k)
{
	struct sip s = sip_start(secret);
	uint64_t word[sizeof(*k) / 8];

	memcpy(word, k, sizeof(*k));
	for (unsigned i = 0; i < sizeof(*k) / 8; i++)
		sip_word(&s, word[i]);
	sip_word(&s, (uint64_t)sizeof(*k) << 56);
	return (uint32_t)sip_end(&s);
}

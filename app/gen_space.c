/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "gen_space.h"

#include <string.h>

#define SHUFFLE_ROUNDS 4

uint64_t
gen_space_room(const struct gen_space *s)
{
	return (uint64_t)s->addresses * s->sports * s->dports;
}

struct gen_tuple
gen_space_tuple(const struct gen_space *s, uint32_t i)
{
	struct gen_tuple t = {.daddr = s->daddr, .dport = (uint16_t)(s->dport + i % s->dports)};

	i /= s->dports;
	t.saddr = s->saddr + i % s->addresses;
	t.sport = (uint16_t)(s->sport + i / s->addresses);
	return t;
}

bool
gen_space_index(const struct gen_space *s, const struct gen_tuple *t, uint32_t *ret)
{
	uint32_t a = t->saddr - s->saddr, sp = (uint32_t)t->sport - s->sport,
		 dp = (uint32_t)t->dport - s->dport;
	uint64_t i;

	if (t->daddr != s->daddr || a >= s->addresses || sp >= s->sports || dp >= s->dports)
		return false;
	i = ((uint64_t)sp * s->addresses + a) * s->dports + dp;
	if (i >= s->count)
		return false;
	*ret = (uint32_t)i;
	return true;
}

uint32_t
gen_space_iss(const struct gen_space *s, const struct gen_tuple *t)
{
	_Static_assert(sizeof(*t) == 12, "hashed as bytes: no padding");

	return (uint32_t)key_siphash(&s->secret, t, sizeof(*t));
}

void
gen_space_bytes(const struct gen_space *s, uint32_t i, uint8_t *to, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += 8) {
		const uint32_t what[2] = {i, at};
		uint64_t word = key_siphash(&s->secret, what, sizeof(what));

		memcpy(to + at, &word, len - at < 8 ? len - at : 8);
	}
}

uint32_t
gen_space_shuffle(uint64_t seed, uint32_t i, uint32_t n)
{
	const struct key_secret secret = {seed, ~seed};
	unsigned half = 1;
	uint32_t mask;

	while (half < 16 && n > 1u << (2 * half))
		half++;
	mask = (1u << half) - 1;
	do {
		uint32_t l = i >> half, r = i & mask;

		for (uint32_t round = 0; round < SHUFFLE_ROUNDS; round++) {
			const uint32_t what[2] = {r, round};
			uint32_t f = (uint32_t)key_siphash(&secret, what, sizeof(what)) & mask;

			i = l ^ f;
			l = r;
			r = i;
		}
		i = l << half | r;
	} while (i >= n);
	return i;
}

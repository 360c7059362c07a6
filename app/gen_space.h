/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The tuples of convgen's stateless mode, by number, and back: source addresses x source ports x ports of the target. What a
 * conversation's own side must remember follows from its tuple and a secret. Plain values; any thread. IPv4.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "key.h"

/** Addresses and ports in host order. */
struct gen_tuple {
	uint32_t saddr, daddr;
	uint16_t sport, dport;
};

struct gen_space {
	uint32_t saddr, addresses; /* the first, and how many */
	uint32_t daddr;
	uint16_t sport, dport; /* the first */
	uint32_t sports, dports;
	uint32_t count; /* tuples in use: numbers below it; at most gen_space_room */
	struct key_secret secret;
};

/** Tuples that there are. */
uint64_t gen_space_room(const struct gen_space *s);
/** Tuple i, below count. Ports of the target vary fastest, then addresses. */
struct gen_tuple gen_space_tuple(const struct gen_space *s, uint32_t i);
/** The number of a tuple. @return false: it is none of those in use */
bool gen_space_index(const struct gen_space *s, const struct gen_tuple *t, uint32_t *ret);
/** The initial sequence number of a tuple's conversation: the same each time. */
uint32_t gen_space_iss(const struct gen_space *s, const struct gen_tuple *t);
/** len bytes that conversation i sends, and no other. */
void gen_space_bytes(const struct gen_space *s, uint32_t i, uint8_t *to, uint32_t len);
/**
 * The i-th of a random order of 0 to n-1, each of which comes once: a Feistel network of four rounds (Luby, Rackoff 1988) over
 * the next even number of bits, walked until it is below n (Black, Rogaway 2002).
 */
uint32_t gen_space_shuffle(uint64_t seed, uint32_t i, uint32_t n);

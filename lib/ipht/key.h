/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What names a node in the table: the tuple of a conversation, or of a
 * datagram that is being joined from fragments. Keys are plain values; any
 * thread may build, copy and compare its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/** What a key names. */
enum key_kind {
	KEY_TUPLE = 0, /* a conversation: addresses, ports, protocol */
	KEY_FRAGMENT = 1, /* a datagram in pieces: addresses, identification, protocol */
	KEY_LISTENER = 2, /* a listener: local address and port, protocol */
};

/**
 * The 40 bytes that identify a conversation, as seen from this host.
 *
 * IPv4 addresses are IPv4-mapped (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so
 * both versions live in one table and can't be confused. In a fragment's key
 * the two ports together hold the identification (IPv4: in rport_be, lport_be 0).
 */
struct key {
	uint8_t raddr[16]; /* the peer's address, network order */
	uint8_t laddr[16]; /* our address, network order */
	uint16_t rport_be; /* the peer's port */
	uint16_t lport_be; /* our port */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP, ... */
	uint8_t kind; /* enum key_kind */
	uint16_t zone; /* 1 + interface for link-local addresses (RFC 4007), else 0 */
};
_Static_assert(sizeof(struct key) == 40, "a key is 40 bytes, without padding");

/** A key as the table compares it: padded to 48 bytes, one aligned SIMD compare. */
struct key48 {
	struct key k;
	uint64_t pad; /* always 0 */
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct key48) == 48, "a padded key is 48 bytes");

/** True if the addresses of the key are IPv4-mapped. */
static inline bool
key_is_v4(const struct key *k)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(k->laddr, mapped, sizeof(mapped)) == 0;
}

/** Write the IPv4-mapped form of v4_be (network order) to addr[16]. */
static inline void
key_map_v4(uint8_t addr[16], uint32_t v4_be)
{
	memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, &v4_be, 4);
}

/** The IPv4 address (network order) inside an IPv4-mapped one. */
static inline uint32_t
key_v4_be(const uint8_t addr[16])
{
	uint32_t v4_be;

	memcpy(&v4_be, addr + 12, 4);
	return v4_be;
}

static inline bool
key_equal(const struct key *a, const struct key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/** The secret under which one table hashes; drawn at start, never shown. */
struct key_secret {
	uint64_t k0, k1;
};

/**
 * SipHash-1-3 of len bytes (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012).
 * Also what initial sequence numbers and port offsets are made with.
 */
uint64_t key_siphash(const struct key_secret *secret, const void *data, size_t len);

/**
 * Keyed hash over the whole key: what an attacker can't steer, for all kinds of key. Never leaves the process, and differs
 * from one kind of CPU to the next: rounds of AES where there are instructions for them, SipHash elsewhere.
 */
uint32_t key_hash(const struct key_secret *secret, const struct key *k);
/** key_hash of n keys. */
void key_hash_burst(const struct key_secret *secret, const struct key *const keys[], unsigned n,
	uint32_t ret[]);
/** Keyed hash of 8 bytes, by the same means: for offsets, not for the table. */
uint32_t key_hash8(const struct key_secret *secret, uint64_t word);
/** What key_hash is without AES instructions. */
uint32_t key_hash_portable(const struct key_secret *secret, const struct key *k);

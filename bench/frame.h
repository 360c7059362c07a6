/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Frames of peers, by number: peer i has an address and a port of its own and speaks IPv4.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define FRAME_L3  14
#define FRAME_L4  34
#define FRAME_US  0x0a4d0002u /* 10.77.0.2 */
#define FRAME_MIN 60

/** Ours, and that of the router behind which the peers are, 10.77.0.1. */
extern const uint8_t frame_mac_us[6], frame_mac_them[6];

/** Write Ethernet and IP headers of peer i's packet to us and its ports, and set m's lengths; l4: bytes behind the IP header. */
void frame_head(struct rte_mbuf *m, uint32_t peer, uint8_t proto, uint16_t port, uint16_t l4);
/** Write an ARP request (op 1) or reply (2) of the router, 10.77.0.1, about our address into m, which is empty (RFC 826). */
void frame_arp(struct rte_mbuf *m, uint8_t op);
/** Is it a question about the router's address? */
bool frame_asks(const struct rte_mbuf *m);
/** The last step: checksums, or what a port says that has looked at them. */
void frame_done(struct rte_mbuf *m, bool offload);
/** Whose answer this is; UINT32_MAX: nobody's. */
uint32_t frame_peer(const struct rte_mbuf *m);

/** Peers in an order that no cache can follow: the next number below n of a sequence that is the same for the same state. */
uint32_t frame_random(uint64_t *state, uint32_t n);

static inline void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static inline uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

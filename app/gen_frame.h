/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Frames of convgen's stateless mode: TCP over IPv4, and ARP. Read with distrust; checksums are summed here. No state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "gen_space.h"

#define GEN_FRAME_MSS 1460

struct gen_link {
	struct rte_ether_addr us, them;
};

/** A segment. All in host order; t as its sender has it. */
struct gen_seg {
	struct gen_tuple t;
	uint32_t seq, ack;
	uint8_t flags; /* RTE_TCP_*_FLAG */
	bool options; /* of a SYN: MSS, SACK permitted, timestamps and window scale, as Linux has them */
	bool ts; /* has timestamps (RFC 7323) */
	uint32_t ts_val, ts_ecr;
	const uint8_t *data;
	uint32_t len; /* of data */
};

enum gen_frame_kind {
	GEN_FRAME_OTHER,
	GEN_FRAME_BAD,
	GEN_FRAME_TCP,
	GEN_FRAME_ARP
};

/** Addresses in host order. */
struct gen_arp {
	uint16_t op;
	struct rte_ether_addr sha;
	uint32_t spa, tpa;
};

/** Write a frame with a segment into an empty m. */
void gen_frame_tcp(struct rte_mbuf *m, const struct gen_link *l, const struct gen_seg *s);
/** Write an ARP packet; to whom: NULL is everybody. */
void gen_frame_arp(
	struct rte_mbuf *m, const struct gen_arp *a, const struct rte_ether_addr *to, uint32_t tpa);
/** What is in m, and for GEN_FRAME_TCP the segment; data stays in m. Bad: cut off, a fragment, or a wrong checksum. */
enum gen_frame_kind gen_frame_read(const struct rte_mbuf *m, struct gen_seg *ret);
/** The ARP packet in m. @return false: it is none over Ethernet and IPv4 */
bool gen_frame_read_arp(const struct rte_mbuf *m, struct gen_arp *ret);

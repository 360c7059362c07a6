/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Peers that speak just enough TCP to keep conversations open: each knows what it sends and what it hears next. Those of
 * one struct tcp_peers belong to one thread.
 */
#pragma once

#include "frame.h"

#define TCP_FIN  0x01
#define TCP_SYN  0x02
#define TCP_RST  0x04
#define TCP_PSH  0x08
#define TCP_ACK  0x10

#define TCP_HLEN 32 /* with timestamps */

/** The peer's end of a conversation. */
struct tcp_peer {
	uint32_t snd, rcv; /* next of ours, next of theirs */
	uint32_t ts_ecr;
	bool open;
};

struct tcp_peers {
	struct tcp_peer *peers; /* by number */
	uint32_t n;
	uint32_t ts; /* our clock, for timestamps */
	bool offload; /* nobody looks at checksums */
};

/** Write peer's segment with len bytes to a port of ours into m, and move on. */
void tcp_segment(struct tcp_peers *b, struct rte_mbuf *m, uint32_t peer, uint16_t port,
	uint8_t flags, uint16_t len);
/** What a segment to a peer says. */
struct tcp_heard {
	uint32_t peer; /* UINT32_MAX: none */
	uint32_t seq, ack, ts_val;
	uint32_t wnd; /* unscaled */
	uint32_t len; /* bytes of payload */
	uint8_t flags, scale;
};
/** @return false: no TCP segment, or one without timestamps */
bool tcp_hear(const struct rte_mbuf *m, struct tcp_heard *ret);

/** Take in what came. @return bytes of payload, SYN counts as one; -1: not what a peer of ours can have asked for */
int tcp_answer(struct tcp_peers *b, const struct rte_mbuf *m);

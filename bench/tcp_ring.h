/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Peers of TCP (tcp_peer.h) before a stack on net_ring (ring.h), all in one thread.
 */
#pragma once

#include "ring.h"
#include "tcp_peer.h"

/** Peers 0 to n-1, all closed. Ends the program if there is no memory. */
void tcp_ring_init(struct tcp_peers *p, const struct ring *r, uint32_t n);

/**
 * Let RING_BURST peers, different ones, send a segment with len bytes each to port 7, and take in what comes back: want bytes in all
 * (a SYN counts as one).
 * @return cycles of the worker's turn; 0: something else came back, and a line says what
 */
uint64_t tcp_ring_burst(struct ring *r, struct tcp_peers *p, const uint32_t *peer, uint8_t flags,
	uint16_t len, int want);

/** Open the conversations of RING_BURST peers. @return cycles of the worker's two turns; 0: see tcp_ring_burst */
uint64_t tcp_ring_open(struct ring *r, struct tcp_peers *p, const uint32_t *peer);

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * UDP echo of 18 bytes, the least that a frame holds.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cost.h"
#include "frame.h"

#define BYTES 18

/** One burst out and back. @return cycles; 0: wrong */
static uint64_t
udp_burst(struct ring *r, const uint32_t *peer, unsigned n)
{
	struct rte_mbuf *m[2 * RING_BURST];
	uint64_t cycles;
	unsigned got = 0, bad = 0;

	ring_alloc(r, m, n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = rte_pktmbuf_mtod(m[i], uint8_t *) + FRAME_L4;

		frame_head(m[i], peer[i], IPPROTO_UDP, 7, 8 + BYTES);
		put16(p + 4, 8 + BYTES);
		put16(p + 6, 0);
		put32(p + 8, ~peer[i]);
		memset(p + 12, 0x55, BYTES - 4);
		frame_done(m[i], r->offload);
	}
	cycles = ring_turn(r, m, n);
	got = ring_sent(r, m, RTE_DIM(m));
	for (unsigned i = 0; i < got; i++) {
		uint8_t copy[4];
		const uint8_t *p = rte_pktmbuf_read(m[i], FRAME_L4 + 8, 4, copy);

		bad += p == NULL || m[i]->pkt_len < FRAME_L4 + 8 + BYTES ||
			get32(p) != ~frame_peer(m[i]);
	}
	rte_pktmbuf_free_bulk(m, got);
	if (bad == 0 && got == n)
		return cycles;
	fprintf(stderr, "bench: %u datagrams, %u answers, %u of them wrong\n", n, got, bad);
	return 0;
}

int
cost_udp(struct ring *r, const struct cost_conf *c, double *ret)
{
	uint64_t state = 0x9e3779b97f4a7c15, one;
	uint32_t peer[RING_BURST];

	ring_listen(r->s, "echo", IPPROTO_UDP);
	for (uint32_t at = 0; at < c->flows; at += RING_BURST) {
		for (unsigned i = 0; i < RING_BURST; i++)
			peer[i] = (at + i) % c->flows;
		if (udp_burst(r, peer, RING_BURST) == 0)
			return -1;
	}
	for (unsigned run = 0; run < c->runs; run++) {
		uint64_t sum = 0;
		uint32_t next = 0;

		for (uint32_t done = 0; done < c->packets; done += RING_BURST) {
			for (unsigned i = 0; i < RING_BURST; i++)
				peer[i] = c->random ? frame_random(&state, c->flows)
						    : next++ % c->flows;
			one = udp_burst(r, peer, RING_BURST);
			if (one == 0)
				return -1;
			sum += one;
		}
		ret[run] = (double)sum / c->packets;
	}
	return 0;
}

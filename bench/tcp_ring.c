/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "tcp_ring.h"

#include <stdio.h>
#include <stdlib.h>

#include "program.h"

void
tcp_ring_init(struct tcp_peers *p, const struct ring *r, uint32_t n)
{
	*p = (struct tcp_peers){
		.n = n, .ts = 1, .offload = r->offload, .peers = calloc(n, sizeof(*p->peers))};
	must(p->peers != NULL, "calloc");
}

uint64_t
tcp_ring_burst(struct ring *r, struct tcp_peers *p, const uint32_t *peer, uint8_t flags,
	uint16_t len, int want)
{
	struct rte_mbuf *m[RING_BURST * 2];
	int got = 0, bad = 0;
	uint64_t cycles;
	unsigned n;

	ring_alloc(r, m, RING_BURST);
	for (unsigned i = 0; i < RING_BURST; i++)
		tcp_segment(p, m[i], peer[i], 7, flags, len);
	cycles = ring_turn(r, m, RING_BURST);
	n = ring_sent(r, m, RTE_DIM(m));
	for (unsigned i = 0; i < n; i++) {
		int one = tcp_answer(p, m[i]);

		bad += one < 0;
		got += one;
	}
	rte_pktmbuf_free_bulk(m, n);
	if (bad == 0 && got == want)
		return cycles;
	fprintf(stderr, "bench: %d segments, %u answers, %d of them wrong, %d bytes of %d\n",
		RING_BURST, n, bad, got, want);
	return 0;
}

uint64_t
tcp_ring_open(struct ring *r, struct tcp_peers *p, const uint32_t *peer)
{
	uint64_t syn, ack;

	for (unsigned i = 0; i < RING_BURST; i++)
		p->peers[peer[i]] = (struct tcp_peer){.snd = peer[i] * 64013};
	syn = tcp_ring_burst(r, p, peer, TCP_SYN, 0, RING_BURST);
	if (syn == 0)
		return 0;
	ack = tcp_ring_burst(r, p, peer, TCP_ACK, 0, 0);
	return ack == 0 ? 0 : syn + ack;
}

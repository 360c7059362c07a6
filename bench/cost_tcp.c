/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * TCP echo: a segment of 64 bytes, which is answered by one with the same bytes, and the ACK for that, by turns.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "tcp_peer.h"

#define BYTES 64

struct tcp_bench {
	struct ring *r;
	struct tcp_peers p;
};

/** One burst out, and what comes back. @return cycles; 0: wrong */
static uint64_t
tcp_burst(struct tcp_bench *b, const uint32_t *peer, uint8_t flags, uint16_t len, int want)
{
	struct rte_mbuf *m[RING_BURST * 2];
	int got = 0, bad = 0;
	uint64_t cycles;
	unsigned n;

	ring_alloc(b->r, m, RING_BURST);
	for (unsigned i = 0; i < RING_BURST; i++)
		tcp_segment(&b->p, m[i], peer[i], 7, flags, len);
	cycles = ring_turn(b->r, m, RING_BURST);
	n = ring_sent(b->r, m, RTE_DIM(m));
	for (unsigned i = 0; i < n; i++) {
		int one = tcp_answer(&b->p, m[i]);

		bad += one < 0;
		got += one;
	}
	rte_pktmbuf_free_bulk(m, n);
	if (bad == 0 && got == want)
		return cycles;
	fprintf(stderr, "bench: %u segments, %u answers, %d of them wrong, %d bytes of %d\n",
		RING_BURST, n, bad, got, want);
	return 0;
}

static int
tcp_open(struct tcp_bench *b, const struct cost_conf *c)
{
	uint32_t peer[RING_BURST];

	for (uint32_t at = 0; at < c->flows; at += RING_BURST) {
		for (unsigned i = 0; i < RING_BURST; i++) {
			peer[i] = at + i;
			b->p.peers[peer[i]] = (struct tcp_peer){.snd = peer[i] * 64013};
		}
		if (tcp_burst(b, peer, TCP_SYN, 0, RING_BURST) == 0 ||
			tcp_burst(b, peer, TCP_ACK, 0, 0) == 0)
			return -1;
	}
	return 0;
}

/** Different flows in each burst. */
static void
tcp_draw(uint64_t *state, uint32_t flows, uint32_t *peer)
{
	for (unsigned i = 0; i < RING_BURST; i++) {
		bool again;

		do {
			again = false;
			peer[i] = frame_random(state, flows);
			for (unsigned j = 0; j < i; j++)
				again |= peer[j] == peer[i];
		} while (again);
	}
}

int
cost_tcp(struct ring *r, const struct cost_conf *c, double *ret)
{
	struct tcp_bench b = {.r = r,
		.p = {.n = c->flows,
			.ts = 1,
			.offload = r->offload,
			.peers = calloc(c->flows, sizeof(*b.p.peers))}};
	uint64_t state = 0x9e3779b97f4a7c15, one;
	uint32_t peer[RING_BURST];
	int err = b.p.peers == NULL ? -1 : 0;

	ring_listen(r->s, "echo", IPPROTO_TCP);
	if (err == 0)
		err = tcp_open(&b, c);
	for (unsigned run = 0; err == 0 && run < c->runs; run++) {
		uint64_t sum = 0;
		uint32_t next = 0;

		b.p.ts++;
		for (uint32_t done = 0; err == 0 && done < c->packets; done += 2 * RING_BURST) {
			if (c->random)
				tcp_draw(&state, c->flows, peer);
			for (unsigned i = 0; !c->random && i < RING_BURST; i++)
				peer[i] = next++ % c->flows;
			one = tcp_burst(&b, peer, TCP_PSH | TCP_ACK, BYTES, RING_BURST * BYTES);
			sum += one;
			if (one > 0)
				one = tcp_burst(&b, peer, TCP_ACK, 0, 0);
			sum += one;
			err = one == 0 ? -1 : 0;
		}
		ret[run] = (double)sum / c->packets;
	}
	free(b.p.peers);
	return err;
}

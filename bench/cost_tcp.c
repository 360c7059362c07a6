/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * TCP echo: a segment of 64 bytes, which is answered by one with the same bytes, and the ACK for that, by turns.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "cost.h"
#include "tcp_ring.h"

#define BYTES 64

static int
tcp_open(struct ring *r, struct tcp_peers *p)
{
	uint32_t peer[RING_BURST];

	for (uint32_t at = 0; at < p->n; at += RING_BURST) {
		for (unsigned i = 0; i < RING_BURST; i++)
			peer[i] = at + i;
		if (tcp_ring_open(r, p, peer) == 0)
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

/** Segments with data, and then the ACKs. @return cycles; 0: something went wrong */
static uint64_t
tcp_exchange(struct ring *r, struct tcp_peers *p, const uint32_t *peer)
{
	uint64_t data, ack;

	data = tcp_ring_burst(r, p, peer, TCP_PSH | TCP_ACK, BYTES, RING_BURST * BYTES);
	if (data == 0)
		return 0;
	ack = tcp_ring_burst(r, p, peer, TCP_ACK, 0, 0);
	return ack == 0 ? 0 : data + ack;
}

int
cost_tcp(struct ring *r, const struct cost_conf *c, double *ret)
{
	struct tcp_peers p;
	uint64_t state = 0x9e3779b97f4a7c15;
	uint32_t peer[RING_BURST];
	int err;

	tcp_ring_init(&p, r, c->flows);
	ring_listen(r->s, "echo", IPPROTO_TCP);
	err = tcp_open(r, &p);
	for (unsigned run = 0; err == 0 && run < c->runs; run++) {
		uint64_t sum = 0;
		uint32_t next = 0;

		p.ts++;
		for (uint32_t done = 0; err == 0 && done < c->packets; done += 2 * RING_BURST) {
			uint64_t one;

			if (c->random)
				tcp_draw(&state, c->flows, peer);
			for (unsigned i = 0; !c->random && i < RING_BURST; i++)
				peer[i] = next++ % c->flows;
			one = tcp_exchange(r, &p, peer);
			sum += one;
			err = one == 0 ? -1 : 0;
		}
		ret[run] = (double)sum / c->packets;
	}
	free(p.peers);
	return err;
}

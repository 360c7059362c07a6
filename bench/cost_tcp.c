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
#include "frame.h"

#define BYTES 64
#define SYN   0x02
#define PSH   0x08
#define ACK   0x10
#define HLEN  32 /* with timestamps */

/** The peer's end of a conversation. */
struct tcp_peer {
	uint32_t snd, rcv; /* next of ours, next of theirs */
	uint32_t ts_ecr;
	bool open;
};

struct tcp_bench {
	struct ring *r;
	struct tcp_peer *peers;
	uint32_t ts;
};

static uint16_t
tcp_options(uint8_t *o, const struct tcp_bench *b, const struct tcp_peer *k, uint8_t flags)
{
	uint8_t *p = o;

	if ((flags & SYN) != 0) {
		put32(p, 0x020405b4); /* MSS 1460 */
		put32(p + 4, 0x0402080a); /* SACK, timestamps */
		p += 8;
	} else {
		put32(p, 0x0101080a);
		p += 4;
	}
	put32(p, b->ts);
	put32(p + 4, k->ts_ecr);
	p += 8;
	if ((flags & SYN) != 0) {
		put32(p, 0x01030307); /* window scale 7 */
		p += 4;
	}
	return (uint16_t)(p - o);
}

static void
tcp_segment(struct tcp_bench *b, struct rte_mbuf *m, uint32_t peer, uint8_t flags, uint16_t len)
{
	struct tcp_peer *k = &b->peers[peer];
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *) + FRAME_L4;
	uint16_t hlen = (uint16_t)(20 + tcp_options(p + 20, b, k, flags));

	frame_head(m, peer, IPPROTO_TCP, 7, (uint16_t)(hlen + len));
	put32(p + 4, k->snd);
	put32(p + 8, k->rcv);
	p[12] = (uint8_t)(hlen / 4 << 4);
	p[13] = flags;
	put16(p + 14, 0xffff);
	put32(p + 16, 0);
	memset(p + hlen, (int)peer, len);
	frame_done(m, b->r->offload);
	k->snd += len + ((flags & SYN) != 0);
}

/** Take in what came. @return bytes of payload; -1: not what a peer of ours can have asked for */
static int
tcp_answer(struct tcp_bench *b, const struct rte_mbuf *m, uint32_t npeers)
{
	uint32_t peer = frame_peer(m);
	uint8_t copy[FRAME_L4 + 60];
	const uint8_t *p = rte_pktmbuf_read(m, 0, FRAME_L4 + 20, copy), *o;
	struct tcp_peer *k;
	uint32_t hlen, len;

	if (p == NULL || peer >= npeers)
		return -1;
	k = &b->peers[peer];
	len = (get32(p + FRAME_L3) & 0xffff) - 20;
	hlen = (uint32_t)(p[FRAME_L4 + 12] >> 4) * 4;
	p = rte_pktmbuf_read(m, 0, FRAME_L4 + hlen, copy);
	if (p == NULL || hlen < HLEN || get32(p + FRAME_L4 + 8) != k->snd)
		return -1;
	p += FRAME_L4;
	len -= hlen;
	if ((p[13] & SYN) != 0) {
		k->rcv = get32(p + 4);
		len = 1;
		o = p + 20;
		while (o[0] != 8)
			o += o[0] == 1 ? 1 : o[1];
		o -= 2;
	} else {
		o = p + 20;
	}
	if (get32(p + 4) != k->rcv)
		return -1;
	k->ts_ecr = get32(o + 4);
	k->rcv += len;
	return (int)len;
}

/** One burst out, and what comes back. @return cycles; 0: wrong */
static uint64_t
tcp_burst(struct tcp_bench *b, const struct cost_conf *c, const uint32_t *peer, uint8_t flags,
	uint16_t len, int want)
{
	struct rte_mbuf *m[RING_BURST * 2];
	int got = 0, bad = 0;
	uint64_t cycles;
	unsigned n;

	ring_alloc(b->r, m, RING_BURST);
	for (unsigned i = 0; i < RING_BURST; i++)
		tcp_segment(b, m[i], peer[i], flags, len);
	cycles = ring_turn(b->r, m, RING_BURST);
	n = ring_sent(b->r, m, RTE_DIM(m));
	for (unsigned i = 0; i < n; i++) {
		int one = tcp_answer(b, m[i], c->flows);

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
			b->peers[peer[i]] = (struct tcp_peer){.snd = peer[i] * 64013};
		}
		if (tcp_burst(b, c, peer, SYN, 0, RING_BURST) == 0 ||
			tcp_burst(b, c, peer, ACK, 0, 0) == 0)
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
	struct tcp_bench b = {.r = r, .ts = 1, .peers = calloc(c->flows, sizeof(*b.peers))};
	uint64_t state = 0x9e3779b97f4a7c15, one;
	uint32_t peer[RING_BURST];
	int err = b.peers == NULL ? -1 : 0;

	ring_listen(r, "echo", IPPROTO_TCP);
	if (err == 0)
		err = tcp_open(&b, c);
	for (unsigned run = 0; err == 0 && run < c->runs; run++) {
		uint64_t sum = 0;
		uint32_t next = 0;

		b.ts++;
		for (uint32_t done = 0; err == 0 && done < c->packets; done += 2 * RING_BURST) {
			if (c->random)
				tcp_draw(&state, c->flows, peer);
			for (unsigned i = 0; !c->random && i < RING_BURST; i++)
				peer[i] = next++ % c->flows;
			one = tcp_burst(&b, c, peer, PSH | ACK, BYTES, RING_BURST * BYTES);
			sum += one;
			if (one > 0)
				one = tcp_burst(&b, c, peer, ACK, 0, 0);
			sum += one;
			err = one == 0 ? -1 : 0;
		}
		ret[run] = (double)sum / c->packets;
	}
	free(b.peers);
	return err;
}

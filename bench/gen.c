/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "gen.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "program.h"

#define BURST     32
#define IN_ORDER  4096 /* up to so many flows are taken in turn, more at random, as in bench_cost */
#define UDP_BYTES 18
#define TCP_BYTES 64
#define ONE_BYTES 1448 /* of a stream's segment */
#define WINDOW    192 /* packets of one conversation under way: fewer than its backlog holds */
#define PATIENCE \
	50 /* parts of a second: nothing moves for one of them, and what is under way is lost */
#define ISS 1000000

void
gen_init(struct gen *g, enum gen_kind kind, uint32_t flows, unsigned queues)
{
	memset(g, 0, sizeof(*g));
	g->kind = kind;
	g->one = kind != GEN_UDP && kind != GEN_TCP;
	g->flows = g->one ? 1 : flows;
	g->queues = kind == GEN_UDP_ONE || kind == GEN_TCP_ONE ? 1 : queues;
	must(g->one || g->flows >= BURST * queues, "dealing the flows");
	g->peers = (struct tcp_peers){.n = g->flows, .ts = 1, .offload = true};
	g->peers.peers = calloc(g->flows, sizeof(struct tcp_peer));
	must(g->peers.peers != NULL, "calloc");
	for (unsigned q = 0; q < GEN_QUEUES; q++)
		g->q[q].state = 0x9e3779b97f4a7c15 + q;
	g->stream.snd = g->stream.heard_una = ISS;
	atomic_init(&g->stream.una, ISS);
	atomic_init(&g->stream.edge, ISS);
}

void
gen_free(struct gen *g)
{
	free(g->peers.peers);
}

uint64_t
gen_back(struct gen *g, unsigned seat)
{
	uint64_t back = atomic_load_explicit(&g->q[seat].back, memory_order_relaxed);

	return g->kind == GEN_TCP_ONE ? back / ONE_BYTES : back;
}

bool
gen_opened(struct gen *g)
{
	bool all = true;

	for (unsigned q = 0; q < g->queues; q++)
		all &= atomic_load_explicit(&g->q[q].opened, memory_order_relaxed);
	return all;
}

/** Only its own worker writes it. */
static void
count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(
		c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static bool
opened(const struct gen_queue *q)
{
	return atomic_load_explicit(&q->opened, memory_order_relaxed);
}

static void
now_opened(struct gen_queue *q)
{
	atomic_store_explicit(&q->opened, true, memory_order_relaxed);
}

/* ---- many conversations, of one queue each ---- */

/** The next peer of a queue; each queue has a part of them, so that what is known of them shares no line with another's. */
static uint32_t
gen_peer(const struct gen *g, struct gen_queue *q, unsigned queue)
{
	uint32_t flows = g->flows / g->queues, i;

	if (g->flows > IN_ORDER && opened(q))
		i = frame_random(&q->state, flows);
	else
		i = q->next++ % flows;
	return flows * queue + i;
}

static void
gen_datagram(struct rte_mbuf *m, uint32_t peer)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *) + FRAME_L4;

	frame_head(m, peer, IPPROTO_UDP, 7, 8 + UDP_BYTES);
	put16(p + 4, 8 + UDP_BYTES);
	put16(p + 6, 0);
	frame_done(m, true);
}

/** Data, or, as long as there is no conversation, the SYN. */
static void
gen_segment(struct gen *g, struct rte_mbuf *m, uint32_t peer)
{
	struct tcp_peer *k = &g->peers.peers[peer];

	if (k->open) {
		tcp_segment(&g->peers, m, peer, 7, TCP_PSH | TCP_ACK, TCP_BYTES);
		return;
	}
	*k = (struct tcp_peer){.snd = peer * 64013};
	tcp_segment(&g->peers, m, peer, 7, TCP_SYN, 0);
}

/** ACKs for what the burst before has brought back, so that nothing is sent again. @return how many */
static unsigned
gen_acks(struct gen *g, struct gen_queue *q, struct rte_mbuf **m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BURST; i++)
		if (g->peers.peers[q->peer[i]].open)
			tcp_segment(&g->peers, m[n++], q->peer[i], 7, TCP_ACK, 0);
	return n;
}

/** The flows that are due; TCP: a burst of segments, and one of ACKs, by turns. @return how many */
static unsigned
gen_many(struct gen *g, unsigned queue, struct rte_mbuf **m)
{
	struct gen_queue *q = &g->q[queue];

	q->half = g->kind == GEN_TCP && !q->half;
	if (g->kind == GEN_TCP && !q->half)
		return gen_acks(g, q, m);
	for (unsigned i = 0; i < BURST; i++) {
		q->peer[i] = gen_peer(g, q, queue);
		if (g->kind == GEN_TCP)
			gen_segment(g, m[i], q->peer[i]);
		else
			gen_datagram(m[i], q->peer[i]);
	}
	if (q->next >= g->flows / g->queues)
		now_opened(q);
	return BURST;
}

/* ---- one conversation ---- */

/** How many datagrams more there may be under way. */
static unsigned
gen_window(struct gen *g, struct gen_queue *q)
{
	uint64_t back = 0, made = 0, now = rte_rdtsc();

	/* Answers first: what is made meanwhile is then seen as under way. */
	for (unsigned seat = 0; seat < GEN_QUEUES; seat++)
		back += gen_back(g, seat);
	for (unsigned i = 0; i < GEN_QUEUES; i++)
		made += atomic_load_explicit(&g->q[i].made, memory_order_relaxed) -
			atomic_load_explicit(&g->q[i].given_up, memory_order_relaxed);
	if (back > 0)
		now_opened(q);
	if (made + BURST <= back + WINDOW) {
		q->heard_tsc = now;
		return BURST;
	}
	if (now - q->heard_tsc < rte_get_tsc_hz() / PATIENCE)
		return 0;
	q->heard_tsc = now;
	if (made > back)
		count(&q->given_up, made - back);
	return BURST;
}

/** What was acknowledged since; if that is nothing, for long, all is sent again. */
static void
gen_acked(struct gen_stream *s, struct gen_queue *q)
{
	uint32_t una = atomic_load_explicit(&s->una, memory_order_relaxed);
	uint64_t now = rte_rdtsc();

	if (una != s->heard_una || s->snd == una) {
		count(&q->back, una - s->heard_una);
		s->heard_una = una;
		s->heard_tsc = now;
	} else if (now - s->heard_tsc > rte_get_tsc_hz() / PATIENCE) {
		count(&q->given_up, (s->snd - una) / ONE_BYTES);
		s->snd = una;
		s->heard_tsc = now;
	}
}

/** As many segments of the stream as may be sent. @return how many, at most BURST */
static unsigned
gen_stream(struct gen *g, struct rte_mbuf **m)
{
	struct gen_stream *s = &g->stream;
	struct tcp_peer *k = &g->peers.peers[0];
	uint32_t edge;
	unsigned n = 0;

	if (!atomic_load_explicit(&s->open, memory_order_acquire)) {
		if (rte_rdtsc() - s->heard_tsc < rte_get_tsc_hz() / PATIENCE)
			return 0;
		s->heard_tsc = rte_rdtsc();
		*k = (struct tcp_peer){.snd = ISS};
		tcp_segment(&g->peers, m[0], 0, 7, TCP_SYN, 0);
		s->snd = k->snd;
		return 1;
	}
	gen_acked(s, &g->q[0]);
	k->rcv = s->rcv;
	k->ts_ecr = atomic_load_explicit(&s->ts_ecr, memory_order_relaxed);
	edge = atomic_load_explicit(&s->edge, memory_order_relaxed);
	if ((int32_t)(edge - (s->heard_una + WINDOW * ONE_BYTES)) > 0)
		edge = s->heard_una + WINDOW * ONE_BYTES;
	for (; n < BURST && (int32_t)(edge - (s->snd + ONE_BYTES)) >= 0; n++) {
		/* The bytes are whatever is in the buffer. */
		k->snd = s->snd;
		tcp_segment(&g->peers, m[n], 0, 7, TCP_ACK, 0);
		put16(rte_pktmbuf_mtod_offset(m[n], uint8_t *, FRAME_L3 + 2),
			20 + TCP_HLEN + ONE_BYTES);
		m[n]->data_len = FRAME_L4 + TCP_HLEN + ONE_BYTES;
		m[n]->pkt_len = m[n]->data_len;
		s->snd += ONE_BYTES;
	}
	return n;
}

/** Sequence numbers only go up, whichever worker's ACK is seen first. */
static void
gen_raise(_Atomic uint32_t *to, uint32_t v)
{
	uint32_t was = atomic_load_explicit(to, memory_order_relaxed);

	while ((int32_t)(v - was) > 0 &&
		!atomic_compare_exchange_weak_explicit(
			to, &was, v, memory_order_relaxed, memory_order_relaxed))
		;
}

/** An ACK of the stream. @return is it one? */
static bool
gen_stream_heard(struct gen *g, const struct rte_mbuf *m)
{
	struct gen_stream *s = &g->stream;
	struct tcp_heard h;

	if (!tcp_hear(m, &h) || h.peer != 0 || (h.flags & TCP_ACK) == 0 || h.len != 0)
		return false;
	atomic_store_explicit(&s->ts_ecr, h.ts_val, memory_order_relaxed);
	gen_raise(&s->una, h.ack);
	if ((h.flags & TCP_SYN) == 0) {
		gen_raise(&s->edge, h.ack + (h.wnd << s->scale));
		return true;
	}
	if (atomic_load_explicit(&s->open, memory_order_relaxed))
		return true;
	s->rcv = h.seq + 1;
	s->scale = h.scale;
	gen_raise(&s->edge, h.ack + h.wnd);
	now_opened(&g->q[0]);
	/* Release: rcv and scale are seen with it. */
	atomic_store_explicit(&s->open, true, memory_order_release);
	return true;
}

/* ---- the callbacks ---- */

static unsigned
gen_make(struct gen *g, unsigned queue, struct rte_mbuf **m)
{
	if (g->kind == GEN_UDP || g->kind == GEN_TCP)
		return gen_many(g, queue, m);
	if (g->kind == GEN_TCP_ONE)
		return gen_stream(g, m);
	for (unsigned i = 0; i < BURST; i++)
		gen_datagram(m[i], 0);
	return BURST;
}

uint16_t
gen_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct gen *g = arg;
	struct gen_queue *q = &g->q[queue];
	uint64_t start = rte_rdtsc();
	unsigned made;

	(void)ifc;
	must(n >= BURST, "receiving a burst");
	if (atomic_load_explicit(&g->quiet, memory_order_relaxed) ||
		(g->one && g->kind != GEN_TCP_ONE && gen_window(g, q) == 0))
		return 0;
	if (rte_pktmbuf_alloc_bulk(stack_mempool(g->s), m, BURST) != 0)
		return 0;
	if (atomic_load_explicit(&q->told, memory_order_relaxed)) {
		made = gen_make(g, queue, m);
		count(&q->made, made);
	} else {
		frame_arp(m[0], 1);
		atomic_store_explicit(&q->told, true, memory_order_relaxed);
		made = 1;
	}
	if (made < BURST)
		rte_pktmbuf_free_bulk(m + made, BURST - made);
	q->cycles += rte_rdtsc() - start;
	return (uint16_t)made;
}

/** An IPv4 packet that was sent. @return packets that it answers */
static uint64_t
gen_answer(struct gen *g, struct gen_queue *q, unsigned seat, struct rte_mbuf *m, bool look)
{
	uint32_t peer;
	int bytes;

	switch (g->kind) {
	case GEN_TCP_ONE:
		q->bad += !gen_stream_heard(g, m);
		return 0; /* gen_acked counts */
	case GEN_TCP:
		bytes = tcp_answer(&g->peers, m);
		/* Sent again, after a worker had been kept from its CPU for long. */
		count(&q->given_up, bytes < 0);
		return bytes < TCP_BYTES ? 0 : (uint64_t)bytes / TCP_BYTES;
	case GEN_UDP:
	case GEN_UDP_ONE:
	case GEN_UDP_BOTH:
		if (look) {
			peer = frame_peer(m);
			q->bad += peer >= g->flows ||
				(g->kind == GEN_UDP && peer / (g->flows / g->queues) != seat);
		}
	}
	return 1;
}

uint16_t
gen_tx(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct gen *g = arg;
	struct gen_queue *q = &g->q[seat];
	uint64_t start = rte_rdtsc(), back = 0;

	(void)ifc;
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(m[i], const uint8_t *);

		if (p[12] == 0x08 && p[13] == 0x00)
			back += gen_answer(g, q, seat, m[i], i == 0);
		else if (frame_asks(m[i]))
			atomic_store_explicit(
				&g->q[seat % g->queues].told, false, memory_order_relaxed);
	}
	rte_pktmbuf_free_bulk(m, n);
	if (back > 0)
		count(&q->back, back);
	q->cycles += rte_rdtsc() - start;
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * An element of the send queue whose bytes lie in one buffer is sent in that buffer: the headers go into its headroom, and
 * the port holds a second reference. It needs no other buffer then, and no copy.
 *
 * Invariant: while TCP_TX_LENT is set, tx.off and tx.len say where the element's bytes are, not the mbuf; and nothing of the
 * mbuf is written to before it is seen to have one reference, ours.
 */
#include "tcp_priv.h"

/** The mbuf says again where the bytes are. */
static void
tcp_lent_back(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	m->data_off = p->tx.off;
	m->data_len = (uint16_t)p->tx.len;
	m->pkt_len = p->tx.len;
	p->tx.flags &= ~TCP_TX_LENT;
}

/** Is m lent, and still with the port? If it has come back, it is as before from here on. */
bool
tcp_lent(struct rte_mbuf *m)
{
	if (likely((pkt_of(m)->tx.flags & TCP_TX_LENT) == 0))
		return false;
	if (rte_mbuf_refcnt_read(m) != 1)
		return true;
	/* Acquire: what the port's thread read of m it read before it gave up its reference (a release in rte_mbuf). */
	rte_atomic_thread_fence(__ATOMIC_ACQUIRE);
	tcp_lent_back(m);
	return false;
}

/** Where the bytes of m, an element of one segment, begin. */
const uint8_t *
tcp_tx_bytes(struct rte_mbuf *m)
{
	return (pkt_of(m)->tx.flags & TCP_TX_LENT) != 0
		? (const uint8_t *)m->buf_addr + pkt_of(m)->tx.off
		: rte_pktmbuf_mtod(m, const uint8_t *);
}

/** A clone of n bytes of m, an element that is lent, from the byte `from` on. NULL: no buffer (counted) */
struct rte_mbuf *
tcp_lent_clone(struct worker *w, struct rte_mbuf *m, uint32_t from, uint32_t n)
{
	struct rte_mbuf *c = rte_pktmbuf_clone(m, w->mp_small);

	if (c == NULL) {
		TCP_COUNT(w, no_mbuf);
		return NULL;
	}
	c->data_off = (uint16_t)(pkt_of(m)->tx.off + from);
	c->data_len = (uint16_t)n;
	c->pkt_len = n;
	return c;
}

/**
 * Send all of m, an element, in its own buffer.
 * @return false: it has several, or one that others hold, or it can't go at once; m is as it was
 */
bool
tcp_lend(struct worker *w, const struct tcp_out *o, struct rte_mbuf *m)
{
	uint16_t hlen = (uint16_t)tcp_header_len(o);
	struct ip_tx tx = tcp_ip_tx(o, hlen);
	struct pkt *p = pkt_of(m);

	if (m->nb_segs != 1 || !RTE_MBUF_DIRECT(m) || tcp_lent(m) || rte_mbuf_refcnt_read(m) != 1 ||
		m->data_off < hlen)
		return false;
	p->tx.off = m->data_off;
	p->tx.flags |= TCP_TX_LENT;
	tcp_header_put((uint8_t *)rte_pktmbuf_prepend(m, hlen), o, hlen);
	if (ip_output_lent(w, o->path, o->k, m, &tx)) {
		TCP_COUNT(w, segs_out);
		return true;
	}
	tcp_lent_back(m);
	return false;
}

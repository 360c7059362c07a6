/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Payload in mbufs: cut, split, merged. Only what describes a buffer is changed,
 * never its bytes: they may stand in a transmit ring, or in another queue.
 */
#include <rte_memcpy.h>

#include "tcp_priv.h"

/** The second segment becomes the head, with what is known of the packet. */
static struct rte_mbuf *
tcp_mbuf_promote(struct rte_mbuf *m)
{
	struct rte_mbuf *n = m->next;

	assert(rte_pktmbuf_priv_size(n->pool) >= sizeof(struct pkt));
	*pkt_of(n) = *pkt_of(m);
	n->pkt_len = m->pkt_len - m->data_len;
	n->nb_segs = (uint16_t)(m->nb_segs - 1);
	m->next = NULL;
	m->nb_segs = 1;
	rte_pktmbuf_free_seg(m);
	return n;
}

/** Cut n bytes off the front; at least one is left, or the packet has one segment. @return the head now */
struct rte_mbuf *
tcp_mbuf_front(struct rte_mbuf *m, uint32_t n)
{
	while (m->next != NULL && n >= m->data_len) {
		n -= m->data_len;
		m = tcp_mbuf_promote(m);
	}
	rte_pktmbuf_adj(m, (uint16_t)n);
	return m;
}

/** Keep the first len bytes (fewer are never made more). */
void
tcp_mbuf_trim(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *s = m;
	uint32_t left = len;
	uint16_t segs = 1;

	if (m->pkt_len <= len)
		return;
	while (left > s->data_len) {
		left -= s->data_len;
		s = s->next;
		segs++;
	}
	s->data_len = (uint16_t)left;
	if (s->next != NULL) {
		rte_pktmbuf_free(s->next);
		s->next = NULL;
	}
	m->nb_segs = segs;
	m->pkt_len = len;
}

/**
 * Split behind n bytes, 0 < n < length: m keeps the first n. The segment that is cut in two
 * is shared by a clone, the others change hands.
 * @return the rest, a packet of its own (its pkt not filled in); NULL: no buffer, m unchanged
 */
struct rte_mbuf *
tcp_mbuf_split(struct worker *w, struct rte_mbuf *m, uint32_t n)
{
	uint32_t rest_len = m->pkt_len - n;
	struct rte_mbuf *s = m, *rest, *after;
	uint16_t segs = 1, rest_segs;

	for (; n > s->data_len; s = s->next, segs++)
		n -= s->data_len;
	after = s->next;
	rest_segs = (uint16_t)(m->nb_segs - segs);
	if (n < s->data_len) {
		s->next = NULL; /* only this one is to be cloned */
		uint16_t nb = s->nb_segs;

		s->nb_segs = 1;
		rest = rte_pktmbuf_clone(s, w->mp_small);
		s->nb_segs = nb;
		s->next = after;
		if (rest == NULL) {
			TCP_COUNT(w, no_mbuf);
			return NULL;
		}
		rest->data_off += (uint16_t)n;
		rest->data_len -= (uint16_t)n;
		rest->next = after;
		rest_segs++;
	} else {
		rest = after;
		assert(rte_pktmbuf_priv_size(rest->pool) >= sizeof(struct pkt));
	}
	rest->nb_segs = rest_segs;
	rest->pkt_len = rest_len;
	s->data_len = (uint16_t)n;
	s->next = NULL;
	m->nb_segs = segs;
	m->pkt_len -= rest_len;
	return rest;
}

/** Copy all bytes of m to `to`. */
void
tcp_mbuf_copy_out(const struct rte_mbuf *m, void *to)
{
	uint8_t *p = to;

	for (; m != NULL; m = m->next) {
		rte_memcpy(p, rte_pktmbuf_mtod(m, const void *), m->data_len);
		p += m->data_len;
	}
}

/**
 * Copy m's bytes behind those of `to`, if `to` is ours alone and has room, and m is no longer than `most`.
 * @return true if they are there now; m is the caller's in any case
 */
bool
tcp_mbuf_merge(struct rte_mbuf *to, const struct rte_mbuf *m, uint32_t most)
{
	if (m->pkt_len > most || to->nb_segs != 1 || !RTE_MBUF_DIRECT(to) ||
		rte_mbuf_refcnt_read(to) != 1 || rte_pktmbuf_tailroom(to) < m->pkt_len)
		return false;
	tcp_mbuf_copy_out(m, rte_pktmbuf_append(to, (uint16_t)m->pkt_len));
	return true;
}

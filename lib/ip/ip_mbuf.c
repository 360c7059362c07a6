/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Packets in pieces: headers made contiguous, ends cut off, foreign buffers wrapped.
 * The caller owns the packet.
 */
#include "ip_priv.h"

#define IP_PULL_WANT 128 /* at least so much is pulled at a time: link, IP and TCP header */

/* Cut len bytes off the front; returns the new first segment, or NULL if nothing is left. */
struct rte_mbuf *
ip_cut(struct rte_mbuf *m, uint32_t len)
{
	uint32_t left = m->pkt_len - len;
	uint16_t segs = m->nb_segs;

	while (m != NULL && len >= m->data_len) {
		struct rte_mbuf *next = m->next;

		len -= m->data_len;
		segs--;
		rte_pktmbuf_free_seg(m);
		m = next;
	}
	if (m == NULL)
		return NULL;
	m->data_off += (uint16_t)len;
	m->data_len -= (uint16_t)len;
	m->pkt_len = left;
	m->nb_segs = segs;
	return m;
}

/* Cut the end off, so that len bytes are left; len <= pkt_len. Works across segments. */
void
ip_trim(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *last = m;
	uint32_t left = len;
	uint16_t segs = 1;

	if (likely(m->pkt_len == len))
		return;
	while (left > last->data_len) {
		left -= last->data_len;
		last = last->next;
		segs++;
	}
	last->data_len = (uint16_t)left;
	rte_pktmbuf_free(last->next);
	last->next = NULL;
	m->nb_segs = segs;
	m->pkt_len = len;
}

/* One of the segments that hold the first len bytes belongs to somebody else, too. */
static bool
ip_front_shared(const struct rte_mbuf *m, uint32_t len)
{
	for (; m != NULL; m = m->next) {
		if (rte_mbuf_refcnt_read(m) != 1)
			return true;
		if (len <= m->data_len)
			return false;
		len -= m->data_len;
	}
	return false;
}

static struct rte_mbuf *
ip_fresh(struct worker *w, uint16_t room)
{
	bool small = rte_pktmbuf_data_room_size(w->mp_small) >= room + RTE_PKTMBUF_HEADROOM;

	return rte_pktmbuf_alloc(small ? w->mp_small : w->mp);
}

/* What is known of m besides its bytes goes over to h. */
static void
ip_copy_meta(struct rte_mbuf *h, const struct rte_mbuf *m)
{
	h->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	h->vlan_tci = m->vlan_tci;
	h->port = m->port;
	h->tx_offload = m->tx_offload;
	memcpy(rte_mbuf_to_priv(h), RTE_PTR_ADD(m, sizeof(*m)), sizeof(struct pkt));
}

/* Copy the first len bytes into a buffer of our own, in front of the rest. Consumes m unless it
 * returns NULL: there is no buffer, or none that is large enough. */
static struct rte_mbuf *
ip_head_copy(struct worker *w, struct rte_mbuf *m, uint16_t len)
{
	struct rte_mbuf *h = ip_fresh(w, len), *rest = m;
	const void *from;
	char *to;

	if (h == NULL)
		return NULL;
	if (ip_front_shared(m, len))
		rest = rte_pktmbuf_clone(m, w->mp_small);
	to = rte_pktmbuf_append(h, len);
	if (rest == NULL || to == NULL) {
		rte_pktmbuf_free(h);
		if (rest != m)
			rte_pktmbuf_free(rest);
		return NULL;
	}
	from = rte_pktmbuf_read(m, 0, len, to);
	if (from != to)
		memcpy(to, from, len);
	ip_copy_meta(h, m);
	if (rest != m)
		rte_pktmbuf_free(m);
	rest = ip_cut(rest, len);
	if (rest != NULL) {
		h->next = rest;
		h->nb_segs = (uint16_t)(1 + rest->nb_segs);
		h->pkt_len += rest->pkt_len;
	}
	return h;
}

struct rte_mbuf *
ip_pull_slow(struct worker *w, struct rte_mbuf *m, uint16_t len)
{
	uint16_t want = (uint16_t)RTE_MIN(m->pkt_len, (uint32_t)RTE_MAX(len, IP_PULL_WANT));
	struct rte_mbuf *h = ip_head_copy(w, m, want);

	if (h == NULL) {
		drop(w, m, DROP_NO_MBUF);
		return NULL;
	}
	ip_count(w, IP_STAT_headers_pulled);
	return h;
}

/* The first len bytes in one piece that may be written to. NULL: no buffer; m is still the caller's. */
struct rte_mbuf *
ip_unshare(struct worker *w, struct rte_mbuf *m, uint16_t len)
{
	if (likely(ip_exclusive(m) && m->data_len >= len))
		return m;
	return ip_head_copy(w, m, len);
}

/* One buffer instead of a chain, for ports that can't send one. NULL: no buffer that is large
 * enough; m is still the caller's. */
struct rte_mbuf *
ip_linear(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *h = ip_head_copy(w, m, (uint16_t)m->pkt_len);

	if (h != NULL)
		ip_count(w, IP_STAT_out_linearised);
	return h;
}

/*
 * A buffer of somebody else's pool has no private area of ours, and one that was lent (ip_output_lent) by a stack whose frames
 * a port hands over as they are has one that is in use: put indirect ones before it.
 */
struct rte_mbuf *
ip_adopt(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *c;

	if (likely((m->pool == w->mp || m->pool == w->mp_small) && rte_mbuf_refcnt_read(m) == 1))
		return m;
	c = rte_pktmbuf_clone(m, w->mp_small);
	rte_pktmbuf_free(m);
	if (c == NULL)
		w->c.drops[DROP_NO_MBUF]++;
	else
		ip_count(w, IP_STAT_foreign_wrapped);
	return c;
}

struct rte_mbuf *
ip_header_mbuf(struct worker *w)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp_small);

	if (unlikely(m == NULL)) {
		w->c.tx_no_mbuf++;
		return NULL;
	}
	memset(pkt_of(m), 0, sizeof(struct pkt));
	return m;
}

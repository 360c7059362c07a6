/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Source fragmentation (RFC 791 section 3.2, RFC 8200 section 4.5). Fragments share the
 * datagram's bytes: each is a header mbuf and indirect ones.
 */
#include <errno.h>

#include "ip_priv.h"

/* Where in the datagram the next fragment starts. */
struct ip_cursor {
	struct rte_mbuf *seg;
	uint16_t off;
};

/* Append len bytes from the cursor on to h, as indirect mbufs. */
static bool
ip_frag_append(struct worker *w, struct rte_mbuf *h, struct ip_cursor *c, uint32_t len)
{
	struct rte_mbuf *tail = h;

	while (len > 0) {
		struct rte_mbuf *i = ip_header_mbuf(w);
		uint16_t n;

		if (i == NULL)
			return false;
		while (c->off == c->seg->data_len)
			*c = (struct ip_cursor){c->seg->next, 0};
		n = (uint16_t)RTE_MIN(len, (uint32_t)(c->seg->data_len - c->off));
		rte_pktmbuf_attach(i, c->seg);
		i->data_off += c->off;
		i->data_len = n;
		tail->next = i;
		tail = i;
		h->nb_segs++;
		h->pkt_len += n;
		c->off += n;
		len -= n;
	}
	return true;
}

static struct rte_mbuf *
ip_fragment(struct worker *w, const struct ip_out *o, struct ip_cursor *c,
	const struct ip_part *part, uint16_t len)
{
	struct rte_mbuf *h = ip_header_mbuf(w);

	if (h == NULL)
		return NULL;
	rte_pktmbuf_append(h, (uint16_t)(o->ifc->l2_len + (o->v4 ? 20 : 48)));
	if (!ip_frag_append(w, h, c, len)) {
		rte_pktmbuf_free(h);
		return NULL;
	}
	ip_l3_header(w, o, h, len, part);
	ip_count(w, IP_STAT_fragments_out);
	return h;
}

/* Counters shared by all workers, one for each slot of a keyed hash: no identification is used
 * twice in a row for one peer, and no peer learns another's (RFC 6864, RFC 7739). */
static uint32_t
ip_ident(struct worker *w, const struct ip_out *o)
{
	uint8_t data[33];
	uint64_t h;

	memcpy(data, o->k->raddr, 16);
	memcpy(data + 16, o->k->laddr, 16);
	data[32] = o->tx->proto;
	h = key_siphash(&w->ip->secret, data, sizeof(data));
	/* Relaxed: only that each gets another number matters. */
	return (uint32_t)(h >> 32) +
		atomic_fetch_add_explicit(
			&w->ip->idents[h & (IP_IDENTS - 1)], 1, memory_order_relaxed);
}

/* Consumes m. @return 0, -ENOBUFS, or what sending a fragment returned */
int
ip_frag_output(struct worker *w, const struct ip_out *o, struct rte_mbuf *m)
{
	uint32_t room = (o->p->mtu - (o->v4 ? 20u : 48u)) & ~7u;
	struct ip_part part = {.id = ip_ident(w, o)};
	int err = ip_l4_cksum(w, o, &m, false);
	struct ip_cursor c = {m, 0};
	uint32_t total = m->pkt_len;

	for (; err == 0 && part.offset < total; part.offset += room) {
		uint32_t len = RTE_MIN(room, total - part.offset);
		struct rte_mbuf *f;

		part.more = part.offset + len < total;
		f = ip_fragment(w, o, &c, &part, (uint16_t)len);
		err = f == NULL ? -ENOBUFS : ip_send(w, o, f);
	}
	rte_pktmbuf_free(m);
	ip_count(w, IP_STAT_fragmented_out);
	return err;
}

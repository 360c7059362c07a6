/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The pure part of joining fragments: the first one's header becomes the datagram's.
 * Which pieces belong together, and for how long, is lib/conv's.
 */
#include "ip_priv.h"

/* RFC 791 section 3.2. False: longer than a length field can say. */
static bool
ip4_joined(struct rte_mbuf *m, const struct pkt *p)
{
	struct rte_ipv4_hdr *h = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, p->l3_off);
	uint32_t total = m->pkt_len - p->l3_off;

	if (total > 65535)
		return false;
	h->total_length = rte_cpu_to_be_16((uint16_t)total);
	h->fragment_offset = 0;
	h->hdr_checksum = 0;
	h->hdr_checksum = (uint16_t)~rte_raw_cksum(h, p->data_off - p->l3_off);
	return true;
}

/* RFC 8200 section 4.5: the fragment header, the last 8 bytes before the payload, goes; the field
 * that named it names what it named. The headers before it were checked when it came: the walk ends at it. */
static bool
ip6_joined(struct rte_mbuf *m, const struct pkt *p)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *h = frame + p->l3_off;
	uint32_t payload = m->pkt_len - p->l3_off - 40 - 8;
	uint16_t kept = p->data_off - 8;
	uint8_t *nh = h + 6, *at = h + 40;

	if (payload > 65535)
		return false;
	while (at < frame + kept) {
		nh = at;
		at += (size_t)(at[1] + 1) * 8;
	}
	*nh = p->frag.proto;
	ip_put16(h + 4, (uint16_t)payload);
	memmove(frame + 8, frame, kept);
	rte_pktmbuf_adj(m, 8);
	return true;
}

struct rte_mbuf *
ip_input_joined(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *own = ip_unshare(w, m, pkt_of(m)->data_off);
	struct pkt *p;
	bool v6;

	if (own == NULL) {
		drop(w, m, DROP_NO_MBUF);
		return NULL;
	}
	m = own;
	p = pkt_of(m);
	v6 = (p->flags & PKT_V6) != 0;
	if (!(v6 ? ip6_joined(m, p) : ip4_joined(m, p))) {
		drop(w, m, DROP_FRAG_BAD);
		return NULL;
	}
	ip_count(w, IP_STAT_joined_in);
	/* The port looked at pieces; nothing it said is about the whole. */
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	p->next = NULL;
	p->flags = (p->flags & (PKT_GROUP | PKT_CE)) | PKT_JOINED;
	p->kind = PKT_KINDS;
	m = v6 ? ip6_input(w, m) : ip4_input(w, m);
	if (m != NULL)
		pkt_of(m)->hash = key_hash(&w->ip->secret, &pkt_of(m)->key.k);
	return m;
}

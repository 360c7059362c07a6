/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Output: checksum, IP header, link header, neighbour. What is below the transport header
 * of a packet is never rewritten: it may be shared with a transmit ring or a send queue.
 */
#include <errno.h>

#include "ip_cksum.h"
#include "ip_priv.h"

/* The link header, tag included where the interface has one; dst NULL: filled in by neigh.c. */
void
ip_eth_header(
	const struct ip_ifc *ifc, uint8_t *eth, const struct rte_ether_addr *dst, uint16_t type)
{
	static const struct rte_ether_addr none;

	memcpy(eth, dst != NULL ? dst : &none, 6);
	memcpy(eth + 6, &ifc->mac, 6);
	if (ifc->vlan != 0) {
		ip_put16(eth + 12, RTE_ETHER_TYPE_VLAN);
		ip_put16(eth + 14, ifc->vlan);
		eth += IP_VLAN_LEN;
	}
	ip_put16(eth + 12, type);
}

static bool
ip_can_offload(const struct ip_out *o)
{
	return (o->tx->proto == IPPROTO_TCP && o->ifc->off.tx_tcp_cksum) ||
		(o->tx->proto == IPPROTO_UDP && o->ifc->off.tx_udp_cksum);
}

/* The transport checksum, or the pseudo header's for a port that does the rest, into a header that may be written to. */
static __rte_always_inline void
ip_l4_cksum_put(const struct ip_out *o, struct rte_mbuf *h, bool offload)
{
	uint8_t *at = rte_pktmbuf_mtod_offset(h, uint8_t *, o->tx->cksum_off);
	uint16_t sum = 0;

	if (o->tx->proto != IPPROTO_ICMP)
		sum = ip_cksum_pseudo(o->k->laddr, o->k->raddr, o->tx->proto, h->pkt_len);
	h->ol_flags = 0;
	if (offload && ip_can_offload(o)) {
		h->ol_flags = o->tx->proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM
							  : RTE_MBUF_F_TX_UDP_CKSUM;
	} else {
		sum = (uint16_t)~ip_cksum_mbuf(h, 0, h->pkt_len, sum);
		/* RFC 768: zero means "none", so it is sent as its other form. */
		if (sum == 0 && o->tx->proto == IPPROTO_UDP)
			sum = 0xffff;
	}
	memcpy(at, &sum, 2);
}

/* How much of m's front must be in one piece, and ours, to put the checksum there. */
static inline uint16_t
ip_l4_front(const struct ip_tx *tx)
{
	return RTE_MAX(tx->l4_len, (uint16_t)(tx->cksum_off + 2));
}

/*
 * Fill in the transport checksum, if one is wanted. *m may become another mbuf, if its header could not be written to.
 * @return 0, -ENOBUFS; *m is the caller's in any case
 */
int
ip_l4_cksum(struct worker *w, const struct ip_out *o, struct rte_mbuf **m, bool offload)
{
	struct rte_mbuf *h;

	if (o->tx->cksum_off < 0)
		return 0;
	h = ip_unshare(w, *m, ip_l4_front(o->tx));
	if (h == NULL) {
		w->c.tx_no_mbuf++;
		return -ENOBUFS;
	}
	*m = h;
	ip_l4_cksum_put(o, h, offload);
	return 0;
}

static uint8_t
ip_ttl(const struct ip_out *o)
{
	if (o->tx->ttl != 0)
		return o->tx->ttl;
	return o->p->ttl != 0 ? o->p->ttl : IP_TTL_DEFAULT;
}

/* The message's own bits, ECN among them, under what the conversation asks for (RFC 9293 MUST-48). */
static uint32_t
ip_tos(const struct ip_out *o)
{
	return o->tx->tos | o->p->dscp << 2;
}

/* 16 random bits; four at a time are drawn. */
static uint16_t
ip_random_id(struct worker *w)
{
	struct ip_worker *self = ip_self(w);

	if (self->ids == 0)
		self->ids = worker_random(w);
	self->ids >>= 16;
	return (uint16_t)self->ids;
}

static __rte_always_inline void
ip4_header(struct worker *w, const struct ip_out *o, struct rte_mbuf *m, uint16_t payload,
	const struct ip_part *part)
{
	uint8_t *h = rte_pktmbuf_mtod_offset(m, uint8_t *, o->ifc->l2_len);
	uint32_t len_word, id_word, ttl_word, src, dst;
	uint16_t frag = o->tx->df ? RTE_IPV4_HDR_DF_FLAG : 0, id = 0;

	if (part != NULL) {
		frag = (uint16_t)(part->offset / 8) | (part->more ? RTE_IPV4_HDR_MF_FLAG : 0);
		id = (uint16_t)part->id;
	} else if (!o->tx->df) {
		/* A router may fragment it; a packet with DF needs none (RFC 6864 section 4.1). */
		id = ip_random_id(w);
	}
	/* Summed in registers: to read back what was just written in pieces would take longer. */
	len_word = rte_cpu_to_be_32(UINT32_C(0x45) << 24 | ip_tos(o) << 16 | (20u + payload));
	id_word = rte_cpu_to_be_32((uint32_t)id << 16 | frag);
	ttl_word = rte_cpu_to_be_32((uint32_t)ip_ttl(o) << 24 | (uint32_t)o->tx->proto << 16);
	src = key_v4_be(o->k->laddr);
	dst = key_v4_be(o->k->raddr);
	m->ol_flags |= RTE_MBUF_F_TX_IPV4;
	if (o->ifc->off.tx_ip_cksum) {
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	} else {
		uint16_t sum = (uint16_t)~ip_cksum_fold(
			(uint64_t)len_word + id_word + ttl_word + src + dst);

		ttl_word |= rte_cpu_to_be_32(rte_be_to_cpu_16(sum));
	}
	memcpy(h, &len_word, 4);
	memcpy(h + 4, &id_word, 4);
	memcpy(h + 8, &ttl_word, 4);
	memcpy(h + 12, &src, 4);
	memcpy(h + 16, &dst, 4);
}

static void
ip6_header(const struct ip_out *o, struct rte_mbuf *m, uint16_t payload, const struct ip_part *part)
{
	struct rte_ipv6_hdr *h = rte_pktmbuf_mtod_offset(m, void *, o->ifc->l2_len);
	uint8_t *f = (uint8_t *)(h + 1);

	h->vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | ip_tos(o) << 20);
	h->payload_len = rte_cpu_to_be_16((uint16_t)(payload + (part != NULL ? 8 : 0)));
	h->proto = part != NULL ? IPPROTO_FRAGMENT : o->tx->proto;
	h->hop_limits = ip_ttl(o);
	memcpy(h->src_addr, o->k->laddr, 16);
	memcpy(h->dst_addr, o->k->raddr, 16);
	m->ol_flags |= RTE_MBUF_F_TX_IPV6;
	if (part == NULL)
		return;
	/* RFC 8200 section 4.5 */
	f[0] = o->tx->proto;
	f[1] = 0;
	ip_put16(f + 2, (uint16_t)(part->offset | (part->more ? 1 : 0)));
	ip_put32(f + 4, part->id);
}

/* Write link and IP header into the front of m, where there is room for them already. */
void
ip_l3_header(struct worker *w, const struct ip_out *o, struct rte_mbuf *m, uint16_t payload,
	const struct ip_part *part)
{
	m->tx_offload =
		rte_mbuf_tx_offload(o->ifc->l2_len, o->v4 ? 20 : 40, o->tx->l4_len, 0, 0, 0, 0);
	ip_eth_header(o->ifc, rte_pktmbuf_mtod(m, uint8_t *), NULL,
		o->v4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	if (o->v4)
		ip4_header(w, o, m, payload, part);
	else
		ip6_header(o, m, payload, part);
}

/* Send a frame that lacks nothing but its destination MAC. Consumes m. */
int
ip_send(struct worker *w, const struct ip_out *o, struct rte_mbuf *m)
{
	struct ip_hop hop;
	struct rte_mbuf *one = m;

	if (m->nb_segs > 1 && !o->ifc->off.multi_segs) {
		uint64_t flags = m->ol_flags;

		one = ip_linear(w, m);
		if (one == NULL) {
			rte_pktmbuf_free(m);
			w->c.tx_no_mbuf++;
			return -ENOBUFS;
		}
		one->ol_flags = flags;
	}
	if (likely(neigh_known(w, o->p, rte_pktmbuf_mtod(one, struct rte_ether_addr *)))) {
		worker_tx(w, o->p->ifc, one);
		return 0;
	}
	if (!ip_route_look(w, o->k->raddr, o->k->zone, &hop)) {
		rte_pktmbuf_free(one);
		ip_count(w, IP_STAT_out_no_route);
		return -ENETUNREACH;
	}
	return neigh_output(w, o->p, &hop, one);
}

/* Room for headers in front of m: its own headroom, or a fresh mbuf. NULL: none; m is the caller's. */
static struct rte_mbuf *
ip_prepend(struct worker *w, struct rte_mbuf *m, uint16_t len)
{
	struct rte_mbuf *h = m;

	if (!ip_exclusive(m) || rte_pktmbuf_headroom(m) < len) {
		h = ip_header_mbuf(w);
		if (h == NULL)
			return NULL;
		h->next = m;
		h->nb_segs = (uint16_t)(1 + m->nb_segs);
		h->pkt_len = m->pkt_len;
	}
	/* What the packet came with, if it is one that was received, says nothing now. */
	h->ol_flags = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	rte_pktmbuf_prepend(h, len);
	return h;
}

static int
ip_output_whole(struct worker *w, const struct ip_out *o, struct rte_mbuf *m)
{
	uint16_t payload = (uint16_t)m->pkt_len;
	struct rte_mbuf *h;

	if (ip_l4_cksum(w, o, &m, true) != 0) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	h = ip_prepend(w, m, (uint16_t)(o->ifc->l2_len + (o->v4 ? 20 : 40)));
	if (h == NULL) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	ip_l3_header(w, o, h, payload, NULL);
	return ip_send(w, o, h);
}

/**
 * Nearly every packet is like this: by IPv4, untagged, small enough, with room in front of it that is its own, to a
 * neighbour that is known. Then all of the above is a few stores. The path is made.
 * @return false: it is not like that; nothing was done
 */
static __rte_always_inline bool
ip4_output_plain(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx)
{
	const uint16_t front = IP_ETH_LEN + sizeof(struct rte_ipv4_hdr);
	struct ip_out o = {.k = k, .tx = tx, .ifc = &w->ip->ifcs[p->ifc], .p = p, .v4 = true};
	uint32_t payload = m->pkt_len;
	struct rte_ether_addr dst;
	uint8_t *eth;

	if (payload + sizeof(struct rte_ipv4_hdr) > p->mtu || !key_is_v4(k) || o.ifc->vlan != 0 ||
		tx->cksum_off < 0 || !ip_exclusive(m) || rte_pktmbuf_headroom(m) < front ||
		m->data_len < ip_l4_front(tx) || (m->nb_segs > 1 && !o.ifc->off.multi_segs) ||
		!neigh_known(w, p, &dst))
		return false;
	ip_l4_cksum_put(&o, m, true);
	m->data_off -= front;
	m->data_len += front;
	m->pkt_len += front;
	m->tx_offload = rte_mbuf_tx_offload(
		IP_ETH_LEN, sizeof(struct rte_ipv4_hdr), tx->l4_len, 0, 0, 0, 0);
	eth = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(eth, &dst, 6);
	memcpy(eth + 6, &o.ifc->eth_plain, 8);
	ip4_header(w, &o, m, (uint16_t)payload, NULL);
	worker_tx(w, p->ifc, m);
	return true;
}

static inline bool
ip_path_stands(const struct worker *w, const struct path *p)
{
	/* Acquire: with the number comes what it counts; pairs with ip_changed. */
	return p->gen == atomic_load_explicit(&w->ip->gen, memory_order_acquire);
}

/* All others, and those whose path is to be made. */
static __rte_noinline int
ip_output_any(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx)
{
	struct path once = {0};
	struct ip_out o = {.k = k, .tx = tx, .p = p != NULL ? p : &once, .v4 = key_is_v4(k)};
	uint32_t total = m->pkt_len + (o.v4 ? 20 : 40);
	int err = 0;

	if (!ip_path_stands(w, o.p))
		err = ip_path(w, k, o.p);
	if (err == 0 && ((total > o.p->mtu && tx->df) || m->pkt_len > (o.v4 ? 65515u : 65535u))) {
		ip_count(w, IP_STAT_out_too_big);
		err = -EMSGSIZE;
	}
	if (unlikely(err != 0)) {
		rte_pktmbuf_free(m);
		return err;
	}
	o.ifc = &w->ip->ifcs[o.p->ifc];
	if (likely(total <= o.p->mtu))
		return ip_output_whole(w, &o, m);
	return ip_frag_output(w, &o, m);
}

int
ip_output(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx)
{
	if (likely(p != NULL && ip_path_stands(w, p) && ip4_output_plain(w, p, k, m, tx)))
		return 0;
	return ip_output_any(w, p, k, m, tx);
}

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

	/* Where the port cuts, it adds the length of each piece. */
	if (o->tx->proto != IPPROTO_ICMP)
		sum = ip_cksum_pseudo(
			o->k->laddr, o->k->raddr, o->tx->proto, o->tx->tso != 0 ? 0 : h->pkt_len);
	h->ol_flags = 0;
	if (o->tx->tso != 0) {
		h->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
	} else if (offload && ip_can_offload(o)) {
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

static inline uint8_t
ip_path_ttl(const struct path *p)
{
	return p->ttl != 0 ? p->ttl : IP_TTL_DEFAULT;
}

static uint8_t
ip_ttl(const struct ip_out *o)
{
	return o->tx->ttl != 0 ? o->tx->ttl : ip_path_ttl(o->p);
}

/* The message's own bits, ECN among them, under what the conversation asks for (RFC 9293 MUST-48). */
static inline uint8_t
ip_tos(const struct ip_tx *tx, const struct path *p)
{
	return (uint8_t)(tx->tos | p->dscp << 2);
}

/* What of an IPv4 header is not an address. */
struct ip4_words {
	uint32_t len, id, ttl; /* as they lie in it */
};

/* Summed in registers: to read back what was just written in pieces would take longer. */
static __rte_always_inline void
ip4_put(uint8_t *h, struct ip4_words v, uint32_t src, uint32_t dst, bool offload)
{
	if (!offload) {
		uint16_t sum = (uint16_t)~ip_cksum_fold((uint64_t)v.len + v.id + v.ttl + src + dst);

		v.ttl |= rte_cpu_to_be_32(rte_be_to_cpu_16(sum));
	}
	memcpy(h, &v.len, 4);
	memcpy(h + 4, &v.id, 4);
	memcpy(h + 8, &v.ttl, 4);
	memcpy(h + 12, &src, 4);
	memcpy(h + 16, &dst, 4);
}

static inline uint32_t
ip4_len_word(uint8_t tos, uint32_t payload)
{
	return rte_cpu_to_be_32(UINT32_C(0x45) << 24 | (uint32_t)tos << 16 |
		(uint32_t)(sizeof(struct rte_ipv4_hdr) + payload));
}

/* A router may fragment it, if not for DF; with that it needs no number (RFC 6864 section 4.1). */
static inline uint32_t
ip4_id_word(struct worker *w, bool df)
{
	return df ? RTE_BE32(RTE_IPV4_HDR_DF_FLAG)
		  : rte_cpu_to_be_32((uint32_t)worker_random16(w) << 16);
}

static inline uint32_t
ip4_ttl_word(uint8_t ttl, uint8_t proto)
{
	return rte_cpu_to_be_32((uint32_t)ttl << 24 | (uint32_t)proto << 16);
}

static void
ip4_header(struct worker *w, const struct ip_out *o, struct rte_mbuf *m, uint16_t payload,
	const struct ip_part *part)
{
	struct ip4_words v = {
		.len = ip4_len_word(ip_tos(o->tx, o->p), payload),
		.ttl = ip4_ttl_word(ip_ttl(o), o->tx->proto),
	};

	if (part != NULL)
		v.id = rte_cpu_to_be_32((part->id & 0xffff) << 16 |
			(part->more ? RTE_IPV4_HDR_MF_FLAG : 0) | part->offset / 8);
	else
		v.id = ip4_id_word(w, o->tx->df);
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | (o->ifc->off.tx_ip_cksum ? RTE_MBUF_F_TX_IP_CKSUM : 0);
	ip4_put(rte_pktmbuf_mtod_offset(m, uint8_t *, o->ifc->l2_len), v, key_v4_be(o->k->laddr),
		key_v4_be(o->k->raddr), o->ifc->off.tx_ip_cksum);
}

static void
ip6_header(const struct ip_out *o, struct rte_mbuf *m, uint16_t payload, const struct ip_part *part)
{
	struct rte_ipv6_hdr *h = rte_pktmbuf_mtod_offset(m, void *, o->ifc->l2_len);
	uint8_t *f = (uint8_t *)(h + 1);

	h->vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | ip_tos(o->tx, o->p) << 20);
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
	m->tx_offload = rte_mbuf_tx_offload(
		o->ifc->l2_len, o->v4 ? 20 : 40, o->tx->l4_len, o->tx->tso, 0, 0, 0);
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
	uint64_t word;

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
	word = neigh_known(w, o->p);
	if (likely(word != 0)) {
		neigh_put_mac(rte_pktmbuf_mtod(one, uint8_t *), word);
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
	h->ol_flags = m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG);
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

/* The transport checksum of a plain packet, or what a port wants there that does the rest. */
static __rte_always_inline uint16_t
ip4_plain_l4_cksum(
	const struct rte_mbuf *m, uint32_t src, uint32_t dst, uint8_t proto, bool offload)
{
	uint16_t sum = ip_cksum_fold(ip4_cksum_pseudo(src, dst, proto, m->pkt_len));

	if (offload)
		return sum;
	sum = (uint16_t)~ip_cksum_mbuf(m, 0, m->pkt_len, sum);
	/* RFC 768: zero means "none", so it is sent as its other form. */
	return sum == 0 && proto == IPPROTO_UDP ? 0xffff : sum;
}

/* One buffer, or the first of several, that is ours alone and has so much room in front. */
static inline bool
ip_plain_buffer(const struct rte_mbuf *m, uint16_t front, bool multi_segs)
{
	return ip_exclusive(m) && m->data_off >= front && (m->nb_segs == 1 || multi_segs);
}

/**
 * Nearly every packet is like this: TCP or UDP over IPv4, untagged, small enough, with room in front of it that is its own, to a
 * neighbour that is known. Then all of the above is a few stores. The path stands. lent: one reference is the caller's.
 * @return false: it is not like that; nothing was done
 */
static __rte_always_inline bool
ip4_output_plain(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx, bool lent)
{
	const uint16_t front = IP_ETH_LEN + sizeof(struct rte_ipv4_hdr);
	const struct ip_ifc *ifc = &w->ip->ifcs[p->ifc];
	const uint8_t proto = tx->proto;
	uint32_t payload = m->pkt_len, src, dst;
	uint64_t to, flags;
	uint8_t *l4, *l3;
	uint16_t sum;

	if (!p->plain || payload + sizeof(struct rte_ipv4_hdr) > p->mtu ||
		(proto != IPPROTO_TCP && proto != IPPROTO_UDP) || (tx->ttl | tx->tso) != 0 ||
		m->data_len < tx->l4_len || !ip_plain_buffer(m, front, ifc->off.multi_segs))
		return false;
	to = neigh_known(w, p);
	if (unlikely(to == 0))
		return false;
	src = key_v4_be(k->laddr);
	dst = key_v4_be(k->raddr);
	flags = ifc->plain.tx_flags[proto == IPPROTO_TCP];
	sum = ip4_plain_l4_cksum(m, src, dst, proto, (flags & RTE_MBUF_F_TX_L4_MASK) != 0);
	l4 = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(l4 + tx->cksum_off, &sum, 2);
	m->ol_flags = flags;
	m->data_off -= front;
	m->data_len += front;
	m->pkt_len = payload + front;
	m->tx_offload = rte_mbuf_tx_offload(
		IP_ETH_LEN, sizeof(struct rte_ipv4_hdr), tx->l4_len, 0, 0, 0, 0);
	l3 = l4 - sizeof(struct rte_ipv4_hdr);
	to >>= 16;
	memcpy(l3 - IP_ETH_LEN, &to, 8); /* the last two are written anew: */
	memcpy(l3 - 8, ifc->plain.eth, 8);
	ip4_put(l3,
		(struct ip4_words){ip4_len_word(ip_tos(tx, p), payload), ip4_id_word(w, tx->df),
			ip4_ttl_word(ip_path_ttl(p), proto)},
		src, dst, (flags & RTE_MBUF_F_TX_IP_CKSUM) != 0);
	if (lent)
		rte_mbuf_refcnt_set(m, 2); /* before the port can let go of it */
	worker_tx(w, p->ifc, m);
	return true;
}

static inline bool
ip_path_stands(const struct worker *w, const struct path *p)
{
	/* Acquire: with the number comes what it counts; pairs with ip_changed. */
	return p->gen == atomic_load_explicit(&w->ip->gen, memory_order_acquire);
}

unsigned
ip_path_tso(const struct worker *w, const struct path *p)
{
	return ip_path_stands(w, p) ? w->ip->ifcs[p->ifc].off.tso_segs : 0;
}

/* All others, and those whose path is to be made. */
static __rte_noinline int
ip_output_any(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx)
{
	struct path once = {0};
	struct ip_out o = {.k = k, .tx = tx, .p = p != NULL ? p : &once, .v4 = key_is_v4(k)};
	/* What must fit: all of it, or each that the port makes of it. */
	uint32_t total = (o.v4 ? 20 : 40) + (tx->tso != 0 ? tx->l4_len + tx->tso : m->pkt_len);
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
	if (likely(p != NULL && ip_path_stands(w, p) && ip4_output_plain(w, p, k, m, tx, false)))
		return 0;
	return ip_output_any(w, p, k, m, tx);
}

/* Of IPv6, or with a tag. The path stands. */
static __rte_noinline bool
ip_output_lent_any(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx)
{
	struct ip_out o = {.k = k, .tx = tx, .p = p, .v4 = key_is_v4(k)};
	const uint16_t l3_len = o.v4 ? 20 : 40, payload = (uint16_t)m->pkt_len;
	uint64_t to = neigh_known(w, p);

	o.ifc = &w->ip->ifcs[p->ifc];
	if (to == 0 || m->pkt_len + l3_len > p->mtu || m->data_len < ip_l4_front(tx) ||
		!ip_plain_buffer(m, o.ifc->l2_len + l3_len, false))
		return false;
	ip_l4_cksum_put(&o, m, true);
	rte_pktmbuf_prepend(m, o.ifc->l2_len + l3_len);
	ip_l3_header(w, &o, m, payload, NULL);
	neigh_put_mac(rte_pktmbuf_mtod(m, uint8_t *), to);
	rte_mbuf_refcnt_set(m, 2);
	worker_tx(w, p->ifc, m);
	return true;
}

bool
ip_output_lent(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx)
{
	return ip_path_stands(w, p) &&
		(likely(ip4_output_plain(w, p, k, m, tx, true)) ||
			ip_output_lent_any(w, p, k, m, tx));
}

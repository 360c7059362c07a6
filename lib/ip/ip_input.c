/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Input: link header, VLAN, and the transport headers that both IP versions share.
 * Each step checks a length before it reads, and a checksum before it believes.
 */
#include <rte_prefetch.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "ip_cksum.h"
#include "ip_priv.h"

#define IP_PREFETCH 4 /* packets ahead */

/* Remove nothing, find out much: type, offset of what follows, and the tag. */
static struct rte_mbuf *
ip_link_header(struct worker *w, struct rte_mbuf *m, const struct ip_ifc *ifc, uint16_t *ret_type)
{
	uint16_t vid = (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 ? m->vlan_tci & 0xfff : 0;
	uint16_t l3 = IP_ETH_LEN, type;

	if (m->pkt_len < IP_ETH_LEN) {
		drop(w, m, DROP_ETH_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, IP_ETH_LEN);
	if (m == NULL)
		return NULL;
	type = ip_get16(rte_pktmbuf_mtod_offset(m, uint8_t *, 12));
	if (type == RTE_ETHER_TYPE_VLAN) {
		l3 += IP_VLAN_LEN;
		if (m->pkt_len < l3) {
			drop(w, m, DROP_ETH_SHORT);
			return NULL;
		}
		m = ip_pull(w, m, l3);
		if (m == NULL)
			return NULL;
		vid = ip_get16(rte_pktmbuf_mtod_offset(m, uint8_t *, 14)) & 0xfff;
		type = ip_get16(rte_pktmbuf_mtod_offset(m, uint8_t *, 16));
	}
	/* A tag with number 0 carries only a priority (IEEE 802.1Q). */
	if (vid != ifc->vlan) {
		drop(w, m, DROP_VLAN);
		return NULL;
	}
	pkt_of(m)->l3_off = l3;
	*ret_type = type;
	return m;
}

static __rte_noinline struct rte_mbuf *
ip_input_frame(struct worker *w, unsigned i, struct rte_mbuf *m)
{
	const struct ip_ifc *ifc = &w->ip->ifcs[i];
	const struct rte_ether_addr *dst;
	uint16_t type;

	m = ip_adopt(w, m);
	if (m == NULL)
		return NULL;
	m = ip_link_header(w, m, ifc, &type);
	if (m == NULL)
		return NULL;
	pkt_of(m)->next = NULL;
	pkt_of(m)->ifc = (uint8_t)i;
	pkt_of(m)->flags = 0;
	pkt_of(m)->kind = PKT_KINDS; /* not known yet */
	dst = rte_pktmbuf_mtod(m, const struct rte_ether_addr *);
	if ((dst->addr_bytes[0] & 1) != 0) {
		pkt_of(m)->flags = PKT_GROUP;
	} else if (memcmp(dst, &ifc->mac, 6) != 0) {
		drop(w, m, DROP_ETH_DST);
		return NULL;
	}
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		return ip4_input(w, m);
	case RTE_ETHER_TYPE_IPV6:
		return ip6_input(w, m);
	case RTE_ETHER_TYPE_ARP:
		arp_input(w, m);
		break;
	default:
		drop(w, m, DROP_ETH_TYPE);
		break;
	}
	return NULL;
}

/* All at once, and not before the keys have left the store buffer. */
static void
ip_hash_burst(const struct ip *ip, struct rte_mbuf **m, unsigned n)
{
	const struct key *keys[WORKER_BURST];
	uint32_t hashes[WORKER_BURST];
	unsigned i = 0;

	if (n == 0)
		return;
	do
		keys[i] = &pkt_of(m[i])->key.k;
	while (++i < n);
	key_hash_burst(&ip->secret, keys, n, hashes);
	for (i = 0; i < n; i++)
		pkt_of(m[i])->hash = hashes[i];
}

unsigned
ip_input_burst(
	struct worker *w, unsigned ifc, struct rte_mbuf **m, unsigned n, struct rte_mbuf **ret_m)
{
	struct ip_ifc_count *c = &ip_self(w)->ifc[ifc];
	unsigned out = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < RTE_MIN(n, (unsigned)IP_PREFETCH); i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *up = m[i];

		if (i + IP_PREFETCH < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + IP_PREFETCH], void *));
		bytes += m[i]->pkt_len;
		if (unlikely(!ip_plain_input(w, ifc, up)))
			up = ip_input_frame(w, ifc, up);
		if (up != NULL)
			ret_m[out++] = up;
	}
	ip_hash_burst(w->ip, ret_m, out);
	w->c.received += n;
	ip_add(&c->rx_packets, n);
	ip_add(&c->rx_bytes, bytes);
	return out;
}

/* The port vouches for the transport checksum. NONE means "not filled in, but nothing was lost". */
static bool
ip_cksum_vouched(struct worker *w, const struct rte_mbuf *m, const struct pkt *p)
{
	uint64_t l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	return w->ip->ifcs[p->ifc].off.rx_l4_cksum &&
		(l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE);
}

static bool
ip_l4_cksum_ok(struct worker *w, const struct rte_mbuf *m, const struct pkt *p, uint8_t proto,
	uint32_t len)
{
	if (ip_cksum_vouched(w, m, p))
		return true;
	return ip_cksum_mbuf(m, p->l4_off, len,
		       ip_cksum_pseudo(p->key.k.raddr, p->key.k.laddr, proto, len)) == 0xffff;
}

static struct rte_mbuf *
ip_tcp_input(struct worker *w, struct rte_mbuf *m)
{
	uint16_t l4 = pkt_of(m)->l4_off;
	uint32_t len = m->pkt_len - l4;
	const struct rte_tcp_hdr *h;
	struct pkt *p;
	uint32_t hlen;

	/* RFC 1122 section 4.2.3.10: a conversation has one peer. */
	if ((pkt_of(m)->flags & PKT_GROUP) != 0) {
		drop(w, m, DROP_IP_MARTIAN);
		return NULL;
	}
	if (len < sizeof(*h)) {
		drop(w, m, DROP_TCP_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, (uint16_t)(l4 + sizeof(*h)));
	if (m == NULL)
		return NULL;
	h = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, l4);
	hlen = (uint32_t)(h->data_off >> 4) * 4;
	if (hlen < sizeof(*h) || hlen > len) {
		drop(w, m, DROP_TCP_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, (uint16_t)(l4 + hlen));
	if (m == NULL)
		return NULL;
	p = pkt_of(m);
	if (!ip_l4_cksum_ok(w, m, p, IPPROTO_TCP, len)) {
		drop(w, m, DROP_TCP_CKSUM);
		return NULL;
	}
	h = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, l4);
	p->kind = PKT_TCP;
	p->key.k.rport_be = h->src_port;
	p->key.k.lport_be = h->dst_port;
	p->data_off = (uint16_t)(l4 + hlen);
	p->data_len = (uint16_t)(len - hlen);
	return m;
}

static struct rte_mbuf *
ip_udp_input(struct worker *w, struct rte_mbuf *m)
{
	uint16_t l4 = pkt_of(m)->l4_off;
	uint32_t room = m->pkt_len - l4, len;
	const struct rte_udp_hdr *h;
	struct pkt *p;

	if (room < sizeof(*h)) {
		drop(w, m, DROP_UDP_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, (uint16_t)(l4 + sizeof(*h)));
	if (m == NULL)
		return NULL;
	p = pkt_of(m);
	h = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, l4);
	len = rte_be_to_cpu_16(h->dgram_len);
	if (len < sizeof(*h) || len > room) {
		drop(w, m, DROP_UDP_SHORT);
		return NULL;
	}
	/* No checksum: RFC 768 allows it, RFC 8200 section 8.1 does not. */
	if (h->dgram_cksum == 0 ? (p->flags & PKT_V6) != 0
				: !ip_l4_cksum_ok(w, m, p, IPPROTO_UDP, len)) {
		drop(w, m, DROP_UDP_CKSUM);
		return NULL;
	}
	p->kind = PKT_UDP;
	p->key.k.rport_be = h->src_port;
	p->key.k.lport_be = h->dst_port;
	p->data_off = (uint16_t)(l4 + sizeof(*h));
	p->data_len = (uint16_t)(len - sizeof(*h));
	ip_trim(m, l4 + len);
	return m;
}

/* A TCP or UDP packet whose addresses stand in its key, and that ends where IP says. */
struct rte_mbuf *
ip_l4_input(struct worker *w, struct rte_mbuf *m, uint8_t proto)
{
	m = proto == IPPROTO_TCP ? ip_tcp_input(w, m) : ip_udp_input(w, m);
	if (m == NULL)
		return NULL;
	pkt_of(m)->key.k.proto = proto;
	ip_key_done(pkt_of(m), KEY_TUPLE);
	return m;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The short way in. Nearly every packet is like this: TCP or UDP over IPv4 in one buffer of ours, untagged, without IP options,
 * whole, from another host to the address that we were first given on this link, and without a fault. Then all that the long way
 * does step by step (ip_input.c, ip4_input.c) is a few compares with what is known beforehand of such a frame.
 */
#include <rte_tcp.h>
#include <rte_udp.h>

#include "ip_cksum.h"
#include "ip_priv.h"

#define PLAIN_L4 (IP_ETH_LEN + sizeof(struct rte_ipv4_hdr))

/* What of a packet's ol_flags matters here. */
#define PLAIN_OL_FLAGS \
	(RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK)

static inline uint64_t
plain_get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static inline uint32_t
plain_get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* As they lie in memory: all ones where the frame must be like the template. */
static const uint8_t plain_mask_dst[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0};
static const uint8_t plain_mask_type[4] = {
	0xff, 0xff, 0xff, 0}; /* type, version and length; not TOS */

/** All but the address. */
void
ip_plain_init(struct ip_ifc *ifc)
{
	struct ip_plain *t = &ifc->plain;
	uint8_t frame[PLAIN_L4] = {0};
	uint64_t tx = RTE_MBUF_F_TX_IPV4 | (ifc->off.tx_ip_cksum ? RTE_MBUF_F_TX_IP_CKSUM : 0);

	memcpy(frame, &ifc->mac, 6);
	ip_put16(frame + 12, RTE_ETHER_TYPE_IPV4);
	frame[IP_ETH_LEN] = 0x45;
	t->dst = plain_get64(frame);
	t->type = plain_get32(frame + 12);
	/* Where the port vouches for both checksums, they are right if it says so. Else no flags are equal to this. */
	t->rx_flags = ifc->off.rx_ip_cksum && ifc->off.rx_l4_cksum
		? RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD
		: UINT64_MAX;
	memcpy(t->eth, &ifc->mac, 6);
	ip_put16(t->eth + 6, RTE_ETHER_TYPE_IPV4);
	t->tx_flags[0] = tx | (ifc->off.tx_udp_cksum ? RTE_MBUF_F_TX_UDP_CKSUM : 0);
	t->tx_flags[1] = tx | (ifc->off.tx_tcp_cksum ? RTE_MBUF_F_TX_TCP_CKSUM : 0);
}

/** Our first address of IPv4 is that of plain packets. */
void
ip_plain_address(struct ip_ifc *ifc, const struct ip_addr *a)
{
	if (ifc->plain.addr != NULL || !ip_v4(a->addr) || ifc->vlan != 0)
		return;
	ifc->plain.to_be = plain_get32(a->addr + 12);
	ifc->plain.addr = a;
}

/* Ethernet and IP header are the template's. */
static inline bool
plain_header(const struct ip_plain *t, const uint8_t *eth)
{
	const uint32_t whole = rte_cpu_to_be_32(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
	uint64_t differs = (plain_get64(eth) ^ t->dst) & plain_get64(plain_mask_dst);

	differs |= (plain_get32(eth + 12) ^ t->type) & plain_get32(plain_mask_type);
	differs |= plain_get32(eth + IP_ETH_LEN + 4) & whole;
	differs |= plain_get32(eth + IP_ETH_LEN + 16) ^ t->to_be;
	return differs == 0;
}

/* Can be a source (ip4_check_addresses), if it is not ours. */
static inline bool
plain_source(const struct ip_ifc *ifc, uint32_t src_be)
{
	uint32_t top = rte_be_to_cpu_32(src_be) >> 24;

	return top - 1 < 223 && top != 127 && !ip4_is_broadcast(ifc, src_be);
}

/* The checksums of a packet for which the port does not vouch. */
static bool
plain_cksum_ok(const struct ip_ifc *ifc, const struct rte_mbuf *m, const struct rte_ipv4_hdr *h,
	uint32_t len)
{
	uint64_t l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(h + 1);

	if (!ip4_cksum_ok(ifc, m, h, sizeof(*h)))
		return false;
	if (ifc->off.rx_l4_cksum &&
		(l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE))
		return true;
	if (h->next_proto_id == IPPROTO_UDP && udp->dgram_cksum == 0)
		return true;
	return ip_cksum_fold((uint64_t)ip_cksum_bytes(h + 1, len) +
		       ip4_cksum_pseudo(h->src_addr, h->dst_addr, h->next_proto_id, len)) == 0xffff;
}

/* How long the transport header is, if it is one; len: what IP says there is. */
static inline uint32_t
plain_l4_len(const struct rte_ipv4_hdr *h, uint32_t len)
{
	uint32_t hlen;

	if (h->next_proto_id == IPPROTO_UDP)
		/* Shorter than IP has it: RFC 768 allows that, but who does it? */
		return ((const struct rte_udp_hdr *)(h + 1))->dgram_len ==
				rte_cpu_to_be_16((uint16_t)len)
			? sizeof(struct rte_udp_hdr)
			: 0;
	if (h->next_proto_id != IPPROTO_TCP || len < sizeof(struct rte_tcp_hdr))
		return 0;
	hlen = (uint32_t)(((const struct rte_tcp_hdr *)(h + 1))->data_off >> 4) * 4;
	return hlen >= sizeof(struct rte_tcp_hdr) && hlen <= len ? hlen : 0;
}

static inline void
plain_key(struct key48 *key, const struct rte_ipv4_hdr *h)
{
	uint32_t tail[2] = {plain_get32(h + 1),
		rte_cpu_to_be_32((uint32_t)h->next_proto_id << 24 | KEY_TUPLE << 16)};

	ip_map_v4(key->k.raddr, h->src_addr);
	ip_map_v4(key->k.laddr, h->dst_addr);
	memcpy(&key->k.rport_be, tail, sizeof(tail));
	key->pad = 0;
}

/**
 * If m, of interface i, is plain, fill in its pkt, all but the hash, and cut off what follows the packet.
 * @return false: it is not; the frame is as it was, and the long way knows what is the matter, if anything is
 */
bool
ip_plain_input(struct worker *w, unsigned i, struct rte_mbuf *m)
{
	const struct ip_ifc *ifc = &w->ip->ifcs[i];
	const struct ip_plain *t = &ifc->plain;
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)(eth + IP_ETH_LEN);
	uint32_t len, hlen;
	struct pkt *p;

	if (t->addr == NULL || m->pool != w->mp || m->nb_segs != 1 ||
		rte_mbuf_refcnt_read(m) != 1 ||
		m->data_len < PLAIN_L4 + sizeof(struct rte_udp_hdr) || !plain_header(t, eth))
		return false;
	len = (uint32_t)rte_be_to_cpu_16(h->total_length) - (uint32_t)sizeof(*h);
	if (len > m->data_len - PLAIN_L4 || len < sizeof(struct rte_udp_hdr) ||
		!plain_source(ifc, h->src_addr))
		return false;
	hlen = plain_l4_len(h, len);
	/* Relaxed: see ip_addr_usable. */
	if (hlen == 0 ||
		atomic_load_explicit(&t->addr->state, memory_order_relaxed) != IP_ADDR_PREFERRED)
		return false;
	if ((m->ol_flags & PLAIN_OL_FLAGS) != t->rx_flags &&
		((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 ||
			!plain_cksum_ok(ifc, m, h, len)))
		return false;
	p = pkt_of(m);
	plain_key(&p->key, h);
	if (unlikely(ip_addr_find(w->ip, p->key.k.raddr, i) != NULL))
		return false;
	p->kind = h->next_proto_id == IPPROTO_UDP ? PKT_UDP : PKT_TCP;
	p->flags = (h->type_of_service & 3) == 3 ? PKT_CE : 0;
	p->ifc = (uint8_t)i;
	p->ttl = h->time_to_live;
	p->l3_off = IP_ETH_LEN;
	p->l4_off = PLAIN_L4;
	p->data_off = (uint16_t)(PLAIN_L4 + hlen);
	p->data_len = (uint16_t)(len - hlen);
	p->tos = h->type_of_service;
	p->next = NULL;
	m->data_len = (uint16_t)(PLAIN_L4 + len);
	m->pkt_len = m->data_len;
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * IPv4 input (RFC 791, RFC 1122 section 3.2).
 */
#include <netinet/in.h>

#include "ip_cksum.h"
#include "ip_priv.h"

#define IP4_OPT_END  0
#define IP4_OPT_NOP  1
#define IP4_OPT_LSRR 131
#define IP4_OPT_SSRR 137

#define IP4_OK       DROP_MAX /* no reason to drop */

/* Lengths, version and checksum; the whole header is contiguous afterwards. *m may change, and is
 * NULL if it was dropped on the way. */
static enum drop_reason
ip4_check_header(struct worker *w, struct rte_mbuf **m)
{
	uint16_t l3 = pkt_of(*m)->l3_off;
	uint32_t room = (*m)->pkt_len - l3, hlen, total;
	const struct rte_ipv4_hdr *h;

	if (room < sizeof(*h))
		return DROP_IP4_SHORT;
	*m = ip_pull(w, *m, (uint16_t)(l3 + sizeof(*h)));
	if (*m == NULL)
		return IP4_OK;
	h = rte_pktmbuf_mtod_offset(*m, const struct rte_ipv4_hdr *, l3);
	hlen = (uint32_t)(h->version_ihl & 15) * 4;
	total = rte_be_to_cpu_16(h->total_length);
	if (h->version_ihl >> 4 != 4 || hlen < sizeof(*h))
		return DROP_IP4_HEADER;
	if (total < hlen || total > room)
		return DROP_IP4_SHORT;
	*m = ip_pull(w, *m, (uint16_t)(l3 + hlen));
	if (*m == NULL)
		return IP4_OK;
	h = rte_pktmbuf_mtod_offset(*m, const struct rte_ipv4_hdr *, l3);
	if (!ip4_cksum_ok(&w->ip->ifcs[pkt_of(*m)->ifc], *m, h, hlen))
		return DROP_IP4_CKSUM;
	/* What follows the packet is the link's padding. */
	ip_trim(*m, l3 + total);
	return IP4_OK;
}

/* RFC 1122 section 3.2.1.8: all are understood well enough to skip them; a source route, which
 * would make us send to where the sender wants, is refused (RFC 7126 section 4.3). */
static enum drop_reason
ip4_check_options(const struct rte_ipv4_hdr *h)
{
	const uint8_t *p = (const uint8_t *)(h + 1);
	unsigned left = (h->version_ihl & 15u) * 4 - (unsigned)sizeof(*h);

	while (left > 0 && *p != IP4_OPT_END) {
		unsigned len = 1;

		if (*p != IP4_OPT_NOP) {
			if (left < 2 || p[1] < 2 || p[1] > left)
				return DROP_IP4_OPTION;
			len = p[1];
		}
		if (*p == IP4_OPT_LSRR || *p == IP4_OPT_SSRR)
			return DROP_IP4_OPTION;
		p += len;
		left -= len;
	}
	return IP4_OK;
}

/* Addresses that have no place on a wire (RFC 1122 section 3.2.1.3, RFC 6890). */
static bool
ip4_martian(uint32_t addr_be)
{
	uint32_t top = rte_be_to_cpu_32(addr_be) >> 24;

	return top == 0 || top == 127;
}

/* Source and destination; sets PKT_GROUP if it is for more than us. */
static enum drop_reason
ip4_check_addresses(struct worker *w, struct pkt *p, const struct rte_ipv4_hdr *h)
{
	const struct ip_ifc *ifc = &w->ip->ifcs[p->ifc];
	uint32_t src = rte_be_to_cpu_32(h->src_addr);

	ip_map_v4(p->key.k.raddr, h->src_addr);
	ip_map_v4(p->key.k.laddr, h->dst_addr);
	if (ip4_martian(h->src_addr) || src >> 28 >= 14 || ip4_martian(h->dst_addr) ||
		ip4_is_broadcast(ifc, h->src_addr) ||
		ip_addr_find(w->ip, p->key.k.raddr, p->ifc) != NULL)
		return DROP_IP_MARTIAN;
	if (likely(ip_addr_usable(w->ip, p->key.k.laddr, p->ifc))) {
		/* RFC 1122 section 3.3.6: for one host, but sent to all on the link. */
		return (p->flags & PKT_GROUP) != 0 ? DROP_IP_MARTIAN : IP4_OK;
	}
	if (!ip4_is_broadcast(ifc, h->dst_addr) && h->dst_addr != RTE_BE32(0xe0000001))
		return DROP_IP_NOT_OURS;
	p->flags |= PKT_GROUP;
	return IP4_OK;
}

/* A piece (RFC 791 section 3.2): handed up as it is, under the key of its datagram. */
static struct rte_mbuf *
ip4_fragment(struct worker *w, struct rte_mbuf *m, const struct rte_ipv4_hdr *h)
{
	struct pkt *p = pkt_of(m);
	uint16_t field = rte_be_to_cpu_16(h->fragment_offset);
	uint32_t offset = (uint32_t)(field & RTE_IPV4_HDR_OFFSET_MASK) * 8;
	uint32_t len = m->pkt_len - p->l4_off;
	bool more = (field & RTE_IPV4_HDR_MF_FLAG) != 0;

	if (len == 0 || (more && len % 8 != 0) || offset + len + (p->l4_off - p->l3_off) > 65535) {
		drop(w, m, DROP_FRAG_BAD);
		return NULL;
	}
	ip_count(w, IP_STAT_fragments_in);
	p->kind = PKT_FRAGMENT;
	p->frag.offset = offset;
	p->frag.len = (uint16_t)len;
	p->frag.more = more;
	p->frag.proto = h->next_proto_id;
	p->data_off = p->l4_off;
	p->data_len = (uint16_t)len;
	p->key.k.rport_be = h->packet_id;
	p->key.k.lport_be = 0;
	p->key.k.proto = h->next_proto_id;
	ip_key_done(p, KEY_FRAGMENT);
	return m;
}

static struct rte_mbuf *
ip4_deliver(struct worker *w, struct rte_mbuf *m, uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return ip_l4_input(w, m, proto);
	case IPPROTO_ICMP:
		return icmp_input(w, m);
	default:
		/* RFC 1122 section 3.2.2.1: protocol unreachable. */
		icmp_send_error(w, m, (struct icmp_what){3, 2, 0});
		drop(w, m, DROP_IP_PROTO);
		return NULL;
	}
}

struct rte_mbuf *
ip4_input(struct worker *w, struct rte_mbuf *m)
{
	enum drop_reason r = ip4_check_header(w, &m);
	const struct rte_ipv4_hdr *h;
	struct pkt *p;

	if (unlikely(m == NULL))
		return NULL;
	p = pkt_of(m);
	h = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, p->l3_off);
	if (r == IP4_OK)
		r = ip4_check_options(h);
	if (r == IP4_OK)
		r = ip4_check_addresses(w, p, h);
	if (unlikely(r != IP4_OK)) {
		drop(w, m, r);
		return NULL;
	}
	p->ttl = h->time_to_live;
	p->tos = h->type_of_service;
	if ((p->tos & 3) == 3)
		p->flags |= PKT_CE;
	p->l4_off = (uint16_t)(p->l3_off + (h->version_ihl & 15) * 4);
	p->key.k.proto = h->next_proto_id;
	if (unlikely((h->fragment_offset &
			     RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0))
		return ip4_fragment(w, m, h);
	return ip4_deliver(w, m, h->next_proto_id);
}

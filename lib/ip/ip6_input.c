/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * IPv6 input (RFC 8200): header, extension headers within limits (RFC 8504 section 5.3),
 * fragments.
 */
#include "ip_priv.h"

#define IP6_EXTENSIONS_MAX      8 /* headers */
#define IP6_EXTENSION_BYTES_MAX 512 /* all of them */
#define IP6_OPTIONS_MAX         16 /* in one header */

#define IP6_HOP_BY_HOP          0
#define IP6_ROUTING             43
#define IP6_FRAGMENT            44
#define IP6_ESP                 50
#define IP6_AUTH                51
#define IP6_NONE                59
#define IP6_DESTINATION         60
#define IP6_MOBILITY            135
#define IP6_HIP                 139
#define IP6_SHIM6               140

#define ICMP6_PARAMETER         4
#define ICMP6_FIELD             0 /* erroneous header field */
#define ICMP6_HEADER            1 /* unrecognized next header */
#define ICMP6_OPTION            2 /* unrecognized option */
#define ICMP6_CHAIN             3 /* first fragment without the whole header chain (RFC 7112) */

#define IP6_OK                  DROP_MAX /* no reason to drop */

/* The way through a packet's headers. */
struct ip6_walk {
	struct rte_mbuf *m; /* NULL: it ended on the way */
	uint16_t off; /* of the header that nh names */
	uint16_t nh_off; /* of the byte that named it */
	uint8_t nh;
	uint8_t count;
	bool up; /* m is a fragment to be handed up */
};

static const uint8_t *
ip6_at(const struct ip6_walk *k)
{
	return rte_pktmbuf_mtod_offset(k->m, const uint8_t *, k->off);
}

static void
ip6_drop(struct worker *w, struct ip6_walk *k, enum drop_reason r)
{
	drop(w, k->m, r);
	k->m = NULL;
}

/* Drop the packet and tell its sender why: code, and off, the place of the fault. */
static void
ip6_refuse(struct worker *w, struct ip6_walk *k, enum drop_reason r, uint8_t code, uint16_t off)
{
	icmp_send_error(w, k->m,
		(struct icmp_what){ICMP6_PARAMETER, code, (uint32_t)off - pkt_of(k->m)->l3_off});
	ip6_drop(w, k, r);
}

/* Make len bytes from the walk's place on contiguous; false: it ended here. */
static bool
ip6_need(struct worker *w, struct ip6_walk *k, uint32_t len)
{
	if (k->m->pkt_len < k->off + len) {
		ip6_drop(w, k, DROP_IP6_EXTENSION);
		return false;
	}
	k->m = ip_pull(w, k->m, (uint16_t)(k->off + len));
	return k->m != NULL;
}

/* Options of a hop-by-hop or destination header (RFC 8200 section 4.2). All are unknown but the
 * paddings; what to do then stands in the top bits of each. False: it ended here. */
static bool
ip6_options(struct worker *w, struct ip6_walk *k, uint16_t len)
{
	uint16_t at = 2;

	for (unsigned n = 0; at < len; n++) {
		const uint8_t *o = ip6_at(k) + at;
		bool group = (pkt_of(k->m)->flags & PKT_GROUP) != 0;

		if (*o == 0) { /* Pad1 */
			at++;
			continue;
		}
		if (at + 2 > len || at + 2 + o[1] > len || n == IP6_OPTIONS_MAX) {
			ip6_drop(w, k, DROP_IP6_EXTENSION);
			return false;
		}
		if (*o >> 6 != 0) {
			if (*o >> 6 == 2 || (*o >> 6 == 3 && !group))
				ip6_refuse(w, k, DROP_IP6_EXTENSION, ICMP6_OPTION,
					(uint16_t)(k->off + at));
			else
				ip6_drop(w, k, DROP_IP6_EXTENSION);
			return false;
		}
		at += 2 + o[1];
	}
	return true;
}

/* Step over a header of the common form: next header, length in units of 8 bytes. */
static void
ip6_step(struct worker *w, struct ip6_walk *k)
{
	uint16_t len, l3 = pkt_of(k->m)->l3_off;

	if (!ip6_need(w, k, 8))
		return;
	len = (uint16_t)((ip6_at(k)[1] + 1) * 8);
	if (k->count == IP6_EXTENSIONS_MAX || k->off + len - l3 - 40 > IP6_EXTENSION_BYTES_MAX) {
		ip6_drop(w, k, DROP_IP6_EXTENSION);
		return;
	}
	if (!ip6_need(w, k, len))
		return;
	if (k->nh == IP6_ROUTING) {
		/* Section 4.4: nothing left to visit, or a type that we don't know; of type 0 RFC 5095 says so. */
		if (ip6_at(k)[3] != 0) {
			ip6_refuse(w, k, DROP_IP6_EXTENSION, ICMP6_FIELD, k->off + 2);
			return;
		}
	} else if (!ip6_options(w, k, len)) {
		return;
	}
	k->count++;
	k->nh_off = k->off;
	k->nh = *ip6_at(k);
	k->off += len;
}

/* A first fragment holds all headers up to the transport's (RFC 7112). */
static bool
ip6_chain_whole(const struct rte_mbuf *m, uint32_t off, uint8_t nh)
{
	uint8_t b[2];

	for (unsigned n = 0; n <= IP6_EXTENSIONS_MAX; n++) {
		const uint8_t *h;

		switch (nh) {
		case IP6_HOP_BY_HOP:
		case IP6_ROUTING:
		case IP6_DESTINATION:
			h = rte_pktmbuf_read(m, off, 2, b);
			if (h == NULL)
				return false;
			nh = h[0];
			off += (h[1] + 1u) * 8;
			break;
		case IPPROTO_TCP:
			return m->pkt_len >= off + 20;
		case IPPROTO_UDP:
		case IPPROTO_ICMPV6:
			return m->pkt_len >= off + 8;
		default:
			return m->pkt_len >= off;
		}
	}
	return false;
}

/* Section 4.5. A packet in one piece goes on as if the header were not there (RFC 6946). */
static void
ip6_fragment(struct worker *w, struct ip6_walk *k)
{
	uint32_t offset, len;
	struct pkt *p;
	bool more;

	if (!ip6_need(w, k, 8))
		return;
	p = pkt_of(k->m);
	offset = ip_get16(ip6_at(k) + 2) & 0xfff8;
	more = (ip6_at(k)[3] & 1) != 0;
	len = k->m->pkt_len - k->off - 8;
	if (offset == 0 && !more) {
		ip_count(w, IP_STAT_atomic_fragments_in);
		k->count++;
		k->nh_off = k->off;
		k->nh = *ip6_at(k);
		k->off += 8;
		if (k->count > IP6_EXTENSIONS_MAX)
			ip6_drop(w, k, DROP_IP6_EXTENSION);
		return;
	}
	if (len == 0) {
		ip6_drop(w, k, DROP_FRAG_BAD);
	} else if (more && len % 8 != 0) {
		ip6_refuse(w, k, DROP_FRAG_BAD, ICMP6_FIELD, p->l3_off + 4);
	} else if (offset + len + k->off - p->l3_off - 40 > 65535) {
		ip6_refuse(w, k, DROP_FRAG_BAD, ICMP6_FIELD, k->off + 2);
	} else if (offset == 0 && !ip6_chain_whole(k->m, k->off + 8, *ip6_at(k))) {
		ip6_refuse(w, k, DROP_IP6_EXTENSION, ICMP6_CHAIN, k->off);
	} else {
		ip_count(w, IP_STAT_fragments_in);
		p->kind = PKT_FRAGMENT;
		p->frag.offset = offset;
		p->frag.len = (uint16_t)len;
		p->frag.more = more;
		p->frag.proto = *ip6_at(k);
		p->l4_off = p->data_off = k->off + 8;
		p->data_len = (uint16_t)len;
		memcpy(&p->key.k.rport_be, ip6_at(k) + 4, 2);
		memcpy(&p->key.k.lport_be, ip6_at(k) + 6, 2);
		/* Pieces may name different next headers; only the first one's counts. */
		p->key.k.proto = IPPROTO_FRAGMENT;
		ip_key_done(p, KEY_FRAGMENT);
		k->up = true;
	}
}

static struct rte_mbuf *
ip6_deliver(struct worker *w, struct ip6_walk *k)
{
	struct pkt *p = pkt_of(k->m);

	p->l4_off = k->off;
	p->key.k.proto = k->nh;
	/* Who has no address yet speaks nothing but ICMPv6 (RFC 4291 section 2.5.2). */
	if (k->nh != IPPROTO_ICMPV6 && ip_zero(p->key.k.raddr)) {
		drop(w, k->m, DROP_IP_MARTIAN);
		return NULL;
	}
	switch (k->nh) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return ip_l4_input(w, k->m, k->nh);
	case IPPROTO_ICMPV6:
		return icmp6_input(w, k->m);
	case IP6_NONE:
		drop(w, k->m, DROP_IP_PROTO);
		return NULL;
	case IP6_HOP_BY_HOP: /* not the first: section 4.1 */
	case IP6_ESP:
	case IP6_AUTH:
	case IP6_MOBILITY:
	case IP6_HIP:
	case IP6_SHIM6:
		ip6_refuse(w, k, DROP_IP6_EXTENSION, ICMP6_HEADER, k->nh_off);
		return NULL;
	default:
		ip6_refuse(w, k, DROP_IP_PROTO, ICMP6_HEADER, k->nh_off);
		return NULL;
	}
}

static struct rte_mbuf *
ip6_headers(struct worker *w, struct ip6_walk *k)
{
	uint16_t first = k->off;

	while (k->m != NULL && !k->up) {
		if (k->nh == IP6_FRAGMENT)
			ip6_fragment(w, k);
		else if (k->nh == IP6_DESTINATION || k->nh == IP6_ROUTING ||
			(k->nh == IP6_HOP_BY_HOP && k->off == first))
			ip6_step(w, k);
		else
			return ip6_deliver(w, k);
	}
	return k->m;
}

/* Version and length. *m may change, and is NULL if it was dropped on the way. */
static enum drop_reason
ip6_check_header(struct worker *w, struct rte_mbuf **m)
{
	uint16_t l3 = pkt_of(*m)->l3_off;
	const struct rte_ipv6_hdr *h;
	uint32_t total;

	if ((*m)->pkt_len - l3 < sizeof(*h))
		return DROP_IP6_SHORT;
	*m = ip_pull(w, *m, (uint16_t)(l3 + sizeof(*h)));
	if (*m == NULL)
		return IP6_OK;
	h = rte_pktmbuf_mtod_offset(*m, const struct rte_ipv6_hdr *, l3);
	total = l3 + (uint32_t)sizeof(*h) + rte_be_to_cpu_16(h->payload_len);
	if (*(const uint8_t *)h >> 4 != 6)
		return DROP_IP6_HEADER;
	if (total > (*m)->pkt_len)
		return DROP_IP6_SHORT;
	ip_trim(*m, total);
	return IP6_OK;
}

/* ff02::1, or the solicited-node address of one of ours (RFC 4291 section 2.7.1). */
static bool
ip6_our_group(const struct ip_ifc *ifc, const uint8_t addr[16])
{
	static const uint8_t all[16] = {0xff, 2, [15] = 1};
	static const uint8_t solicited[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	if (memcmp(addr, all, 16) == 0)
		return true;
	if (memcmp(addr, solicited, 13) != 0)
		return false;
	for (unsigned i = 0; i < ifc->naddrs; i++)
		if (!ip_v4(ifc->addrs[i].addr) &&
			memcmp(ifc->addrs[i].addr + 13, addr + 13, 3) == 0)
			return true;
	return false;
}

/* Addresses that have no place on a wire: loopback, mapped, none as destination, groups as source,
 * groups of no scope or of the host's own (RFC 4291 sections 2.5, 2.7). */
static bool
ip6_martian(const uint8_t src[16], const uint8_t dst[16])
{
	static const uint8_t loopback[16] = {[15] = 1};

	return src[0] == 0xff || memcmp(src, loopback, 16) == 0 || ip_v4(src) || ip_zero(dst) ||
		memcmp(dst, loopback, 16) == 0 || ip_v4(dst) ||
		(dst[0] == 0xff && (dst[1] & 0xf) < 2);
}

static enum drop_reason
ip6_check_addresses(struct worker *w, struct pkt *p, const struct rte_ipv6_hdr *h)
{
	memcpy(p->key.k.raddr, h->src_addr, 16);
	memcpy(p->key.k.laddr, h->dst_addr, 16);
	/* An address that is tentative may well turn out to be somebody else's. */
	if (ip6_martian(h->src_addr, h->dst_addr) || ip_addr_usable(w->ip, h->src_addr, p->ifc))
		return DROP_IP_MARTIAN;
	if (likely(ip_addr_usable(w->ip, h->dst_addr, p->ifc)))
		return (p->flags & PKT_GROUP) != 0 ? DROP_IP_MARTIAN : IP6_OK;
	if (h->dst_addr[0] != 0xff || !ip6_our_group(&w->ip->ifcs[p->ifc], h->dst_addr))
		return DROP_IP_NOT_OURS;
	p->flags |= PKT_GROUP;
	return IP6_OK;
}

struct rte_mbuf *
ip6_input(struct worker *w, struct rte_mbuf *m)
{
	enum drop_reason r = ip6_check_header(w, &m);
	const struct rte_ipv6_hdr *h;
	struct ip6_walk k;
	struct pkt *p;

	if (unlikely(m == NULL))
		return NULL;
	p = pkt_of(m);
	h = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, p->l3_off);
	if (r == IP6_OK)
		r = ip6_check_addresses(w, p, h);
	if (unlikely(r != IP6_OK)) {
		drop(w, m, r);
		return NULL;
	}
	p->flags |= PKT_V6;
	p->ttl = h->hop_limits;
	p->tos = (uint8_t)(rte_be_to_cpu_32(h->vtc_flow) >> 20);
	if ((p->tos & 3) == 3)
		p->flags |= PKT_CE;
	p->key.k.proto = h->proto;
	k = (struct ip6_walk){
		.m = m,
		.off = (uint16_t)(p->l3_off + sizeof(*h)),
		.nh_off = (uint16_t)(p->l3_off + 6),
		.nh = h->proto,
	};
	return ip6_headers(w, &k);
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Neighbour discovery (RFC 4861), duplicate address detection (RFC 4862), default routers
 * from advertisements, and the MLDv2 reports (RFC 3810) without which a snooping switch
 * would not let solicitations through to us.
 */
#include "ip_cksum.h"
#include "ip_priv.h"

#define NDP_ROUTER_SOLICIT 133
#define NDP_ROUTER_ADV     134
#define NDP_SOLICIT        135
#define NDP_ADVERTISE      136
#define MLD_REPORT2        143

#define NDP_SOURCE_LL      1 /* options */
#define NDP_MTU            5
#define NDP_TARGET_LL      2

#define NDP_F_SOLICITED    0x40
#define NDP_F_OVERRIDE     0x20

#define NDP_HOPS           255 /* nobody off the link can send that */
#define NDP_MESSAGE_MAX    1500

static const uint8_t ndp_all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t ndp_all_routers[16] = {0xff, 2, [15] = 2};
static const uint8_t ndp_mld_routers[16] = {0xff, 2, [15] = 0x16};
static const uint8_t ndp_nobody[16];

/* RFC 4291 section 2.7.1 */
static void
ndp_solicited_node(const uint8_t addr[16], uint8_t ret[16])
{
	static const uint8_t prefix[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	memcpy(ret, prefix, 13);
	memcpy(ret + 13, addr + 13, 3);
}

/* RFC 2464 section 7 */
static struct rte_ether_addr
ndp_group_mac(const uint8_t addr[16])
{
	return (struct rte_ether_addr){{0x33, 0x33, addr[12], addr[13], addr[14], addr[15]}};
}

/* One message on its way out. */
struct ndp_out {
	unsigned ifc;
	const uint8_t *src, *dst;
	const struct rte_ether_addr *mac; /* NULL: the group's, by dst */
	uint8_t hops;
	bool alert; /* router alert option in front (RFC 2711) */
};

/* Send the ICMPv6 message in body, its checksum not filled in. */
static bool
ndp_send(struct worker *w, const struct ndp_out *o, const void *body, uint16_t len)
{
	static const uint8_t alert[8] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
	const struct ip_ifc *ifc = &w->ip->ifcs[o->ifc];
	struct rte_ether_addr mac = o->mac != NULL ? *o->mac : ndp_group_mac(o->dst);
	uint16_t ext = o->alert ? sizeof(alert) : 0, sum;
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
	struct rte_ipv6_hdr *h;
	uint8_t *p;

	if (m == NULL) {
		w->c.tx_no_mbuf++;
		return false;
	}
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(ifc->l2_len + sizeof(*h) + ext + len));
	ip_eth_header(ifc, p, &mac, RTE_ETHER_TYPE_IPV6);
	h = (struct rte_ipv6_hdr *)(p + ifc->l2_len);
	h->vtc_flow = RTE_BE32(UINT32_C(6) << 28);
	h->payload_len = rte_cpu_to_be_16((uint16_t)(ext + len));
	h->proto = o->alert ? 0 : IPPROTO_ICMPV6;
	h->hop_limits = o->hops;
	memcpy(h->src_addr, o->src, 16);
	memcpy(h->dst_addr, o->dst, 16);
	p = (uint8_t *)(h + 1);
	memcpy(p, alert, ext);
	memcpy(p + ext, body, len);
	sum = ip_cksum_pseudo(o->src, o->dst, IPPROTO_ICMPV6, len);
	sum = (uint16_t)~ip_cksum_fold((uint64_t)sum + rte_raw_cksum(p + ext, len));
	memcpy(p + ext + 2, &sum, 2);
	worker_tx(w, o->ifc, m);
	return true;
}

/* A message with a target and perhaps a link-layer address option; returns its length. */
static uint16_t
ndp_message(uint8_t *b, uint8_t type, uint8_t flags, const uint8_t target[16])
{
	memset(b, 0, 8);
	b[0] = type;
	b[4] = flags;
	memcpy(b + 8, target, 16);
	return 24;
}

static uint16_t
ndp_option(uint8_t *b, uint16_t len, uint8_t option, const struct rte_ether_addr *mac)
{
	b[len] = option;
	b[len + 1] = 1;
	memcpy(b + len + 2, mac, 6);
	return (uint16_t)(len + 8);
}

/* Ask for target's MAC; to NULL: all that might have it (RFC 4861 section 7.2.2). */
void
ndp_solicit(
	struct worker *w, unsigned ifc, const uint8_t target[16], const struct rte_ether_addr *to)
{
	const struct ip_addr *from = ip_ifc_source(&w->ip->ifcs[ifc], target);
	struct ndp_out o = {.ifc = ifc, .dst = target, .mac = to, .hops = NDP_HOPS};
	uint8_t b[32], group[16];
	uint16_t len = ndp_message(b, NDP_SOLICIT, 0, target);

	if (from == NULL)
		return; /* no address of ours may be used yet */
	o.src = from->addr;
	if (to == NULL) {
		ndp_solicited_node(target, group);
		o.dst = group;
	}
	len = ndp_option(b, len, NDP_SOURCE_LL, &w->ip->ifcs[ifc].mac);
	if (ndp_send(w, &o, b, len))
		ip_count(w, IP_STAT_ndp_solicitations_out);
}

/* RFC 4862 section 5.4.2: does anybody have it? */
void
ndp_dad_probe(struct worker *w, const struct ip_addr *a)
{
	uint8_t b[24], group[16];
	struct ndp_out o = {.ifc = a->ifc, .src = ndp_nobody, .dst = group, .hops = NDP_HOPS};

	ndp_solicited_node(a->addr, group);
	if (ndp_send(w, &o, b, ndp_message(b, NDP_SOLICIT, 0, a->addr)))
		ip_count(w, IP_STAT_ndp_solicitations_out);
}

static void
ndp_advertise(struct worker *w, const struct ip_addr *a, const uint8_t dst[16],
	const struct rte_ether_addr *mac, uint8_t flags)
{
	struct ndp_out o = {
		.ifc = a->ifc, .src = a->addr, .dst = dst, .mac = mac, .hops = NDP_HOPS};
	uint8_t b[32];
	uint16_t len = ndp_message(b, NDP_ADVERTISE, flags, a->addr);

	len = ndp_option(b, len, NDP_TARGET_LL, &w->ip->ifcs[a->ifc].mac);
	if (ndp_send(w, &o, b, len))
		ip_count(w, IP_STAT_ndp_advertisements_out);
}

/* Unsolicited (RFC 4861 section 7.2.6). */
void
ndp_announce(struct worker *w, const struct ip_addr *a)
{
	ndp_advertise(w, a, ndp_all_nodes, NULL, NDP_F_OVERRIDE);
}

/* Our link-local address, or none as long as it is tentative. */
static const uint8_t *
ndp_local_source(const struct ip_ifc *ifc)
{
	const struct ip_addr *a = ip_ifc_source(ifc, ndp_all_nodes);

	return a != NULL && ip_link_local(a->addr) ? a->addr : ndp_nobody;
}

/* RFC 4861 section 6.3.7 */
void
ndp_router_solicit(struct worker *w, unsigned ifc)
{
	const struct ip_ifc *f = &w->ip->ifcs[ifc];
	struct ndp_out o = {
		.ifc = ifc, .src = ndp_local_source(f), .dst = ndp_all_routers, .hops = NDP_HOPS};
	uint8_t b[16] = {NDP_ROUTER_SOLICIT};
	uint16_t len = 8;

	if (o.src != ndp_nobody)
		len = ndp_option(b, len, NDP_SOURCE_LL, &f->mac);
	if (ndp_send(w, &o, b, len))
		ip_count(w, IP_STAT_ndp_router_solicitations_out);
}

/* All groups that we listen to, as changes to "exclude nothing" (RFC 3810 sections 5.2, 6.1). */
void
ndp_mld_report(struct worker *w, unsigned ifc)
{
	const struct ip_ifc *f = &w->ip->ifcs[ifc];
	struct ndp_out o = {.ifc = ifc,
		.src = ndp_local_source(f),
		.dst = ndp_mld_routers,
		.hops = 1,
		.alert = true};
	uint8_t b[8 + 20 * IP_IFC_ADDRS] = {MLD_REPORT2};
	uint16_t n = 0;

	for (unsigned i = 0; i < f->naddrs; i++) {
		uint8_t *r = b + 8 + (size_t)20 * n;

		if (ip_v4(f->addrs[i].addr))
			continue;
		r[0] = 4;
		ndp_solicited_node(f->addrs[i].addr, r + 4);
		n++;
	}
	ip_put16(b + 6, n);
	if (ndp_send(w, &o, b, (uint16_t)(8 + 20 * n)))
		ip_count(w, IP_STAT_mld_reports_out);
}

/* What a message says. The pointers lead into the packet. */
struct ndp {
	const uint8_t *b;
	const struct rte_ether_addr *source, *target; /* link-layer address options, or NULL */
	const struct rte_ether_addr *from; /* the frame's source */
	uint32_t mtu; /* MTU option, or 0 */
};

/* RFC 4861 section 4.6; false if an option has no length, or one past the end. */
static bool
ndp_options(const uint8_t *p, uint32_t left, struct ndp *n)
{
	while (left >= 2) {
		uint32_t len = p[1] * 8u;
		const struct rte_ether_addr *mac = (const struct rte_ether_addr *)(p + 2);

		if (len == 0 || len > left)
			return false;
		if ((*p == NDP_SOURCE_LL || *p == NDP_TARGET_LL) && len == 8) {
			if (!rte_is_unicast_ether_addr(mac) || rte_is_zero_ether_addr(mac))
				return false;
			*(*p == NDP_SOURCE_LL ? &n->source : &n->target) = mac;
		}
		if (*p == NDP_MTU && len == 8)
			n->mtu = ip_get32(p + 4);
		p += len;
		left -= len;
	}
	return left == 0;
}

/* Somebody else has, or wants, an address that we are trying out (RFC 4862 section 5.4.3, 5.4.4). */
static void
ndp_duplicate(struct worker *w, struct ip_addr *a)
{
	uint8_t tentative = IP_ADDR_TENTATIVE;

	/* Relaxed: the state stands for itself. */
	if (!atomic_compare_exchange_strong_explicit(&a->state, &tentative, IP_ADDR_DUPLICATE,
		    memory_order_relaxed, memory_order_relaxed))
		return;
	ip_count(w, IP_STAT_ndp_dad_failures);
	ip_changed(w->ip);
}

/* RFC 4861 section 7.2.3 */
static void
ndp_solicit_input(struct worker *w, const struct pkt *p, const struct ndp *n)
{
	struct ip_addr *a = ip_addr_find(w->ip, n->b + 8, p->ifc);
	const uint8_t *src = p->key.k.raddr;

	if (a == NULL || a->ifc != p->ifc)
		return;
	if (atomic_load_explicit(&a->state, memory_order_relaxed) != IP_ADDR_PREFERRED) {
		if (ip_zero(src) && !rte_is_same_ether_addr(n->from, &w->ip->ifcs[p->ifc].mac))
			ndp_duplicate(w, a);
		return;
	}
	if (ip_zero(src)) {
		ndp_advertise(w, a, ndp_all_nodes, NULL, NDP_F_OVERRIDE);
		return;
	}
	if (!ip_on_link(&w->ip->ifcs[p->ifc], src))
		return;
	if (n->source != NULL)
		neigh_learn(w, p->ifc, src, n->source, NEIGH_CREATE | NEIGH_OVERRIDE);
	ndp_advertise(w, a, src, n->source != NULL ? n->source : n->from,
		NDP_F_SOLICITED | NDP_F_OVERRIDE);
}

/* RFC 4861 section 7.2.5 */
static void
ndp_advertise_input(struct worker *w, const struct pkt *p, const struct ndp *n)
{
	const uint8_t *target = n->b + 8;
	struct ip_addr *a = ip_addr_find(w->ip, target, p->ifc);
	unsigned flags = 0;

	if (a != NULL) {
		if (a->ifc == p->ifc && !rte_is_same_ether_addr(n->from, &w->ip->ifcs[p->ifc].mac))
			ndp_duplicate(w, a);
		return;
	}
	if ((n->b[4] & NDP_F_SOLICITED) != 0)
		flags |= NEIGH_SOLICITED;
	if ((n->b[4] & NDP_F_OVERRIDE) != 0)
		flags |= NEIGH_OVERRIDE;
	/* Who was not asked for makes no entry. */
	neigh_learn(w, p->ifc, target, n->target, flags);
}

/* RFC 4861 section 6.3.4: no less than every link must take, no more than this one does. */
static void
ndp_link_mtu(struct worker *w, struct ip_ifc *ifc, uint32_t mtu)
{
	if (mtu < IP6_MTU_MIN || mtu > ifc->mtu)
		return;
	/* Relaxed: a number of its own; paths look at it anew when ip_changed has told them to. */
	if (atomic_exchange_explicit(&ifc->mtu6, (uint16_t)mtu, memory_order_relaxed) != mtu)
		ip_changed(w->ip);
}

/* RFC 4861 section 6.3.4: a default router. */
static void
ndp_router_input(struct worker *w, const struct pkt *p, const struct ndp *n)
{
	const uint8_t *src = p->key.k.raddr;

	ip_router_set(w, p->ifc, src, ip_get16(n->b + 6));
	if (n->mtu != 0)
		ndp_link_mtu(w, &w->ip->ifcs[p->ifc], n->mtu);
	if (n->source != NULL)
		neigh_learn(w, p->ifc, src, n->source, NEIGH_CREATE | NEIGH_OVERRIDE);
}

/* RFC 4861 sections 6.1.2, 7.1.1, 7.1.2, without the options. */
static bool
ndp_valid(const struct pkt *p, const uint8_t *b, uint32_t len)
{
	static const uint8_t solicited[13] = {0xff, 2, [11] = 1, [12] = 0xff};
	const struct key *k = &p->key.k;
	uint32_t least = b[0] == NDP_ROUTER_ADV ? 16 : 24;

	/* RFC 6980: never in pieces. */
	if (p->ttl != NDP_HOPS || b[1] != 0 || len < least || (p->flags & PKT_JOINED) != 0)
		return false;
	if (b[0] == NDP_ROUTER_ADV)
		return ip_link_local(k->raddr);
	if (b[8] == 0xff)
		return false;
	if (b[0] == NDP_SOLICIT)
		return !ip_zero(k->raddr) || memcmp(k->laddr, solicited, 13) == 0;
	return !ip_zero(k->raddr) && ((p->flags & PKT_GROUP) == 0 || (b[4] & NDP_F_SOLICITED) == 0);
}

/* The message is whole, contiguous and its checksum good; false: it is malformed. */
static bool
ndp_handle(struct worker *w, const struct rte_mbuf *m, const struct pkt *p, uint32_t len)
{
	struct ndp n = {.b = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off),
		.from = rte_pktmbuf_mtod_offset(m, const struct rte_ether_addr *, 6)};
	uint32_t fixed = n.b[0] == NDP_ROUTER_ADV ? 16 : 24;

	if (!ndp_valid(p, n.b, len) || !ndp_options(n.b + fixed, len - fixed, &n))
		return false;
	switch (n.b[0]) {
	case NDP_SOLICIT:
		if (ip_zero(p->key.k.raddr) && n.source != NULL)
			return false;
		ip_count(w, IP_STAT_ndp_solicitations_in);
		ndp_solicit_input(w, p, &n);
		return true;
	case NDP_ADVERTISE:
		ip_count(w, IP_STAT_ndp_advertisements_in);
		ndp_advertise_input(w, p, &n);
		return true;
	default:
		ip_count(w, IP_STAT_ndp_router_advertisements_in);
		ndp_router_input(w, p, &n);
		return true;
	}
}

/* A solicitation or advertisement, of neighbour or router. Consumes m. */
void
ndp_input(struct worker *w, struct rte_mbuf *m)
{
	uint16_t l4 = pkt_of(m)->l4_off;
	uint32_t len = m->pkt_len - l4;

	if (*rte_pktmbuf_mtod_offset(m, const uint8_t *, l4) == NDP_ROUTER_ADV &&
		!w->ip->ifcs[pkt_of(m)->ifc].accept_ra) {
		drop(w, m, DROP_ICMP_TYPE);
		return;
	}
	if (len > NDP_MESSAGE_MAX) {
		drop(w, m, DROP_NDP_BAD);
		return;
	}
	m = ip_pull(w, m, (uint16_t)m->pkt_len);
	if (m == NULL)
		return;
	if (ndp_handle(w, m, pkt_of(m), len))
		consume(w, m);
	else
		drop(w, m, DROP_NDP_BAD);
}

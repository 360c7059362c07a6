/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * ARP (RFC 826), with the announcements and the defence of RFC 5227.
 */
#include "ip_priv.h"

#define ARP_LEN       28
#define ARP_REQUEST   1
#define ARP_REPLY     2
#define ARP_DEFEND_MS 10000 /* RFC 5227 section 1.1, DEFEND_INTERVAL */

static const struct rte_ether_addr arp_broadcast = {{255, 255, 255, 255, 255, 255}};
static const struct rte_ether_addr arp_unknown;

/* One ARP packet's fields. */
struct arp {
	uint16_t op;
	struct rte_ether_addr sha, tha;
	uint8_t spa[16], tpa[16]; /* mapped */
};

static bool
arp_send(struct worker *w, unsigned i, const struct arp *a, const struct rte_ether_addr *dst)
{
	const struct ip_ifc *ifc = &w->ip->ifcs[i];
	struct rte_mbuf *m = ip_header_mbuf(w);
	uint8_t *p;

	if (m == NULL)
		return false;
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(ifc->l2_len + ARP_LEN));
	ip_eth_header(ifc, p, dst, RTE_ETHER_TYPE_ARP);
	p += ifc->l2_len;
	ip_put16(p, 1);
	ip_put16(p + 2, RTE_ETHER_TYPE_IPV4);
	p[4] = 6;
	p[5] = 4;
	ip_put16(p + 6, a->op);
	memcpy(p + 8, &a->sha, 6);
	memcpy(p + 14, a->spa + 12, 4);
	memcpy(p + 18, &a->tha, 6);
	memcpy(p + 24, a->tpa + 12, 4);
	worker_tx(w, i, m);
	return true;
}

/* Ask who has target; to NULL: everybody. */
void
arp_solicit(
	struct worker *w, unsigned ifc, const uint8_t target[16], const struct rte_ether_addr *to)
{
	const struct ip_addr *from = ip_ifc_source(&w->ip->ifcs[ifc], target);
	struct arp a = {.op = ARP_REQUEST, .sha = w->ip->ifcs[ifc].mac};

	if (from == NULL)
		return;
	memcpy(a.spa, from->addr, 16);
	memcpy(a.tpa, target, 16);
	if (arp_send(w, ifc, &a, to != NULL ? to : &arp_broadcast))
		ip_count(w, IP_STAT_arp_requests_out);
}

/* RFC 5227 section 2.3: a request whose sender and target are both the address. */
void
arp_announce(struct worker *w, const struct ip_addr *addr)
{
	struct arp a = {.op = ARP_REQUEST, .sha = w->ip->ifcs[addr->ifc].mac};

	memcpy(a.spa, addr->addr, 16);
	memcpy(a.tpa, addr->addr, 16);
	if (arp_send(w, addr->ifc, &a, &arp_broadcast))
		ip_count(w, IP_STAT_arp_announcements_out);
}

static void
arp_reply(struct worker *w, unsigned ifc, const struct arp *q)
{
	struct arp a = {.op = ARP_REPLY, .sha = w->ip->ifcs[ifc].mac, .tha = q->sha};

	memcpy(a.spa, q->tpa, 16);
	memcpy(a.tpa, q->spa, 16);
	if (arp_send(w, ifc, &a, &q->sha))
		ip_count(w, IP_STAT_arp_replies_out);
}

static bool
arp_parse(const uint8_t *p, struct arp *ret)
{
	uint32_t v4;

	if (ip_get16(p) != 1 || ip_get16(p + 2) != RTE_ETHER_TYPE_IPV4 || p[4] != 6 || p[5] != 4)
		return false;
	ret->op = ip_get16(p + 6);
	memcpy(&ret->sha, p + 8, 6);
	memcpy(&v4, p + 14, 4);
	key_map_v4(ret->spa, v4);
	memcpy(&ret->tha, p + 18, 6);
	memcpy(&v4, p + 24, 4);
	key_map_v4(ret->tpa, v4);
	return ret->op == ARP_REQUEST || ret->op == ARP_REPLY;
}

/* Somebody else uses our address: say once in a while whose it is (RFC 5227 section 2.4 (b)). */
static void
arp_conflict(struct worker *w, unsigned ifc, struct ip_addr *ours, const struct arp *a)
{
	uint32_t last = atomic_load_explicit(&ours->defended_ms, memory_order_relaxed);

	if (rte_is_same_ether_addr(&a->sha, &w->ip->ifcs[ifc].mac))
		return; /* our own, come back */
	ip_count(w, IP_STAT_arp_conflicts);
	if (last != 0 && !ip_past(w->now_ms, last + ARP_DEFEND_MS))
		return;
	/* Relaxed; of two workers in the same moment one defends. */
	if (atomic_compare_exchange_strong_explicit(&ours->defended_ms, &last, w->now_ms | 1,
		    memory_order_relaxed, memory_order_relaxed))
		arp_announce(w, ours);
}

/* The sender can be a host of this link: its address is on it and no group's. */
static bool
arp_sender_ok(const struct ip_ifc *ifc, const struct arp *a)
{
	return a->spa[12] != 0 && a->spa[12] != 127 && a->spa[12] < 224 &&
		!ip4_is_broadcast(ifc, key_v4_be(a->spa)) && ip_on_link(ifc, a->spa);
}

static void
arp_handle(struct worker *w, unsigned ifc, const struct arp *a, const struct ip_addr *target)
{
	bool probe = key_v4_be(a->spa) == 0; /* RFC 5227 section 2.1.1: never cached */
	bool asked = a->op == ARP_REPLY && target != NULL &&
		rte_is_same_ether_addr(&a->tha, &w->ip->ifcs[ifc].mac);
	unsigned flags = NEIGH_OVERRIDE | (asked ? NEIGH_SOLICITED : 0);

	/* RFC 826: who is known is updated; who asks for us will hear from us, and is made known. */
	if (a->op == ARP_REQUEST && target != NULL)
		flags |= NEIGH_CREATE;
	if (!probe && arp_sender_ok(&w->ip->ifcs[ifc], a))
		neigh_learn(w, ifc, a->spa, &a->sha, flags);
	if (a->op == ARP_REQUEST && target != NULL)
		arp_reply(w, ifc, a);
}

/* Consumes m. */
void
arp_input(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	struct ip_addr *ours, *target;
	uint8_t ifc = p->ifc;
	struct arp a;

	if (m->pkt_len < (uint32_t)p->l3_off + ARP_LEN) {
		drop(w, m, DROP_ARP_BAD);
		return;
	}
	m = ip_pull(w, m, (uint16_t)(p->l3_off + ARP_LEN));
	if (m == NULL)
		return;
	if (!arp_parse(rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt_of(m)->l3_off), &a)) {
		drop(w, m, DROP_ARP_BAD);
		return;
	}
	ip_count(w, a.op == ARP_REQUEST ? IP_STAT_arp_requests_in : IP_STAT_arp_replies_in);
	if (!rte_is_unicast_ether_addr(&a.sha) || rte_is_same_ether_addr(&a.sha, &arp_unknown)) {
		drop(w, m, DROP_ARP_SPOOF);
		return;
	}
	ours = ip_addr_find(w->ip, a.spa, ifc);
	if (ours != NULL) {
		if (ours->ifc == ifc)
			arp_conflict(w, ifc, ours, &a);
		drop(w, m, DROP_ARP_SPOOF);
		return;
	}
	target = ip_addr_find(w->ip, a.tpa, ifc);
	if (target != NULL && target->ifc != ifc)
		target = NULL; /* an address of another link of ours is nobody's here */
	arp_handle(w, ifc, &a, target);
	consume(w, m);
}

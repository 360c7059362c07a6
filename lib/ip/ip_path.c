/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Paths: what a conversation remembers of the way to its peer. A path belongs to its
 * conversation; it is refreshed when the generation of routes and addresses has moved.
 */
#include <errno.h>

#include "ip_priv.h"

#define IP4_PATH_MTU_MIN 552 /* RFC 1191 section 7.1 allows 68; less than this is an attack */

/* Of packets to k's peer. */
static uint16_t
ip_link_mtu(struct ip_ifc *ifc, const struct key *k)
{
	/* Relaxed: whoever changes it moves the generation after that. */
	return key_is_v4(k) ? ifc->mtu : atomic_load_explicit(&ifc->mtu6, memory_order_relaxed);
}

static bool
ip_last_is(const struct ip_last *last, const struct key *k)
{
	return memcmp(last->raddr, k->raddr, 16) == 0 && memcmp(last->laddr, k->laddr, 16) == 0 &&
		last->zone == k->zone;
}

static void
ip_last_set(
	struct ip_last *last, const struct key *k, const struct ip_hop *hop, const struct path *p)
{
	memcpy(last->raddr, k->raddr, 16);
	memcpy(last->laddr, k->laddr, 16);
	memcpy(last->hop, hop->addr, 16);
	last->zone = k->zone;
	last->path = *p;
}

/* What ip_path finds, but for what belongs to the conversation. */
static void
ip_path_copy(struct path *p, const struct path *from)
{
	p->gen = from->gen;
	p->neigh = from->neigh;
	p->plain = from->plain;
	p->neigh_gen = from->neigh_gen;
	p->mtu = from->mtu;
	p->ifc = from->ifc;
}

int
ip_path(struct worker *w, const struct key *k, struct path *p)
{
	struct ip *ip = w->ip;
	struct ip_last *last = &ip_self(w)->last;
	/* Acquire: what is read below is at least as new as the number; pairs with ip_changed. */
	uint32_t gen = atomic_load_explicit(&ip->gen, memory_order_acquire);
	bool fresh = p->gen == 0, known = last->path.gen == gen && neigh_known(w, &last->path) != 0;
	struct ip_hop hop;
	uint16_t mtu;

	if (fresh && known && ip_last_is(last, k)) {
		ip_path_copy(p, &last->path);
		return 0;
	}
	if (!ip_route_look(w, k->raddr, k->zone, &hop)) {
		ip_count(w, IP_STAT_out_no_route);
		return -ENETUNREACH;
	}
	if (!ip_addr_usable(ip, k->laddr, hop.ifc))
		return -EADDRNOTAVAIL;
	mtu = ip_link_mtu(&ip->ifcs[hop.ifc], k);
	/* What was learned about the way stays, as long as the way does. */
	if (fresh || p->ifc != hop.ifc || p->mtu > mtu)
		p->mtu = mtu;
	p->ifc = hop.ifc;
	p->plain = key_is_v4(k) && ip->ifcs[hop.ifc].vlan == 0;
	if (known && last->path.ifc == hop.ifc && memcmp(last->hop, hop.addr, 16) == 0) {
		p->neigh = last->path.neigh;
		p->neigh_gen = last->path.neigh_gen;
	} else {
		p->neigh = neigh_find(ip, hop.ifc, hop.addr, &p->neigh_gen);
	}
	p->gen = gen;
	if (fresh)
		ip_last_set(last, k, &hop, p);
	return 0;
}

int
ip_source(struct worker *w, const uint8_t raddr[16], uint8_t ret_laddr[16])
{
	const struct ip_addr *a;
	struct ip_hop hop;
	unsigned zone = 0;

	/* Without a zone a link-local peer is meant on the only link there is (RFC 4007 section 6). */
	if (ip_link_local(raddr))
		zone = 1;
	if (!ip_route_look(w, raddr, zone, &hop))
		return -ENETUNREACH;
	a = ip_ifc_source(&w->ip->ifcs[hop.ifc], raddr);
	if (a == NULL)
		return -ENETUNREACH;
	memcpy(ret_laddr, a->addr, 16);
	return 0;
}

bool
ip_path_mtu(struct path *p, const struct key *k, uint32_t mtu)
{
	uint32_t least = key_is_v4(k) ? IP4_PATH_MTU_MIN : IP6_MTU_MIN;

	if (mtu < least)
		mtu = least;
	if (mtu >= p->mtu)
		return false;
	p->mtu = (uint16_t)mtu;
	return true;
}

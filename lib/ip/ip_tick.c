/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What happens by itself: announcements, duplicate address detection, router solicitations,
 * ageing. By one worker at a time; a lock makes sure of it.
 */
#include "ip_priv.h"

#define IP_ANNOUNCE_NUM 2 /* RFC 5227 section 1.1 */
#define IP_ANNOUNCE_MS  2000 /* ANNOUNCE_INTERVAL */
#define IP_DAD_MS       1000 /* RFC 4862 section 5.1: one probe, and RetransTimer */
#define IP_RS_NUM       3 /* RFC 4861 section 10, MAX_RTR_SOLICITATIONS */
#define IP_RS_MS        4000 /* RTR_SOLICITATION_INTERVAL */

static uint8_t
ip_addr_state(const struct ip_addr *a)
{
	return atomic_load_explicit(&a->state, memory_order_relaxed);
}

/* Tell the link once that the address is ours. */
static void
ip_announce_one(struct worker *w, struct ip_addr *a)
{
	if (ip_v4(a->addr))
		arp_announce(w, a);
	else
		ndp_announce(w, a);
	a->announces--;
	a->next_ms = w->now_ms + IP_ANNOUNCE_MS;
}

static void
ip_announce_addr(struct worker *w, struct ip_addr *a)
{
	a->announces = IP_ANNOUNCE_NUM;
	if (ip_addr_state(a) == IP_ADDR_PREFERRED) {
		ip_announce_one(w, a);
		return;
	}
	a->next_ms = w->now_ms + IP_DAD_MS;
	ndp_dad_probe(w, a);
}

/* An IPv6 address that nobody has used yet is probed for (RFC 4862 section 5.4); so is one that was
 * refused when the link comes back. Nothing is sent from it before, reports neither (RFC 3590). */
static bool
ip_make_tentative(struct ip_ifc *ifc)
{
	bool v6 = false;

	for (unsigned i = 0; i < ifc->naddrs; i++) {
		struct ip_addr *a = &ifc->addrs[i];

		if (ip_v4(a->addr))
			continue;
		v6 = true;
		if (!ifc->announced || ip_addr_state(a) != IP_ADDR_PREFERRED)
			atomic_store_explicit(&a->state, IP_ADDR_TENTATIVE, memory_order_relaxed);
	}
	return v6;
}

static void
ip_announce_ifc(struct worker *w, unsigned i)
{
	struct ip_ifc *ifc = &w->ip->ifcs[i];
	bool v6;

	/* Nobody would hear it. */
	if (!atomic_load_explicit(&ifc->up, memory_order_relaxed))
		return;
	v6 = ip_make_tentative(ifc);
	ifc->announced = true;
	if (v6)
		ndp_mld_report(w, i);
	for (unsigned a = 0; a < ifc->naddrs; a++)
		ip_announce_addr(w, &ifc->addrs[a]);
	ifc->rs_left = ifc->accept_ra && v6 ? IP_RS_NUM : 0;
	ifc->rs_next_ms = w->now_ms + IP_DAD_MS;
	ip_changed(w->ip);
}

void
ip_announce(struct worker *w)
{
	rte_spinlock_lock(&w->ip->tick_lock);
	for (unsigned i = 0; i < w->ip->nifcs; i++)
		ip_announce_ifc(w, i);
	rte_spinlock_unlock(&w->ip->tick_lock);
}

static void
ip_tick_addr(struct worker *w, struct ip_addr *a)
{
	uint8_t tentative = IP_ADDR_TENTATIVE;

	if (a->announces == 0 || !ip_past(w->now_ms, a->next_ms) ||
		ip_addr_state(a) == IP_ADDR_DUPLICATE)
		return;
	/* Nobody objected; relaxed, and only if nobody objects in this very moment. */
	if (ip_addr_state(a) == IP_ADDR_TENTATIVE &&
		atomic_compare_exchange_strong_explicit(&a->state, &tentative, IP_ADDR_PREFERRED,
			memory_order_relaxed, memory_order_relaxed)) {
		ip_changed(w->ip);
		/* RFC 3590 section 4: again, now that there is an address to report from. */
		if (ip_link_local(a->addr))
			ndp_mld_report(w, a->ifc);
	}
	ip_announce_one(w, a);
}

static void
ip_tick_ifc(struct worker *w, unsigned i)
{
	struct ip_ifc *ifc = &w->ip->ifcs[i];

	/* Relaxed: the flag says only that there is something to do. */
	if (atomic_exchange_explicit(&ifc->announce, false, memory_order_relaxed))
		ip_announce_ifc(w, i);
	for (unsigned a = 0; a < ifc->naddrs; a++)
		ip_tick_addr(w, &ifc->addrs[a]);
	/* Relaxed: one solicitation too many does no harm. */
	if (atomic_load_explicit(&ifc->router.valid, memory_order_relaxed))
		ifc->rs_left = 0;
	if (ifc->rs_left > 0 && ip_past(w->now_ms, ifc->rs_next_ms)) {
		ifc->rs_left--;
		ifc->rs_next_ms = w->now_ms + IP_RS_MS;
		ndp_router_solicit(w, i);
	}
	ip_router_tick(w, ifc);
}

void
ip_tick(struct worker *w)
{
	if (!rte_spinlock_trylock(&w->ip->tick_lock))
		return;
	for (unsigned i = 0; i < w->ip->nifcs; i++)
		ip_tick_ifc(w, i);
	neigh_tick(w);
	rte_spinlock_unlock(&w->ip->tick_lock);
}

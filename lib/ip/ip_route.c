/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Routes: connected prefixes, configured routes, and default routers learned from
 * advertisements. A host has few routes and looks one up once per conversation, so the
 * FIBs are of the compact kind (a radix tree; DIR24-8 would take 64 MB). They are
 * written before the workers start; a learned router stands beside them.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_malloc.h>
#include <rte_rib.h>
#include <rte_rib6.h>

#include "ip_priv.h"

#define IP_ROUTES_MAX 16384
#define IP_HOP_NONE   UINT32_MAX

int
ip_route_init(struct ip *ip, int socket_id)
{
	struct rte_fib_conf conf4 = {
		.type = RTE_FIB_DUMMY, .default_nh = IP_HOP_NONE, .max_routes = IP_ROUTES_MAX};
	struct rte_fib6_conf conf6 = {
		.type = RTE_FIB6_DUMMY, .default_nh = IP_HOP_NONE, .max_routes = IP_ROUTES_MAX};
	char name[32];

	(void)snprintf(name, sizeof(name), "%s-r4", ip->name);
	ip->fib4 = rte_fib_create(name, socket_id, &conf4);
	if (ip->fib4 == NULL)
		return -rte_errno;
	(void)snprintf(name, sizeof(name), "%s-r6", ip->name);
	ip->fib6 = rte_fib6_create(name, socket_id, &conf6);
	return ip->fib6 == NULL ? -rte_errno : 0;
}

void
ip_route_fini(struct ip *ip)
{
	rte_fib_free(ip->fib4);
	rte_fib6_free(ip->fib6);
	rte_free(ip->hops);
}

/* The number of a hop, which is added if it is new. */
static int
ip_hop_add(struct ip *ip, const struct ip_hop *hop, uint32_t *ret_i)
{
	uint32_t i;

	for (i = 0; i < ip->nhops; i++)
		if (ip->hops[i].ifc == hop->ifc && memcmp(ip->hops[i].addr, hop->addr, 16) == 0)
			break;
	if (i == ip->hops_room) {
		uint32_t room = RTE_MAX(64u, ip->hops_room * 2);
		struct ip_hop *hops = rte_realloc(ip->hops, room * sizeof(*hops), 0);

		if (hops == NULL)
			return -ENOSPC;
		ip->hops = hops;
		ip->hops_room = room;
	}
	if (i == ip->nhops)
		ip->hops[ip->nhops++] = *hop;
	*ret_i = i;
	return 0;
}

static int
ip_route_put(struct ip *ip, const uint8_t prefix[16], uint8_t len, const struct ip_hop *hop)
{
	uint32_t i, v4 = ip_get32(prefix + 12);
	uint64_t bits = len == 0 ? 0 : UINT64_MAX << (32 - RTE_MIN(len, 32));
	int err = ip_hop_add(ip, hop, &i);

	if (err != 0)
		return err;
	if (!ip_v4(prefix)) {
		if (rte_rib6_lookup_exact(rte_fib6_get_rib(ip->fib6), prefix, len) != NULL)
			return -EEXIST;
		err = rte_fib6_add(ip->fib6, prefix, len, i);
	} else {
		v4 &= (uint32_t)bits;
		if (rte_rib_lookup_exact(rte_fib_get_rib(ip->fib4), v4, len) != NULL)
			return -EEXIST;
		err = rte_fib_add(ip->fib4, v4, len, i);
	}
	return err != 0 ? -ENOSPC : 0;
}

/* An address's prefix is on its link. Several addresses of one prefix share the route. */
int
ip_route_connected(struct ip *ip, const struct ip_addr *a)
{
	struct ip_hop hop = {.ifc = a->ifc};
	int err;

	if (ip_link_local(a->addr))
		return 0; /* found by zone */
	err = ip_route_put(ip, a->addr, a->prefix_len, &hop);
	return err == -EEXIST ? 0 : err;
}

/* The interface on whose link a gateway is; a link-local one needs to be unambiguous. */
static int
ip_gateway_ifc(const struct ip *ip, const uint8_t via[16])
{
	int found = -1;

	for (unsigned i = 0; i < ip->nifcs; i++) {
		if (!ip_on_link(&ip->ifcs[i], via))
			continue;
		if (!ip_link_local(via))
			return (int)i;
		if (found >= 0)
			return -1;
		found = (int)i;
	}
	return found;
}

int
ip_route_add(struct ip *ip, const uint8_t prefix[16], uint8_t prefix_len, const uint8_t via[16])
{
	bool v4 = ip_v4(prefix);
	int ifc, err;
	struct ip_hop hop;

	/* ::/0 looks like no address at all; 0.0.0.0/0 is mapped like any other. */
	if (v4 != ip_v4(via) || prefix_len > (v4 ? 32 : 128))
		return -EINVAL;
	ifc = ip_gateway_ifc(ip, via);
	if (ifc < 0 || ip_addr_find(ip, via, (unsigned)ifc) != NULL)
		return -ENETUNREACH;
	hop.ifc = (uint8_t)ifc;
	memcpy(hop.addr, via, 16);
	err = ip_route_put(ip, prefix, prefix_len, &hop);
	if (err == 0)
		ip_changed(ip);
	return err;
}

/* A consistent copy of a learned router; false if there is none, or it is just being written. */
static bool
ip_router_read(const struct worker *w, const struct ip_router *r, uint8_t addr[16])
{
	for (unsigned try = 0; try < IP_PATH_TRIES; try++) {
		/* Acquire: the fields are read after the sequence number ... */
		uint32_t seq = atomic_load_explicit(&r->seq, memory_order_acquire);
		bool valid = atomic_load_explicit(&r->valid, memory_order_relaxed);
		uint32_t until = atomic_load_explicit(&r->until_ms, memory_order_relaxed);
		uint64_t a[2] = {atomic_load_explicit(&r->addr[0], memory_order_relaxed),
			atomic_load_explicit(&r->addr[1], memory_order_relaxed)};

		/* ... and before it is read again. */
		atomic_thread_fence(memory_order_acquire);
		if ((seq & 1) != 0 || atomic_load_explicit(&r->seq, memory_order_relaxed) != seq)
			continue;
		memcpy(addr, a, 16);
		return valid && !ip_past(w->now_ms, until);
	}
	return false;
}

static void
ip_router_write(struct ip_router *r, const uint8_t addr[16], bool valid, uint32_t until_ms)
{
	uint32_t seq = atomic_load_explicit(&r->seq, memory_order_relaxed);
	uint64_t a[2];

	memcpy(a, addr, 16);
	atomic_store_explicit(&r->seq, seq + 1, memory_order_relaxed);
	/* Release fence: nobody sees a new field with the old, even number. */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&r->valid, valid, memory_order_relaxed);
	atomic_store_explicit(&r->until_ms, until_ms, memory_order_relaxed);
	atomic_store_explicit(&r->addr[0], a[0], memory_order_relaxed);
	atomic_store_explicit(&r->addr[1], a[1], memory_order_relaxed);
	/* Release: the even number comes after all fields. */
	atomic_store_explicit(&r->seq, seq + 2, memory_order_release);
}

/* A router advertisement (RFC 4861 section 6.3.4): one default router per interface; another
 * takes its place only when it has gone. seconds 0: it is no longer one. */
void
ip_router_set(struct worker *w, unsigned ifc, const uint8_t addr[16], uint32_t seconds)
{
	struct ip_router *r = &w->ip->ifcs[ifc].router;
	uint8_t now[16];
	bool have, same;

	rte_spinlock_lock(&r->lock);
	have = ip_router_read(w, r, now);
	same = have && memcmp(now, addr, 16) == 0;
	if (same || (!have && seconds > 0))
		ip_router_write(r, addr, seconds > 0, w->now_ms + seconds * 1000);
	rte_spinlock_unlock(&r->lock);
	if ((same && seconds == 0) || (!have && seconds > 0))
		ip_changed(w->ip);
}

/* A router whose life time is over makes room, before its 32-bit deadline wraps. */
void
ip_router_tick(struct worker *w, struct ip_ifc *ifc)
{
	static const uint8_t none[16];
	struct ip_router *r = &ifc->router;
	uint8_t now[16];
	bool gone;

	if (!atomic_load_explicit(&r->valid, memory_order_relaxed))
		return;
	rte_spinlock_lock(&r->lock);
	gone = !ip_router_read(w, r, now);
	if (gone)
		ip_router_write(r, none, false, 0);
	rte_spinlock_unlock(&r->lock);
	if (gone)
		ip_changed(w->ip);
}

static bool
ip_route_learned(const struct worker *w, struct ip_hop *ret_hop)
{
	const struct ip *ip = w->ip;

	for (unsigned i = 0; i < ip->nifcs; i++) {
		if (!ip_router_read(w, &ip->ifcs[i].router, ret_hop->addr))
			continue;
		ret_hop->ifc = (uint8_t)i;
		return true;
	}
	return false;
}

/* The FIB's answer: index of a hop, or IP_HOP_NONE. */
static uint64_t
ip_route_fib(const struct ip *ip, const uint8_t raddr[16])
{
	uint64_t hop = IP_HOP_NONE;

	if (ip_v4(raddr)) {
		uint32_t v4 = ip_get32(raddr + 12);

		rte_fib_lookup_bulk(ip->fib4, &v4, &hop, 1);
	} else {
		uint8_t v6[1][16];

		memcpy(v6[0], raddr, 16);
		rte_fib6_lookup_bulk(ip->fib6, v6, &hop, 1);
	}
	return hop;
}

/* Nobody can be reached at a group's address, at ours, at none (RFC 1122 section 3.2.1.3). */
static bool
ip_reachable(const struct ip *ip, const uint8_t raddr[16], unsigned ifc)
{
	if (ip_addr_find(ip, raddr, ifc) != NULL)
		return false;
	if (!ip_v4(raddr))
		return raddr[0] != 0xff && !ip_zero(raddr);
	return raddr[12] != 0 && raddr[12] != 127 && raddr[12] < 224 &&
		!ip4_is_broadcast(&ip->ifcs[ifc], key_v4_be(raddr));
}

/* Where to send for raddr; zone is a key's. Any worker. */
bool
ip_route_look(
	const struct worker *w, const uint8_t raddr[16], unsigned zone, struct ip_hop *ret_hop)
{
	const struct ip *ip = w->ip;
	uint64_t i;

	if (ip_link_local(raddr)) {
		if (zone == 0 || zone > ip->nifcs)
			return false;
		ret_hop->ifc = (uint8_t)(zone - 1);
		memcpy(ret_hop->addr, raddr, 16);
		return ip_reachable(ip, raddr, zone - 1);
	}
	i = ip_route_fib(ip, raddr);
	if (i != IP_HOP_NONE)
		*ret_hop = ip->hops[i];
	else if (ip_v4(raddr) || !ip_route_learned(w, ret_hop))
		return false;
	if (ip_zero(ret_hop->addr))
		memcpy(ret_hop->addr, raddr, 16);
	return ip_reachable(ip, raddr, ret_hop->ifc);
}

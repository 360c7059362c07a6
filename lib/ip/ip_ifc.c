/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Interfaces and our addresses. Written by the control thread before the workers start;
 * afterwards only an address's state changes, and whether the link is up.
 */
#include <errno.h>
#include <stdio.h>

#include "ip_priv.h"

#define IP4_MTU_MIN 576

static unsigned
ip_addr_slot(const uint8_t addr[16])
{
	uint64_t a, b;

	memcpy(&a, addr, 8);
	memcpy(&b, addr + 8, 8);
	a ^= b * UINT64_C(0x9e3779b97f4a7c15);
	return (unsigned)(a * UINT64_C(0xbf58476d1ce4e5b9) >> 53) & (IP_OURS_SLOTS - 1);
}

struct ip_addr *
ip_addr_look(const struct ip *ip, const uint8_t addr[16], unsigned ifc)
{
	bool local = ip_link_local(addr);
	struct ip_addr *a;

	for (unsigned i = ip_addr_slot(addr); (a = ip->ours[i]) != NULL;
		i = (i + 1) & (IP_OURS_SLOTS - 1))
		if (memcmp(a->addr, addr, 16) == 0 && (!local || a->ifc == ifc))
			return a;
	return NULL;
}

/* Ours, and neither still under duplicate address detection nor refused by it (RFC 4862). */
bool
ip_addr_usable(const struct ip *ip, const uint8_t addr[16], unsigned ifc)
{
	const struct ip_addr *a = ip_addr_find(ip, addr, ifc);

	/* Relaxed: a state that is a moment old does no harm. */
	return a != NULL &&
		atomic_load_explicit(&a->state, memory_order_relaxed) == IP_ADDR_PREFERRED;
}

bool
ip_is_ours(const struct ip *ip, const uint8_t addr[16])
{
	if (!ip_link_local(addr))
		return ip_addr_usable(ip, addr, 0);
	for (unsigned i = 0; i < ip->nifcs; i++)
		if (ip_addr_usable(ip, addr, i))
			return true;
	return false;
}

static void
ip_ours_add(struct ip *ip, struct ip_addr *a)
{
	unsigned i = ip_addr_slot(a->addr);

	while (ip->ours[i] != NULL)
		i = (i + 1) & (IP_OURS_SLOTS - 1);
	ip->ours[i] = a;
	ip->ours_filter |= UINT64_C(1) << (a->addr[15] & 63);
}

/* /31 and /32 have no broadcast address (RFC 3021). */
static void
ip_subnet_add(struct ip_ifc *f, const struct ip_addr *a)
{
	uint32_t hosts = a->prefix_len > 30 ? 0 : UINT32_MAX >> a->prefix_len;
	uint32_t addr = ip_get32(a->addr + 12);

	if (!ip_v4(a->addr) || hosts == 0)
		return;
	f->subnets[f->nsubnets].first_be = rte_cpu_to_be_32(addr & ~hosts);
	f->subnets[f->nsubnets].last_be = rte_cpu_to_be_32(addr | hosts);
	f->nsubnets++;
}

/* The interface identifier of RFC 4291 appendix A, under fe80::/64. */
static void
ip_eui64(const struct rte_ether_addr *mac, uint8_t addr[16])
{
	const uint8_t *m = mac->addr_bytes;

	memset(addr, 0, 16);
	addr[0] = 0xfe;
	addr[1] = 0x80;
	addr[8] = m[0] ^ 2;
	addr[9] = m[1];
	addr[10] = m[2];
	addr[11] = 0xff;
	addr[12] = 0xfe;
	addr[13] = m[3];
	addr[14] = m[4];
	addr[15] = m[5];
}

int
ip_ifc_add(struct ip *ip, const struct ip_ifc_conf *conf)
{
	struct ip_ifc *ifc = &ip->ifcs[ip->nifcs];
	uint8_t local[16];
	int err;

	if (ip->nifcs == WORKER_IFC_MAX)
		return -ENOSPC;
	if (conf->mtu < IP4_MTU_MIN || conf->vlan > 4094 ||
		strlen(conf->name) >= sizeof(ifc->name) || !rte_is_unicast_ether_addr(&conf->mac) ||
		rte_is_zero_ether_addr(&conf->mac))
		return -EINVAL;
	for (unsigned i = 0; i < ip->nifcs; i++)
		if (strcmp(ip->ifcs[i].name, conf->name) == 0)
			return -EEXIST;
	memset(ifc, 0, sizeof(*ifc));
	(void)snprintf(ifc->name, sizeof(ifc->name), "%s", conf->name);
	rte_ether_addr_copy(&conf->mac, &ifc->mac);
	ifc->mtu = conf->mtu;
	atomic_init(&ifc->mtu6, conf->mtu);
	ifc->vlan = conf->vlan;
	ifc->l2_len = IP_ETH_LEN + (conf->vlan != 0 ? IP_VLAN_LEN : 0);
	ifc->off = conf->off;
	ip_plain_init(ifc);
	ifc->accept_ra = conf->accept_ra;
	atomic_init(&ifc->up, true);
	rte_spinlock_init(&ifc->router.lock);
	ip->nifcs++;
	if (conf->mtu >= IP6_MTU_MIN) {
		ip_eui64(&conf->mac, local);
		err = ip_address_add(ip, ip->nifcs - 1, local, 64);
		if (err != 0)
			return err;
	}
	return (int)ip->nifcs - 1;
}

/* May be an address of a host: no group, no loopback, not "none" (RFC 1122 section 3.2.1.3, RFC 4291). */
static bool
ip_addr_sane(const uint8_t addr[16], uint8_t prefix_len)
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (ip_v4(addr))
		return prefix_len <= 32 && addr[12] != 0 && addr[12] != 127 && addr[12] < 224;
	return prefix_len <= 128 && addr[0] != 0xff && !ip_zero(addr) &&
		memcmp(addr, loopback, 16) != 0;
}

int
ip_address_add(struct ip *ip, unsigned ifc, const uint8_t addr[16], uint8_t prefix_len)
{
	struct ip_ifc *f;
	struct ip_addr *a;
	int err;

	if (ifc >= ip->nifcs || !ip_addr_sane(addr, prefix_len))
		return -EINVAL;
	f = &ip->ifcs[ifc];
	if (!ip_v4(addr) && f->mtu < IP6_MTU_MIN)
		return -EINVAL;
	if (ip_addr_find(ip, addr, ifc) != NULL)
		return -EEXIST;
	if (f->naddrs == IP_IFC_ADDRS)
		return -ENOSPC;
	a = &f->addrs[f->naddrs];
	memset(a, 0, sizeof(*a));
	memcpy(a->addr, addr, 16);
	a->prefix_len = prefix_len;
	a->ifc = (uint8_t)ifc;
	err = ip_route_connected(ip, a);
	if (err != 0)
		return err;
	f->naddrs++;
	ip_plain_address(f, a);
	ip_ours_add(ip, a);
	ip_subnet_add(f, a);
	ip_changed(ip);
	return 0;
}

/* How many leading bits two addresses share. */
unsigned
ip_common_bits(const uint8_t a[16], const uint8_t b[16])
{
	unsigned i = 0;

	while (i < 16 && a[i] == b[i])
		i++;
	return i == 16 ? 128 : i * 8 + (unsigned)__builtin_clz((unsigned)(a[i] ^ b[i])) - 24;
}

/* addr lies in the prefix of one of the interface's addresses. */
bool
ip_on_link(const struct ip_ifc *ifc, const uint8_t addr[16])
{
	bool v4 = ip_v4(addr);

	for (unsigned i = 0; i < ifc->naddrs; i++) {
		const struct ip_addr *a = &ifc->addrs[i];

		if (ip_v4(a->addr) == v4 &&
			ip_common_bits(a->addr, addr) >= (unsigned)a->prefix_len + (v4 ? 96 : 0))
			return true;
	}
	return false;
}

/* Our address on ifc for a peer: same version and scope, then the longest match (RFC 6724 rules 2, 8). */
const struct ip_addr *
ip_ifc_source(const struct ip_ifc *ifc, const uint8_t peer[16])
{
	bool local = ip_link_local(peer) || (peer[0] == 0xff && (peer[1] & 0xf) == 2);
	const struct ip_addr *best = NULL;
	unsigned best_rank = 0;

	for (unsigned i = 0; i < ifc->naddrs; i++) {
		const struct ip_addr *a = &ifc->addrs[i];
		unsigned rank;

		if (ip_v4(a->addr) != ip_v4(peer) ||
			atomic_load_explicit(&a->state, memory_order_relaxed) != IP_ADDR_PREFERRED)
			continue;
		/* Link-local addresses serve off-link peers only if there is nothing else. */
		rank = 1 + ip_common_bits(a->addr, peer);
		if (ip_link_local(a->addr) == local)
			rank += 256;
		if (rank > best_rank) {
			best = a;
			best_rank = rank;
		}
	}
	return best;
}

void
ip_ifc_link(struct ip *ip, unsigned ifc, bool up)
{
	struct ip_ifc *f = &ip->ifcs[ifc];
	/* Relaxed: nothing else is published with it. */
	bool was = atomic_exchange_explicit(&f->up, up, memory_order_relaxed);

	if (up && !was) {
		/* The network behind the port may be another one now (RFC 4436, RFC 5227 section 2.3). */
		neigh_link_up(ip, ifc);
		atomic_store_explicit(&f->announce, true, memory_order_relaxed);
	}
}

unsigned
ip_ifc_count(const struct ip *ip)
{
	return ip->nifcs;
}

void
ip_ifc_info(const struct ip *ip, unsigned ifc, struct ip_ifc_info *ret_info)
{
	const struct ip_ifc *f = &ip->ifcs[ifc];

	memset(ret_info, 0, sizeof(*ret_info));
	(void)snprintf(ret_info->name, sizeof(ret_info->name), "%s", f->name);
	ret_info->mac = f->mac;
	ret_info->mtu = f->mtu;
	ret_info->vlan = f->vlan;
	ret_info->up = atomic_load_explicit(&f->up, memory_order_relaxed);
	ret_info->naddrs = f->naddrs;
	for (unsigned i = 0; i < f->naddrs; i++) {
		uint8_t state = atomic_load_explicit(&f->addrs[i].state, memory_order_relaxed);

		memcpy(ret_info->addrs[i].addr, f->addrs[i].addr, 16);
		ret_info->addrs[i].prefix_len = f->addrs[i].prefix_len;
		ret_info->addrs[i].tentative = state == IP_ADDR_TENTATIVE;
		ret_info->addrs[i].duplicate = state == IP_ADDR_DUPLICATE;
	}
	for (unsigned i = 0; i <= ip->nworkers; i++) {
		const struct ip_ifc_count *c = &ip->workers[i].ifc[ifc];

		ret_info->rx_packets += atomic_load_explicit(&c->rx_packets, memory_order_relaxed);
		ret_info->rx_bytes += atomic_load_explicit(&c->rx_bytes, memory_order_relaxed);
		ret_info->tx_packets += atomic_load_explicit(&c->tx_packets, memory_order_relaxed);
		ret_info->tx_bytes += atomic_load_explicit(&c->tx_bytes, memory_order_relaxed);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "ip_priv.h"

struct rte_mbuf *
ip6_input(struct worker *w, struct rte_mbuf *m)
{
	drop(w, m, DROP_ETH_TYPE);
	return NULL;
}

void
ndp_solicit(
	struct worker *w, unsigned ifc, const uint8_t target[16], const struct rte_ether_addr *to)
{
}

void
ndp_announce(struct worker *w, const struct ip_addr *a)
{
}

void
ndp_dad_probe(struct worker *w, const struct ip_addr *a)
{
}

void
ndp_router_solicit(struct worker *w, unsigned ifc)
{
}

void
ndp_mld_report(struct worker *w, unsigned ifc)
{
}

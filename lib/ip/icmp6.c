/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * ICMPv6 input (RFC 4443). What is sent is in icmp.c, neighbour discovery in ndp.c.
 */
#include <netinet/in.h>

#include "ip_cksum.h"
#include "ip_priv.h"

#define ICMP6_LEN         8
#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG     2
#define ICMP6_PARAMETER   4
#define ICMP6_ECHO        128
#define ICMP6_ECHO_REPLY  129
#define ICMP6_MLD_QUERY   130
#define ICMP6_ROUTER_ADV  134
#define ICMP6_SOLICIT     135
#define ICMP6_ADVERTISE   136

static bool
icmp6_classify(struct pkt *p, const uint8_t *icmp)
{
	p->icmp.type = icmp[0];
	p->icmp.code = icmp[1];
	p->icmp.too_big = icmp[0] == ICMP6_TOO_BIG;
	p->icmp.mtu = p->icmp.too_big ? ip_get32(icmp + 4) : 0;
	/* Port unreachable; next header unknown to the peer. */
	p->icmp.hard = (icmp[0] == ICMP6_UNREACHABLE && icmp[1] == 4) ||
		(icmp[0] == ICMP6_PARAMETER && icmp[1] == 1);
	/* RFC 8201 section 4: less than the minimum link MTU is discarded. */
	return !p->icmp.too_big || p->icmp.mtu >= IP6_MTU_MIN;
}

/* The transport header of the packet that an error quotes; false: it quotes none. */
static bool
icmp6_inner(const struct rte_mbuf *m, uint32_t at, uint32_t *ret_off, uint8_t *ret_proto)
{
	const uint8_t *h = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	uint32_t off = at + 40;
	uint8_t nh = h[6];

	if (h[0] >> 4 != 6)
		return false;
	if (nh == IPPROTO_FRAGMENT) { /* we fragment, too */
		if (m->data_len < off + 16 || (ip_get16(h + 42) & 0xfff8) != 0)
			return false;
		nh = h[40];
		off += 8;
	}
	*ret_off = off;
	*ret_proto = nh;
	return m->data_len >= off + 8;
}

static struct rte_mbuf *
icmp6_error_input(struct worker *w, struct rte_mbuf *m)
{
	uint32_t inner = (uint32_t)pkt_of(m)->l4_off + ICMP6_LEN, off;
	struct pkt *p;
	uint8_t proto;

	if (m->pkt_len < inner + 40) {
		drop(w, m, DROP_ICMP_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, (uint16_t)RTE_MIN(m->pkt_len, inner + 40 + 8 + 8));
	if (m == NULL)
		return NULL;
	p = pkt_of(m);
	if (!icmp6_classify(p, rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off))) {
		drop(w, m, DROP_ICMP_TYPE);
		return NULL;
	}
	if ((p->flags & PKT_GROUP) != 0 || !icmp6_inner(m, inner, &off, &proto)) {
		drop(w, m, DROP_ICMP_NO_CONV);
		return NULL;
	}
	memcpy(p->key.k.laddr, rte_pktmbuf_mtod_offset(m, void *, inner + 8), 16);
	memcpy(p->key.k.raddr, rte_pktmbuf_mtod_offset(m, void *, inner + 24), 16);
	return icmp_advice(w, m, (uint16_t)off, proto);
}

/* RFC 4443 section 2.4 (e.1), (e.2): m holds an error or a redirect, behind whatever headers. */
bool
icmp6_is_error(const struct rte_mbuf *m, const struct pkt *p)
{
	uint32_t off = p->l3_off + 40u;
	uint8_t b[2], nh;
	const uint8_t *h = rte_pktmbuf_read(m, p->l3_off + 6u, 1, b);

	nh = h[0];
	while (nh == IPPROTO_HOPOPTS || nh == IPPROTO_ROUTING || nh == IPPROTO_DSTOPTS ||
		nh == IPPROTO_FRAGMENT) {
		h = rte_pktmbuf_read(m, off, 2, b);
		if (h == NULL)
			return false;
		off += nh == IPPROTO_FRAGMENT ? 8 : (h[1] + 1u) * 8;
		nh = h[0];
	}
	if (nh != IPPROTO_ICMPV6)
		return false;
	h = rte_pktmbuf_read(m, off, 1, b);
	/* What says nothing of its type might be one. */
	return h == NULL || h[0] < 128 || h[0] == 137;
}

static struct rte_mbuf *
icmp6_dispatch(struct worker *w, struct rte_mbuf *m, const uint8_t *h)
{
	struct pkt *p = pkt_of(m);
	bool nobody = ip_zero(p->key.k.raddr);

	switch (h[0]) {
	case ICMP6_UNREACHABLE:
	case ICMP6_TOO_BIG:
	case 3: /* time exceeded */
	case ICMP6_PARAMETER:
		return icmp6_error_input(w, m);
	case ICMP6_ECHO:
		if (h[1] != 0)
			break;
		if (nobody) {
			drop(w, m, DROP_IP_MARTIAN);
			return NULL;
		}
		icmp_echo_reply(w, m, ICMP6_ECHO_REPLY);
		return NULL;
	case ICMP6_MLD_QUERY:
		/* RFC 3810 section 5.1.14: from this link only. */
		if (p->ttl != 1 || !ip_link_local(p->key.k.raddr))
			break;
		if (ip_rate_ok(w))
			ndp_mld_report(w, p->ifc);
		consume(w, m);
		return NULL;
	case ICMP6_ROUTER_ADV:
	case ICMP6_SOLICIT:
	case ICMP6_ADVERTISE:
		ndp_input(w, m);
		return NULL;
	default:
		/* Redirects: who may send one can't be told. Router solicitations: we are none. */
		break;
	}
	drop(w, m, DROP_ICMP_TYPE);
	return NULL;
}

struct rte_mbuf *
icmp6_input(struct worker *w, struct rte_mbuf *m)
{
	uint16_t l4 = pkt_of(m)->l4_off;
	uint32_t len = m->pkt_len - l4;
	const struct key *k;

	if (len < ICMP6_LEN) {
		drop(w, m, DROP_ICMP_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, (uint16_t)(l4 + ICMP6_LEN));
	if (m == NULL)
		return NULL;
	k = &pkt_of(m)->key.k;
	if (ip_cksum_mbuf(m, l4, len, ip_cksum_pseudo(k->raddr, k->laddr, IPPROTO_ICMPV6, len)) !=
		0xffff) {
		drop(w, m, DROP_ICMP_CKSUM);
		return NULL;
	}
	return icmp6_dispatch(w, m, rte_pktmbuf_mtod_offset(m, const uint8_t *, l4));
}

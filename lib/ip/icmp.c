/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * ICMP (RFC 792, RFC 1122 section 3.2.2): echo, errors about our packets, errors of our own.
 * What both versions share is here; icmp6.c has the rest.
 */
#include <netinet/in.h>

#include "ip_cksum.h"
#include "ip_priv.h"

#define ICMP_LEN           8
#define ICMP_ECHO_REPLY    0
#define ICMP_UNREACHABLE   3
#define ICMP_ECHO          8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER     12

#define ICMP4_QUOTE        548 /* with IP and ICMP header 576 bytes (RFC 1812 section 4.3.2.3) */
#define ICMP6_QUOTE        1232 /* and here 1280 (RFC 4443 section 2.4 (c)) */

/* RFC 1191 section 7.1: what routers that don't say it probably mean. */
static uint32_t
icmp_plateau(uint32_t total)
{
	static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (unsigned i = 0; i < RTE_DIM(plateaus); i++)
		if (plateaus[i] < total)
			return plateaus[i];
	return 68;
}

static const uint8_t *
icmp_at(const struct rte_mbuf *m, uint32_t off)
{
	return rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
}

/*
 * An error about a packet that we sent: from its key on it is that packet's conversation's.
 * off: of the first 8 bytes of the transport header of the packet it quotes; they are there.
 * The key's laddr and raddr are that packet's source and destination already.
 */
struct rte_mbuf *
icmp_advice(struct worker *w, struct rte_mbuf *m, uint16_t off, uint8_t proto)
{
	struct pkt *p = pkt_of(m);
	const uint8_t *h = icmp_at(m, off);

	if (!ip_addr_usable(w->ip, p->key.k.laddr, p->ifc) ||
		(proto != IPPROTO_TCP && proto != IPPROTO_UDP)) {
		drop(w, m, DROP_ICMP_NO_CONV);
		return NULL;
	}
	ip_count(w, IP_STAT_icmp_errors_in);
	p->kind = PKT_ICMP_ERROR;
	p->key.k.proto = proto;
	memcpy(&p->key.k.lport_be, h, 2);
	memcpy(&p->key.k.rport_be, h + 2, 2);
	p->icmp.seq = ip_get32(h + 4);
	p->data_off = off;
	p->data_len = 8;
	ip_key_done(p, KEY_TUPLE);
	return m;
}

/* Type, code and MTU of an IPv4 error. */
static void
icmp_classify(struct pkt *p, const uint8_t *icmp, uint32_t inner_total)
{
	p->icmp.type = icmp[0];
	p->icmp.code = icmp[1];
	p->icmp.mtu = 0;
	p->icmp.too_big = icmp[0] == ICMP_UNREACHABLE && icmp[1] == 4;
	/* RFC 1122 section 4.2.3.9: protocol and port; code 4 means the path MTU since RFC 1191. */
	p->icmp.hard = icmp[0] == ICMP_UNREACHABLE && (icmp[1] == 2 || icmp[1] == 3);
	if (!p->icmp.too_big)
		return;
	p->icmp.mtu = ip_get16(icmp + 6);
	if (p->icmp.mtu == 0)
		p->icmp.mtu = icmp_plateau(inner_total);
}

static struct rte_mbuf *
icmp4_error_input(struct worker *w, struct rte_mbuf *m)
{
	uint32_t inner = (uint32_t)pkt_of(m)->l4_off + ICMP_LEN, hlen;
	const struct rte_ipv4_hdr *h;
	struct pkt *p;

	if ((pkt_of(m)->flags & PKT_GROUP) != 0) {
		drop(w, m, DROP_ICMP_NO_CONV);
		return NULL;
	}
	/* RFC 792: the header and 8 bytes at least. */
	if (m->pkt_len < inner + sizeof(*h) + 8) {
		drop(w, m, DROP_ICMP_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, (uint16_t)RTE_MIN(m->pkt_len, inner + 60 + 8));
	if (m == NULL)
		return NULL;
	p = pkt_of(m);
	h = (const struct rte_ipv4_hdr *)icmp_at(m, inner);
	hlen = (uint32_t)(h->version_ihl & 15) * 4;
	if (h->version_ihl >> 4 != 4 || hlen < sizeof(*h) || m->pkt_len < inner + hlen + 8) {
		drop(w, m, DROP_ICMP_SHORT);
		return NULL;
	}
	/* Only the first piece of a datagram says whose it was. */
	if ((h->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK)) != 0) {
		drop(w, m, DROP_ICMP_NO_CONV);
		return NULL;
	}
	icmp_classify(p, icmp_at(m, p->l4_off), rte_be_to_cpu_16(h->total_length));
	key_map_v4(p->key.k.laddr, h->src_addr);
	key_map_v4(p->key.k.raddr, h->dst_addr);
	return icmp_advice(w, m, (uint16_t)(inner + hlen), h->next_proto_id);
}

/*
 * Turn an echo request into its reply, of the given type. Consumes m. The payload stays
 * where it is, so 60 kB that came in pieces leave in pieces.
 */
void
icmp_echo_reply(struct worker *w, struct rte_mbuf *m, uint8_t type)
{
	struct pkt *p = pkt_of(m);
	struct key k = p->key.k;
	struct ip_tx tx = {
		.proto = k.proto, .tos = p->tos & 0xfc, .l4_len = ICMP_LEN, .cksum_off = -1};
	struct rte_mbuf *r;
	uint32_t sum;
	uint8_t *h;

	k.zone = ip_zone(k.raddr, k.laddr, p->ifc);
	/* RFC 1122 section 3.2.2.6, RFC 4443 section 4.2: groups are not answered (smurf). */
	if ((p->flags & PKT_GROUP) != 0) {
		drop(w, m, DROP_ICMP_TYPE);
		return;
	}
	if (!ip_echo_ok(w)) {
		drop(w, m, DROP_ICMP_RATE);
		return;
	}
	m = ip_cut(m, p->l4_off);
	r = ip_unshare(w, m, ICMP_LEN);
	if (r == NULL) {
		drop(w, m, DROP_NO_MBUF);
		return;
	}
	h = rte_pktmbuf_mtod(r, uint8_t *);
	/* RFC 1624: HC' = ~(~HC + ~m + m'); the addresses only change places. */
	sum = (uint32_t)(uint16_t)~ip_get16(h + 2) + (uint16_t) ~(h[0] << 8) +
		(uint32_t)(type << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	h[0] = type;
	ip_put16(h + 2, (uint16_t)~sum);
	/* Of a message that is all zero the difference does not tell 0 from 0xffff. */
	if ((uint16_t)~sum == 0 && k.proto == IPPROTO_ICMP)
		ip_put16(h + 2, rte_cpu_to_be_16((uint16_t)~ip_cksum_mbuf(r, 0, r->pkt_len, 0)));
	w->c.consumed++;
	ip_count(w, IP_STAT_icmp_echoes);
	ip_output(w, NULL, &k, r, &tx);
}

struct rte_mbuf *
icmp_input(struct worker *w, struct rte_mbuf *m)
{
	uint16_t l4 = pkt_of(m)->l4_off;
	uint32_t len = m->pkt_len - l4;
	const uint8_t *h;

	if (len < ICMP_LEN) {
		drop(w, m, DROP_ICMP_SHORT);
		return NULL;
	}
	m = ip_pull(w, m, (uint16_t)(l4 + ICMP_LEN));
	if (m == NULL)
		return NULL;
	if (ip_cksum_mbuf(m, l4, len, 0) != 0xffff) {
		drop(w, m, DROP_ICMP_CKSUM);
		return NULL;
	}
	h = icmp_at(m, l4);
	switch (h[0]) {
	case ICMP_ECHO:
		if (h[1] != 0)
			break;
		icmp_echo_reply(w, m, ICMP_ECHO_REPLY);
		return NULL;
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETER:
		return icmp4_error_input(w, m);
	default:
		/* Source quench: RFC 6633. Redirect: who may send one can't be told. */
		break;
	}
	drop(w, m, DROP_ICMP_TYPE);
	return NULL;
}

/* RFC 1122 section 3.2.2: no error about an error; what is none is a question or its answer. */
static bool
icmp4_is_error(const struct rte_mbuf *m, const struct pkt *p)
{
	uint8_t b[1], type;

	if (p->key.k.proto != IPPROTO_ICMP)
		return false;
	type = *(const uint8_t *)rte_pktmbuf_read(m, p->l4_off, 1, b);
	return type != ICMP_ECHO && type != ICMP_ECHO_REPLY && type < 13;
}

/* Whether an error may be sent about m at all. */
static bool
icmp_may_answer(
	struct worker *w, const struct rte_mbuf *m, const struct pkt *p, struct icmp_what what)
{
	bool v6 = (p->flags & PKT_V6) != 0;

	/* RFC 4443 section 2.4 (e.3): groups hear of options that they must understand. */
	if ((p->flags & PKT_GROUP) != 0 && !(v6 && what.type == 4 && what.code == 2))
		return false;
	if (p->kind == PKT_FRAGMENT && p->frag.offset != 0)
		return false;
	if (ip_zero(p->key.k.raddr) || (v6 ? icmp6_is_error(m, p) : icmp4_is_error(m, p)))
		return false;
	return ip_peer_ok(w, p->key.k.raddr) && ip_rate_ok(w);
}

/* The ICMP message: header, and as much of m's IP packet as there is room for. */
static struct rte_mbuf *
icmp_quote(struct worker *w, const struct rte_mbuf *m, const struct pkt *p, struct icmp_what what)
{
	bool v6 = (p->flags & PKT_V6) != 0;
	uint32_t quote =
		RTE_MIN(m->pkt_len - p->l3_off, (uint32_t)(v6 ? ICMP6_QUOTE : ICMP4_QUOTE));
	struct rte_mbuf *e = rte_pktmbuf_alloc(w->mp);
	const void *from;
	uint8_t *h;

	if (e == NULL) {
		w->c.tx_no_mbuf++;
		return NULL;
	}
	quote = RTE_MIN(quote, (uint32_t)rte_pktmbuf_tailroom(e) - ICMP_LEN);
	h = (uint8_t *)rte_pktmbuf_append(e, (uint16_t)(ICMP_LEN + quote));
	h[0] = what.type;
	h[1] = what.code;
	ip_put16(h + 2, 0);
	ip_put32(h + 4, what.param);
	from = rte_pktmbuf_read(m, p->l3_off, quote, h + ICMP_LEN);
	if (from != h + ICMP_LEN)
		memcpy(h + ICMP_LEN, from, quote);
	return e;
}

/* Tell m's sender what is wrong with it, if rules and limits allow. m stays the caller's. */
void
icmp_send_error(struct worker *w, struct rte_mbuf *m, struct icmp_what what)
{
	const struct pkt *p = pkt_of(m);
	bool v6 = (p->flags & PKT_V6) != 0;
	struct key k = p->key.k;
	struct ip_tx tx = {
		.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .l4_len = ICMP_LEN, .cksum_off = 2};
	struct rte_mbuf *e;

	if (!icmp_may_answer(w, m, p, what))
		return;
	/* A group's address is nobody's source: one of ours on that link (RFC 4443 section 2.2). */
	if ((p->flags & PKT_GROUP) != 0) {
		const struct ip_addr *a = ip_ifc_source(&w->ip->ifcs[p->ifc], k.raddr);

		if (a == NULL)
			return;
		memcpy(k.laddr, a->addr, 16);
	}
	k.zone = ip_zone(k.raddr, k.laddr, p->ifc);
	e = icmp_quote(w, m, p, what);
	if (e == NULL)
		return;
	ip_count(w, IP_STAT_icmp_errors_out);
	ip_output(w, NULL, &k, e, &tx);
}

void
ip_send_error(struct worker *w, struct rte_mbuf *m, enum ip_error e)
{
	bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;

	if (pkt_of(m)->kind == PKT_ICMP_ERROR)
		return;
	if (e == IP_ERROR_PORT)
		icmp_send_error(
			w, m, v6 ? (struct icmp_what){1, 4, 0} : (struct icmp_what){3, 3, 0});
	else
		icmp_send_error(
			w, m, v6 ? (struct icmp_what){3, 1, 0} : (struct icmp_what){11, 1, 0});
}

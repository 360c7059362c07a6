/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The router in the middle of the link, 10.9.0.254 and fd09::fe: path MTU (RFC 1191, 8201), and ECN marks (RFC 3168).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include "sim_priv.h"

#define ETH      14
#define IP4      20
#define IP6      40
#define ICMP     8
#define QUOTE_V4 548
#define QUOTE_V6 1232

static const uint8_t router_mac[6] = {2, 0, 0, 0, 9, 0xfe};

static bool
frame_is(const uint8_t *b, uint16_t ether_type, uint32_t len, uint32_t least)
{
	return len >= ETH + least && (b[12] << 8 | b[13]) == ether_type;
}

static void
frame_cksum4(struct rte_ipv4_hdr *h)
{
	h->hdr_checksum = 0;
	h->hdr_checksum = rte_ipv4_cksum(h);
}

bool
router_mark(uint8_t *b, uint32_t len)
{
	if (frame_is(b, RTE_ETHER_TYPE_IPV4, len, IP4) && (b[ETH + 1] & 3) != 0) {
		b[ETH + 1] |= 3;
		frame_cksum4((struct rte_ipv4_hdr *)(b + ETH));
		return true;
	}
	if (frame_is(b, RTE_ETHER_TYPE_IPV6, len, IP6) && (b[ETH + 1] & 0x30) != 0) {
		b[ETH + 1] |= 0x30;
		return true;
	}
	return false;
}

/** Ethernet header of an answer to the sender of b. */
static void
router_eth(uint8_t *to, const uint8_t *b)
{
	memcpy(to, b + 6, 6);
	memcpy(to + 6, router_mac, 6);
	memcpy(to + 12, b + 12, 2);
}

/** Destination unreachable (RFC 792), with the next hop's MTU in the last two bytes of its header (RFC 1191 section 4).
 * @return length of the frame in `to` */
static uint32_t
router_refuse4(uint8_t *to, const uint8_t *b, uint32_t len, uint8_t code, uint16_t mtu)
{
	uint32_t quote = RTE_MIN(len - ETH, (uint32_t)QUOTE_V4);
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)(to + ETH);
	uint8_t *icmp = to + ETH + IP4;
	uint16_t sum;

	router_eth(to, b);
	memset(h, 0, IP4 + ICMP);
	h->version_ihl = 0x45;
	h->total_length = htons((uint16_t)(IP4 + ICMP + quote));
	h->time_to_live = 64;
	h->next_proto_id = IPPROTO_ICMP;
	h->src_addr = inet_addr("10.9.0.254");
	h->dst_addr = ((const struct rte_ipv4_hdr *)(b + ETH))->src_addr;
	frame_cksum4(h);
	icmp[0] = 3;
	icmp[1] = code;
	icmp[6] = (uint8_t)(mtu >> 8);
	icmp[7] = (uint8_t)mtu;
	memcpy(icmp + ICMP, b + ETH, quote);
	sum = (uint16_t)~rte_raw_cksum(icmp, ICMP + quote);
	memcpy(icmp + 2, &sum, 2);
	return ETH + IP4 + ICMP + quote;
}

/** Unreachable or too big (RFC 4443 section 3.1, 3.2). @return length of the frame in `to` */
static uint32_t
router_refuse6(uint8_t *to, const uint8_t *b, uint32_t len, uint8_t type, uint16_t mtu)
{
	uint32_t quote = RTE_MIN(len - ETH, (uint32_t)QUOTE_V6);
	struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)(to + ETH);
	uint8_t *icmp = to + ETH + IP6;
	uint16_t sum;

	router_eth(to, b);
	memset(h, 0, IP6 + ICMP);
	h->vtc_flow = htonl(6u << 28);
	h->payload_len = htons((uint16_t)(ICMP + quote));
	h->proto = IPPROTO_ICMPV6;
	h->hop_limits = 64;
	inet_pton(AF_INET6, "fd09::fe", h->src_addr);
	memcpy(h->dst_addr, ((const struct rte_ipv6_hdr *)(b + ETH))->src_addr, 16);
	icmp[0] = type;
	icmp[1] = type == 1 ? 3 : 0; /* address unreachable */
	icmp[6] = (uint8_t)(mtu >> 8);
	icmp[7] = (uint8_t)mtu;
	memcpy(icmp + ICMP, b + ETH, quote);
	sum = rte_ipv6_udptcp_cksum(h, icmp);
	memcpy(icmp + 2, &sum, 2);
	return ETH + IP6 + ICMP + quote;
}

/** RFC 791 section 3.2: in pieces, without options to care for. */
static void
router_fragment(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len, uint16_t mtu)
{
	const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)(b + ETH);
	uint16_t field = ntohs(h->fragment_offset);
	uint32_t data = RTE_MIN((uint32_t)ntohs(h->total_length), len - ETH) - IP4;
	uint32_t most = (uint32_t)(mtu - IP4) & ~7u;

	for (uint32_t at = 0; at < data; at += most) {
		uint32_t n = RTE_MIN(most, data - at);
		bool more = at + n < data || (field & RTE_IPV4_HDR_MF_FLAG) != 0;
		uint8_t piece[SIM_FRAME_MAX];
		struct rte_ipv4_hdr *p = (struct rte_ipv4_hdr *)(piece + ETH);

		memcpy(piece, b, ETH + IP4);
		memcpy(piece + ETH + IP4, b + ETH + IP4 + at, n);
		p->total_length = htons((uint16_t)(IP4 + n));
		p->fragment_offset = htons((uint16_t)((field & RTE_IPV4_HDR_OFFSET_MASK) + at / 8 +
			(more ? RTE_IPV4_HDR_MF_FLAG : 0)));
		frame_cksum4(p);
		link_queue(s, from, piece, ETH + IP4 + n);
	}
	s->c.fragmented++;
}

/** Tell the sender of b: too big for mtu, or, where that is 0, unreachable. */
static void
router_refuse(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len, uint16_t mtu)
{
	uint8_t answer[SIM_FRAME_MAX];
	uint32_t n;

	if (frame_is(b, RTE_ETHER_TYPE_IPV4, len, IP4))
		n = router_refuse4(answer, b, len, mtu != 0 ? 4 : 1, mtu);
	else
		n = router_refuse6(answer, b, len, mtu != 0 ? 2 : 1, mtu);
	link_put(s, from->number, s->now_us + s->conf.link[from->number].delay_us + 1, answer, n);
}

static bool
frame_is_ip(const uint8_t *b, uint32_t len)
{
	return frame_is(b, RTE_ETHER_TYPE_IPV4, len, IP4) ||
		frame_is(b, RTE_ETHER_TYPE_IPV6, len, IP6);
}

/** ICMP, neighbour discovery among it: no errors about those (RFC 1122 section 3.2.2). */
static bool
frame_is_icmp(const uint8_t *b)
{
	return b[ETH] >> 4 == 4 ? b[ETH + 9] == IPPROTO_ICMP : b[ETH + 6] == IPPROTO_ICMPV6;
}

void
router_unreachable(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len)
{
	if (frame_is_ip(b, len) && !frame_is_icmp(b))
		router_refuse(s, from, b, len, 0);
}

void
router_too_big(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len)
{
	const struct sim_link *l = &s->conf.link[from->number];

	if (frame_is(b, RTE_ETHER_TYPE_IPV4, len, IP4) && (b[ETH + 6] & 0x40) == 0) {
		router_fragment(s, from, b, len, l->mtu);
	} else if (l->black_hole || !frame_is_ip(b, len)) {
		s->c.black_holed++;
	} else {
		s->c.too_big++;
		router_refuse(s, from, b, len, l->mtu);
	}
}

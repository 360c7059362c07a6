/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "gen_frame.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ip.h>

#define TTL         64
#define WINDOW      64240 /* as Linux has it before it knows better */
#define WSCALE      7
#define TS_LEN      12 /* with its padding */
#define SYN_OPTIONS 20
#define OPT_END     0
#define OPT_NOP     1
#define OPT_MSS     2
#define OPT_WSCALE  3
#define OPT_SACK_OK 4
#define OPT_TS      8

static void
put32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, 4);
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return rte_be_to_cpu_32(v);
}

/** @return bytes of options at o */
static uint32_t
frame_options(uint8_t *o, const struct gen_seg *s)
{
	if (s->options) {
		static const uint8_t head[] = {OPT_MSS, 4, GEN_FRAME_MSS >> 8, GEN_FRAME_MSS & 0xff,
			OPT_SACK_OK, 2, OPT_TS, 10};
		static const uint8_t tail[] = {OPT_NOP, OPT_WSCALE, 3, WSCALE};

		memcpy(o, head, sizeof(head));
		put32(o + 8, s->ts_val);
		put32(o + 12, s->ts_ecr);
		memcpy(o + 16, tail, sizeof(tail));
		return SYN_OPTIONS;
	}
	if (!s->ts)
		return 0;
	memcpy(o, (const uint8_t[]){OPT_NOP, OPT_NOP, OPT_TS, 10}, 4);
	put32(o + 4, s->ts_val);
	put32(o + 8, s->ts_ecr);
	return TS_LEN;
}

void
gen_frame_tcp(struct rte_mbuf *m, const struct gen_link *l, const struct gen_seg *s)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);
	uint32_t hlen = sizeof(*tcp) + frame_options((uint8_t *)(tcp + 1), s);

	eth->src_addr = l->us;
	eth->dst_addr = l->them;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + hlen + s->len)),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = TTL,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = rte_cpu_to_be_32(s->t.saddr),
		.dst_addr = rte_cpu_to_be_32(s->t.daddr),
	};
	*tcp = (struct rte_tcp_hdr){
		.src_port = rte_cpu_to_be_16(s->t.sport),
		.dst_port = rte_cpu_to_be_16(s->t.dport),
		.sent_seq = rte_cpu_to_be_32(s->seq),
		.recv_ack = rte_cpu_to_be_32(s->ack),
		.data_off = (uint8_t)(hlen << 2),
		.tcp_flags = s->flags,
		.rx_win = RTE_BE16(WINDOW),
	};
	if (s->len > 0)
		memcpy((uint8_t *)tcp + hlen, s->data, s->len);
	m->data_len = (uint16_t)(sizeof(*eth) + sizeof(*ip) + hlen + s->len);
	m->pkt_len = m->data_len;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
}

void
gen_frame_arp(
	struct rte_mbuf *m, const struct gen_arp *a, const struct rte_ether_addr *to, uint32_t tpa)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(eth + 1);

	memset(eth, 0, sizeof(*eth) + sizeof(*arp));
	memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	if (to != NULL)
		eth->dst_addr = arp->arp_data.arp_tha = *to;
	eth->src_addr = arp->arp_data.arp_sha = a->sha;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	arp->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = RTE_ETHER_ADDR_LEN;
	arp->arp_plen = sizeof(uint32_t);
	arp->arp_opcode = rte_cpu_to_be_16(a->op);
	arp->arp_data.arp_sip = rte_cpu_to_be_32(a->spa);
	arp->arp_data.arp_tip = rte_cpu_to_be_32(tpa);
	m->data_len = sizeof(*eth) + sizeof(*arp);
	m->pkt_len = m->data_len;
}

/** Timestamps are all that is looked for; what is malformed has none. */
static void
read_options(const uint8_t *o, uint32_t len, struct gen_seg *ret)
{
	while (len > 0 && o[0] != OPT_END) {
		uint32_t n = o[0] == OPT_NOP ? 1 : len > 1 ? o[1] : 0;

		if (n == 0 || n > len || (o[0] != OPT_NOP && n < 2))
			return;
		if (o[0] == OPT_TS && n == 10) {
			ret->ts = true;
			ret->ts_val = get32(o + 2);
			ret->ts_ecr = get32(o + 6);
		}
		o += n;
		len -= n;
	}
}

/** Checksums, if the port has not looked at them. The whole packet is in one piece. */
static bool
read_sums(const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip, const void *l4)
{
	uint64_t flags = m->ol_flags;

	if ((flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_GOOD &&
		rte_raw_cksum(ip, rte_ipv4_hdr_len(ip)) != 0xffff)
		return false;
	return (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD ||
		rte_ipv4_udptcp_cksum(ip, l4) == 0;
}

static enum gen_frame_kind
read_ip(const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip, struct gen_seg *ret)
{
	uint32_t left = m->data_len - (uint32_t)sizeof(struct rte_ether_hdr), hlen, total, off;
	const struct rte_tcp_hdr *tcp;

	if (left < sizeof(*ip))
		return GEN_FRAME_BAD;
	hlen = rte_ipv4_hdr_len(ip);
	total = rte_be_to_cpu_16(ip->total_length);
	if (ip->version_ihl >> 4 != IPVERSION || hlen < sizeof(*ip) || total < hlen || total > left)
		return GEN_FRAME_BAD;
	if (ip->next_proto_id != IPPROTO_TCP)
		return GEN_FRAME_OTHER;
	tcp = (const struct rte_tcp_hdr *)((const uint8_t *)ip + hlen);
	if (total < hlen + sizeof(*tcp) ||
		(ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) !=
			0)
		return GEN_FRAME_BAD;
	off = (uint32_t)(tcp->data_off >> 4) * 4;
	if (off < sizeof(*tcp) || hlen + off > total || !read_sums(m, ip, tcp))
		return GEN_FRAME_BAD;
	*ret = (struct gen_seg){
		.t = {rte_be_to_cpu_32(ip->src_addr), rte_be_to_cpu_32(ip->dst_addr),
			rte_be_to_cpu_16(tcp->src_port), rte_be_to_cpu_16(tcp->dst_port)},
		.seq = rte_be_to_cpu_32(tcp->sent_seq),
		.ack = rte_be_to_cpu_32(tcp->recv_ack),
		.flags = tcp->tcp_flags,
		.data = (const uint8_t *)tcp + off,
		.len = total - hlen - off,
	};
	read_options((const uint8_t *)(tcp + 1), off - (uint32_t)sizeof(*tcp), ret);
	return GEN_FRAME_TCP;
}

enum gen_frame_kind
gen_frame_read(const struct rte_mbuf *m, struct gen_seg *ret)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	if (m->nb_segs != 1 || m->data_len < sizeof(*eth))
		return GEN_FRAME_BAD;
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		return GEN_FRAME_ARP;
	if (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return GEN_FRAME_OTHER;
	return read_ip(m, (const struct rte_ipv4_hdr *)(eth + 1), ret);
}

bool
gen_frame_read_arp(const struct rte_mbuf *m, struct gen_arp *ret)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(
		m, const struct rte_arp_hdr *, sizeof(struct rte_ether_hdr));

	if (m->nb_segs != 1 || m->data_len < sizeof(struct rte_ether_hdr) + sizeof(*arp) ||
		arp->arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
		arp->arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return false;
	*ret = (struct gen_arp){
		.op = rte_be_to_cpu_16(arp->arp_opcode),
		.sha = arp->arp_data.arp_sha,
		.spa = rte_be_to_cpu_32(arp->arp_data.arp_sip),
		.tpa = rte_be_to_cpu_32(arp->arp_data.arp_tip),
	};
	return true;
}

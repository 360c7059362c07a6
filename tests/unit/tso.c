/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "tso.h"

#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>

#include "ip.h"

#define FRAME_MAX 66000

struct cut {
	uint8_t *frame; /* the whole packet, flat */
	uint32_t l2, l3, l4, len;
	bool v4;
};

/** Put length, number and checksums of a frame right; n: how many came before it. */
static void
cut_complete(const struct cut *c, uint8_t *frame, uint32_t len, uint32_t n)
{
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(frame + c->l2 + c->l3);

	tcp->cksum = 0;
	if (c->v4) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + c->l2);

		ip->total_length = rte_cpu_to_be_16((uint16_t)(len - c->l2));
		ip->packet_id = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + n));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(frame + c->l2);

		ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - c->l2 - c->l3));
		tcp->cksum = rte_ipv6_udptcp_cksum(ip, tcp);
	}
}

/** @return NULL, or what does not fit together */
static const char *
cut_check(const struct cut *c, const struct rte_mbuf *m, uint32_t mtu)
{
	const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(c->frame + c->l2 + c->l3);
	const struct rte_ipv4_hdr *v4 = (const struct rte_ipv4_hdr *)(c->frame + c->l2);
	const struct rte_ipv6_hdr *v6 = (const struct rte_ipv6_hdr *)(c->frame + c->l2);
	uint32_t payload = c->len - c->l2 - c->l3 - c->l4;
	uint16_t sum;

	if (m->nb_segs > IP_TSO_SEGS)
		return "more buffers than the port takes";
	if ((m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM) == 0 ||
		(m->ol_flags & (c->v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6)) == 0)
		return "flags";
	if (c->l3 != (c->v4 ? 20 : 40) || c->l4 != (tcp->data_off >> 4) * 4u)
		return "lengths of headers";
	if (c->v4 ? rte_be_to_cpu_16(v4->total_length) != c->len - c->l2
		  : rte_be_to_cpu_16(v6->payload_len) != c->len - c->l2 - c->l3)
		return "length of the packet";
	if (payload <= m->tso_segsz)
		return "nothing to cut";
	if (c->l3 + c->l4 + m->tso_segsz > mtu)
		return "longer than the MTU";
	if ((tcp->tcp_flags &
		    (RTE_TCP_SYN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_URG_FLAG | RTE_TCP_CWR_FLAG)) !=
		0)
		return "TCP's flags";
	sum = c->v4 ? rte_ipv4_phdr_cksum(v4, m->ol_flags) : rte_ipv6_phdr_cksum(v6, m->ol_flags);
	return tcp->cksum != sum ? "sum of the pseudo header" : NULL;
}

const char *
tso_cut(const struct rte_mbuf *m, uint32_t mtu,
	void (*piece)(void *arg, const uint8_t *frame, uint32_t len), void *arg)
{
	static uint8_t whole[FRAME_MAX], one[FRAME_MAX];
	const uint8_t last_only = RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG;
	struct cut c = {whole, m->l2_len, m->l3_len, m->l4_len, m->pkt_len,
		(m->ol_flags & RTE_MBUF_F_TX_IPV4) != 0};
	uint32_t heads = c.l2 + c.l3 + c.l4, at, n = 0;
	const char *fault;
	const void *flat;

	if (m->pkt_len > FRAME_MAX || (flat = rte_pktmbuf_read(m, 0, m->pkt_len, whole)) == NULL)
		return "length of the frame";
	if (flat != whole)
		memcpy(whole, flat, m->pkt_len);
	if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) == 0) {
		piece(arg, whole, m->pkt_len);
		return NULL;
	}
	fault = cut_check(&c, m, mtu);
	for (at = heads; fault == NULL && at < c.len; at += m->tso_segsz, n++) {
		uint32_t len = RTE_MIN((uint32_t)m->tso_segsz, c.len - at);
		struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(one + c.l2 + c.l3);

		memcpy(one, whole, heads);
		memcpy(one + heads, whole + at, len);
		tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + at - heads);
		if (at + len < c.len)
			tcp->tcp_flags &= (uint8_t)~last_only;
		cut_complete(&c, one, heads + len, n);
		piece(arg, one, heads + len);
	}
	return fault;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "frame.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#define ARP_LEN    42
#define PEER_NET   0x64400000u /* 100.64.0.0/10 (RFC 6598) */
#define PEER_PORTS 32768
#define PEER_PORT  1024 /* the first */

const uint8_t frame_mac_us[6] = {0x02, 0x77, 0, 0, 0, 2};
const uint8_t frame_mac_them[6] = {0x02, 0x77, 0, 0, 0, 1};

void
frame_head(struct rte_mbuf *m, uint32_t peer, uint8_t proto, uint16_t port, uint16_t l4)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *), *ip = p + FRAME_L3;

	memcpy(p, frame_mac_us, 6);
	memcpy(p + 6, frame_mac_them, 6);
	put16(p + 12, 0x0800);
	put16(ip, 0x4500);
	put16(ip + 2, (uint16_t)(20 + l4));
	put32(ip + 4, 0x00004000);
	put16(ip + 8, (uint16_t)(64 << 8 | proto));
	put16(ip + 10, 0);
	put32(ip + 12, PEER_NET + peer / PEER_PORTS);
	put32(ip + 16, FRAME_US);
	put16(p + FRAME_L4, (uint16_t)(PEER_PORT + peer % PEER_PORTS));
	put16(p + FRAME_L4 + 2, port);
	m->data_len = RTE_MAX((uint16_t)(FRAME_L4 + l4), (uint16_t)FRAME_MIN);
	m->pkt_len = m->data_len;
	m->ol_flags = 0;
	m->port = 0;
}

void
frame_done(struct rte_mbuf *m, bool offload)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, FRAME_L3);
	uint8_t *l4 = (uint8_t *)(ip + 1);
	uint16_t sum;

	if (offload) {
		m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		return;
	}
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	l4 += ip->next_proto_id == IPPROTO_UDP ? 6 : 16;
	memset(l4, 0, 2);
	sum = rte_ipv4_udptcp_cksum(ip, ip + 1);
	memcpy(l4, &sum, 2);
}

void
frame_arp(struct rte_mbuf *m, uint8_t op)
{
	const uint8_t fixed[] = {0, 1, 8, 0, 6, 4, 0, op};
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, ARP_LEN);

	if (op == 1)
		memset(p, 0xff, 6);
	else
		memcpy(p, frame_mac_us, 6);
	memcpy(p + 6, frame_mac_them, 6);
	put16(p + 12, 0x0806);
	memcpy(p + 14, fixed, sizeof(fixed));
	memcpy(p + 22, frame_mac_them, 6);
	put32(p + 28, FRAME_US - 1);
	memcpy(p + 32, frame_mac_us, 6);
	put32(p + 38, FRAME_US);
}

bool
frame_asks(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	return p[12] == 0x08 && p[13] == 0x06 && p[21] == 1 && get32(p + 38) == FRAME_US - 1;
}

uint32_t
frame_peer(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t net = get32(p + FRAME_L3 + 16) - PEER_NET;
	uint32_t port = (get32(p + FRAME_L4) & 0xffff) - PEER_PORT;

	if (net >= 1u << 22 || port >= PEER_PORTS)
		return UINT32_MAX;
	return net * PEER_PORTS + port;
}

/** xorshift64* (Vigna 2016), and a range without division (Lemire 2019). */
uint32_t
frame_random(uint64_t *state, uint32_t n)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d) >> 32) * n >> 32);
}

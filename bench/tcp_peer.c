/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "tcp_peer.h"

#include <netinet/in.h>
#include <string.h>

#define HLEN 32 /* with timestamps */

static uint16_t
tcp_options(uint8_t *o, const struct tcp_peers *b, const struct tcp_peer *k, uint8_t flags)
{
	uint8_t *p = o;

	if ((flags & TCP_SYN) != 0) {
		put32(p, 0x020405b4); /* MSS 1460 */
		put32(p + 4, 0x0402080a); /* SACK, timestamps */
		p += 8;
	} else {
		put32(p, 0x0101080a);
		p += 4;
	}
	put32(p, b->ts);
	put32(p + 4, k->ts_ecr);
	p += 8;
	if ((flags & TCP_SYN) != 0) {
		put32(p, 0x01030307); /* window scale 7 */
		p += 4;
	}
	return (uint16_t)(p - o);
}

void
tcp_segment(struct tcp_peers *b, struct rte_mbuf *m, uint32_t peer, uint16_t port, uint8_t flags,
	uint16_t len)
{
	struct tcp_peer *k = &b->peers[peer];
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *) + FRAME_L4;
	uint16_t hlen = (uint16_t)(20 + tcp_options(p + 20, b, k, flags));

	frame_head(m, peer, IPPROTO_TCP, port, (uint16_t)(hlen + len));
	put32(p + 4, k->snd);
	put32(p + 8, k->rcv);
	p[12] = (uint8_t)(hlen / 4 << 4);
	p[13] = flags;
	put16(p + 14, 0xffff);
	put32(p + 16, 0);
	memset(p + hlen, (int)peer, len);
	frame_done(m, b->offload);
	k->snd += len + ((flags & TCP_SYN) != 0);
}

int
tcp_answer(struct tcp_peers *b, const struct rte_mbuf *m)
{
	uint32_t peer = frame_peer(m);
	uint8_t copy[FRAME_L4 + 60];
	const uint8_t *p = rte_pktmbuf_read(m, 0, FRAME_L4 + 20, copy), *o;
	struct tcp_peer *k;
	uint32_t hlen, len;

	if (p == NULL || peer >= b->n)
		return -1;
	k = &b->peers[peer];
	len = (get32(p + FRAME_L3) & 0xffff) - 20;
	hlen = (uint32_t)(p[FRAME_L4 + 12] >> 4) * 4;
	p = rte_pktmbuf_read(m, 0, FRAME_L4 + hlen, copy);
	if (p == NULL || hlen < HLEN || get32(p + FRAME_L4 + 8) != k->snd)
		return -1;
	p += FRAME_L4;
	len -= hlen;
	if ((p[13] & TCP_SYN) != 0) {
		k->rcv = get32(p + 4);
		len = 1;
		o = p + 20;
		while (o[0] != 8)
			o += o[0] == 1 ? 1 : o[1];
		o -= 2;
	} else {
		o = p + 20;
	}
	if (get32(p + 4) != k->rcv)
		return -1;
	k->ts_ecr = get32(o + 4);
	k->rcv += len;
	return (int)len;
}

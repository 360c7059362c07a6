/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "tcp_peer.h"

#include <netinet/in.h>
#include <string.h>

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

bool
tcp_hear(const struct rte_mbuf *m, struct tcp_heard *ret)
{
	uint8_t copy[FRAME_L4 + 60];
	const uint8_t *p = rte_pktmbuf_read(m, 0, FRAME_L4 + 20, copy), *o;
	uint32_t hlen, len;

	if (p == NULL)
		return false;
	len = (get32(p + FRAME_L3) & 0xffff) - 20;
	hlen = (uint32_t)(p[FRAME_L4 + 12] >> 4) * 4;
	p = rte_pktmbuf_read(m, 0, FRAME_L4 + hlen, copy);
	if (p == NULL || hlen < TCP_HLEN || p[FRAME_L3 + 9] != IPPROTO_TCP)
		return false;
	p += FRAME_L4;
	*ret = (struct tcp_heard){.peer = frame_peer(m),
		.seq = get32(p + 4),
		.ack = get32(p + 8),
		.wnd = get32(p + 12) & 0xffff,
		.flags = p[13],
		.len = len - hlen};
	for (o = p + 20; o < p + hlen && o[0] != 0; o += o[0] == 1 ? 1 : o[1]) {
		if (o[0] == 8)
			ret->ts_val = get32(o + 2);
		if (o[0] == 3)
			ret->scale = o[2];
	}
	return true;
}

int
tcp_answer(struct tcp_peers *b, const struct rte_mbuf *m)
{
	struct tcp_heard h;
	struct tcp_peer *k;

	if (!tcp_hear(m, &h) || h.peer >= b->n)
		return -1;
	k = &b->peers[h.peer];
	if ((h.flags & TCP_SYN) != 0) {
		k->rcv = h.seq;
		k->open = true;
		h.len = 1;
	}
	if (h.ack != k->snd || h.seq != k->rcv)
		return -1;
	k->ts_ecr = h.ts_val;
	k->rcv += h.len;
	return (int)h.len;
}

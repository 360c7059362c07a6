/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Resets: to those who talk to nobody, and to end a conversation. RFC 9293 section 3.5.2.
 */
#include "tcp_priv.h"

/** Answer a segment that belongs nowhere, within the limit. m (parsed) stays the caller's. */
void
tcp_reset_reply(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct tcp_out o = {.k = &p->key.k, .flags = TCP_RST};

	if ((p->tcp.flags & TCP_RST) != 0 || (p->flags & PKT_GROUP) != 0 || !ip_rate_ok(w))
		return;
	if ((p->tcp.flags & TCP_ACK) != 0) {
		o.seq = p->tcp.ack;
	} else {
		o.flags |= TCP_ACK;
		o.ack = p->tcp.seq + p->data_len + ((p->tcp.flags & TCP_SYN) != 0) +
			((p->tcp.flags & TCP_FIN) != 0);
	}
	TCP_COUNT(w, resets_out);
	tcp_transmit_bare(w, &o);
}

/** Tell the peer that the conversation is no more. */
void
tcp_reset_conv(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_out o = {
		.k = &tc->c.cn.n.key,
		.path = &tc->c.path,
		.seq = tcp_ack_seq(tc),
		.ack = tc->rcv_nxt,
		.flags = TCP_RST | TCP_ACK,
	};

	TCP_COUNT(w, resets_out);
	tcp_transmit_bare(w, &o);
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the path carries: told by ICMP (RFC 1191, 8201; what is believed, see tcp_advise), guessed where a black hole
 * swallows long segments and says nothing (RFC 4821 section 7.7), and tried anew after a while.
 */
#include "tcp_priv.h"

#define MTU_AGE_MS 600000 /* RFC 1191 section 6.3, RFC 8201 section 4: 10 minutes */

/** The path takes no more than mtu, it seems. @return true if that is less than was sent */
static bool
tcp_mtu_fall(struct worker *w, struct tcp_conv *tc, uint32_t mtu)
{
	uint32_t was = tcp_mss(tc);

	/* It has the floor of what is believed: 552, 1280. */
	if (!ip_path_mtu(&tc->c.path, &tc->c.cn.n.key, mtu))
		return false;
	tc->c.mtu_at = tcp_deadline(w, MTU_AGE_MS);
	TCP_COUNT(w, path_mtu_falls);
	return tcp_mss(tc) < was;
}

/** A router says so: segments in flight that no longer fit are sent again (RFC 1191 section 6.4). */
void
tcp_mtu_told(struct worker *w, struct tcp_conv *tc, uint32_t mtu)
{
	bool any = false;

	if (!tcp_mtu_fall(w, tc, mtu) || tc->sndq.head == NULL)
		return;
	for (struct rte_mbuf *m = tc->sndq.head; m != tcp_flight(tc)->next; m = pkt_of(m)->next) {
		struct pkt *p = pkt_of(m);

		if (p->tx.len <= tcp_payload_max(tc) || (p->tx.flags & TCP_TX_SACKED) != 0)
			continue;
		tcp_mark_lost(tc, m);
		any = true;
	}
	/* Not congestion: cwnd stays. */
	if (any && (tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS)) == 0) {
		tc->c.flags |= TCPF_LOSS;
		tcp_flight(tc)->recover = tc->snd_nxt;
	}
}

/**
 * The same segment was lost so often that it may be too long: one step down, if that makes it shorter. All that is
 * outstanding is marked lost already, and is cut to what fits as it goes out again.
 */
void
tcp_mtu_lost(struct worker *w, struct tcp_conv *tc)
{
	static const uint16_t steps[] = {1500, 1280, 1024, 552};
	bool v4 = (tc->c.flags & TCPF_V4) != 0;
	unsigned n = v4 ? RTE_DIM(steps) : 2; /* RFC 8200 section 5: no narrower than 1280 */
	uint32_t hlen = (v4 ? 40 : 60) + tcp_opts_len(tc);

	if (tc->sndq.head == NULL)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (steps[i] >= tc->c.path.mtu || pkt_of(tc->sndq.head)->tx.len + hlen <= steps[i])
			continue;
		if (tcp_mtu_fall(w, tc, steps[i]))
			TCP_COUNT(w, black_holes);
		return;
	}
}

/** The path may be another one by now: what the interface takes, until somebody says otherwise. */
void
tcp_mtu_again(struct worker *w, struct tcp_conv *tc)
{
	tc->c.mtu_at = 0;
	tc->c.path.gen = 0;
	ip_path(w, &tc->c.cn.n.key, &tc->c.path);
}

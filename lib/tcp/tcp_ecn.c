/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Explicit congestion notification (RFC 3168 section 6.1): agreed on with the SYNs; data goes out as ECT(0), but no
 * retransmission, no probe, and nothing without data; marks are told by ECE, and ECE is answered as a loss is, once
 * per window. With DCTCP the ACKs tell of each mark (RFC 8257 section 3.2).
 */
#include "tcp_priv.h"

/** Does this SYN ask for ECN, and do we grant it (section 6.1.1)? */
bool
tcp_ecn_asked(const struct worker *w, const struct pkt *p)
{
	return w->tcp->conf.ecn != TCP_ECN_OFF &&
		(p->tcp.flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
}

/** Our SYN asked: does the peer's grant it? Whoever sent a SYN that did not ask can't tell what is being answered. */
bool
tcp_ecn_granted(const struct worker *w, const struct tcp_conv *tc, const struct pkt *p)
{
	if (w->tcp->conf.ecn != TCP_ECN_ASK || (tc->c.flags & TCPF_SYN_RESENT) != 0)
		return false;
	if ((p->tcp.flags & TCP_ACK) == 0)
		return tcp_ecn_asked(w, p); /* simultaneous open */
	return (p->tcp.flags & (TCP_ECE | TCP_CWR)) == TCP_ECE;
}

/** An acceptable segment with data: note its mark, or that the peer has answered to ours. */
void
tcp_ecn_input(struct worker *w, struct tcp_conv *tc, const struct pkt *p)
{
	bool ce = (p->flags & PKT_CE) != 0;

	if ((tc->c.flags & TCPF_ECN) == 0 || p->data_len == 0)
		return;
	if (ce)
		TCP_COUNT(w, ecn_marks_in);
	if (tc->cc == TCP_DCTCP) {
		if (ce == tc->ece)
			return;
		/* RFC 8257 section 3.2: what came before is acknowledged as it was. */
		if (tc->rcv_nxt != tc->last_ack)
			tcp_send_ack(w, tc);
		tc->ece = ce;
		tc->c.flags |= TCPF_ACK_NOW;
		return;
	}
	/* Section 6.1.3: until the peer says that it has reduced its window. */
	if ((p->tcp.flags & TCP_CWR) != 0)
		tc->ece = 0;
	if (ce) {
		tc->ece = 1;
		tc->c.flags |= TCPF_ACK_NOW;
	}
}

/** The peer saw marks, the last of them in a window that was not answered yet (section 6.1.2). */
void
tcp_ecn_reduce(struct worker *w, struct tcp_conv *tc, uint32_t acked)
{
	const struct tcp_cc *cc = tcp_cc(tc);
	uint32_t flight = tc->snd_nxt - tc->snd_una + acked;

	if (flight ==
		0) /* acknowledged before without a word of marks: how much it was is forgotten */
		flight = tc->cwnd;
	TCP_COUNT(w, ecn_reductions);
	tc->ssthresh = cc->marked != NULL ? cc->marked(w, tc, flight) : cc->ssthresh(w, tc, flight);
	tc->c.flags |= TCPF_CWR;
	tc->cwr = 1;
	if (tc->sndq.head == NULL)
		return;
	tcp_flight(tc)->recover = tc->snd_nxt;
	tcp_flight(tc)->tlp = TCP_TLP_NONE;
	tcp_prr_start(tc, flight);
}

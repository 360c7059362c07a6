/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Active open: SYN-SENT (RFC 9293 section 3.10.1, 3.10.7.3), and simultaneous open.
 */
#include "tcp_priv.h"

/** SYN, or, in SYN-RECEIVED, SYN-ACK. */
void
tcp_send_syn(struct worker *w, struct tcp_conv *tc)
{
	bool ack = tc->c.cn.state == TCP_SYN_RECEIVED;
	struct tcp_out o = {
		.k = &tc->c.cn.n.key,
		.path = &tc->c.path,
		.seq = tc->snd_una,
		.wnd = tcp_syn_window(w),
		.flags = TCP_SYN,
		.mss = tcp_mss_ours(&tc->c.path, &tc->c.cn.n.key),
		.opts = TCP_OPT_TS | TCP_OPT_SACK_OK | TCP_OPT_WSCALE,
		.wscale = w->tcp->rcv_wscale,
	};

	o.ts_val = tcp_ts_next(w, tc);
	/* RFC 3168 section 6.1.1.1: who does not answer to ECN may do without. */
	if (!ack && w->tcp->conf.ecn == TCP_ECN_ASK && (tc->c.flags & TCPF_SYN_RESENT) == 0)
		o.flags |= TCP_ECE | TCP_CWR;
	if (ack) {
		o.flags |= TCP_ACK | ((tc->c.flags & TCPF_ECN) != 0 ? TCP_ECE : 0);
		o.ack = tc->rcv_nxt;
		o.ts_ecr = tc->ts_recent;
		if ((tc->c.flags & TCPF_TS) == 0)
			o.opts &= ~TCP_OPT_TS;
		if ((tc->c.flags & TCPF_SACK) == 0)
			o.opts &= ~TCP_OPT_SACK_OK;
		if ((tc->c.flags & TCPF_WSCALE) == 0)
			o.opts &= ~TCP_OPT_WSCALE;
		tc->last_ack = tc->rcv_nxt;
	}
	tc->c.active_ms = w->now_ms;
	tcp_transmit_bare(w, &o);
	tcp_rto_start(w, tc);
}

/** Everything of a conversation in SYN-SENT but its port. */
static void
tcp_connect_fill(struct worker *w, struct conv *c)
{
	struct tcp_conv *tc = tcp_conv(c);

	c->cn.state = TCP_SYN_SENT;
	tcp_setup(w, tc, tcp_mss_peer(&c->cn.n.key, 0, 0), 0);
	tc->c.flags |= TCPF_BORN | TCPF_ACTIVE | TCPF_OPENING;
}

static void
tcp_connect_isn(struct worker *w, struct conv *c)
{
	struct tcp_conv *tc = tcp_conv(c);

	tc->snd_una = tcp_isn(w, &c->cn.n.key);
	tc->snd_nxt = tc->snd_end = tc->snd_una + 1;
}

/** @see struct proto: connect */
int
tcp_connect(struct worker *w, const struct service *s, const struct key *k, const void *svc,
	struct conv **ret_c)
{
	static const struct conv_opening opening = {
		.proto = &tcp_proto,
		.fill = tcp_connect_fill,
		.numbered = tcp_connect_isn,
	};
	int err = conv_connect(w, &opening, s, k, svc, ret_c);

	if (err != 0)
		return err;
	TCP_COUNT(w, active_opens);
	tcp_state_step(w, TCP_CLOSED, TCP_SYN_SENT);
	return 0;
}

/** First: the ACK. @return false: m is consumed */
static bool
tcp_syn_sent_ack(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if ((p->tcp.flags & TCP_ACK) == 0 || p->tcp.ack == tc->snd_nxt)
		return true;
	tcp_reset_reply(w, m);
	drop(w, m, DROP_TCP_ACK);
	return false;
}

/** The peer's SYN: its numbers, and what we agree on. */
static void
tcp_syn_sent_agree(struct worker *w, struct tcp_conv *tc, const struct pkt *p)
{
	uint8_t opts = p->tcp.opts | (tcp_ecn_granted(w, tc, p) ? TCP_OPT_ECN : 0);

	tcp_setup(w, tc, tcp_mss_peer(&tc->c.cn.n.key, p->tcp.opts, p->tcp.mss), opts);
	tc->snd_wscale = p->tcp.wscale; /* 0 if there was none; we always offer one */
	if ((tc->c.flags & TCPF_TS) != 0)
		tc->ts_recent = p->tcp.ts_val;
	tc->rcv_nxt = p->tcp.seq + 1;
	tc->rcv_adv = tc->rcv_nxt + tcp_syn_window(w);
	tc->rcv_from = tc->rcv_nxt;
	tc->rcv_from_ms = (uint16_t)w->now_ms;
	tc->last_ack = tc->rcv_nxt;
	tc->snd_wnd = tc->snd_wnd_max = (uint16_t)(p->tcp.wnd >> tc->snd_wscale);
	tc->snd_wl1 = p->tcp.seq;
}

/** RTT of the handshake: by the clock if the SYN went out once (Karn), else by the echoed timestamp. */
static void
tcp_syn_sent_rtt(struct worker *w, struct tcp_conv *tc, const struct pkt *p)
{
	uint32_t ms = worker_since_ms(w, tc->c.active_ms);

	if ((tc->c.flags & TCPF_SYN_RESENT) != 0) {
		if ((tc->c.flags & TCPF_TS) == 0 || p->tcp.ts_ecr == 0)
			return;
		ms = tcp_ts_now(w, &tc->c.cn.n.key) - p->tcp.ts_ecr;
		/* Longer than the pause of SYN-ACK's retransmission: that may be what it is. */
		if (ms >= TCP_RTO_INIT_MS)
			return;
	}
	tcp_rtt_sample(tc, ms * 1000);
}

/** RFC 9293 section 3.10.7.3, in its order. Consumes m. */
void
tcp_syn_sent_input(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	/* First: the ACK. */
	if (!tcp_syn_sent_ack(w, tc, m))
		return;
	/* Second: RST. RFC 5961 section 3.2: only with an acceptable ACK. Third (security): nothing. */
	if ((p->tcp.flags & TCP_RST) != 0) {
		if ((p->tcp.flags & TCP_ACK) == 0) {
			drop(w, m, DROP_TCP_RST);
			return;
		}
		TCP_COUNT(w, resets_in);
		w->c.delivered++;
		rte_pktmbuf_free(m);
		tcp_end(w, tc, CONV_END_REFUSED);
		return;
	}
	/* Fourth: SYN. Fifth: neither SYN nor RST: drop. */
	if ((p->tcp.flags & TCP_SYN) == 0) {
		drop(w, m, DROP_TCP_FLAGS);
		return;
	}
	tcp_syn_sent_agree(w, tc, p);
	p->tcp.flags &= ~TCP_SYN;
	p->tcp.seq++;
	if ((p->tcp.flags & TCP_ACK) == 0) {
		/* Simultaneous open. Text, if any, comes again. */
		tcp_state_set(w, tc, TCP_SYN_RECEIVED);
		tc->backoff = 0;
		tcp_send_syn(w, tc);
		w->c.delivered++;
		rte_pktmbuf_free(m);
		return;
	}
	tcp_syn_sent_rtt(w, tc, p);
	tcp_establish(w, tc);
	tc->c.flags |= TCPF_ACK_NOW;
	tc->c.active_ms = w->now_ms;
	tcp_input_text(w, tc, m);
}

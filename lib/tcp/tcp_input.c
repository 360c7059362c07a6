/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A segment arrives: RFC 9293 section 3.10.7.4, in its order, with RFC 7323 (timestamps) and RFC 5961
 * (blind attacks) where they belong. Each step either lets a segment pass or consumes it.
 * A segment that a conversation has taken in or answered is delivered; others are dropped under a name.
 */
#include "tcp_priv.h"

/** Segment length in sequence space (SEG.LEN). */
static uint32_t
tcp_seg_len(const struct pkt *p)
{
	return p->data_len + ((p->tcp.flags & TCP_SYN) != 0) + ((p->tcp.flags & TCP_FIN) != 0);
}

/** A duplicate, whose ACK was lost, gets one; what has no length may be an answer to ours, so it is counted out. */
static void
tcp_not_acceptable(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m, enum drop_reason r)
{
	const struct pkt *p = pkt_of(m);
	bool old = tcp_seg_len(p) > 0 && seq_le(p->tcp.seq + tcp_seg_len(p), tc->rcv_nxt);

	if ((p->tcp.flags & TCP_RST) != 0) {
		drop(w, m, DROP_TCP_RST);
		return;
	}
	/* In SYN-RECEIVED nothing is flushed yet. */
	if (tcp_seg_len(p) > 0 && tc->c.cn.state != TCP_SYN_RECEIVED)
		tc->c.flags |= TCPF_ACK_NOW;
	else
		tcp_challenge(w, tc);
	if (!old || r == DROP_TCP_PAWS) {
		drop(w, m, r);
		return;
	}
	if (p->data_len > 0)
		tcp_note_dup(w, p->tcp.seq, p->tcp.seq + p->data_len);
	TCP_COUNT(w, dup_segs_in);
	w->c.delivered++;
	rte_pktmbuf_free(m);
}

/** RFC 7323 section 5.3 R1: a timestamp older than the last one marks an old duplicate. */
static bool
tcp_paws_old(const struct worker *w, const struct tcp_conv *tc, const struct pkt *p)
{
	return seq_lt(p->tcp.ts_val, tc->ts_recent) && tcp_idle_ms(w, tc) < TCP_PAWS_IDLE_MS;
}

/** Before the first step: RFC 7323 section 3.2 and 5.3. @return false: m is consumed */
static bool
tcp_check_paws(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if ((tc->c.flags & TCPF_TS) == 0 || (p->tcp.flags & TCP_RST) != 0)
		return true;
	if ((p->tcp.opts & TCP_OPT_TS) == 0) {
		TCP_COUNT(w, paws);
		drop(w, m, DROP_TCP_PAWS);
		return false;
	}
	if (!tcp_paws_old(w, tc, p))
		return true;
	TCP_COUNT(w, paws);
	/* An ACK that was overtaken on its way needs no answer, and would get one in vain. */
	if (p->data_len == 0 && (p->tcp.flags & (TCP_SYN | TCP_FIN)) == 0)
		drop(w, m, DROP_TCP_PAWS);
	else
		tcp_not_acceptable(w, tc, m, DROP_TCP_PAWS);
	return false;
}

/** First: sequence number (table 6 of RFC 9293 section 3.4). @return false: m is consumed */
static bool
tcp_check_seq(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint32_t wnd = tcp_rcv_wnd(tc), len = tcp_seg_len(p), seq = p->tcp.seq;
	uint32_t last = seq + len - 1;

	/* Simultaneous open: the peer's SYN comes again, with the ACK of ours (figure 8). */
	if (tc->c.cn.state == TCP_SYN_RECEIVED && (p->tcp.flags & TCP_SYN) != 0 &&
		seq + 1 == tc->rcv_nxt) {
		p->tcp.flags &= ~TCP_SYN;
		p->tcp.seq++;
		return true;
	}
	if (len == 0 || wnd == 0) {
		if (seq == tc->rcv_nxt && len == 0)
			return true;
		/* Window 0: "special allowance" for ACKs and RSTs; the text goes in tcp_input_text. */
		if (wnd == 0 && seq == tc->rcv_nxt)
			return true;
		if (len == 0 && wnd > 0 && seq - tc->rcv_nxt < wnd)
			return true;
	} else if (seq - tc->rcv_nxt < wnd || last - tc->rcv_nxt < wnd) {
		return true;
	}
	tcp_not_acceptable(w, tc, m, DROP_TCP_WINDOW);
	return false;
}

/** Second: RST, as RFC 5961 section 3.2 has it. @return false: m is consumed */
static bool
tcp_check_rst(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if ((p->tcp.flags & TCP_RST) == 0)
		return true;
	if (p->tcp.seq != tc->rcv_nxt) {
		tcp_challenge(w, tc);
		drop(w, m, DROP_TCP_RST);
		return false;
	}
	/* RFC 1337 section 3 (a) */
	if (tc->c.cn.state == TCP_TIME_WAIT) {
		drop(w, m, DROP_TCP_RST);
		return false;
	}
	TCP_COUNT(w, resets_in);
	w->c.delivered++;
	rte_pktmbuf_free(m);
	/* After both FINs it changes nothing for the service. */
	if (tc->c.cn.state == TCP_CLOSING || tc->c.cn.state == TCP_LAST_ACK)
		tcp_end(w, tc, CONV_END_CLOSED);
	else if (tc->c.cn.state == TCP_SYN_RECEIVED)
		tcp_end(w, tc, CONV_END_REFUSED);
	else
		tcp_end(w, tc, CONV_END_RESET);
	return false;
}

/** Fourth: SYN, as RFC 5961 section 4.2 has it. @return false: m is consumed */
static bool
tcp_check_syn(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	if ((pkt_of(m)->tcp.flags & TCP_SYN) == 0)
		return true;
	tcp_challenge(w, tc);
	drop(w, m, DROP_TCP_SYN);
	return false;
}

/** Fifth, in SYN-RECEIVED: our SYN is acknowledged, or the segment is not for us. @return false: m is consumed */
static bool
tcp_ack_syn(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if (p->tcp.ack != tc->snd_nxt) {
		tcp_reset_reply(w, m);
		drop(w, m, DROP_TCP_ACK);
		return false;
	}
	tc->snd_wl1 = p->tcp.seq - 1;
	tcp_establish(w, tc);
	return true;
}

/** Fifth: the ACK field. @return false: m is consumed */
static bool
tcp_check_ack(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if ((p->tcp.flags & TCP_ACK) == 0) {
		drop(w, m, DROP_TCP_FLAGS);
		return false;
	}
	if (tc->c.cn.state == TCP_SYN_RECEIVED)
		return tcp_ack_syn(w, tc, m);
	/* RFC 5961 section 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT */
	if (seq_lt(tc->snd_nxt, p->tcp.ack)) {
		tcp_challenge(w, tc);
		drop(w, m, DROP_TCP_ACK);
		return false;
	}
	if (seq_lt(p->tcp.ack, tc->snd_una - ((uint32_t)tc->snd_wnd_max << tc->snd_wscale))) {
		tcp_challenge(w, tc);
		drop(w, m, DROP_TCP_ACK);
		return false;
	}
	return true;
}

/** Fifth, continued: what the ACK means to the state. @return false: the conversation is over */
static bool
tcp_ack_states(struct worker *w, struct tcp_conv *tc)
{
	if (!tcp_fin_acked(tc))
		return true;
	switch (tc->c.cn.state) {
	case TCP_FIN_WAIT_1:
		tcp_state_set(w, tc, TCP_FIN_WAIT_2);
		if ((tc->c.flags & TCPF_CLOSED) != 0)
			tc->misc_at = tcp_deadline(w, w->tcp->conf.fin_wait_2_ms);
		return true;
	case TCP_CLOSING:
		tcp_state_set(w, tc, TCP_TIME_WAIT);
		tc->misc_at = tcp_deadline(w, w->tcp->conf.time_wait_ms);
		return true;
	case TCP_LAST_ACK:
		if (w->tcp->conf.last_ack_ms == 0 && tc->rcvq.head == NULL) {
			tcp_end(w, tc, CONV_END_CLOSED);
			return false;
		}
		/* What came before the peer's FIN is still to be read. */
		tcp_state_set(w, tc, TCP_TIME_WAIT);
		tc->misc_at = w->tcp->conf.last_ack_ms == 0
			? 0
			: tcp_deadline(w, w->tcp->conf.last_ack_ms);
		return true;
	default:
		return true;
	}
}

/** Eighth: FIN, once all before it is there. */
static void
tcp_check_fin(struct worker *w, struct tcp_conv *tc)
{
	if ((tc->c.flags & (TCPF_PEER_FIN_AT | TCPF_PEER_FIN)) != TCPF_PEER_FIN_AT ||
		tc->rcv_nxt != tc->rcv_fin)
		return;
	tc->c.flags |= TCPF_PEER_FIN | TCPF_ACK_NOW;
	tc->rcv_nxt++;
	tc->rcv_adv = seq_max(tc->rcv_adv, tc->rcv_nxt);
	tcp_ooo_free(tc);
	switch (tc->c.cn.state) {
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
		tcp_state_set(w, tc, TCP_CLOSE_WAIT);
		break;
	case TCP_FIN_WAIT_1:
		tcp_state_set(w, tc, TCP_CLOSING); /* were it acknowledged, this were FIN-WAIT-2 */
		break;
	case TCP_FIN_WAIT_2:
		tcp_state_set(w, tc, TCP_TIME_WAIT);
		tc->misc_at = tcp_deadline(w, w->tcp->conf.time_wait_ms);
		break;
	default:
		break;
	}
}

/** Data for a service that has closed: RFC 9293 section 3.6.1, RFC 2525 section 2.17. Consumes m. */
static void
tcp_text_closed(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	drop(w, m, DROP_TCP_CLOSED);
	tcp_reset_conv(w, tc);
	tcp_end(w, tc, CONV_END_HANGUP);
}

/**
 * Sixth (URG: urgent data is delivered in line, RFC 9293 section 3.8.5), seventh: the segment text; and
 * eighth: FIN. Consumes m.
 */
void
tcp_input_text(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint32_t end = p->tcp.seq + p->data_len;
	bool fin = (p->tcp.flags & TCP_FIN) != 0, text = p->data_len > 0;

	switch (tc->c.cn.state) {
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_FIN_WAIT_2:
		break;
	default: /* after its FIN a peer has no more to say: ignore it */
		if (text || fin)
			tc->c.flags |= TCPF_ACK_NOW;
		if (text && seq_lt(tc->rcv_nxt, end)) {
			drop(w, m, DROP_TCP_CLOSED);
			return;
		}
		w->c.delivered++;
		rte_pktmbuf_free(m);
		return;
	}
	if (fin && (tc->c.flags & TCPF_PEER_FIN_AT) == 0 && seq_le(end, tc->rcv_adv)) {
		tc->c.flags |= TCPF_PEER_FIN_AT;
		tc->rcv_fin = end;
	}
	if (fin && tc->rcv_nxt != end)
		tc->c.flags |= TCPF_ACK_NOW;
	if (text && (tc->c.flags & TCPF_CLOSED) != 0 && seq_lt(tc->rcv_nxt, end)) {
		tcp_text_closed(w, tc, m);
		return;
	}
	if (!text || !seq_lt(tc->rcv_nxt, end)) {
		w->c.delivered++;
		rte_pktmbuf_free(m);
	} else if (tcp_rcv_wnd(tc) == 0) {
		/* A probe of our closed window (RFC 9293 section 3.8.6.1). */
		tc->c.flags |= TCPF_ACK_NOW;
		drop(w, m, DROP_TCP_WINDOW);
	} else {
		tcp_recv(w, tc, m);
	}
	tcp_check_fin(w, tc);
}

/** RFC 7323 section 4.3 (2) */
static void
tcp_ts_note(struct tcp_conv *tc, const struct pkt *p)
{
	if ((tc->c.flags & TCPF_TS) != 0 && (p->tcp.opts & TCP_OPT_TS) != 0 &&
		seq_le(p->tcp.seq, tc->last_ack) && seq_le(tc->ts_recent, p->tcp.ts_val))
		tc->ts_recent = p->tcp.ts_val;
}

/**
 * Header prediction (Jacobson 1990; RFC 7323 appendix D): the segment that is expected next, with an ACK and nothing
 * special, passes all that is checked before its ACK is looked at.
 */
static inline bool
tcp_predicted(const struct tcp_conv *tc, const struct pkt *p)
{
	if (tc->c.cn.state != TCP_ESTABLISHED || (p->tcp.flags & ~TCP_PSH) != TCP_ACK ||
		p->tcp.seq != tc->rcv_nxt || p->tcp.ack - tc->snd_una > tc->snd_nxt - tc->snd_una)
		return false;
	if (p->data_len > 0 && tcp_rcv_wnd(tc) == 0)
		return false;
	return (tc->c.flags & TCPF_TS) == 0 ||
		((p->tcp.opts & TCP_OPT_TS) != 0 && seq_le(tc->ts_recent, p->tcp.ts_val));
}

/** The first five steps. @return false: m is consumed */
static bool
tcp_check(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	return tcp_check_paws(w, tc, m) && tcp_check_seq(w, tc, m) && tcp_check_rst(w, tc, m) &&
		tcp_check_syn(w, tc, m) && tcp_check_ack(w, tc, m);
}

/** The synchronised states, and SYN-RECEIVED of a simultaneous open. Consumes m. */
static void
tcp_synchronised(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	if (!tcp_predicted(tc, pkt_of(m)) && !tcp_check(w, tc, m))
		return;
	tcp_idle_restart(w, tc);
	tc->c.active_ms = w->now_ms;
	tcp_ts_note(tc, pkt_of(m));
	tcp_ecn_input(w, tc, pkt_of(m));
	tcp_ack(w, tc, m);
	if (!tcp_ack_states(w, tc)) {
		w->c.delivered++;
		rte_pktmbuf_free(m);
		return;
	}
	tcp_input_text(w, tc, m);
}

/** @see struct proto: iput */
void
tcp_iput(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct tcp_conv *tc = tcp_conv(c);

	if (!tcp_parse(m)) {
		drop(w, m, DROP_TCP_SHORT);
		return;
	}
	TCP_COUNT(w, segs_in);
	if (c->cn.state == TCP_SYN_SENT)
		tcp_syn_sent_input(w, tc, m);
	else
		tcp_synchronised(w, tc, m);
}

/** @see struct proto: advise. RFC 5927: only what names a segment that is in flight, and hard errors only before ESTABLISHED. */
void
tcp_advise(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct tcp_conv *tc = tcp_conv(c);
	const struct pkt *p = pkt_of(m);
	bool opening = c->cn.state == TCP_SYN_SENT || c->cn.state == TCP_SYN_RECEIVED;

	if (p->icmp.seq - tc->snd_una >= tc->snd_nxt - tc->snd_una) {
		drop(w, m, DROP_ICMP_NO_CONV);
		return;
	}
	w->c.delivered++;
	if (p->icmp.too_big) {
		tcp_mtu_told(w, tc, p->icmp.mtu);
	} else if (p->icmp.hard && opening) {
		tcp_end(w, tc, CONV_END_UNREACHABLE);
	} else {
		TCP_COUNT(w, soft_errors);
		tcp_trouble(w, tc, CONV_TROUBLE_ICMP, (unsigned)p->icmp.type << 8 | p->icmp.code);
	}
	rte_pktmbuf_free(m);
}

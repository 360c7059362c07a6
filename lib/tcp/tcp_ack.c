/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What an acknowledgement does: the send queue gets shorter, the round trip is measured, the window of the
 * peer noted. RFC 9293 section 3.10.7.4, fifth step; RFC 6298; RFC 7323.
 */
#include "tcp_priv.h"

#define RTO_GRANULARITY_US 1000 /* of the clock that drives the timer */

/** RFC 6298 section 2, in the scaled form of Jacobson 1988 (srtt times 8, rttvar times 4). */
void
tcp_rtt_sample(struct tcp_conv *tc, uint32_t us)
{
	if (us == 0)
		us = 1;
	if (us > TCP_RTO_MAX_MS * 1000u)
		us = TCP_RTO_MAX_MS * 1000u;
	if (tc->srtt_us == 0) {
		tc->srtt_us = us * 8;
		tc->rttvar_us = us * 2;
	} else {
		int32_t delta = (int32_t)(us - tc->srtt_us / 8);

		tc->srtt_us += (uint32_t)delta;
		if (delta < 0)
			delta = -delta;
		tc->rttvar_us += (uint32_t)delta - tc->rttvar_us / 4;
	}
	tc->backoff = 0;
}

/** The retransmission timeout without backoff. */
uint32_t
tcp_rto_ms(const struct worker *w, const struct tcp_conv *tc)
{
	uint32_t us;

	if (tc->srtt_us == 0)
		return (tc->c.flags & TCPF_SYN_RESENT) != 0 && tc->c.cn.state >= TCP_ESTABLISHED
			? TCP_RTO_AFTER_SYN
			: TCP_RTO_INIT_MS;
	us = tc->srtt_us / 8 + RTE_MAX((uint32_t)RTO_GRANULARITY_US, tc->rttvar_us);
	return RTE_MIN(
		RTE_MAX((us + 999) / 1000, w->tcp->conf.rto_min_ms), (uint32_t)TCP_RTO_MAX_MS);
}

/** What the elements that an ACK takes away tell of the round trip. */
struct acked {
	uint64_t sent_us; /* of the first that was sent once and not SACKed; 0: none */
	bool retransmitted; /* one of them was sent more than once: Karn's rule */
};

/** Elements up to its acknowledgement have arrived: out of the queue with them. */
static void
tcp_ack_queue(struct worker *w, struct tcp_conv *tc, const struct pkt *by, struct acked *a)
{
	uint32_t ack = by->tcp.ack;
	struct rte_mbuf *m;

	while ((m = tc->sndq.head) != NULL) {
		struct pkt *p = pkt_of(m);
		struct tcp_flight *f = tcp_flight(tc);
		uint32_t n = RTE_MIN(ack - p->tx.seq, p->tx.len);

		if (seq_le(ack, p->tx.seq))
			break;
		if (m != f->next) { /* a persist probe's byte was never in flight */
			if ((p->tx.flags & TCP_TX_SACKED) != 0) {
				f->sacked -= n;
			} else {
				f->pipe -= (p->tx.flags & TCP_TX_LOST) == 0 ? n : 0;
				f->pipe -= (p->tx.flags & TCP_TX_RETRANS) != 0 ? n : 0;
				tcp_rack_delivered(w, tc, p, by);
				if (p->tx.sends == 1 && a->sent_us == 0)
					a->sent_us = p->tx.sent_us;
			}
			a->retransmitted |= p->tx.sends > 1;
		}
		if (n < p->tx.len) {
			tcp_send_trim(tc, n);
			break;
		}
		tcp_send_pop(tc);
	}
}

/** RTT by the clock where Karn allows it, else by the echoed timestamp (RFC 7323 section 4.1). */
static void
tcp_ack_rtt(struct worker *w, struct tcp_conv *tc, const struct pkt *p, const struct acked *a)
{
	uint32_t ms;

	if (a->sent_us != 0 && !a->retransmitted) {
		/* A worker's clock is that of its turn's start: another one may have sent this "later". */
		uint64_t us = w->now_us > a->sent_us ? w->now_us - a->sent_us : 1;

		tcp_rtt_sample(tc, (uint32_t)RTE_MIN(us, (uint64_t)UINT32_MAX));
		return;
	}
	if ((tc->c.flags & TCPF_TS) == 0 || p->tcp.ts_ecr == 0)
		return;
	ms = tcp_ts_now(w, &tc->c.cn.n.key) - p->tcp.ts_ecr;
	if (ms <= TCP_RTO_MAX_MS) /* and no echo of what is yet to come */
		tcp_rtt_sample(tc, ms * 1000);
}

/** The tail loss probe whose end ack covers; it is over. */
static uint8_t
tcp_ack_tlp(const struct tcp_conv *tc, uint32_t ack)
{
	struct tcp_flight *f;
	uint8_t was;

	if (tc->sndq.head == NULL || seq_lt(ack, tcp_flight(tc)->recover))
		return TCP_TLP_NONE;
	f = tcp_flight(tc);
	was = f->tlp;
	f->tlp = TCP_TLP_NONE;
	return was;
}

/** SND.UNA < SEG.ACK =< SND.NXT; twice: the segment says that something came twice. */
static void
tcp_ack_new(
	struct worker *w, struct tcp_conv *tc, const struct pkt *p, struct tcp_news *n, bool twice)
{
	uint32_t acked = p->tcp.ack - tc->snd_una;
	struct acked a = {0, false};
	uint8_t tlp = tcp_ack_tlp(tc, p->tcp.ack);

	if ((tc->c.flags & TCPF_ECN) != 0 && tcp_cc(tc)->echo != NULL && tc->sndq.head != NULL)
		tcp_cc(tc)->echo(tc, p->tcp.ack, n->ece);
	tcp_ack_queue(w, tc, p, &a);
	tc->snd_una = p->tcp.ack;
	tcp_tlp_acked(w, tc, tlp, twice);
	tc->retries = 0;
	ip_path_confirm(w, &tc->c.path);
	tcp_ack_rtt(w, tc, p, &a);
	if ((tc->c.flags & TCPF_TS) != 0 && p->tcp.ts_ecr != 0)
		tcp_recovery_echo(w, tc, p->tcp.ts_ecr);
	if (tcp_fin_acked(tc)) {
		tc->c.flags &= ~TCPF_FIN_LOST;
		acked--;
	}
	tcp_count(w, TCP_STAT_bytes_out, acked);
	tc->bytes_out += acked;
	if (tc->c.listener != NULL)
		LISTENER_ADD(w, tc->c.listener, bytes_out, acked);
	/* RFC 6298 section 5.2, 5.3 */
	tc->rto_at = 0;
	tc->c.flags &= ~TCPF_PERSIST;
	if (tc->snd_una != tc->snd_nxt)
		tcp_rto_start(w, tc);
	n->acked = acked;
	tcp_recovery_ack(w, tc, n);
}

/**
 * RFC 5681 section 2: what counts as a duplicate: data outstanding, no payload, no SYN or FIN,
 * the same acknowledgement, the same window.
 */
static bool
tcp_ack_is_dup(const struct tcp_conv *tc, const struct pkt *p)
{
	return p->tcp.ack == tc->snd_una && tc->snd_una != tc->snd_nxt && p->data_len == 0 &&
		(p->tcp.flags & (TCP_SYN | TCP_FIN)) == 0 && p->tcp.wnd == tc->snd_wnd;
}

static uint32_t
tcp_sacked(const struct tcp_conv *tc)
{
	return tc->sndq.head == NULL ? 0 : tcp_flight(tc)->sacked;
}

/** An acceptable ACK (SND.UNA =< SEG.ACK =< SND.NXT, or an old one whose SACK blocks may be news). */
void
tcp_ack(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct tcp_news n = {
		.was_sacked = tcp_sacked(tc),
		.ece = (tc->c.flags & TCPF_ECN) != 0 && (p->tcp.flags & TCP_ECE) != 0,
	};
	bool twice = false;

	if ((tc->c.flags & TCPF_SACK) != 0 && (p->tcp.nsack > 0 || n.was_sacked > 0))
		twice = tcp_sack_update(w, tc, m);
	if (seq_lt(tc->snd_una, p->tcp.ack)) {
		tcp_ack_new(w, tc, p, &n, twice);
	} else if (p->tcp.ack == tc->snd_una) {
		n.dup = tcp_ack_is_dup(tc, p);
		if (n.dup)
			TCP_COUNT(w, dup_acks_in);
		/* RFC 9293 section 3.8.6.1: who answers from behind a closed window lives. */
		if (tc->snd_wnd == 0)
			tc->retries = 0;
		tcp_recovery_ack(w, tc, &n);
	}
	/* RFC 9293 section 3.10.7.4: an old segment must not take the window back. SND.WL2 is never above SND.UNA. */
	if (seq_le(tc->snd_una, p->tcp.ack) && seq_le(tc->snd_wl1, p->tcp.seq)) {
		tc->snd_wnd = p->tcp.wnd;
		tc->snd_wl1 = p->tcp.seq;
		if (tc->snd_wnd > tc->snd_wnd_max)
			tc->snd_wnd_max = tc->snd_wnd;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * RACK-TLP (RFC 8985), for peers that SACK. RACK: what was sent well before something that has arrived is lost, also if
 * it was a retransmission; counting segments (RFC 6675) finds it sooner where enough of them were SACKed, time finds the rest. TLP: when
 * nothing is heard for two round trips, the last segment asks for an ACK, so that the end of a flight needs no
 * retransmission timeout.
 *
 * Times are the low 32 bits of us: differences count, and flights are younger than an hour.
 */
#include "tcp_priv.h"

#define RACK_WINDOW_MIN_US 1000 /* what the wheel can tell apart, and workers' clocks */
#define TLP_DELAY_MS       200 /* RFC 8985 section 7.2: a lone segment's ACK may be delayed by so much */
#define TLP_SLACK_MS       2

/**
 * What was sent more than once and for rtt us: is it the original that has arrived? So says an echoed timestamp from before
 * the last time, and a time too short for a round trip.
 */
static bool
tcp_rack_original(struct worker *w, const struct tcp_conv *tc, uint32_t rtt, const struct pkt *ack)
{
	uint32_t echo_ms;

	if ((int32_t)rtt <
		(int32_t)(tc->srtt_us / 16)) /* less than 0: another worker's clock is ahead */
		return true;
	if ((tc->c.flags & TCPF_TS) == 0 || ack->tcp.ts_ecr == 0)
		return false;
	echo_ms = tcp_ts_now(w, &tc->c.cn.n.key) - ack->tcp.ts_ecr;
	return (int32_t)(echo_ms - rtt / 1000) > 1;
}

/** ack has delivered an element: the latest one that was sent counts (RFC 8985 section 6.2 step 2). */
void
tcp_rack_delivered(
	struct worker *w, const struct tcp_conv *tc, const struct pkt *p, const struct pkt *ack)
{
	struct tcp_flight *f = tcp_flight(tc);
	uint32_t sent = (uint32_t)p->tx.sent_us, rtt = (uint32_t)w->now_us - sent;

	if (p->tx.sends > 1 && tcp_rack_original(w, tc, rtt, ack))
		return;
	if (f->rack_us == 0 || (int32_t)(sent - f->rack_us) > 0) {
		f->rack_us = sent | 1; /* 0 is none */
		f->rack_rtt = (uint16_t)RTE_MIN(rtt / TCP_RACK_RTT_US, (uint32_t)UINT16_MAX);
	}
}

/** Time that a segment may be late without being lost (section 6.2 step 4). */
static uint32_t
tcp_rack_window_us(const struct tcp_conv *tc)
{
	return RTE_MAX(tc->srtt_us / 32, (uint32_t)RACK_WINDOW_MIN_US);
}

/** The highest sequence number that is SACKed: of what was sent in one turn, only this tells before from after. */
uint32_t
tcp_rack_edge(const struct tcp_conv *tc)
{
	const struct tcp_flight *f = tcp_flight(tc);
	uint32_t left = f->sacked, edge = tc->snd_una;

	for (struct rte_mbuf *m = tc->sndq.head; left > 0 && m != f->next; m = pkt_of(m)->next)
		if ((pkt_of(m)->tx.flags & TCP_TX_SACKED) != 0) {
			edge = pkt_of(m)->tx.seq + pkt_of(m)->tx.len;
			left -= pkt_of(m)->tx.len;
		}
	return edge;
}

/** Was p sent before the latest one that was delivered? */
static inline bool
tcp_rack_overtaken(const struct tcp_flight *f, const struct pkt *p, uint32_t edge)
{
	int32_t before = (int32_t)(f->rack_us - ((uint32_t)p->tx.sent_us | 1));

	/* In one turn what is lost goes before what is new, each in order. */
	return before > 0 || (before == 0 && seq_lt(p->tx.seq, edge));
}

/** Is p known to have arrived, or to be lost and not sent again yet? */
static inline bool
tcp_rack_settled(const struct pkt *p)
{
	return (p->tx.flags & TCP_TX_SACKED) != 0 ||
		(p->tx.flags & (TCP_TX_LOST | TCP_TX_RETRANS)) == TCP_TX_LOST;
}

/**
 * Mark what is lost by now (section 6.2 step 5), and have the timer look again when more could be.
 * @return true if anything was marked
 */
bool
tcp_rack_mark(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_flight *f = tcp_flight(tc);
	uint32_t rtt, limit, edge, wait = 0;
	bool any = false;

	if (f->rack_us == 0 || tc->srtt_us == 0)
		return false;
	edge = tcp_rack_edge(tc);
	rtt = RTE_MAX(tc->srtt_us / 8, RTE_MIN(f->rack_rtt * TCP_RACK_RTT_US, tc->srtt_us / 4));
	limit = rtt + tcp_rack_window_us(tc);
	for (struct rte_mbuf *m = tc->sndq.head; m != f->next; m = pkt_of(m)->next) {
		struct pkt *p = pkt_of(m);
		uint32_t age = (uint32_t)w->now_us - (uint32_t)p->tx.sent_us;

		if (!tcp_rack_overtaken(f, p, edge)) {
			/* Nor was what follows: its first time was no earlier than this one's only time. */
			if (p->tx.sends == 1)
				break;
			continue;
		}
		if (tcp_rack_settled(p))
			continue;
		if ((int32_t)(age - limit) >= 0) {
			TCP_COUNT(w, rack_marked);
			tcp_mark_lost(tc, m);
			any = true;
		} else {
			wait = RTE_MAX(wait, limit - age);
		}
	}
	if (wait > 0)
		tcp_flight_timer(w, tc, TCP_TIMER_RACK, wait / 1000 + 1);
	return any;
}

/** Have the flight's timer fire in ms at the latest, for this reason. */
void
tcp_flight_timer(struct worker *w, struct tcp_conv *tc, uint8_t why, uint32_t ms)
{
	uint32_t at = tcp_deadline(w, ms);

	/* Section 7.2: no probe while it is known that something is missing. */
	if (tc->rto_at != 0 && seq_le(tc->rto_at, at) && tcp_flight(tc)->timer != TCP_TIMER_TLP)
		return;
	tc->rto_at = at;
	tcp_flight(tc)->timer = why;
}

/** The timer that a segment which is late was waited for with has fired. */
void
tcp_rack_fired(struct worker *w, struct tcp_conv *tc)
{
	tc->rto_at = 0;
	if (tcp_rack_mark(w, tc))
		tcp_recovery_late(w, tc);
	if (tc->rto_at == 0)
		tcp_rto_start(w, tc);
}

/** Nothing but new data is in flight, and nothing is known of it: a probe makes sense (section 7.2). */
static bool
tcp_tlp_may(const struct tcp_conv *tc)
{
	const struct tcp_flight *f = tcp_flight(tc);

	return (tc->c.flags & (TCPF_SACK | TCPF_RECOVERY | TCPF_LOSS | TCPF_PERSIST)) ==
		TCPF_SACK &&
		tc->c.cn.state >= TCP_ESTABLISHED && tc->backoff == 0 && tc->srtt_us != 0 &&
		f->tlp == TCP_TLP_NONE && f->sacked == 0 && f->next != tc->sndq.head;
}

/** The retransmission timer was set to rto ms from now: let a probe go sooner, if there may be one. */
void
tcp_tlp_arm(struct worker *w, struct tcp_conv *tc, uint32_t rto)
{
	uint32_t pto;

	if (tc->sndq.head == NULL)
		return;
	tcp_flight(tc)->timer = TCP_TIMER_RTO;
	if (!tcp_tlp_may(tc))
		return;
	pto = tc->srtt_us / 4 / 1000 + TLP_SLACK_MS;
	if (pkt_of(tc->sndq.head)->next == tcp_flight(tc)->next)
		pto += TLP_DELAY_MS;
	if (pto < rto)
		tcp_flight_timer(w, tc, TCP_TIMER_TLP, pto);
}

/** New data went out: the probe waits for the last of it (section 7.2). */
void
tcp_tlp_sent(struct worker *w, struct tcp_conv *tc)
{
	if (tcp_flight(tc)->timer != TCP_TIMER_RACK && tcp_tlp_may(tc))
		tcp_rto_start(w, tc);
}

/** Two round trips of silence: send one new segment, or else the last one again (section 7.3). */
void
tcp_tlp_fired(struct worker *w, struct tcp_conv *tc)
{
	if (tcp_tlp_may(tc)) {
		bool fresh = tcp_send_probe(w, tc);

		TCP_COUNT(w, tlp_probes);
		tcp_flight(tc)->tlp = fresh ? TCP_TLP_NEW : TCP_TLP_AGAIN;
		tcp_flight(tc)->recover = tc->snd_nxt;
	}
	tcp_rto_start(w, tc);
}

/**
 * All up to the probe's end has been acknowledged: was: what the probe was. If it repeated a segment, and the peer
 * does not say that it came twice, the segment was lost, and the network is as congested as any loss says (section 7.4).
 */
void
tcp_tlp_acked(struct worker *w, struct tcp_conv *tc, uint8_t was, bool twice)
{
	if (was != TCP_TLP_AGAIN || twice)
		return;
	TCP_COUNT(w, tlp_repairs);
	tc->ssthresh = tcp_cc(tc)->ssthresh(w, tc, RTE_MAX(tc->cwnd, 2 * tcp_payload_max(tc)));
	tc->cwnd = RTE_MIN(tc->cwnd, tc->ssthresh);
	tc->cwr = 1;
}

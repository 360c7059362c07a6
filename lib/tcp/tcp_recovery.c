/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Loss: when it is believed, and what follows. Fast recovery with SACK (RFC 6675) and without
 * (NewReno, RFC 6582), retransmission timeout (RFC 6298, 5681). Elements are marked here; tcp_output sends them.
 *
 * Without SACK, each duplicate ACK stands for one segment that has left the network: flight->sacked counts them.
 */
#include "tcp_priv.h"

/** Bytes on their way: what cwnd is compared with. */
uint32_t
tcp_pipe(const struct tcp_conv *tc)
{
	const struct tcp_flight *f;

	if (tc->sndq.head == NULL)
		return 0;
	f = tcp_flight(tc);
	if ((tc->c.flags & TCPF_SACK) != 0)
		return f->pipe;
	return f->pipe - RTE_MIN(f->pipe, f->sacked);
}

/** An element is believed lost: it is in flight no more, and due to be sent again. */
void
tcp_mark_lost(struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct tcp_flight *f = tcp_flight(tc);
	struct pkt *p = pkt_of(m);

	if ((p->tx.flags & TCP_TX_LOST) == 0)
		f->pipe -= p->tx.len;
	if ((p->tx.flags & TCP_TX_RETRANS) != 0)
		f->pipe -= p->tx.len;
	p->tx.flags &= ~TCP_TX_RETRANS;
	p->tx.flags |= TCP_TX_LOST;
}

/**
 * FlightSize (RFC 5681). The ACKs of a burst are taken in one after the other before anything is sent for them: what the
 * first of them acknowledge counts, when a later one tells of a loss.
 */
static uint32_t
tcp_flight_size(const struct tcp_conv *tc)
{
	return tc->snd_nxt - tcp_flight(tc)->out_una;
}

/** Loss is believed: remember how it was before, should it prove wrong (RFC 4015). */
static void
tcp_recovery_save(struct tcp_conv *tc)
{
	struct tcp_flight *f = tcp_flight(tc);

	f->undo_cwnd = tc->cwnd;
	f->undo_ssthresh = tc->ssthresh;
	f->undo_sent = 0;
	f->undo_ts = 0;
}

/** CUBIC, for one, goes by time: let it know that cwnd did not follow its course. */
static void
tcp_recovery_resume(struct tcp_conv *tc, bool undone)
{
	if (tcp_cc(tc)->resume != NULL)
		tcp_cc(tc)->resume(tc, undone);
}

/** It was wrong: nothing is lost, and the windows are as they were. */
void
tcp_recovery_undo(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_flight *f = tcp_flight(tc);

	TCP_COUNT(w, undos);
	for (struct rte_mbuf *m = tc->sndq.head; m != f->next; m = pkt_of(m)->next) {
		struct pkt *p = pkt_of(m);

		if ((p->tx.flags & (TCP_TX_LOST | TCP_TX_RETRANS)) == TCP_TX_LOST)
			f->pipe += p->tx.len;
		p->tx.flags &= ~(TCP_TX_LOST | TCP_TX_RETRANS);
	}
	tc->cwnd = RTE_MAX(tc->cwnd, f->undo_cwnd);
	tc->ssthresh = RTE_MAX(tc->ssthresh, f->undo_ssthresh);
	tc->c.flags &= ~(TCPF_RECOVERY | TCPF_LOSS);
	f->flags = 0;
	f->undo_cwnd = 0;
	tcp_flight_sent(tc);
	tcp_recovery_resume(tc, true);
}

/**
 * The Eifel detection algorithm (RFC 3522): an ACK of new data echoes a timestamp from before the first
 * retransmission, so it was the original that arrived.
 */
void
tcp_recovery_echo(struct worker *w, struct tcp_conv *tc, uint32_t ts_ecr)
{
	const struct tcp_flight *f;

	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS)) == 0 || tc->sndq.head == NULL)
		return;
	f = tcp_flight(tc);
	if (f->undo_cwnd != 0 && f->undo_sent > 0 && seq_lt(ts_ecr, f->undo_ts))
		tcp_recovery_undo(w, tc);
}

/** The peer got something twice (RFC 2883): if that is so for all that was sent again, all was in vain (RFC 3708). */
void
tcp_recovery_dsack(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_flight *f;

	TCP_COUNT(w, dsacks_in);
	if (tc->sndq.head == NULL)
		return;
	f = tcp_flight(tc);
	if (f->undo_cwnd != 0 && f->undo_sent > 0 && --f->undo_sent == 0)
		tcp_recovery_undo(w, tc);
}

/** Nothing is marked lost any more, and nothing was sent again: it was reordering. */
static bool
tcp_recovery_in_vain(const struct tcp_conv *tc)
{
	const struct tcp_flight *f = tcp_flight(tc);
	uint32_t end = f->next == NULL ? tc->snd_end : pkt_of(f->next)->tx.seq;

	return (tc->c.flags & (TCPF_RECOVERY | TCPF_SACK)) == (TCPF_RECOVERY | TCPF_SACK) &&
		f->undo_cwnd != 0 && f->undo_sent == 0 && f->pipe + f->sacked == end - tc->snd_una;
}

/** RFC 6675 section 5 (4), RFC 6582 section 3.2 step 2; delivered: bytes, by what has told of the loss. */
static void
tcp_recovery_begin(struct worker *w, struct tcp_conv *tc, uint32_t delivered)
{
	struct tcp_flight *f = tcp_flight(tc);
	uint32_t sacked = (tc->c.flags & TCPF_SACK) != 0 ? f->sacked : 0, flight;

	TCP_COUNT(w, fast_recoveries);
	tcp_recovery_save(tc);
	/* RFC 3168 section 6.1.2: marks and losses of one window are answered once. */
	if ((tc->c.flags & TCPF_CWR) == 0) {
		flight = tcp_flight_size(tc);
		tc->ssthresh = tcp_cc(tc)->ssthresh(w, tc, flight);
		tcp_prr_start(tc, RTE_MAX(flight, sacked) - sacked + delivered);
	}
	f->recover = tc->snd_nxt;
	f->tlp = TCP_TLP_NONE;
	f->flags = TCP_FLIGHT_FAST;
	tc->c.flags |= TCPF_RECOVERY;
	tc->c.flags &= ~TCPF_CWR;
	tc->cwr = 1;
	tcp_prr(tc, delivered, false);
}

/** Time has told that something is lost (RFC 8985 section 6.3). */
void
tcp_recovery_late(struct worker *w, struct tcp_conv *tc)
{
	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS)) == 0)
		tcp_recovery_begin(w, tc, 0);
}

/** Everything that was outstanding when loss, or marks, were noticed has arrived. */
static void
tcp_recovery_leave(struct tcp_conv *tc)
{
	uint32_t mss;

	if (likely(tc->sndq.head == NULL &&
		    (tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS | TCPF_CWR)) == 0))
		return;
	mss = tcp_payload_max(tc);
	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_CWR)) != 0)
		tc->cwnd = tc->ssthresh;
	/* RFC 6582 section 3.2 step 3: no burst when little is in flight. */
	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_SACK)) == TCPF_RECOVERY)
		tc->cwnd = RTE_MIN(tc->cwnd, RTE_MAX(tcp_pipe(tc), mss) + mss);
	tc->c.flags &= ~(TCPF_RECOVERY | TCPF_LOSS | TCPF_CWR);
	if (tc->sndq.head == NULL)
		return;
	tcp_flight(tc)->flags = 0;
	tcp_flight_sent(tc);
}

/** Without SACK: count what duplicates stand for. @return true if the head is believed lost now */
static bool
tcp_recovery_reno(struct tcp_conv *tc, uint32_t acked, bool dup)
{
	struct tcp_flight *f = tcp_flight(tc);
	struct pkt *head = pkt_of(tc->sndq.head);

	if (acked > 0) {
		f->sacked = 0;
		f->dupacks = 0;
		/* RFC 6582 section 3.2 step 4: a partial ACK names the next one that is lost. */
		if ((tc->c.flags & TCPF_RECOVERY) == 0 || (head->tx.flags & TCP_TX_LOST) != 0)
			return false;
	} else if (dup) {
		f->sacked += tcp_payload_max(tc);
		f->dupacks += f->dupacks < UINT8_MAX;
		if (f->dupacks != TCP_DUPTHRESH || (tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS)) != 0)
			return false;
	} else {
		return false;
	}
	if (tc->sndq.head == f->next)
		return false;
	tcp_mark_lost(tc, tc->sndq.head);
	f->flags |= TCP_FLIGHT_FAST;
	return true;
}

/** Growth, where the window was what held us back (RFC 7661's aim: no credit for what was not used). */
static void
tcp_recovery_grow(struct worker *w, struct tcp_conv *tc, uint32_t acked)
{
	uint32_t flight = tc->snd_nxt - tc->snd_una + acked;

	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_CWR)) != 0)
		return;
	if ((tc->c.flags & TCPF_CWND_LTD) != 0 ||
		(tc->cwnd < tc->ssthresh && flight > tc->cwnd / 2))
		tcp_cc(tc)->acked(w, tc, acked);
	else
		tcp_recovery_resume(tc, false);
}

/** What an ACK says of losses. @return true if something is believed lost by now that was not before */
static bool
tcp_recovery_mark(struct worker *w, struct tcp_conv *tc, const struct tcp_news *n)
{
	bool lost;

	if ((tc->c.flags & TCPF_SACK) == 0)
		return tcp_recovery_reno(tc, n->acked, n->dup);
	lost = tcp_sack_mark_lost(tc);
	return tcp_rack_mark(w, tc) || lost;
}

/** DeliveredData of RFC 9937 section 5: without SACK each duplicate counts for a segment, and is counted out later. */
static uint32_t
tcp_recovery_delivered(const struct tcp_conv *tc, const struct tcp_news *n)
{
	uint32_t sum = n->acked + tcp_flight(tc)->sacked;

	return sum > n->was_sacked ? sum - n->was_sacked : 0;
}

/** An ACK has been taken in, and there is more in flight. */
static void
tcp_recovery_more(struct worker *w, struct tcp_conv *tc, const struct tcp_news *n)
{
	struct tcp_flight *f = tcp_flight(tc);
	uint32_t delivered;
	bool lost;

	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS | TCPF_CWR)) != 0 &&
		seq_le(f->recover, tc->snd_una))
		tcp_recovery_leave(tc);
	lost = tcp_recovery_mark(w, tc, n);
	delivered = tcp_recovery_delivered(tc, n);
	if (lost && (tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS)) == 0)
		tcp_recovery_begin(w, tc, delivered);
	else if (tcp_recovery_in_vain(tc))
		tcp_recovery_undo(w, tc);
	else if ((f->flags & (TCP_FLIGHT_FRTO | TCP_FLIGHT_FRTO_NEW)) != 0)
		tcp_frto_ack(w, tc, n);
	else if ((tc->c.flags & (TCPF_RECOVERY | TCPF_CWR)) != 0 && delivered > 0)
		tcp_prr(tc, delivered, n->acked > 0 && !lost);
}

/** An ACK has been taken in. */
void
tcp_recovery_ack(struct worker *w, struct tcp_conv *tc, const struct tcp_news *n)
{
	/* While CWR has not gone out yet the peer repeats what was answered already. */
	if (n->ece && !tc->cwr && (tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS | TCPF_CWR)) == 0)
		tcp_ecn_reduce(w, tc, n->acked);
	if (n->acked > 0)
		tcp_recovery_grow(w, tc, n->acked);
	if (tc->sndq.head == NULL || tc->sndq.head == tcp_flight(tc)->next)
		tcp_recovery_leave(tc);
	else
		tcp_recovery_more(w, tc, n);
}

/**
 * The retransmission timer has fired (RFC 6298 section 5.4 to 5.7, RFC 5681 section 3.1): all that is
 * outstanding is believed lost.
 */
void
tcp_recovery_timeout(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_flight *f;
	bool renege, first = (tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS)) == 0;

	if ((tc->c.flags & TCPF_FIN_SENT) != 0)
		tc->c.flags |= TCPF_FIN_LOST;
	if (tc->sndq.head != NULL && first)
		tcp_recovery_save(tc);
	if (tc->backoff == 0)
		tc->ssthresh = tcp_cc(tc)->ssthresh(w, tc, tc->snd_nxt - tc->snd_una);
	tc->cwnd = tcp_payload_max(tc);
	tc->cwr = 1;
	tc->c.flags &= ~(TCPF_RECOVERY | TCPF_CWR);
	if (tc->sndq.head == NULL)
		return;
	f = tcp_flight(tc);
	/* RFC 2018 section 8: a receiver may change its mind about what it has SACKed. */
	renege = (pkt_of(tc->sndq.head)->tx.flags & TCP_TX_SACKED) != 0;
	if (renege)
		TCP_COUNT(w, sack_reneges);
	/* RFC 5682 section 2.1 step 1. A probe that was sent again would be taken for an original. */
	f->flags = first && !renege && f->tlp != TCP_TLP_AGAIN ? TCP_FLIGHT_FRTO : 0;
	f->dupacks = 0;
	f->tlp = TCP_TLP_NONE;
	f->rack_us = 0;
	if (renege || (tc->c.flags & TCPF_SACK) == 0)
		f->sacked = 0;
	for (struct rte_mbuf *m = tc->sndq.head; m != f->next; m = pkt_of(m)->next) {
		struct pkt *p = pkt_of(m);

		if ((p->tx.flags & TCP_TX_SACKED) != 0 && !renege)
			continue;
		p->tx.flags &= ~(TCP_TX_SACKED | TCP_TX_RETRANS);
		p->tx.flags |= TCP_TX_LOST;
	}
	f->pipe = 0;
	f->recover = tc->snd_nxt;
	tc->c.flags |= TCPF_LOSS;
}

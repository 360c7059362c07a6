/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The scoreboard (RFC 6675): the send queue itself, each sent element with its flags.
 * Update() is tcp_sack_update, IsLost() and SetPipe() are kept incrementally in flags and flight->pipe.
 */
#include "tcp_priv.h"

/** Blocks that speak of what is in flight, ascending; the others (D-SACK, RFC 2883; nonsense) go. @return how many */
static unsigned
tcp_sack_sort(const struct tcp_conv *tc, struct tcp_sack_block *b, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		struct tcp_sack_block x = b[i];
		unsigned j;

		if (!seq_lt(x.start, x.end) || !seq_lt(tc->snd_una, x.end) ||
			seq_lt(tc->snd_nxt, x.end) || seq_lt(x.start, tc->snd_una))
			continue;
		for (j = kept++; j > 0 && seq_lt(x.start, b[j - 1].start); j--)
			b[j] = b[j - 1];
		b[j] = x;
	}
	return kept;
}

/** RFC 2883 section 4: the first block lies below the ACK, or inside the second: it came twice. */
static bool
tcp_sack_is_dup(const struct tcp_conv *tc, const struct tcp_sack_block *b, unsigned n, uint32_t ack)
{
	uint32_t oldest = tc->snd_una - ((uint32_t)tc->snd_wnd_max << tc->snd_wscale);

	if (n == 0 || !seq_lt(b[0].start, b[0].end) || seq_lt(b[0].start, oldest))
		return false;
	return seq_le(b[0].end, ack) ||
		(n > 1 && seq_le(b[1].start, b[0].start) && seq_le(b[0].end, b[1].end));
}

/** An element has arrived, though not in order. */
static void
tcp_sack_mark(struct worker *w, const struct tcp_conv *tc, struct pkt *p, const struct pkt *ack)
{
	struct tcp_flight *f = tcp_flight(tc);

	tcp_rack_delivered(w, tc, p, ack);
	if ((p->tx.flags & TCP_TX_LOST) == 0)
		f->pipe -= p->tx.len;
	if ((p->tx.flags & TCP_TX_RETRANS) != 0)
		f->pipe -= p->tx.len;
	p->tx.flags &= ~(TCP_TX_LOST | TCP_TX_RETRANS);
	p->tx.flags |= TCP_TX_SACKED;
	f->sacked += p->tx.len;
}

/**
 * One that was sent once arrives after `overtaken` later ones: it was not lost but late. Allow
 * for so much (RFC 4653; packets of ours leave by different workers' queues).
 */
static void
tcp_sack_reordered(struct worker *w, struct tcp_conv *tc, unsigned overtaken)
{
	if (overtaken < tc->reorder)
		return;
	tc->reorder = (uint8_t)RTE_MIN(overtaken + 1, (unsigned)TCP_REORDER_MAX);
	TCP_COUNT(w, reorder_seen);
}

/** SACKed elements that lie above the head, before this ACK is taken in. */
static unsigned
tcp_sack_count(const struct tcp_conv *tc)
{
	const struct tcp_flight *f = tcp_flight(tc);
	uint32_t left = f->sacked;
	unsigned n = 0;

	for (struct rte_mbuf *m = tc->sndq.head; left > 0 && m != f->next; m = pkt_of(m)->next)
		if ((pkt_of(m)->tx.flags & TCP_TX_SACKED) != 0) {
			left -= pkt_of(m)->tx.len;
			n++;
		}
	return n;
}

/** Take in the SACK blocks of a segment. @return true if one of them says that something came twice */
bool
tcp_sack_update(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct tcp_sack_block b[TCP_SACK_MAX];
	unsigned n = tcp_parse_sack(m, b), i = 0, above;
	uint32_t ack = pkt_of(m)->tcp.ack;
	bool twice = tcp_sack_is_dup(tc, b, n, ack);
	struct tcp_flight *f;

	if (twice)
		tcp_recovery_dsack(w, tc);
	if (tc->sndq.head == NULL)
		return twice;
	n = tcp_sack_sort(tc, b, n);
	f = tcp_flight(tc);
	above = tcp_sack_count(tc);
	if (n == 0 && above == 0)
		return twice;
	for (struct rte_mbuf *e = tc->sndq.head; e != f->next && (i < n || above > 0);
		e = pkt_of(e)->next) {
		struct pkt *p = pkt_of(e);
		uint32_t end = p->tx.seq + p->tx.len;
		bool acked = seq_le(end, ack);

		while (i < n && seq_le(b[i].end, p->tx.seq))
			i++;
		if ((p->tx.flags & TCP_TX_SACKED) != 0) {
			above--;
			continue;
		}
		if (!acked && (i == n || seq_lt(p->tx.seq, b[i].start) || seq_lt(b[i].end, end)))
			continue;
		if (above > 0 && p->tx.sends == 1)
			tcp_sack_reordered(w, tc, above);
		if (!acked)
			tcp_sack_mark(w, tc, p, pkt_of(m));
	}
	return twice;
}

/**
 * IsLost() of RFC 6675 section 4, for all at once: lost is what `reorder` (at first DupThresh) SACKed elements lie
 * above. @return true if anything was marked now
 */
bool
tcp_sack_mark_lost(struct tcp_conv *tc)
{
	const struct tcp_flight *f = tcp_flight(tc);
	unsigned above = tcp_sack_count(tc);
	bool any = false;

	for (struct rte_mbuf *m = tc->sndq.head; m != f->next && above >= tc->reorder;
		m = pkt_of(m)->next) {
		struct pkt *p = pkt_of(m);

		if ((p->tx.flags & TCP_TX_SACKED) != 0) {
			above--;
		} else if ((p->tx.flags & TCP_TX_LOST) == 0) {
			tcp_mark_lost(tc, m);
			any = true;
		}
	}
	return any;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Data that came: into the receive queue in order, acknowledged by and by, read by the service; and the window
 * that is promised for more. RFC 9293 section 3.10.7.4, seventh step, and 3.8.6.
 */
#include "tcp_priv.h"

#define RTT_GUESS_MS 100 /* nothing was measured yet */
#define CLOCKS_MS    100 /* workers' clocks differ by less */

/** The window field speaks in steps; round up, so that an edge that was promised is not taken back. */
static uint32_t
tcp_window_round(const struct tcp_conv *tc, uint32_t wnd)
{
	uint32_t step = 1u << tc->rcv_wscale;

	return (wnd + step - 1) & ~(step - 1);
}

/** What our buffer holds: more by and by (tcp_recv_measure), less when mbufs run short. */
static uint32_t
tcp_recv_most(const struct worker *w, const struct tcp_conv *tc)
{
	uint32_t most = RTE_MIN(w->tcp->conf.recv_max, TCP_BUF_INIT << tc->recv_grown);

	return tcp_pressure(w) < TCP_PRESSURE_HIGH ? most : RTE_MIN(most, TCP_BUF_HIGH);
}

/** Room in our buffer. */
static uint32_t
tcp_recv_room(const struct worker *w, const struct tcp_conv *tc)
{
	uint32_t most = tcp_recv_most(w, tc);

	return tc->rcvq_bytes < most ? most - tc->rcvq_bytes : 0;
}

/**
 * The window to promise now (a multiple of the scale). Never less than was promised, and more only in
 * worthwhile steps (receiver's silly window avoidance, RFC 9293 section 3.8.6.2.2).
 */
uint32_t
tcp_window(const struct worker *w, const struct tcp_conv *tc)
{
	uint32_t most = tcp_recv_most(w, tc), room = tcp_recv_room(w, tc);
	uint32_t now = tcp_rcv_wnd(tc), up;

	if (room >= now + RTE_MIN(most / 2, (uint32_t)tc->rcv_mss))
		now = room;
	up = tcp_window_round(tc, now);
	/* Rounding up again and again must not promise more than there is. */
	if (up > tcp_window_round(tc, room))
		up = now & ~((1u << tc->rcv_wscale) - 1);
	return RTE_MIN(up, (uint32_t)UINT16_MAX << tc->rcv_wscale);
}

/**
 * Reading has made so much room that the peer should be told at once: two segments or half of the buffer, while
 * it has little left to use. Else the ACKs of its data tell it soon enough.
 */
bool
tcp_window_worth(const struct worker *w, const struct tcp_conv *tc)
{
	uint32_t most = tcp_recv_most(w, tc);
	uint32_t was = tcp_rcv_wnd(tc), is = tcp_window(w, tc);

	if (is <= was || was >= most / 8)
		return false;
	return is - was >= RTE_MIN(2u * tc->rcv_mss, most / 2) || was < tc->rcv_mss;
}

/** RFC 9293 section 3.8.6.3: at least every second full segment at once, the others within the delay. */
static void
tcp_recv_ack(struct worker *w, struct tcp_conv *tc)
{
	if (tc->rcv_nxt - tc->last_ack >= 2u * tc->rcv_mss)
		tc->c.flags |= TCPF_ACK_NOW;
	else if (tc->delack_at == 0)
		tc->delack_at = tcp_deadline(w, TCP_DELACK_MS);
}

/** In order: m (payload only) goes to the end of the queue; small ones into the last one's buffer. */
static void
tcp_recv_append(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct rte_mbuf *last = pktq_last(&tc->rcvq);
	uint32_t len = m->pkt_len;

	tc->rcv_nxt += len;
	tc->rcvq_bytes += len;
	tc->bytes_in += len;
	tcp_count(w, TCP_STAT_bytes_in, len);
	if (tc->c.listener != NULL)
		LISTENER_ADD(w, tc->c.listener, bytes_in, len);
	tc->c.flags |= TCPF_RECV;
	if (last != NULL && tcp_mbuf_merge(last, m, TCP_MERGE_MAX))
		rte_pktmbuf_free(m);
	else
		pktq_push(&tc->rcvq, m);
}

/** m becomes its payload from `seq` on, no longer than the window. */
static struct rte_mbuf *
tcp_recv_cut(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint32_t off = p->data_off, len = p->data_len, over;

	if (seq_lt(p->tcp.seq, tc->rcv_nxt)) {
		uint32_t old = tc->rcv_nxt - p->tcp.seq;

		tcp_note_dup(w, p->tcp.seq, tc->rcv_nxt);
		p->tcp.seq += old;
		off += old;
		len -= old;
	}
	over = p->tcp.seq + len - tc->rcv_adv;
	if ((int32_t)over > 0)
		len -= over;
	tcp_mbuf_trim(m, off + len);
	return tcp_mbuf_front(m, off);
}

/**
 * Take in a segment's text: it has at least one byte inside the window (checked in the first step).
 * Consumes m and counts it.
 */
void
tcp_recv(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	/* The last buffers are for those who read. It was promised, but comes again. */
	if (tc->rcvq_bytes >= TCP_BUF_FULL && tcp_pressure(w) == TCP_PRESSURE_FULL) {
		tc->c.flags |= TCPF_ACK_NOW;
		drop(w, m, DROP_TCP_MEMORY);
		return;
	}
	/* What is longer than we have asked for has been merged on its way (LRO): several. */
	if (pkt_of(m)->data_len > tc->rcv_mss)
		tc->rcv_mss = RTE_MIN(pkt_of(m)->data_len,
			(uint16_t)(tcp_mss_ours(&tc->c.path, &tc->c.cn.n.key) - tcp_opts_len(tc)));
	m = tcp_recv_cut(w, tc, m);
	if (pkt_of(m)->tcp.seq != tc->rcv_nxt) {
		/* RFC 5681 section 4.2: a gap is told at once. */
		tc->c.flags |= TCPF_ACK_NOW;
		tcp_ooo_add(w, tc, m);
		/* Without SACK a peer counts duplicates: one for each. */
		if ((tc->c.flags & TCPF_SACK) == 0)
			tcp_send_ack(w, tc);
		return;
	}
	w->c.delivered++;
	tcp_recv_append(w, tc, m);
	if (tc->ooo == NULL) {
		tcp_recv_ack(w, tc);
		return;
	}
	/* .. and so is one that fills a gap, or part of it. */
	tc->c.flags |= TCPF_ACK_NOW;
	while ((m = tcp_ooo_take(tc)) != NULL)
		tcp_recv_append(w, tc, m);
}

/**
 * Dynamic right-sizing: a sender that has filled half of our buffer in a round trip may double its window in the
 * next one (slow start), so the buffer doubles ahead of it, if the service takes what comes.
 */
static void
tcp_recv_measure(struct worker *w, struct tcp_conv *tc)
{
	uint32_t read = tc->rcv_nxt - tc->rcvq_bytes, most = TCP_BUF_INIT << tc->recv_grown;
	uint16_t ms = (uint16_t)(w->now_ms - tc->rcv_from_ms);
	uint32_t rtt;

	if (ms == 0)
		return;
	rtt = tc->srtt_us == 0 ? RTT_GUESS_MS : RTE_MAX(tc->srtt_us / 8000, 1u);
	/* What seems long ago may be another worker's clock, a little ahead. */
	if ((tc->c.flags & TCPF_PEER_FIN_AT) != 0 || ms < rtt || ms > UINT16_MAX - CLOCKS_MS)
		return;
	if (read - tc->rcv_from >= most / 2 && ms <= 2 * rtt + 1 && most < w->tcp->conf.recv_max &&
		tcp_pressure(w) == TCP_PRESSURE_NONE) {
		tc->recv_grown++;
		TCP_COUNT(w, recv_grown);
	}
	tc->rcv_from = read;
	tc->rcv_from_ms = (uint16_t)w->now_ms;
}

/** @see struct proto: read */
struct rte_mbuf *
tcp_read(struct worker *w, struct conv *c)
{
	struct tcp_conv *tc = tcp_conv(c);
	struct rte_mbuf *m = pktq_pop(&tc->rcvq);
	struct pkt *p;

	if (m == NULL)
		return NULL;
	p = pkt_of(m);
	p->data_off = 0;
	p->data_len = (uint16_t)m->pkt_len;
	tc->rcvq_bytes -= m->pkt_len;
	tc->c.flags |= TCPF_WINDOW;
	tcp_recv_measure(w, tc);
	return m;
}

uint32_t
tcp_readable(const struct conv *c)
{
	return ((const struct tcp_conv *)c)->rcvq_bytes;
}

void
tcp_recv_free(struct tcp_conv *tc)
{
	pktq_free(&tc->rcvq);
	tcp_ooo_free(tc);
	tc->rcvq_bytes = 0;
}

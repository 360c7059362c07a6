/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What goes out, once per entering: what was lost, what is new, FIN, or else one ACK. RFC 9293 section
 * 3.7.4 (Nagle), 3.8.6 (windows), 3.10.7.4; RFC 5681, 6675.
 */
#include <errno.h>

#include "tcp_priv.h"

#define TRAIN_BYTES 65000 /* of payload in one packet; its length has 16 bits */

/** SACK blocks, as many as fit: a duplicate first (RFC 2883), then what is out of order. */
static void
tcp_out_sack(struct worker *w, struct tcp_conv *tc, struct tcp_out *o, uint32_t len)
{
	struct tcp_sack_block *dup = &w->tcp->workers[w->id].dup;
	/* 40 bytes of options, and no segment longer than mss. */
	unsigned left = tcp_mss(tc) - RTE_MIN(len, tcp_mss(tc)), most = RTE_MIN(40u, left);

	if (most < tcp_opts_len(tc) + 12)
		return;
	most = RTE_MIN((most - tcp_opts_len(tc) - 4) / 8, (unsigned)TCP_SACK_MAX);
	if (dup->start != dup->end) {
		o->sack[o->nsack++] = *dup;
		dup->start = dup->end;
	}
	o->nsack += (uint8_t)tcp_ooo_blocks(tc, o->sack + o->nsack, most - o->nsack);
}

/** Header for a segment of a synchronised conversation, ACK and options included. */
static void
tcp_out_fill(struct worker *w, struct tcp_conv *tc, struct tcp_out *o, uint32_t len)
{
	uint32_t wnd = tcp_window(w, tc);

	*o = (struct tcp_out){
		.k = &tc->c.cn.n.key,
		.path = &tc->c.path,
		.ack = tc->rcv_nxt,
		.wnd = (uint16_t)(wnd >> tc->rcv_wscale),
	};
	if ((tc->c.flags & TCPF_TS) != 0) {
		o->opts = TCP_OPT_TS;
		o->ts_val = tcp_ts_next(w, tc);
		o->ts_ecr = tc->ts_recent;
	}
	if ((tc->c.flags & TCPF_SACK) != 0)
		tcp_out_sack(w, tc, o, len);
}

/** A segment with an ACK leaves: nothing is owed any more. */
static void
tcp_acked_all(struct tcp_conv *tc, uint32_t wnd)
{
	tc->last_ack = tc->rcv_nxt;
	tc->rcv_adv = seq_max(tc->rcv_adv, tc->rcv_nxt + wnd);
	tc->delack_at = 0;
	tc->c.flags &= ~TCPF_ACK_NOW;
	tc->c.flags |= TCPF_SENT;
}

/** A packet that shares the first len bytes of payload. NULL: no buffer (counted) */
static struct rte_mbuf *
tcp_share(struct worker *w, struct rte_mbuf *payload, uint32_t len)
{
	struct rte_mbuf *c;

	if (tcp_lent(payload))
		return tcp_lent_clone(w, payload, 0, len);
	c = rte_pktmbuf_clone(payload, w->mp_small);
	if (c == NULL)
		TCP_COUNT(w, no_mbuf);
	else
		tcp_mbuf_trim(c, len);
	return c;
}

/** Put payload behind the header: copied where short, else shared. @return false: no buffer */
static bool
tcp_attach(struct worker *w, struct rte_mbuf *h, struct rte_mbuf *payload, uint32_t len)
{
	struct rte_mbuf *c;

	if (len <= TCP_COPY_MAX && len <= rte_pktmbuf_tailroom(h) && payload->nb_segs == 1) {
		memcpy(rte_pktmbuf_append(h, (uint16_t)len), tcp_tx_bytes(payload), len);
		return true;
	}
	c = tcp_share(w, payload, len);
	if (c == NULL)
		return false;
	if (rte_pktmbuf_chain(h, c) != 0) {
		rte_pktmbuf_free(c);
		return false;
	}
	return true;
}

/**
 * RFC 3168 section 6.1.2, 6.1.4 - 6.1.6: only new data is ECN-capable, and tells that cwnd was reduced; every segment
 * echoes marks.
 */
static void
tcp_out_ecn(struct tcp_conv *tc, struct tcp_out *o, uint32_t len)
{
	if ((tc->c.flags & TCPF_ECN) == 0)
		return;
	if (tc->ece)
		o->flags |= TCP_ECE;
	if (len == 0 || o->seq != tc->snd_nxt || (tc->c.flags & TCPF_PERSIST) != 0)
		return;
	o->ect = true;
	if (tc->cwr)
		o->flags |= TCP_CWR;
	tc->cwr = 0;
}

/**
 * Send one segment with the first len bytes of payload (NULL: none), an element of the send queue, which stays there.
 * @return see ip_output; -ENOBUFS
 */
int
tcp_emit(struct worker *w, struct tcp_conv *tc, uint32_t seq, struct rte_mbuf *payload,
	uint32_t len, uint8_t flags)
{
	struct rte_mbuf *h = NULL;
	struct tcp_out o;
	bool lent;

	tcp_out_fill(w, tc, &o, len);
	o.seq = seq;
	o.flags = flags | TCP_ACK;
	tcp_out_ecn(tc, &o, len);
	lent = payload != NULL && len == pkt_of(payload)->tx.len && tcp_lend(w, &o, payload);
	if (!lent) {
		h = tcp_header(w, &o);
		if (h == NULL)
			return -ENOBUFS;
		if (payload != NULL && !tcp_attach(w, h, payload, len)) {
			rte_pktmbuf_free(h);
			return -ENOBUFS;
		}
	}
	tcp_acked_all(tc, (uint32_t)o.wnd << tc->rcv_wscale);
	tc->c.active_ms = w->now_ms;
	return lent ? 0 : tcp_transmit(w, &o, h);
}

void
tcp_send_ack(struct worker *w, struct tcp_conv *tc)
{
	tcp_emit(w, tc, tcp_ack_seq(tc), NULL, 0, 0);
}

/** RFC 5961: an ACK that asks a peer to prove itself, so many per conversation and time. */
void
tcp_challenge(struct worker *w, struct tcp_conv *tc)
{
	if (tcp_may_challenge(w, &tc->challenge_at)) {
		TCP_COUNT(w, challenge_acks);
		tcp_send_ack(w, tc);
	}
}

/** FIN goes with the last byte, once there is nothing behind it. */
static bool
tcp_fin_with(const struct tcp_conv *tc, uint32_t end)
{
	return (tc->c.flags & TCPF_FIN_QUEUED) != 0 && end == tc->snd_end;
}

/** FIN has gone out for the first time: RFC 9293 section 3.10.4. */
static void
tcp_fin_sent(struct worker *w, struct tcp_conv *tc)
{
	tc->c.flags &= ~TCPF_FIN_LOST;
	if ((tc->c.flags & TCPF_FIN_SENT) != 0)
		return;
	tc->c.flags |= TCPF_FIN_SENT;
	tc->snd_nxt = tc->snd_end + 1;
	if (tc->c.cn.state == TCP_ESTABLISHED || tc->c.cn.state == TCP_SYN_RECEIVED)
		tcp_state_set(w, tc, TCP_FIN_WAIT_1);
	else if (tc->c.cn.state == TCP_CLOSE_WAIT)
		tcp_state_set(w, tc, TCP_LAST_ACK);
}

/** An element goes out, for the first time or again. */
static void
tcp_element_sent(struct worker *w, struct tcp_conv *tc, struct pkt *p)
{
	p->tx.sent_us = w->now_us;
	p->tx.sends += p->tx.sends < UINT8_MAX;
	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_CWR)) != 0)
		tcp_flight(tc)->prr_out += p->tx.len;
	tc->snd_nxt = seq_max(tc->snd_nxt, p->tx.seq + p->tx.len);
}

/** Send an element, for the first time or again. @return 0; -EMSGSIZE: not sent, mss has fallen; -ENOBUFS */
static int
tcp_send_element(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint32_t end = p->tx.seq + p->tx.len;
	bool fin = tcp_fin_with(tc, end);
	uint8_t flags = fin ? TCP_FIN | TCP_PSH : 0;
	int err;

	if (p->next == NULL)
		flags |= TCP_PSH; /* RFC 9293 section 3.9.1: the last of what there is */
	err = tcp_emit(w, tc, p->tx.seq, m, p->tx.len, flags);
	/* The path has become narrower than we knew; it knows now. */
	if (err == -EMSGSIZE)
		return p->tx.len > tcp_payload_max(tc) ? -EMSGSIZE : -ENOBUFS;
	tcp_element_sent(w, tc, p);
	if (fin)
		tcp_fin_sent(w, tc);
	return err == -ENOBUFS ? err : 0;
}

/** Something went out: the retransmission timer runs. */
static void
tcp_rto_sent(struct worker *w, struct tcp_conv *tc)
{
	if (tc->rto_at == 0 || (tc->c.flags & TCPF_PERSIST) != 0)
		tcp_rto_start(w, tc);
}

/** An element that is lost, in so many pieces as the path wants now. @return false: no more now */
static bool
tcp_resend(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	int err;

	do {
		if (p->tx.len > tcp_payload_max(tc) &&
			!tcp_send_split(w, tc, m, tcp_payload_max(tc)))
			return false;
		err = tcp_send_element(w, tc, m);
	} while (err == -EMSGSIZE);
	tcp_rto_sent(w, tc);
	tcp_flight(tc)->pipe += p->tx.len;
	p->tx.flags |= TCP_TX_RETRANS;
	if (tcp_flight(tc)->undo_sent++ == 0)
		tcp_flight(tc)->undo_ts = tc->ts_sent;
	if (tc->retransmits < UINT16_MAX)
		tc->retransmits++;
	TCP_COUNT(w, retransmits);
	return err == 0;
}

/**
 * RFC 6675 NextSeg() (4): nothing more is known to be lost and nothing new may be sent, but the end of
 * the window may be missing, where nobody would SACK above it. Once per recovery.
 */
static void
tcp_rescue(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_flight *f = tcp_flight(tc);
	struct rte_mbuf *last = NULL;

	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_SACK)) != (TCPF_RECOVERY | TCPF_SACK) ||
		(f->flags & TCP_FLIGHT_RESCUED) != 0 || f->next != NULL ||
		f->pipe + tcp_payload_max(tc) > tc->cwnd)
		return;
	for (struct rte_mbuf *m = tc->sndq.head; m != NULL; m = pkt_of(m)->next)
		if ((pkt_of(m)->tx.flags & TCP_TX_SACKED) == 0)
			last = m;
	f->flags |= TCP_FLIGHT_RESCUED;
	if (last == NULL || (pkt_of(last)->tx.flags & TCP_TX_LOST) != 0)
		return;
	TCP_COUNT(w, rescues);
	tcp_mark_lost(tc, last);
	tcp_resend(w, tc, last);
}

/** What is lost goes first, as far as cwnd has room. @return false if cwnd has none left */
static bool
tcp_send_lost(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_flight *f;
	struct rte_mbuf *m;

	if (tc->sndq.head == NULL || (tc->c.flags & (TCPF_RECOVERY | TCPF_LOSS)) == 0)
		return true;
	if (tcp_frto_holds(w, tc))
		return false;
	f = tcp_flight(tc);
	for (m = tc->sndq.head; m != f->next; m = pkt_of(m)->next) {
		const struct pkt *p = pkt_of(m);

		if ((p->tx.flags & (TCP_TX_LOST | TCP_TX_RETRANS)) != TCP_TX_LOST)
			continue;
		/* RFC 6675 section 5 (4.3): the first one at once. */
		if ((f->flags & TCP_FLIGHT_FAST) == 0 && tcp_pipe(tc) > 0 &&
			tcp_pipe(tc) + p->tx.len > tc->cwnd)
			return false;
		f->flags &= ~TCP_FLIGHT_FAST;
		if (!tcp_resend(w, tc, m))
			return false;
		f = tcp_flight(tc);
	}
	return true;
}

/** Bytes of payload that a new segment may have, with room for the SACK blocks it should carry. */
static uint32_t
tcp_new_max(const struct tcp_conv *tc)
{
	uint32_t max = tcp_payload_max(tc);

	if (tc->ooo == NULL || (tc->c.flags & TCPF_SACK) == 0)
		return max;
	return max - (4 + 8u * RTE_MIN(tc->ooo_runs, (tc->c.flags & TCPF_TS) != 0 ? 3 : 4));
}

/**
 * Sender's silly window avoidance and Nagle (RFC 9293 section 3.8.6.2.1, 3.7.4): may the first n bytes
 * of m go? cut: the window has room for no more.
 */
static bool
tcp_worth_sending(const struct tcp_conv *tc, const struct pkt *p, uint32_t n, bool cut)
{
	if (cut)
		return n >= RTE_MAX(((uint32_t)tc->snd_wnd_max << tc->snd_wscale) / 2, 1u);
	if (n < p->tx.len || p->next != NULL)
		return true; /* a full segment, or one of as many pieces as there may be */
	return n >= tcp_payload_max(tc) || (tc->c.flags & TCPF_NAGLE) == 0 ||
		tc->snd_una == tc->snd_nxt || (tc->c.flags & TCPF_FIN_QUEUED) != 0;
}

/** Make the next new element one segment. @return its length, 0: not now */
static uint32_t
tcp_next_segment(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint32_t max = tcp_new_max(tc), edge = tc->snd_una + tcp_snd_wnd(tc);
	uint32_t room = seq_lt(p->tx.seq, edge) ? edge - p->tx.seq : 0, n;

	if (p->tx.len < max)
		tcp_send_fill(w, tc, m, max);
	n = RTE_MIN(p->tx.len, max);
	if (!tcp_worth_sending(tc, p, RTE_MIN(n, room), room < n))
		return 0;
	n = RTE_MIN(n, room);
	if (tcp_pipe(tc) > 0 && tcp_pipe(tc) + n > tc->cwnd) {
		tc->c.flags |= TCPF_CWND_LTD;
		return 0;
	}
	if (n < p->tx.len && !tcp_send_split(w, tc, m, n))
		return 0;
	return n;
}

/** The next new element, cut to one segment, goes. @return as tcp_send_element */
static int
tcp_send_next(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	int err = tcp_send_element(w, tc, m);

	if (err != -EMSGSIZE) {
		tcp_flight(tc)->next = pkt_of(m)->next;
		tcp_flight(tc)->pipe += pkt_of(m)->tx.len;
	}
	return err;
}

/* ---- trains: new segments, full ones but for the last, in one packet that the port cuts (TSO) ---- */

struct train {
	struct rte_mbuf *head, *tail; /* what it carries, as clones */
	unsigned room; /* buffers that it may have */
	unsigned n; /* segments */
};

/** May m, the next new element and n bytes long, be the first of at least two? */
static bool
tcp_train_may(struct worker *w, const struct tcp_conv *tc, struct rte_mbuf *m, uint32_t n)
{
	const struct pkt *p = pkt_of(m);

	/* CWR belongs to one segment, and not every port would put it into one only. */
	return p->next != NULL && n >= tcp_new_max(tc) &&
		ip_path_tso(w, &tc->c.path) > TCP_FRAME_SEGS &&
		!((tc->c.flags & TCPF_ECN) != 0 && tc->cwr) && tcp_pipe(tc) + 2 * n <= tc->cwnd &&
		p->tx.seq + 2 * n - tc->snd_una <= tcp_snd_wnd(tc);
}

/** @return false: there is no room, or no buffer */
static bool
tcp_train_add(struct worker *w, struct train *t, struct rte_mbuf *m)
{
	uint32_t len = pkt_of(m)->tx.len;
	struct rte_mbuf *c;

	if (m->nb_segs > t->room || (t->head != NULL && t->head->pkt_len + len > TRAIN_BYTES))
		return false;
	c = tcp_share(w, m, len);
	if (c == NULL)
		return false;
	t->room -= c->nb_segs;
	t->n++;
	if (t->head == NULL) {
		t->head = c;
	} else {
		t->tail->next = c;
		t->head->nb_segs = (uint16_t)(t->head->nb_segs + c->nb_segs);
		t->head->pkt_len += len;
	}
	t->tail = rte_pktmbuf_lastseg(c);
	return true;
}

/** Send what is in it. @return see ip_output; -ENOBUFS */
static int
tcp_train_emit(struct worker *w, struct tcp_conv *tc, struct tcp_out *o, const struct train *t)
{
	struct rte_mbuf *h = tcp_header(w, o);

	if (h == NULL || rte_pktmbuf_chain(h, t->head) != 0) {
		rte_pktmbuf_free(h);
		rte_pktmbuf_free(t->head);
		return -ENOBUFS;
	}
	tcp_acked_all(tc, (uint32_t)o->wnd << tc->rcv_wscale);
	tc->c.active_ms = w->now_ms;
	tcp_count(w, TCP_STAT_trains_out, t->n > 1);
	tcp_count(w, TCP_STAT_segs_out, t->n - 1);
	return tcp_transmit(w, o, h);
}

/** m, the next new element and full, goes, and with it as many of those behind it as may. @return as tcp_send_element */
static int
tcp_send_train(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	const uint32_t full = pkt_of(m)->tx.len;
	struct train t = {.room = ip_path_tso(w, &tc->c.path) - 1};
	struct tcp_out o;
	struct pkt *p;
	bool fin;
	int err;

	if (!tcp_train_add(w, &t, m))
		return tcp_send_next(w, tc, m);
	tcp_out_fill(w, tc, &o, full);
	o.seq = pkt_of(m)->tx.seq;
	o.flags = TCP_ACK;
	tcp_out_ecn(tc, &o, full);
	do {
		p = pkt_of(m);
		tcp_element_sent(w, tc, p);
		tcp_flight(tc)->next = m = p->next;
		tcp_flight(tc)->pipe += p->tx.len;
	} while (m != NULL && p->tx.len == full && tcp_next_segment(w, tc, m) > 0 &&
		tcp_train_add(w, &t, m));
	o.tso = t.n > 1 ? (uint16_t)full : 0;
	fin = tcp_fin_with(tc, p->tx.seq + p->tx.len);
	if (fin || p->next == NULL)
		o.flags |= TCP_PSH | (fin ? TCP_FIN : 0);
	err = tcp_train_emit(w, tc, &o, &t);
	if (fin)
		tcp_fin_sent(w, tc);
	return err == -ENOBUFS ? err : 0;
}

/* ---- */

/** What is new, as far as windows and Nagle let it. */
void
tcp_send_new(struct worker *w, struct tcp_conv *tc)
{
	struct rte_mbuf *m;
	bool any = false;
	uint32_t n;
	int err = 0;

	while (err != -ENOBUFS && tc->sndq.head != NULL && (m = tcp_flight(tc)->next) != NULL &&
		(n = tcp_next_segment(w, tc, m)) > 0) {
		err = tcp_train_may(w, tc, m, n) ? tcp_send_train(w, tc, m)
						 : tcp_send_next(w, tc, m);
		any |= err != -EMSGSIZE;
	}
	if (!any)
		return;
	if (tc->rto_at == 0 || (tc->c.flags & TCPF_PERSIST) != 0)
		tcp_rto_start(w, tc);
	else
		tcp_tlp_sent(w, tc);
}

/**
 * A tail loss probe: one new segment whatever cwnd says, or else the last one again (RFC 8985 section 7.3).
 * @return true if it was new
 */
bool
tcp_send_probe(struct worker *w, struct tcp_conv *tc)
{
	struct rte_mbuf *m = tcp_flight(tc)->next, *last = tc->sndq.head;
	uint32_t cwnd = tc->cwnd, n = 0;

	if (m != NULL) {
		tc->cwnd += tcp_payload_max(tc);
		n = tcp_next_segment(w, tc, m);
		tc->cwnd = cwnd;
	}
	if (n > 0 && tcp_send_next(w, tc, m) != -EMSGSIZE)
		return true;
	/* Not beyond a window that has shrunk (RFC 9293 section 3.8.6, SHLD-16). */
	while ((m = pkt_of(last)->next) != tcp_flight(tc)->next &&
		seq_le(pkt_of(m)->tx.seq + pkt_of(m)->tx.len, tc->snd_una + tcp_snd_wnd(tc)))
		last = m;
	tcp_resend(w, tc, last);
	return false;
}

/** A FIN for which there was no segment with data. It goes whatever the window is: it asks for no memory. */
static void
tcp_send_fin(struct worker *w, struct tcp_conv *tc)
{
	bool due = (tc->c.flags & TCPF_FIN_SENT) == 0 || (tc->c.flags & TCPF_FIN_LOST) != 0;

	if (!due || (tc->sndq.head != NULL && tcp_flight(tc)->next != NULL))
		return;
	/* Behind what is lost: in order, and no sooner than the window of congestion lets that go. */
	if (tc->sndq.head != NULL && (tc->c.flags & TCPF_FIN_LOST) != 0 &&
		(pkt_of(pktq_last(&tc->sndq))->tx.flags & (TCP_TX_LOST | TCP_TX_RETRANS)) ==
			TCP_TX_LOST)
		return;
	tcp_emit(w, tc, tc->snd_end, NULL, 0, TCP_FIN);
	tcp_fin_sent(w, tc);
	tcp_rto_sent(w, tc);
}

/** Nothing outstanding and the window too small for what waits: the persist timer asks (RFC 9293 section 3.8.6.1). */
static void
tcp_persist_check(struct worker *w, struct tcp_conv *tc)
{
	bool waits = tcp_flight(tc)->next == tc->sndq.head;

	if (!waits || (tc->c.flags & TCPF_PERSIST) != 0)
		return;
	tc->backoff = 0;
	tc->rto_at = 0;
	tcp_rto_start(w, tc);
	tc->c.flags |= TCPF_PERSIST;
}

/**
 * The persist timer has fired: ask by one byte of what waits, or by all that the window has room for if silly window
 * avoidance has held it back (RFC 9293 section 3.8.6.2.1).
 */
void
tcp_probe(struct worker *w, struct tcp_conv *tc)
{
	struct rte_mbuf *m = tc->sndq.head;
	struct pkt *p = pkt_of(m);
	uint32_t edge = tc->snd_una + tcp_snd_wnd(tc);
	uint32_t room = seq_lt(p->tx.seq, edge) ? edge - p->tx.seq : 0;

	TCP_COUNT(w, persist_probes);
	if (room == 0) {
		tcp_emit(w, tc, p->tx.seq, m, 1, TCP_PSH);
		tc->snd_nxt = seq_max(tc->snd_nxt, p->tx.seq + 1);
		return;
	}
	room = RTE_MIN(room, tcp_payload_max(tc));
	if (p->tx.len > room && !tcp_send_split(w, tc, m, room))
		return;
	if (tcp_send_next(w, tc, m) != -EMSGSIZE)
		tcp_rto_sent(w, tc);
}

/** RFC 5681 section 4.1: after a pause of an RTO what cwnd knew is stale. Before active_ms is set anew. */
void
tcp_idle_restart(struct worker *w, struct tcp_conv *tc)
{
	uint32_t idle = tcp_idle_ms(w, tc);

	if (unlikely(idle > tcp_rto_least(w)) && tc->snd_una == tc->snd_nxt &&
		idle > tcp_rto_ms(w, tc))
		tc->cwnd = RTE_MIN(tc->cwnd, tcp_initial_window(tc));
}

/** What is queued: lost, new, and to the rescue. */
static void
tcp_output_queue(struct worker *w, struct tcp_conv *tc)
{
	tcp_idle_restart(w, tc);
	if (tcp_send_lost(w, tc)) {
		tcp_send_new(w, tc);
		tcp_rescue(w, tc);
	} else {
		tc->c.flags |= TCPF_CWND_LTD;
	}
	tcp_flight_sent(tc);
}

/** Send what is due. Synchronised states only. */
void
tcp_output(struct worker *w, struct tcp_conv *tc)
{
	tc->c.flags &= ~(TCPF_SENT | TCPF_CWND_LTD);
	if (tc->sndq.head != NULL)
		tcp_output_queue(w, tc);
	POINT("output_mid", &tc->c.cn.n.word);
	if ((tc->c.flags & TCPF_FIN_QUEUED) != 0)
		tcp_send_fin(w, tc);
	if ((tc->c.flags & TCPF_WINDOW) != 0 && (tc->c.flags & TCPF_SENT) == 0 &&
		tcp_window_worth(w, tc)) {
		TCP_COUNT(w, window_updates);
		tc->c.flags |= TCPF_ACK_NOW;
	}
	tc->c.flags &= ~TCPF_WINDOW;
	if ((tc->c.flags & TCPF_ACK_NOW) != 0)
		tcp_send_ack(w, tc);
	if (tc->sndq.head != NULL)
		tcp_persist_check(w, tc);
}

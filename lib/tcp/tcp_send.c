/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The send queue: packets of payload, in order of sequence. Those before flight->next have been
 * sent, and each of them is one segment, with what happened to it in pkt->tx. The first packet's
 * private area also holds the struct tcp_flight, which moves on with the head.
 */
#include <errno.h>

#include "tcp_priv.h"

/** Bytes up to the end of what is queued, without a SYN or a FIN that was sent or acknowledged, which are no bytes of ours. */
static uint32_t
tcp_send_bytes(const struct tcp_conv *tc, uint32_t from)
{
	uint32_t n = tc->snd_end - from;

	return (int32_t)n < 0 ? 0 : n;
}

uint32_t
tcp_write_room(const struct conv *c)
{
	const struct tcp_conv *tc = (const struct tcp_conv *)c;
	uint32_t held = tcp_send_bytes(tc, tc->snd_una);
	uint32_t unsent = tcp_send_bytes(tc, tc->snd_nxt);
	uint32_t most = (uint32_t)tc->send_max_kib << 10;

	if ((tc->c.flags & (TCPF_FIN_QUEUED | TCPF_OVER)) != 0)
		return 0;
	if (tc->sndq.head != NULL && tcp_flight(tc)->segs >= TCP_SENDQ_MAX)
		return 0;
	if (held >= most || unsent >= TCP_UNSENT_MAX)
		return 0;
	return RTE_MIN(most - held, TCP_UNSENT_MAX - unsent);
}

/** @see struct proto: piece */
uint32_t
tcp_piece(const struct conv *c)
{
	return tcp_payload_max((const struct tcp_conv *)c);
}

static bool
tcp_can_write(const struct tcp_conv *tc)
{
	if ((tc->c.flags & (TCPF_FIN_QUEUED | TCPF_OVER | TCPF_CLOSED)) != 0)
		return false;
	switch (tc->c.cn.state) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		return true;
	default:
		return false;
	}
}

static void
tcp_send_append(struct tcp_conv *tc, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	struct tcp_flight *f;

	p->tx.seq = tc->snd_end;
	p->tx.len = m->pkt_len;
	p->tx.sent_us = 0;
	p->tx.flags = 0;
	p->tx.sends = 0;
	pktq_push(&tc->sndq, m);
	f = tcp_flight(tc);
	if (tc->sndq.head == m)
		memset(f, 0, sizeof(*f));
	if (f->next == NULL)
		f->next = m;
	f->segs++;
}

/** @see struct proto: write */
int
tcp_write(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct tcp_conv *tc = tcp_conv(c);
	struct rte_mbuf *last = pktq_last(&tc->sndq);
	uint32_t len = m->pkt_len;

	if (!tcp_can_write(tc)) {
		rte_pktmbuf_free(m);
		return -EPIPE;
	}
	if (len == 0) {
		rte_pktmbuf_free(m);
		return 0;
	}
	/* Small writes share a buffer while it was not sent: one segment, not many. */
	if (last != NULL && tcp_flight(tc)->next != NULL && !tcp_lent(last) &&
		last->pkt_len + len <= tcp_payload_max(tc) &&
		tcp_mbuf_merge(last, m, TCP_MERGE_MAX)) {
		pkt_of(last)->tx.len += len;
		rte_pktmbuf_free(m);
	} else {
		tcp_send_append(tc, m);
	}
	tc->snd_end += len;
	return 0;
}

/**
 * The sequence number for a segment without data: SND.NXT, without the byte of a persist probe, which the peer
 * may have refused: past its closed window an ACK would not count (RFC 9293 section 3.10.7.4, first step).
 */
uint32_t
tcp_ack_seq(const struct tcp_conv *tc)
{
	const struct rte_mbuf *next = tc->sndq.head == NULL ? NULL : tcp_flight(tc)->next;

	/* NOLINTNEXTLINE(performance-no-int-to-ptr): only read */
	return next == NULL ? tc->snd_nxt : pkt_of((struct rte_mbuf *)(uintptr_t)next)->tx.seq;
}

/** The head has been acknowledged. */
void
tcp_send_pop(struct tcp_conv *tc)
{
	struct tcp_flight f = *tcp_flight(tc);
	struct rte_mbuf *m = tc->sndq.head;

	if (f.next == m)
		f.next = pkt_of(m)->next;
	f.segs--;
	pktq_pop(&tc->sndq);
	rte_pktmbuf_free(m);
	if (tc->sndq.head != NULL)
		*tcp_flight(tc) = f;
}

/** The first n bytes of the head have been acknowledged, fewer than it has. @return the head now */
struct rte_mbuf *
tcp_send_trim(struct tcp_conv *tc, uint32_t n)
{
	struct rte_mbuf *was = tc->sndq.head, *m = was;
	bool next = tcp_flight(tc)->next == was, tail = pktq_last(&tc->sndq) == was;

	if (tcp_lent(m))
		pkt_of(m)->tx.off += (uint16_t)n;
	else
		m = tcp_mbuf_front(m, n);
	/* What is known of it, flight included, has gone along with the private area. */
	pkt_of(m)->tx.seq += n;
	pkt_of(m)->tx.len -= n;
	tc->sndq.head = m;
	if (tail)
		pkt_of(m)->tail = m;
	if (next)
		tcp_flight(tc)->next = m;
	return m;
}

/** Make two elements of m, the first with n bytes; both keep what is known. @return false: no buffer */
bool
tcp_send_split(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m, uint32_t n)
{
	struct pkt *p = pkt_of(m), *r;
	struct rte_mbuf *rest =
		tcp_lent(m) ? tcp_lent_clone(w, m, n, p->tx.len - n) : tcp_mbuf_split(w, m, n);

	if (rest == NULL)
		return false;
	r = pkt_of(rest);
	r->tx = p->tx;
	r->tx.flags &= ~TCP_TX_LENT;
	r->tx.seq += n;
	r->tx.len -= n;
	p->tx.len = n;
	r->next = p->next;
	p->next = rest;
	if (pktq_last(&tc->sndq) == m)
		pkt_of(tc->sndq.head)->tail = rest;
	tcp_flight(tc)->segs++;
	return true;
}

/** Let an element that was not sent yet take in those behind it, up to `most` bytes. */
void
tcp_send_fill(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m, uint32_t most)
{
	struct pkt *p = pkt_of(m);
	struct rte_mbuf *n;

	if (unlikely(tcp_lent(m)))
		return; /* as a probe of the persist timer */
	while (p->tx.len < most && (n = p->next) != NULL) {
		uint32_t room = most - p->tx.len;

		if (m->nb_segs + n->nb_segs > TCP_FRAME_SEGS)
			return;
		if (n->pkt_len > room && !tcp_send_split(w, tc, n, room))
			return;
		p->next = pkt_of(n)->next;
		if (pktq_last(&tc->sndq) == n)
			pkt_of(tc->sndq.head)->tail = m;
		tcp_flight(tc)->segs--;
		p->tx.len += n->pkt_len;
		if (tcp_mbuf_merge(m, n, TCP_MERGE_MAX))
			rte_pktmbuf_free(n);
		else if (rte_pktmbuf_chain(m, n) != 0)
			assert(false); /* bounded by TCP_FRAME_SEGS */
	}
}

void
tcp_send_free(struct tcp_conv *tc)
{
	pktq_free(&tc->sndq);
}

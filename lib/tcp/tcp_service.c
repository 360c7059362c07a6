/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Between a conversation and its service: who is called when, what closing means, and the end.
 *
 * Callbacks run from tcp_flush, once per entering, so that a burst of segments is one call. A callback may end
 * the conversation; the last call then waits until it has returned.
 */
#include "tcp_priv.h"

/** The only call after which there is none. The node is still whole. */
void
tcp_last_call(struct worker *w, struct tcp_conv *tc)
{
	const struct service *s = tc->c.service;
	bool told = (tc->c.flags & TCPF_OPENING) == 0;

	tc->c.flags |= TCPF_OVER | TCPF_CALLING;
	tcp_note_dup(w, 0, 0);
	if (told && s->hangup != NULL)
		s->hangup(w, &tc->c, tc->end);
	else if (!told && (tc->c.flags & TCPF_ACTIVE) != 0 && s->failed != NULL)
		s->failed(w, &tc->c, tc->end);
	tc->c.flags &= ~TCPF_CALLING;
}

static void
tcp_finish(struct worker *w, struct tcp_conv *tc)
{
	tcp_last_call(w, tc);
	tcp_state_set(w, tc, TCP_CLOSED);
	conv_die(w, &tc->c.cn);
}

/** The conversation is over. At once; from a callback, as soon as that has returned. Inside. */
void
tcp_end(struct worker *w, struct tcp_conv *tc, enum conv_end why)
{
	if ((tc->c.flags & TCPF_OVER) != 0)
		return;
	TCP_COUNT(w, closed);
	if ((tc->c.flags & (TCPF_OPENING | TCPF_ACTIVE)) == (TCPF_OPENING | TCPF_ACTIVE))
		TCP_COUNT(w, failed_opens);
	tc->c.flags |= TCPF_OVER;
	tc->end = why;
	if ((tc->c.flags & TCPF_CALLING) == 0)
		tcp_finish(w, tc);
}

/** A callback has returned. @return false: the conversation is over, and gone */
static bool
tcp_called(struct worker *w, struct tcp_conv *tc)
{
	tc->c.flags &= ~TCPF_CALLING;
	if ((tc->c.flags & TCPF_OVER) == 0)
		return true;
	tcp_finish(w, tc);
	return false;
}

/** Call the service, if it has this callback. @return false: the conversation is over, and gone */
static bool
tcp_call(struct worker *w, struct tcp_conv *tc, void (*f)(struct worker *w, struct conv *c))
{
	if (f == NULL)
		return true;
	tc->c.flags |= TCPF_CALLING;
	f(w, &tc->c);
	return tcp_called(w, tc);
}

/** Tell the service what goes wrong, if it wants to know. Not from a callback. The conversation may be over then. */
void
tcp_trouble(struct worker *w, struct tcp_conv *tc, enum conv_trouble what, unsigned detail)
{
	bool asks = (tc->c.flags & (TCPF_OPENING | TCPF_ACTIVE)) != TCPF_OPENING;

	if (tc->c.service->trouble == NULL || !asks ||
		(tc->c.flags & (TCPF_CLOSED | TCPF_OVER)) != 0)
		return;
	tc->c.flags |= TCPF_CALLING;
	tc->c.service->trouble(w, &tc->c, what, detail);
	tcp_called(w, tc);
}

/** accept or connected. @return false: over */
static bool
tcp_serve_opening(struct worker *w, struct tcp_conv *tc)
{
	const struct service *s = tc->c.service;

	if ((tc->c.flags & TCPF_ACCEPT) != 0) {
		tc->c.flags &= ~TCPF_ACCEPT;
		POINT("look at closed", &tc->c.listener->closed);
		/* I6: a listener that has closed meanwhile takes no more calls. Relaxed: see listener_close. */
		if (atomic_load_explicit(&tc->c.listener->closed, memory_order_relaxed)) {
			tcp_reset_conv(w, tc);
			tcp_end(w, tc, CONV_END_HANGUP);
			return false;
		}
		tc->c.flags &= ~TCPF_OPENING;
		return tcp_call(w, tc, s->accept);
	}
	if ((tc->c.flags & TCPF_CONNECTED) != 0) {
		tc->c.flags &= ~(TCPF_CONNECTED | TCPF_OPENING);
		return tcp_call(w, tc, s->connected);
	}
	return true;
}

/** There is room again for one that has met a full queue: so much of it that it is worth a call. */
static bool
tcp_drain_due(const struct tcp_conv *tc)
{
	return (tc->c.flags & (TCPF_BLOCKED | TCPF_FIN_QUEUED | TCPF_OPENING | TCPF_CLOSED)) ==
		TCPF_BLOCKED &&
		tcp_write_room(&tc->c) >=
		RTE_MIN((uint32_t)tc->send_max_kib << 8, TCP_UNSENT_MAX / 2);
}

/** recv, drain. @return false: over */
static bool
tcp_serve_data(struct worker *w, struct tcp_conv *tc)
{
	const struct service *s = tc->c.service;

	if ((tc->c.flags & TCPF_RECV) != 0) {
		tc->c.flags &= ~TCPF_RECV;
		if (tc->rcvq.head != NULL && !tcp_call(w, tc, s->recv))
			return false;
	}
	if (tcp_drain_due(tc)) {
		tc->c.flags &= ~TCPF_BLOCKED;
		if (!tcp_call(w, tc, s->drain))
			return false;
		if (tc->rcvq.head != NULL && (tc->c.flags & TCPF_CLOSED) == 0)
			return tcp_call(w, tc, s->recv);
	}
	return true;
}

/** The peer has sent its last: shutdown, once; a service without one is done when it has read all. @return false: over */
static bool
tcp_serve_shutdown(struct worker *w, struct tcp_conv *tc)
{
	const struct service *s = tc->c.service;

	if ((tc->c.flags & (TCPF_PEER_FIN | TCPF_CLOSED)) != TCPF_PEER_FIN)
		return true;
	if (s->shutdown == NULL) {
		if (tc->rcvq.head == NULL)
			tcp_close(w, &tc->c);
		return (tc->c.flags & TCPF_OVER) == 0;
	}
	if ((tc->c.flags & TCPF_SHUT_TOLD) != 0)
		return true;
	tc->c.flags |= TCPF_SHUT_TOLD;
	return tcp_call(w, tc, s->shutdown);
}

/** Run the service, for all that has happened since it was called last. @return false: over */
static bool
tcp_serve(struct worker *w, struct tcp_conv *tc)
{
	if ((tc->c.flags & TCPF_SERVE) == 0)
		return true;
	if ((tc->c.flags & TCPF_OPENING) != 0 && !tcp_serve_opening(w, tc))
		return false;
	if ((tc->c.flags & TCPF_KICKED) != 0) {
		tc->c.flags &= ~TCPF_KICKED;
		if ((tc->c.flags & TCPF_CLOSED) == 0 && !tcp_call(w, tc, tc->c.service->kicked))
			return false;
	}
	if ((tc->c.flags & (TCPF_OPENING | TCPF_CLOSED)) != 0)
		return true;
	return tcp_serve_data(w, tc) && tcp_serve_shutdown(w, tc);
}

/**
 * What a service may queue follows what the network takes: twice the congestion window, so that there is always a
 * window's worth behind the one in flight; and what there is of mbufs.
 */
static void
tcp_send_limit(struct worker *w, struct tcp_conv *tc)
{
	enum tcp_pressure pressure = tcp_pressure(w);
	uint32_t now, most;

	if (likely(pressure == TCP_PRESSURE_NONE && (tc->c.flags & TCPF_BLOCKED) == 0))
		return;
	now = (uint32_t)tc->send_max_kib << 10;
	most = w->tcp->conf.send_max;
	switch (pressure) {
	case TCP_PRESSURE_NONE:
		most = RTE_MIN(most, 2 * RTE_MIN(tc->cwnd, most));
		if (most <= now)
			return;
		TCP_COUNT(w, send_grown);
		break;
	case TCP_PRESSURE_SOME:
		return;
	case TCP_PRESSURE_HIGH:
		most = RTE_MIN(now, TCP_BUF_HIGH);
		break;
	case TCP_PRESSURE_FULL:
		most = RTE_MIN(now, TCP_BUF_FULL);
		break;
	}
	tc->send_max_kib = (uint16_t)(most >> 10);
}

static void
tcp_output_blocked(struct worker *w, struct tcp_conv *tc)
{
	/* Full by writing, or as mbufs ran short: who looked and found no room hears of it when there is. */
	if (tc->sndq.head != NULL && tcp_write_room(&tc->c) == 0)
		tc->c.flags |= TCPF_BLOCKED;
	if (tc->c.cn.state >= TCP_ESTABLISHED)
		tcp_output(w, tc);
}

/**
 * Send; and if that has made room for a service that met a full queue, let it write, and send that while it is in the cache. More of the
 * same is for the next turn: others are served, and acknowledgements heard, in between. @return false: over
 */
static bool
tcp_output_served(struct worker *w, struct tcp_conv *tc)
{
	tcp_output_blocked(w, tc);
	if (likely(!tcp_drain_due(tc)))
		return true;
	if (!tcp_serve(w, tc))
		return false;
	tcp_output_blocked(w, tc);
	if (tcp_drain_due(tc))
		conv_kick_next(w, &tc->c.cn);
	return true;
}

/** @see struct proto: flush */
void
tcp_flush(struct worker *w, struct conv *c)
{
	struct tcp_conv *tc = tcp_conv(c);

	tcp_send_limit(w, tc);
	if (!tcp_serve(w, tc))
		return;
	if (!tcp_output_served(w, tc))
		return;
	tcp_note_dup(w, 0, 0);
	if (c->cn.state == TCP_TIME_WAIT && tc->rcvq.head == NULL) {
		if (tc->misc_at == 0) /* it was over before all was read */
			tcp_end(w, tc, CONV_END_CLOSED);
		else
			tcp_time_wait_enter(w, tc);
		return;
	}
	tcp_timer_arm(w, tc);
}

/** @see struct proto: work */
void
tcp_work(struct worker *w, struct conv *c, uint64_t bits)
{
	struct tcp_conv *tc = tcp_conv(c);

	if ((bits & NODE_HANGUP) != 0) {
		tcp_hangup(w, c, CONV_END_HANGUP);
		return;
	}
	if ((bits & NODE_KICK) != 0) {
		if ((tc->c.flags & TCPF_BORN) == 0 || (tc->c.flags & TCPF_ACTIVE) != 0)
			tc->c.flags |= TCPF_KICKED;
		if ((tc->c.flags & (TCPF_BORN | TCPF_ACTIVE)) == (TCPF_BORN | TCPF_ACTIVE)) {
			/* Nobody kicks before it was published; after that the bits are one. */
			tcp_send_syn(w, tc);
		}
		tc->c.flags &= ~TCPF_BORN;
	}
	if ((bits & NODE_TIMER) != 0)
		tcp_timer(w, tc);
}

/** @see struct proto: shutdown */
void
tcp_shutdown(struct worker *w, struct conv *c)
{
	struct tcp_conv *tc = tcp_conv(c);

	(void)w;
	tc->c.flags |= TCPF_FIN_QUEUED;
	tc->c.flags &= ~TCPF_BLOCKED;
}

/** @see struct proto: close. RFC 9293 section 3.10.4 */
void
tcp_close(struct worker *w, struct conv *c)
{
	struct tcp_conv *tc = tcp_conv(c);

	if ((tc->c.flags & (TCPF_CLOSED | TCPF_OVER)) != 0)
		return;
	tc->c.flags |= TCPF_CLOSED;
	if (c->cn.state != TCP_TIME_WAIT)
		tc->misc_at = 0; /* no keepalive for whom nobody waits */
	if (c->cn.state == TCP_SYN_SENT) {
		tcp_end(w, tc, CONV_END_HANGUP);
		return;
	}
	/* RFC 2525 section 2.17: what is thrown away unread must not look as if it had been taken. */
	if (tc->rcvq.head != NULL || tc->ooo != NULL) {
		tcp_reset_conv(w, tc);
		tcp_end(w, tc, CONV_END_HANGUP);
		return;
	}
	tcp_shutdown(w, c);
	if (c->cn.state == TCP_FIN_WAIT_2)
		tc->misc_at = tcp_deadline(w, w->tcp->conf.fin_wait_2_ms);
}

/** @see struct proto: hangup */
void
tcp_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	struct tcp_conv *tc = tcp_conv(c);

	if ((tc->c.flags & TCPF_OVER) != 0)
		return;
	if (c->cn.state != TCP_SYN_SENT && c->cn.state != TCP_TIME_WAIT)
		tcp_reset_conv(w, tc);
	tcp_end(w, tc, why);
}

/** @see struct proto: retire */
void
tcp_retire(struct worker *w, struct conv *c)
{
	struct tcp_conv *tc = tcp_conv(c);

	tcp_send_free(tc);
	tcp_recv_free(tc);
	if (c->listener != NULL)
		listener_let_go(w, c->listener);
	c->listener = NULL;
}

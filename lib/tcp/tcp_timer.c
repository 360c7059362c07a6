/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Deadlines of a conversation: retransmission or persist, delayed ACK, and FIN-WAIT-2 or TIME-WAIT. One
 * timer of the node serves them all; it is left where it is when deadlines move later, and then fires in vain.
 */
#include "tcp_priv.h"

/** (Re)start the retransmission timer (RFC 6298 section 5). */
void
tcp_rto_start(struct worker *w, struct tcp_conv *tc)
{
	uint32_t rto = tcp_rto_ms(w, tc);

	if ((tc->flags & TCPF_PERSIST) != 0) {
		tc->flags &= ~TCPF_PERSIST;
		tc->backoff = 0;
	}
	for (unsigned i = 0; i < tc->backoff && rto < TCP_RTO_MAX_MS; i++)
		rto *= 2;
	rto = RTE_MIN(rto, (uint32_t)TCP_RTO_MAX_MS);
	tc->rto_at = tcp_deadline(w, rto);
	tcp_tlp_arm(w, tc, rto);
}

/** How long ago, by the timer's own doubling, the first of `retries` timeouts was started. */
static uint32_t
tcp_waited_ms(const struct worker *w, const struct tcp_conv *tc)
{
	uint32_t rto = tcp_rto_ms(w, tc), sum = 0;

	for (unsigned i = 0; i <= tc->retries; i++) {
		sum += rto;
		rto = RTE_MIN(rto * 2, (uint32_t)TCP_RTO_MAX_MS);
	}
	return sum;
}

static bool
tcp_opening(const struct tcp_conv *tc)
{
	return tc->c.cn.state == TCP_SYN_SENT || tc->c.cn.state == TCP_SYN_RECEIVED;
}

/** RFC 9293 section 3.8.3: R2. @return true if the conversation is over */
static bool
tcp_give_up(struct worker *w, struct tcp_conv *tc)
{
	if (tcp_waited_ms(w, tc) < (tcp_opening(tc) ? TCP_R2_SYN_MS : TCP_R2_MS))
		return false;
	TCP_COUNT(w, timeouts);
	if (!tcp_opening(tc))
		tcp_reset_conv(w, tc);
	tcp_end(w, tc, CONV_END_TIMEOUT);
	return true;
}

/** RFC 6298 section 5.4 - 5.6 */
static void
tcp_rto_fired(struct worker *w, struct tcp_conv *tc)
{
	tc->rto_at = 0;
	if (tc->snd_una == tc->snd_nxt || tcp_give_up(w, tc))
		return;
	TCP_COUNT(w, rto_fired);
	if (tcp_opening(tc)) {
		tc->flags |= TCPF_SYN_RESENT;
		if (tc->retransmits < UINT16_MAX)
			tc->retransmits++;
		tc->backoff++;
		tc->retries++;
		tcp_send_syn(w, tc);
		return;
	}
	tcp_recovery_timeout(w, tc);
	tc->retries++;
	if (tc->backoff < UINT8_MAX)
		tc->backoff++;
	tcp_rto_start(w, tc);
}

/** Ask, and ask again, for ever (RFC 9293 section 3.8.6.1); not for a service that is done with it, though. */
static void
tcp_persist_fired(struct worker *w, struct tcp_conv *tc)
{
	uint8_t backoff = tc->backoff < 16 ? tc->backoff + 1 : tc->backoff;

	if ((tc->flags & TCPF_CLOSED) != 0 && tc->misc_at == 0)
		tc->misc_at = tcp_deadline(w, w->tcp->conf.fin_wait_2_ms);
	tc->rto_at = 0;
	tcp_probe(w, tc);
	if (tcp_flight(tc)->next != tc->sndq.head)
		return; /* it sent a segment, and the timer is that one's now */
	tc->flags &= ~TCPF_PERSIST;
	tc->backoff = backoff;
	tcp_rto_start(w, tc);
	tc->flags |= TCPF_PERSIST;
}

/** FIN-WAIT-2 or a closed window that has outlived its service's interest, or the end of TIME-WAIT. */
static void
tcp_misc_fired(struct worker *w, struct tcp_conv *tc)
{
	bool stuck = (tc->flags & (TCPF_CLOSED | TCPF_PERSIST)) == (TCPF_CLOSED | TCPF_PERSIST);

	tc->misc_at = 0;
	if (tc->c.cn.state == TCP_TIME_WAIT) {
		/* What was received stands unread still: it stays ours, the tuple too. */
		if (tc->rcvq.head == NULL)
			tcp_end(w, tc, CONV_END_CLOSED);
	} else if (tc->c.cn.state == TCP_FIN_WAIT_2 || stuck) {
		TCP_COUNT(w, timeouts);
		tcp_reset_conv(w, tc);
		tcp_end(w, tc, CONV_END_TIMEOUT);
	}
}

/** The timer of what is in flight, or waits to be. */
static void
tcp_flight_fired(struct worker *w, struct tcp_conv *tc)
{
	uint8_t timer = tc->sndq.head == NULL ? TCP_TIMER_RTO : tcp_flight(tc)->timer;

	if ((tc->flags & TCPF_PERSIST) != 0)
		tcp_persist_fired(w, tc);
	else if (timer == TCP_TIMER_TLP)
		tcp_tlp_fired(w, tc);
	else if (timer == TCP_TIMER_RACK)
		tcp_rack_fired(w, tc);
	else
		tcp_rto_fired(w, tc);
}

/** The node's timer has fired: do what is due. It may be nothing. */
void
tcp_timer(struct worker *w, struct tcp_conv *tc)
{
	if (tcp_due(w, tc->delack_at)) {
		TCP_COUNT(w, delayed_acks);
		tc->delack_at = 0;
		tc->flags |= TCPF_ACK_NOW;
	}
	if (tcp_due(w, tc->rto_at)) {
		tcp_flight_fired(w, tc);
	}
	if ((tc->flags & TCPF_OVER) == 0 && tcp_due(w, tc->misc_at))
		tcp_misc_fired(w, tc);
}

static uint32_t
tcp_earlier(uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return a | b;
	return seq_lt(a, b) ? a : b;
}

/** Have the node's timer fire no later than the earliest deadline. */
void
tcp_timer_arm(struct worker *w, struct tcp_conv *tc)
{
	uint32_t at = tcp_earlier(tcp_earlier(tc->rto_at, tc->delack_at), tc->misc_at);
	/* Relaxed: only a hint; conv_timer_set looks again. */
	uint32_t set = atomic_load_explicit(&tc->c.cn.timer.deadline, memory_order_relaxed);

	if (at == 0)
		return;
	if (set > CONV_TIMER_NONE && seq_le(set, at) && seq_lt(w->now_ms, set))
		return;
	conv_timer_set(w, &tc->c.cn, at);
}

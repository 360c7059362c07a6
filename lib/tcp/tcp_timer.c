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

	if ((tc->c.flags & TCPF_PERSIST) != 0) {
		tc->c.flags &= ~TCPF_PERSIST;
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

/** The peer is as good as gone. */
static void
tcp_timed_out(struct worker *w, struct tcp_conv *tc)
{
	TCP_COUNT(w, timeouts);
	if (!tcp_opening(tc))
		tcp_reset_conv(w, tc);
	tcp_end(w, tc, CONV_END_TIMEOUT);
}

/** RFC 9293 section 3.8.3: R2, which is the user timeout (RFC 5482). @return true if the conversation is over */
static bool
tcp_give_up(struct worker *w, struct tcp_conv *tc)
{
	uint32_t most = tcp_opening(tc) ? TCP_R2_SYN_MS : w->tcp->conf.user_timeout_ms;

	if (tcp_waited_ms(w, tc) < most)
		return false;
	tcp_timed_out(w, tc);
	return true;
}

/** RFC 9293 section 3.8.3 (MUST-20, SHLD-9): from R1 on the next hop is doubted, and the service told. May end it. */
static void
tcp_silence(struct worker *w, struct tcp_conv *tc)
{
	if (tc->retries < TCP_R1)
		return;
	ip_path_doubt(w, &tc->c.path);
	tcp_trouble(w, tc, CONV_TROUBLE_SILENCE, tc->retries);
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
		tc->c.flags |= TCPF_SYN_RESENT;
		if (tc->retransmits < UINT16_MAX)
			tc->retransmits++;
		tc->backoff++;
		tc->retries++;
		tcp_send_syn(w, tc);
		tcp_silence(w, tc);
		return;
	}
	tcp_recovery_timeout(w, tc);
	if (tc->retries >= TCP_R1)
		tcp_mtu_lost(w, tc);
	if (tc->retries < UINT8_MAX)
		tc->retries++;
	if (tc->backoff < UINT8_MAX)
		tc->backoff++;
	tcp_rto_start(w, tc);
	tcp_silence(w, tc);
}

/**
 * Ask, and ask again, as long as there are answers (RFC 9293 section 3.8.6.1, MUST-37); not for a service that is
 * done with it, though.
 */
static void
tcp_persist_fired(struct worker *w, struct tcp_conv *tc)
{
	uint8_t backoff = tc->backoff < 16 ? tc->backoff + 1 : tc->backoff;

	if ((tc->c.flags & TCPF_CLOSED) != 0 && tc->misc_at == 0)
		tc->misc_at = tcp_deadline(w, w->tcp->conf.fin_wait_2_ms);
	if (tcp_give_up(w, tc))
		return;
	if (tc->retries < UINT8_MAX)
		tc->retries++;
	tcp_probe(w, tc);
	if (tcp_flight(tc)->next != tc->sndq.head)
		return; /* it sent a segment, and the timer is that one's now */
	tc->c.flags &= ~TCPF_PERSIST;
	tc->backoff = backoff;
	tcp_rto_start(w, tc);
	tc->c.flags |= TCPF_PERSIST;
}

void
tcp_keepalive_start(struct worker *w, struct tcp_conv *tc)
{
	if (w->tcp->conf.keepalive_ms != 0)
		tc->misc_at = tcp_deadline(w, w->tcp->conf.keepalive_ms);
}

/**
 * RFC 9293 section 3.8.4. The deadline is not moved by each packet: it looks when it fires. Probes don't count as
 * activity, so how long it is idle tells how many there were.
 */
static void
tcp_keepalive(struct worker *w, struct tcp_conv *tc)
{
	uint32_t after = w->tcp->conf.keepalive_ms, gap = RTE_MIN(after, TCP_KEEP_GAP_MS);
	uint32_t idle = tcp_idle_ms(w, tc), active = tc->c.active_ms;

	/* MUST-26: only without data in flight; retransmissions find out by themselves. */
	if (idle < after || tc->sndq.head != NULL || tc->snd_una != tc->snd_nxt) {
		tc->misc_at = tcp_deadline(w, idle < after ? after - idle : after);
		return;
	}
	/* MUST-29: one probe that is not answered is no proof. */
	if (idle >= after + TCP_KEEP_PROBES * gap) {
		tcp_timed_out(w, tc);
		return;
	}
	TCP_COUNT(w, keepalive_probes);
	tcp_emit(w, tc, tc->snd_una - 1, NULL, 0, 0); /* SHLD-12: no data */
	tc->c.active_ms = active;
	tc->misc_at = tcp_deadline(w, gap);
}

/** FIN-WAIT-2 or a closed window that has outlived its service's interest, the end of TIME-WAIT, or keepalive. */
static void
tcp_misc_fired(struct worker *w, struct tcp_conv *tc)
{
	bool closed = (tc->c.flags & TCPF_CLOSED) != 0;

	tc->misc_at = 0;
	if (tc->c.cn.state == TCP_TIME_WAIT) {
		/* What was received stands unread still: it stays ours, the tuple too. */
		if (tc->rcvq.head == NULL)
			tcp_end(w, tc, CONV_END_CLOSED);
	} else if (!closed) {
		tcp_keepalive(w, tc);
	} else if (tc->c.cn.state == TCP_FIN_WAIT_2 || (tc->c.flags & TCPF_PERSIST) != 0) {
		tcp_timed_out(w, tc);
	}
}

/** The timer of what is in flight, or waits to be. */
static void
tcp_flight_fired(struct worker *w, struct tcp_conv *tc)
{
	uint8_t timer = tc->sndq.head == NULL ? TCP_TIMER_RTO : tcp_flight(tc)->timer;

	if ((tc->c.flags & TCPF_PERSIST) != 0)
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
		tc->c.flags |= TCPF_ACK_NOW;
	}
	if (tcp_due(w, tc->rto_at)) {
		tcp_flight_fired(w, tc);
	}
	if (tcp_due(w, tc->c.mtu_at))
		tcp_mtu_again(w, tc);
	if ((tc->c.flags & TCPF_OVER) == 0 && tcp_due(w, tc->misc_at))
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
	uint32_t at = tcp_earlier(
		tcp_earlier(tc->rto_at, tc->delack_at), tcp_earlier(tc->misc_at, tc->c.mtu_at));
	/* Relaxed: only a hint; conv_timer_set looks again. */
	uint32_t set = atomic_load_explicit(&tc->c.cn.timer.deadline, memory_order_relaxed);

	if (at == 0) {
		conv_timer_stop(w, &tc->c.cn);
		return;
	}
	if (set > CONV_TIMER_NONE && seq_le(set, at) && seq_lt(w->now_ms, set))
		return;
	conv_timer_set(w, &tc->c.cn, at);
}

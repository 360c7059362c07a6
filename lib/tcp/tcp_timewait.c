/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * TIME-WAIT: a small node that answers what comes late, for 2 MSL, and makes way for a new call of the same peer
 * that is provably later (RFC 6191, RFC 9293 section 3.6.1).
 */
#include "tcp_priv.h"

static struct tcp_time_wait *
tcp_time_wait(struct conv_node *cn)
{
	return (struct tcp_time_wait *)cn;
}

/** The conversation has nothing more to do: leave a remain in its place. Inside the conversation. */
void
tcp_time_wait_enter(struct worker *w, struct tcp_conv *tc)
{
	struct conv_node *cn = conv_alloc(w, NODE_TIME_WAIT, &tc->c.cn.n.key, tc->c.cn.n.hash);
	struct tcp_time_wait *tw = tcp_time_wait(cn);

	if (cn == NULL) {
		TCP_COUNT(w, time_wait_full);
		tcp_end(w, tc, CONV_END_CLOSED);
		return;
	}
	TCP_COUNT(w, closed);
	TCP_COUNT(w, time_waits);
	cn->state = TCP_TIME_WAIT;
	tw->rcv_nxt = tc->rcv_nxt;
	tw->snd_nxt = tc->snd_nxt;
	tw->ts_recent = tc->ts_recent;
	tw->ts = (tc->c.flags & TCPF_TS) != 0;
	tw->wnd = (uint16_t)(tcp_window(w, tc) >> tc->rcv_wscale);
	tw->until = tc->misc_at;
	tw->challenge_at = tc->challenge_at;
	tc->end = CONV_END_CLOSED;
	tcp_last_call(w, tc);
	conv_timer_preset(w, cn, tw->until);
	if (conv_replace(w, &tc->c.cn, cn, 0) != 0) {
		assert(false); /* we are inside and alive: we are in the table */
		conv_abandon(w, cn);
	}
}

static void
tcp_time_wait_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	struct tcp_time_wait *tw = tcp_time_wait(cn);

	if ((bits & NODE_HANGUP) == 0 && (int32_t)(w->now_ms - tw->until) < 0) {
		conv_timer_set(w, cn, tw->until);
		return;
	}
	tcp_state_step(w, TCP_TIME_WAIT, TCP_CLOSED);
	conv_die(w, cn);
}

static void
tcp_time_wait_ack(struct worker *w, struct tcp_time_wait *tw)
{
	struct tcp_out o = {
		.k = &tw->cn.n.key,
		.seq = tw->snd_nxt,
		.ack = tw->rcv_nxt,
		.wnd = tw->wnd,
		.flags = TCP_ACK,
	};

	if (tw->ts) {
		o.opts = TCP_OPT_TS;
		o.ts_val = tcp_ts_now(w, o.k);
		o.ts_ecr = tw->ts_recent;
	}
	tcp_transmit_bare(w, &o);
}

/**
 * A SYN that can't be an old duplicate (RFC 6191 section 2): its timestamp has grown, or is the first one
 * of the two, which protects the new call (PAWS); or, without, its sequence number has grown (RFC 9293 section 3.6.1).
 */
static bool
tcp_time_wait_later(const struct tcp_time_wait *tw, const struct pkt *p)
{
	bool ts = (p->tcp.opts & TCP_OPT_TS) != 0;

	if (ts && !tw->ts)
		return true;
	if (ts && p->tcp.ts_val != tw->ts_recent)
		return seq_lt(tw->ts_recent, p->tcp.ts_val);
	return seq_lt(tw->rcv_nxt, p->tcp.seq);
}

/** A new call takes the remain's place, with numbers above the old ones. Consumes m. */
static void
tcp_time_wait_reopen(struct worker *w, struct tcp_time_wait *tw, struct rte_mbuf *m)
{
	struct listener *l = tcp_listener(w, &tw->cn.n.key);
	struct conv_node *cn;
	struct tcp_half_open *h;

	/* Nobody listens, or not to him: what CLOSED and LISTEN say to it. */
	if (l == NULL || !listener_allows(l, tw->cn.n.key.raddr)) {
		tcp_state_step(w, TCP_TIME_WAIT, TCP_CLOSED);
		conv_die(w, &tw->cn);
		conv_again(w, m);
		return;
	}
	cn = tcp_half_open_make(w, m, l);
	if (cn == NULL) {
		LISTENER_ADD(w, l, refused, 1);
		drop(w, m, DROP_TCP_BACKLOG);
		return;
	}
	h = (struct tcp_half_open *)cn;
	/* RFC 9293 section 3.6.1: larger than the largest of the previous incarnation. */
	if (seq_le(h->iss, tw->snd_nxt))
		h->iss = tw->snd_nxt + 128000;
	if (conv_replace(w, &tw->cn, cn, NODE_KICK) != 0) {
		assert(false);
		conv_abandon(w, cn);
	} else {
		tcp_state_step(w, TCP_TIME_WAIT, TCP_SYN_RECEIVED);
		TCP_COUNT(w, time_wait_reused);
		TCP_COUNT(w, half_opens);
	}
	conv_again(w, m);
}

/** RFC 9293 section 3.10.7.4 for TIME-WAIT. Consumes m. */
static void
tcp_time_wait_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct tcp_time_wait *tw = tcp_time_wait(cn);
	const struct pkt *p = pkt_of(m);

	if (p->kind == PKT_ICMP_ERROR) {
		drop(w, m, DROP_ICMP_NO_CONV);
		return;
	}
	if (!tcp_parse(m)) {
		drop(w, m, DROP_TCP_SHORT);
		return;
	}
	TCP_COUNT(w, segs_in);
	/* RFC 1337 section 3 (a): a late RST must not cut the time short. */
	if ((p->tcp.flags & TCP_RST) != 0) {
		drop(w, m, DROP_TCP_RST);
		return;
	}
	if ((p->tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && tcp_time_wait_later(tw, p)) {
		tcp_time_wait_reopen(w, tw, m);
		return;
	}
	/* An ACK of the past needs no answer: it could be one to ours. */
	if (p->data_len == 0 && (p->tcp.flags & (TCP_SYN | TCP_FIN)) == 0) {
		consume(w, m);
		return;
	}
	/* Eighth: the FIN again: our ACK was lost, and 2 MSL start anew. */
	if ((p->tcp.flags & TCP_FIN) != 0 && p->tcp.seq + p->data_len + 1 == tw->rcv_nxt) {
		tw->until = w->now_ms + w->tcp->conf.time_wait_ms;
		conv_timer_set(w, cn, tw->until);
	}
	if (tcp_may_challenge(w, &tw->challenge_at))
		tcp_time_wait_ack(w, tw);
	consume(w, m);
}

void
tcp_time_wait_status(const struct conv_node *cn, struct conv_status *ret)
{
	const struct tcp_time_wait *tw = (const struct tcp_time_wait *)cn;

	ret->proto = tcp_proto.name;
	ret->state = tcp_state_name(TCP_TIME_WAIT);
	ret->key = cn->n.key;
	ret->snd_una = ret->snd_nxt = tw->snd_nxt;
	ret->rcv_nxt = tw->rcv_nxt;
	ret->timestamps = tw->ts;
}

const struct node_ops tcp_time_wait_ops = {
	.name = "time-wait",
	.size = sizeof(struct tcp_time_wait),
	.input = tcp_time_wait_input,
	.work = tcp_time_wait_work,
};

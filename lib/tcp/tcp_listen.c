/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Passive open: segments for which there is no node (CLOSED and LISTEN, RFC 9293 section 3.10.7.1 and
 * 3.10.7.2), and half-open calls (SYN-RECEIVED of a passive open), small nodes of their own kind.
 *
 * A half-open call belongs to its listener: it holds a count of it, and the generation that it was born
 * under; if that has moved on, the call dies as it is met (I6).
 */
#include <errno.h>

#include "tcp_priv.h"

static struct tcp_half_open *
tcp_half_open(struct conv_node *cn)
{
	return (struct tcp_half_open *)cn;
}

/** The open listener for a tuple, or NULL. Valid until the quiescent state. */
struct listener *
tcp_listener(struct worker *w, const struct key *k)
{
	struct node *n = ipht_match(conv_ipht(w->convs), k);

	/* Acquire: pairs with listener_open. */
	if (n == NULL || atomic_load_explicit(&listener_of(n)->closed, memory_order_acquire))
		return NULL;
	return listener_of(n);
}

/** One more half-open call on l, if it may have one. */
static bool
tcp_listener_take(struct listener *l)
{
	/* Relaxed: a count, nothing is handed over by it. */
	uint32_t was = atomic_fetch_add_explicit(&l->half_open, 1, memory_order_relaxed);

	if (was < l->half_open_max)
		return true;
	atomic_fetch_sub_explicit(&l->half_open, 1, memory_order_relaxed);
	return false;
}

/**
 * A half-open call for the SYN m (parsed), complete but not published.
 * @return NULL: there can be none now; m is the caller's
 */
struct conv_node *
tcp_half_open_make(struct worker *w, struct rte_mbuf *m, struct listener *l)
{
	const struct pkt *p = pkt_of(m);
	struct tcp_half_open *h;
	struct conv_node *cn;

	/* No conversation could come of a call now. */
	if (conv_full(w, NODE_CONV) || !tcp_listener_take(l))
		return NULL;
	cn = conv_alloc(w, NODE_HALF_OPEN, &p->key.k, p->hash);
	if (cn == NULL) {
		atomic_fetch_sub_explicit(&l->half_open, 1, memory_order_relaxed);
		return NULL;
	}
	POINT("post_newcall_pre_init", &cn->n.word);
	LISTENER_ADD(w, l, convs, 1);
	h = tcp_half_open(cn);
	h->l = l;
	/* Relaxed: if the listener closes after this, the generation differs when the call is met. */
	h->gen = (uint16_t)atomic_load_explicit(&l->gen, memory_order_relaxed);
	h->irs = p->tcp.seq;
	h->iss = tcp_isn(w, &p->key.k);
	h->ts_recent = p->tcp.ts_val;
	h->mss = tcp_mss_peer(&p->key.k, p->tcp.opts, p->tcp.mss);
	h->wnd = p->tcp.wnd;
	h->opts = p->tcp.opts & (TCP_OPT_WSCALE | TCP_OPT_SACK_OK | TCP_OPT_TS);
	h->opts |= tcp_ecn_asked(w, p) ? TCP_OPT_ECN : 0;
	h->wscale = p->tcp.wscale;
	cn->state = TCP_SYN_RECEIVED;
	/* As tcp_half_open_send will have it. */
	conv_timer_preset(w, cn, w->now_ms + TCP_RTO_INIT_MS);
	return cn;
}

/* ---- a half-open call; all below runs inside the node ---- */

/** The call is over, and back in LISTEN or, by our own side, closed. */
static void
tcp_half_open_end(struct worker *w, struct conv_node *cn, enum tcp_state to)
{
	POINT("half_open_evict", &cn->n.word);
	tcp_state_step(w, TCP_SYN_RECEIVED, to);
	conv_die(w, cn);
}

static bool
tcp_half_open_orphan(const struct tcp_half_open *h)
{
	POINT("look at closed", &h->l->closed);
	/* Relaxed: see listener_close. */
	return h->gen != (uint16_t)atomic_load_explicit(&h->l->gen, memory_order_relaxed) ||
		atomic_load_explicit(&h->l->closed, memory_order_relaxed);
}

static void
tcp_half_open_out(struct worker *w, const struct tcp_half_open *h, struct tcp_out *o)
{
	*o = (struct tcp_out){
		.k = &h->cn.n.key,
		.ack = h->irs + 1,
		.wnd = tcp_syn_window(w),
		.flags = TCP_ACK,
	};
	if ((h->opts & TCP_OPT_TS) != 0) {
		o->opts = TCP_OPT_TS;
		o->ts_val = tcp_ts_now(w, o->k);
		o->ts_ecr = h->ts_recent;
	}
}

static uint32_t
tcp_half_open_deadline(const struct tcp_half_open *h)
{
	return h->sent_ms + ((uint32_t)TCP_RTO_INIT_MS << (h->sends - 1));
}

/** SYN-ACK, for the first time or again, and the timer for the next one: 1, 2, 4 ... s. */
static void
tcp_half_open_send(struct worker *w, struct tcp_half_open *h)
{
	struct path path = {0};
	struct tcp_out o;

	tcp_half_open_out(w, h, &o);
	o.seq = h->iss;
	o.flags |= TCP_SYN | ((h->opts & TCP_OPT_ECN) != 0 ? TCP_ECE : 0);
	o.opts = h->opts;
	o.wscale = w->tcp->rcv_wscale;
	h->sent_ms = w->now_ms;
	if (ip_path(w, o.k, &path) == 0) {
		o.path = &path;
		o.mss = tcp_mss_ours(&path, o.k);
		tcp_transmit_bare(w, &o);
	}
	conv_timer_set(w, &h->cn, tcp_half_open_deadline(h));
}

static void
tcp_half_open_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	struct tcp_half_open *h = tcp_half_open(cn);

	if (tcp_half_open_orphan(h) || (bits & NODE_HANGUP) != 0) {
		tcp_half_open_end(w, cn, TCP_CLOSED);
		return;
	}
	if ((bits & NODE_KICK) != 0 && h->sends == 0) {
		h->sends = 1;
		tcp_half_open_send(w, h);
	}
	if ((bits & NODE_TIMER) == 0)
		return;
	if ((int32_t)(w->now_ms - tcp_half_open_deadline(h)) < 0) {
		conv_timer_set(w, cn, tcp_half_open_deadline(h));
		return;
	}
	if (h->sends >= TCP_SYNACK_SENDS) {
		TCP_COUNT(w, half_open_timeouts);
		tcp_half_open_end(w, cn, TCP_LISTEN);
		return;
	}
	h->sends++;
	TCP_COUNT(w, syn_acks_resent);
	tcp_half_open_send(w, h);
}

/** RTT of the handshake: by the clock if SYN-ACK went out once (Karn), else by the echoed timestamp; what is longer than
 * a retransmission's pause may be that pause. */
static void
tcp_half_open_rtt(
	struct worker *w, const struct tcp_half_open *h, struct tcp_conv *tc, const struct pkt *p)
{
	uint32_t ms = worker_since_ms(w, h->sent_ms);

	if (h->sends == 0)
		return; /* a cookie's timestamp is too coarse */
	if (h->sends > 1) {
		ms = tcp_ts_now(w, &h->cn.n.key) - p->tcp.ts_ecr;
		if ((tc->c.flags & TCPF_TS) == 0 || p->tcp.ts_ecr == 0 || ms >= TCP_RTO_INIT_MS)
			return;
	}
	tcp_rtt_sample(tc, ms * 1000);
}

/** What the handshake agreed on, as an established conversation; p: the last ACK of it. */
static void
tcp_half_open_fill(
	struct worker *w, const struct tcp_half_open *h, struct tcp_conv *tc, const struct pkt *p)
{
	struct conv *c = &tc->c;

	POINT("post_newcall_pre_init", &c->cn.n.word);
	c->proto = &tcp_proto;
	c->listener = h->l;
	LISTENER_ADD(w, h->l, convs, 1);
	c->service = h->l->service;
	c->born_ms = c->active_ms = w->now_ms;
	c->cn.state = TCP_ESTABLISHED;
	/* No route just now: the first segments find one, or their retransmissions. */
	ip_path(w, &c->cn.n.key, &c->path);
	tcp_setup(w, tc, h->mss, h->opts);
	tc->c.flags |= TCPF_BORN | TCPF_OPENING | TCPF_ACCEPT;
	tc->snd_una = tc->snd_nxt = tc->snd_end = h->iss + 1;
	tc->rcv_nxt = tc->last_ack = h->irs + 1;
	tc->rcv_adv = tc->rcv_nxt + tcp_syn_window(w);
	tc->rcv_from = tc->rcv_nxt;
	tc->rcv_from_ms = (uint16_t)w->now_ms;
	tc->ts_recent = h->ts_recent;
	tc->ts_sent = tcp_ts_now(w, &c->cn.n.key) - w->now_ms + h->sent_ms;
	if ((tc->c.flags & TCPF_WSCALE) != 0)
		tc->snd_wscale = h->wscale;
	tc->snd_wnd = tc->snd_wnd_max = (uint16_t)(h->wnd >> tc->snd_wscale);
	tc->snd_wl1 = h->irs;
	if (h->sends > 1)
		tc->c.flags |= TCPF_SYN_RESENT;
	tcp_half_open_rtt(w, h, tc, p);
	tcp_cc(tc)->init(tc);
	tcp_keepalive_start(w, tc);
}

/** A conversation of the handshake that m ends, not in the table yet. @return NULL: refused, and counted so */
static struct conv_node *
tcp_half_open_conv(struct worker *w, const struct tcp_half_open *h, const struct pkt *p)
{
	struct conv_node *cn = conv_alloc(w, NODE_CONV, &h->cn.n.key, h->cn.n.hash);

	if (cn == NULL)
		LISTENER_ADD(w, h->l, refused, 1);
	else
		tcp_half_open_fill(w, h, (struct tcp_conv *)cn, p);
	return cn;
}

/** It is in the table. */
static void
tcp_half_open_done(struct worker *w, struct listener *l)
{
	tcp_state_step(w, TCP_SYN_RECEIVED, TCP_ESTABLISHED);
	TCP_COUNT(w, passive_opens);
	TCP_COUNT(w, established);
	LISTENER_ADD(w, l, accepted, 1);
}

/** Fifth: the ACK of our SYN: a conversation takes the call's place, and m is its first segment. Consumes m. */
static void
tcp_half_open_ack(struct worker *w, struct tcp_half_open *h, struct rte_mbuf *m)
{
	struct conv_node *cn;

	if (pkt_of(m)->tcp.ack != h->iss + 1) {
		tcp_reset_reply(w, m);
		drop(w, m, DROP_TCP_ACK);
		return;
	}
	cn = tcp_half_open_conv(w, h, pkt_of(m));
	if (cn == NULL) {
		drop(w, m, DROP_CONV_LIMIT);
		return;
	}
	tcp_half_open_done(w, h->l);
	if (conv_replace(w, &h->cn, cn, NODE_KICK) != 0) {
		assert(false); /* we are inside it and it is not dead: it is in the table */
		conv_abandon(w, cn);
	}
	conv_again(w, m);
}

/** First: sequence number, with PAWS (RFC 7323 section 5.3) before it. @return false: m is consumed */
static bool
tcp_half_open_seq(struct worker *w, struct tcp_half_open *h, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	bool ts = (h->opts & TCP_OPT_TS) != 0 && (p->tcp.flags & TCP_RST) == 0;
	bool old = ts && (p->tcp.opts & TCP_OPT_TS) != 0 && seq_lt(p->tcp.ts_val, h->ts_recent);
	struct tcp_out o;

	/* The SYN again: our SYN-ACK was lost, or it is the one we were made for. */
	if ((p->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && p->tcp.seq == h->irs) {
		if (worker_since_ms(w, h->sent_ms) >= TCP_SYNACK_GAP_MS) {
			TCP_COUNT(w, syn_acks_resent);
			/* The peer measures by this echo: its last SYN's, not its first's. */
			if (seq_lt(h->ts_recent, p->tcp.ts_val))
				h->ts_recent = p->tcp.ts_val;
			if (h->sends < TCP_SYNACK_SENDS)
				h->sends++; /* no RTT from this handshake */
			tcp_half_open_send(w, h);
		}
		consume(w, m);
		return false;
	}
	if (!old && p->tcp.seq - (h->irs + 1) < tcp_syn_window(w))
		return true;
	if ((p->tcp.flags & TCP_RST) == 0 && worker_since_ms(w, h->sent_ms) >= TCP_SYNACK_GAP_MS) {
		h->sent_ms = w->now_ms;
		tcp_half_open_out(w, h, &o);
		o.seq = h->iss + 1;
		tcp_transmit_bare(w, &o);
	}
	drop(w, m, old ? DROP_TCP_PAWS : DROP_TCP_WINDOW);
	return false;
}

/** Second: RST. Exact, or an ACK asks for an exact one (RFC 5961 section 3.2). Consumes m. */
static void
tcp_half_open_rst(struct worker *w, struct tcp_half_open *h, struct rte_mbuf *m)
{
	struct tcp_out o;

	if (pkt_of(m)->tcp.seq == h->irs + 1) {
		TCP_COUNT(w, half_open_resets);
		consume(w, m);
		tcp_half_open_end(w, &h->cn, TCP_LISTEN);
		return;
	}
	if (worker_since_ms(w, h->sent_ms) >= TCP_SYNACK_GAP_MS) {
		TCP_COUNT(w, challenge_acks);
		tcp_half_open_out(w, h, &o);
		o.seq = h->iss + 1;
		tcp_transmit_bare(w, &o);
	}
	drop(w, m, DROP_TCP_RST);
}

/** ICMP about our SYN-ACK: a hard error ends the call (RFC 5927 section 5). Consumes m. */
static void
tcp_half_open_advise(struct worker *w, struct tcp_half_open *h, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if (p->icmp.seq != h->iss) {
		drop(w, m, DROP_ICMP_NO_CONV);
		return;
	}
	if (p->icmp.hard)
		tcp_half_open_end(w, &h->cn, TCP_LISTEN);
	consume(w, m);
}

/** RFC 9293 section 3.10.7.4 for SYN-RECEIVED. Consumes m. */
static void
tcp_half_open_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct tcp_half_open *h = tcp_half_open(cn);
	const struct pkt *p = pkt_of(m);

	if (tcp_half_open_orphan(h)) {
		tcp_half_open_end(w, cn, TCP_CLOSED);
		conv_again(w, m);
		return;
	}
	if (p->kind == PKT_ICMP_ERROR) {
		tcp_half_open_advise(w, h, m);
		return;
	}
	if (!tcp_parse(m)) {
		drop(w, m, DROP_TCP_SHORT);
		return;
	}
	if (!tcp_half_open_seq(w, h, m))
		return;
	if ((p->tcp.flags & TCP_RST) != 0) {
		tcp_half_open_rst(w, h, m);
	} else if ((p->tcp.flags & TCP_SYN) != 0) {
		/* Fourth: a new SYN in the window: back to LISTEN, where it is looked at again. */
		tcp_half_open_end(w, cn, TCP_LISTEN);
		conv_again(w, m);
	} else if ((p->tcp.flags & TCP_ACK) != 0) {
		tcp_half_open_ack(w, h, m);
	} else {
		drop(w, m, DROP_TCP_FLAGS);
	}
}

static void
tcp_half_open_retire(struct worker *w, struct conv_node *cn)
{
	struct tcp_half_open *h = tcp_half_open(cn);

	atomic_fetch_sub_explicit(&h->l->half_open, 1, memory_order_relaxed);
	listener_let_go(w, h->l);
}

void
tcp_half_open_status(const struct conv_node *cn, struct conv_status *ret)
{
	const struct tcp_half_open *h = (const struct tcp_half_open *)cn;

	ret->proto = tcp_proto.name;
	ret->state = "SYN-RECEIVED";
	ret->key = cn->n.key;
	ret->snd_una = ret->snd_nxt = h->iss;
	ret->rcv_nxt = h->irs + 1;
	ret->mss = h->mss;
	ret->timestamps = (h->opts & TCP_OPT_TS) != 0;
	ret->sack = (h->opts & TCP_OPT_SACK_OK) != 0;
}

const struct node_ops tcp_half_open_ops = {
	.name = "half-open",
	.size = sizeof(struct tcp_half_open),
	.input = tcp_half_open_input,
	.work = tcp_half_open_work,
	.retire = tcp_half_open_retire,
};

/* ---- LISTEN ---- */

/** m ends a handshake that left nothing but a cookie: a conversation, and m is its first segment. Consumes m. */
static void
tcp_listen_cookie(struct worker *w, struct rte_mbuf *m, const struct tcp_half_open *h)
{
	struct conv_node *cn = tcp_half_open_conv(w, h, pkt_of(m));

	if (conv_newcall(w, cn, m, DROP_CONV_LIMIT) != 0)
		return;
	TCP_COUNT(w, cookies_ok);
	tcp_state_step(w, TCP_LISTEN, TCP_SYN_RECEIVED);
	tcp_half_open_done(w, h->l);
}

/** LISTEN, second: an ACK: of a cookie, or too early. Consumes m. */
static void
tcp_listen_ack(struct worker *w, struct rte_mbuf *m, struct listener *l)
{
	const struct pkt *p = pkt_of(m);
	struct tcp_half_open h = {.l = l};

	if (tcp_cookie_time(w) && (p->tcp.flags & TCP_SYN) == 0) {
		if (tcp_cookie_ok(w, p, &h) && listener_allows(l, p->key.k.raddr)) {
			tcp_listen_cookie(w, m, &h);
			return;
		}
		TCP_COUNT(w, cookies_bad);
		/* Text that has overtaken the handshake's end comes again, an RST would be the end. */
		if (p->data_len > 0) {
			drop(w, m, DROP_TCP_LISTEN);
			return;
		}
	}
	tcp_reset_reply(w, m);
	drop(w, m, DROP_TCP_NO_CONV);
}

/** LISTEN, third: a SYN. Consumes m. */
static void
tcp_listen_syn(struct worker *w, struct rte_mbuf *m, struct listener *l)
{
	const struct pkt *p = pkt_of(m);
	struct conv_node *cn;

	if (!listener_allows(l, p->key.k.raddr)) {
		LISTENER_ADD(w, l, denied, 1);
		drop(w, m, DROP_DENIED);
		return;
	}
	POINT("pre_newcall", &l->closed);
	cn = tcp_half_open_make(w, m, l);
	if (cn == NULL && conv_full(w, NODE_CONV)) {
		LISTENER_ADD(w, l, refused, 1);
		drop(w, m, DROP_TCP_BACKLOG);
		return;
	}
	if (cn == NULL) {
		tcp_cookie_send(w, p);
		consume(w, m);
		return;
	}
	TCP_COUNT(w, half_opens);
	/* Who enters the node first sends SYN-ACK; with this packet, it is soon. */
	if (conv_newcall(w, cn, m, DROP_CONV_LIMIT) == 0)
		tcp_state_step(w, TCP_LISTEN, TCP_SYN_RECEIVED);
}

/** @see struct proto: miss */
void
tcp_miss(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	struct listener *l;

	if (!tcp_parse(m)) {
		drop(w, m, DROP_TCP_SHORT);
		return;
	}
	TCP_COUNT(w, segs_in);
	/* RFC 1122 section 4.2.3.10: never for a group. */
	l = (p->flags & PKT_GROUP) != 0 ? NULL : tcp_listener(w, &p->key.k);
	if (l == NULL) {
		/* CLOSED */
		tcp_reset_reply(w, m);
		drop(w, m, DROP_TCP_NO_CONV);
		return;
	}
	/* LISTEN, first: RST is ignored. */
	if ((p->tcp.flags & TCP_RST) != 0) {
		drop(w, m, DROP_TCP_LISTEN);
		return;
	}
	/* Second: ACK. */
	if ((p->tcp.flags & TCP_ACK) != 0) {
		tcp_listen_ack(w, m, l);
		return;
	}
	/* Third: SYN; whatever comes with it comes again. Fourth: anything else is dropped. */
	if ((p->tcp.flags & TCP_SYN) != 0)
		tcp_listen_syn(w, m, l);
	else
		drop(w, m, DROP_TCP_LISTEN);
}

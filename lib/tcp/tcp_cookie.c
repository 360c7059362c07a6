/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * SYN cookies (RFC 4987 section 3.6): past the watermark of half-open calls a SYN is answered and nothing
 * is kept. What must be remembered goes out in our ISN and, if the peer has timestamps, in the low bits of ours
 * (RFC 7323 leaves our clock to us); the ACK brings both back. Any worker can make one and check one.
 *
 * ISN: 1 bit tells the period it was made in, 3 bits the peer's MSS, 28 bits are a keyed hash of the tuple, the peer's
 * ISN, both of these, and the number of the period: as good as a secret for each, and two of them hold at a time.
 */
#include "tcp_priv.h"

#define COOKIE_PERIOD_MS 32000 /* good for one to two of them */
#define COOKIE_HASH      0x0fffffffu
#define COOKIE_TS        0x3fu /* bits of our timestamp: 4 window scale, 1 SACK, 1 ECN */
#define COOKIE_TS_SACK   0x10u
#define COOKIE_TS_ECN    0x20u
#define COOKIE_NO_WSCALE 0x0fu

/* None is less than the first (tcp_mss_peer). */
static const uint16_t cookie_mss[8] = {
	TCP_MSS_MIN, TCP_MSS_V4_DEFAULT, TCP_MSS_V6_DEFAULT, 1360, 1440, 1460, 4036, 8940};

static uint32_t
cookie_period(const struct worker *w)
{
	return (uint32_t)(w->now_us / (COOKIE_PERIOD_MS * 1000ull));
}

static uint32_t
cookie_isn(const struct worker *w, const struct key *k, uint32_t irs, uint32_t period, uint32_t mss)
{
	struct {
		struct key k;
		uint32_t irs, period, mss;
	} in = {*k, irs, period, mss};

	_Static_assert(sizeof(in) == 52, "no padding, and no length that tcp_isn.c hashes");
	return (period & 1) << 31 | mss << 28 |
		((uint32_t)key_siphash(&w->tcp->conf.secret, &in, sizeof(in)) & COOKIE_HASH);
}

/** Our timestamp, not later than now, with what the peer's SYN said. */
static uint32_t
cookie_ts(const struct worker *w, const struct pkt *syn)
{
	uint32_t now = tcp_ts_now(w, &syn->key.k), ts = now & ~COOKIE_TS;

	ts |= (syn->tcp.opts & TCP_OPT_WSCALE) != 0 ? syn->tcp.wscale : COOKIE_NO_WSCALE;
	ts |= (syn->tcp.opts & TCP_OPT_SACK_OK) != 0 ? COOKIE_TS_SACK : 0;
	ts |= tcp_ecn_asked(w, syn) ? COOKIE_TS_ECN : 0;
	return seq_lt(now, ts) ? ts - COOKIE_TS - 1 : ts;
}

/** Answer a SYN (parsed). p stays the caller's. */
void
tcp_cookie_send(struct worker *w, const struct pkt *p)
{
	const struct key *k = &p->key.k;
	uint32_t mss = 7, last;
	struct path path = {0};
	struct tcp_out o = {
		.k = k,
		.path = &path,
		.ack = p->tcp.seq + 1,
		.wnd = tcp_syn_window(w),
		.flags = TCP_SYN | TCP_ACK,
	};

	if (ip_path(w, k, &path) != 0)
		return;
	while (cookie_mss[mss] > tcp_mss_peer(k, p->tcp.opts, p->tcp.mss))
		mss--;
	o.seq = cookie_isn(w, k, p->tcp.seq, cookie_period(w), mss);
	o.mss = tcp_mss_ours(&path, k);
	/* Without timestamps there is no room to remember the others. */
	if ((p->tcp.opts & TCP_OPT_TS) != 0) {
		o.opts = p->tcp.opts & (TCP_OPT_TS | TCP_OPT_SACK_OK | TCP_OPT_WSCALE);
		o.wscale = w->tcp->rcv_wscale;
		o.ts_val = cookie_ts(w, p);
		o.ts_ecr = p->tcp.ts_val;
		o.flags |= tcp_ecn_asked(w, p) ? TCP_ECE : 0;
	}
	/* Relaxed: only when ACKs are worth a look. Seldom written, as all workers read it. */
	last = atomic_load_explicit(&w->tcp->cookie_ms, memory_order_relaxed);
	if (last == 0 || worker_since_ms(w, last) >= 1000)
		atomic_store_explicit(&w->tcp->cookie_ms, tcp_deadline(w, 0), memory_order_relaxed);
	TCP_COUNT(w, cookies_sent);
	tcp_transmit_bare(w, &o);
}

/** May ACKs to nobody be answers to cookies? */
bool
tcp_cookie_time(const struct worker *w)
{
	/* Relaxed: see tcp_cookie_send. */
	uint32_t last = atomic_load_explicit(&w->tcp->cookie_ms, memory_order_relaxed);

	return last != 0 && worker_since_ms(w, last) <= 2 * COOKIE_PERIOD_MS + 1000;
}

/** The MSS that a cookie holds. @return 0: it is none, or not of now */
static uint16_t
cookie_check(const struct worker *w, const struct key *k, uint32_t irs, uint32_t isn)
{
	uint32_t period = cookie_period(w), mss = isn >> 28 & 7;

	if ((period & 1) != isn >> 31)
		period--;
	return cookie_isn(w, k, irs, period, mss) == isn ? cookie_mss[mss] : 0;
}

/**
 * Is this segment with an ACK the end of a handshake whose SYN-ACK was a cookie?
 * @param ret_h what a half-open call would have known of it; only on success
 */
bool
tcp_cookie_ok(const struct worker *w, const struct pkt *p, struct tcp_half_open *ret_h)
{
	const struct key *k = &p->key.k;
	uint16_t mss = cookie_check(w, k, p->tcp.seq - 1, p->tcp.ack - 1);
	uint8_t opts = 0, wscale = p->tcp.ts_ecr & COOKIE_NO_WSCALE;

	if (mss == 0)
		return false;
	if ((p->tcp.opts & TCP_OPT_TS) != 0) {
		/* An echo that is no timestamp of ours says nothing. */
		if (tcp_ts_now(w, k) - p->tcp.ts_ecr > 2 * COOKIE_PERIOD_MS + COOKIE_TS)
			return false;
		opts = TCP_OPT_TS;
		if ((p->tcp.ts_ecr & COOKIE_TS_SACK) != 0)
			opts |= TCP_OPT_SACK_OK;
		if ((p->tcp.ts_ecr & COOKIE_TS_ECN) != 0)
			opts |= TCP_OPT_ECN;
		if (wscale <= TCP_WSCALE_MAX)
			opts |= TCP_OPT_WSCALE;
	}
	ret_h->cn.n.key = *k;
	ret_h->cn.n.hash = p->hash;
	ret_h->irs = p->tcp.seq - 1;
	ret_h->iss = p->tcp.ack - 1;
	ret_h->ts_recent = p->tcp.ts_val;
	ret_h->sent_ms = w->now_ms;
	ret_h->mss = mss;
	ret_h->wnd = p->tcp.wnd;
	ret_h->opts = opts;
	ret_h->wscale = wscale & COOKIE_NO_WSCALE;
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * TCP as a whole: its table of functions, what all conversations share, and what is shown of them.
 */
#include <errno.h>
#include <netinet/in.h>

#include <rte_malloc.h>

#include "tcp_priv.h"

#define RECV_MAX_DEFAULT   (4u << 20)
#define SEND_MAX_DEFAULT   (4u << 20)
#define TIME_WAIT_DEFAULT  60000
#define FIN_WAIT_2_DEFAULT 60000
#define RTO_MIN_DEFAULT    200
#define R2_DEFAULT         100000 /* RFC 9293 section 3.8.3: give up no sooner */

static const struct tcp_cc *const tcp_ccs[] = {
	[TCP_CUBIC] = &tcp_cc_cubic,
	[TCP_NEWRENO] = &tcp_cc_newreno,
	[TCP_DCTCP] = &tcp_cc_dctcp,
};

const struct tcp_cc *
tcp_cc(const struct tcp_conv *tc)
{
	return tcp_ccs[tc->cc];
}

static void
tcp_default(uint32_t *v, uint32_t otherwise)
{
	if (*v == 0)
		*v = otherwise;
}

struct tcp *
tcp_create(const struct tcp_conf *conf, int *ret_err)
{
	struct tcp *t = rte_zmalloc("tcp", sizeof(*t), RTE_CACHE_LINE_SIZE);

	if (t == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	t->conf = *conf;
	tcp_default(&t->conf.time_wait_ms, TIME_WAIT_DEFAULT);
	tcp_default(&t->conf.recv_max, RECV_MAX_DEFAULT);
	tcp_default(&t->conf.send_max, SEND_MAX_DEFAULT);
	tcp_default(&t->conf.fin_wait_2_ms, FIN_WAIT_2_DEFAULT);
	tcp_default(&t->conf.rto_min_ms, RTO_MIN_DEFAULT);
	tcp_default(&t->conf.user_timeout_ms, R2_DEFAULT);
	t->conf.recv_max = RTE_MIN(t->conf.recv_max, (uint32_t)UINT16_MAX << TCP_WSCALE_MAX);
	t->conf.send_max = RTE_MIN(RTE_MAX(t->conf.send_max, 1024u), (uint32_t)UINT16_MAX << 10);
	while (t->conf.recv_max >> t->rcv_wscale > UINT16_MAX)
		t->rcv_wscale++;
	return t;
}

void
tcp_free(struct tcp *t)
{
	rte_free(t);
}

/** What we offer in our SYN or SYN-ACK: the path's packet without its fixed headers (RFC 6691). */
uint16_t
tcp_mss_ours(const struct path *p, const struct key *k)
{
	if (p->gen == 0)
		return key_is_v4(k) ? TCP_MSS_V4_DEFAULT : TCP_MSS_V6_DEFAULT;
	return (uint16_t)(ip_path_room(p, k) - TCP_HLEN);
}

/** The MSS that a SYN stands for: RFC 9293 section 3.7.1 (MUST-15), and no less than we can bear. */
uint16_t
tcp_mss_peer(const struct key *k, uint8_t opts, uint16_t mss)
{
	if ((opts & TCP_OPT_MSS) == 0)
		return key_is_v4(k) ? TCP_MSS_V4_DEFAULT : TCP_MSS_V6_DEFAULT;
	return RTE_MAX(mss, TCP_MSS_MIN);
}

/** What a SYN tells: its MSS, see tcp_mss_peer, and options. Before the first ACK. */
void
tcp_setup(struct worker *w, struct tcp_conv *tc, uint16_t peer_mss, uint8_t opts)
{
	bool v4 = key_is_v4(&tc->c.cn.n.key);

	tc->mss = peer_mss;
	tc->c.flags |= v4 ? TCPF_V4 : 0;
	if (tc->c.path.gen == 0)
		tc->c.path.mtu = v4 ? TCP_MSS_V4_DEFAULT + 40 : TCP_MSS_V6_DEFAULT + 60;
	tc->send_max_kib = (uint16_t)(RTE_MIN(w->tcp->conf.send_max, TCP_BUF_INIT) >> 10);
	tc->reorder = TCP_DUPTHRESH;
	tc->rcv_mss = TCP_MSS_MIN;
	tc->cwnd = tcp_initial_window(tc);
	tc->cc = w->tcp->conf.congestion & 3;
	if (w->tcp->conf.nagle)
		tc->c.flags |= TCPF_NAGLE;
	if ((opts & TCP_OPT_TS) != 0)
		tc->c.flags |= TCPF_TS;
	if ((opts & TCP_OPT_SACK_OK) != 0)
		tc->c.flags |= TCPF_SACK;
	if ((opts & TCP_OPT_ECN) != 0) {
		TCP_COUNT(w, ecn_agreed);
		tc->c.flags |= TCPF_ECN;
	}
	if ((opts & TCP_OPT_WSCALE) != 0) {
		tc->c.flags |= TCPF_WSCALE;
		tc->rcv_wscale = w->tcp->rcv_wscale;
	}
}

/** Our SYN is acknowledged, and we have the peer's: ESTABLISHED. */
void
tcp_establish(struct worker *w, struct tcp_conv *tc)
{
	TCP_COUNT(w, established);
	tcp_state_set(w, tc, TCP_ESTABLISHED);
	tc->snd_una = tc->snd_nxt;
	tc->rto_at = 0;
	tc->backoff = tc->retries = 0;
	tc->c.flags |= TCPF_CONNECTED;
	tcp_cc(tc)->init(tc);
	tcp_keepalive_start(w, tc);
}

/**
 * A virtual scheduling bucket (GCRA): one answer per TCP_CHALLENGE_MS, saved up for TCP_CHALLENGE_BURST.
 * Per conversation, so that nobody else can see it run dry (CVE-2016-5696).
 */
bool
tcp_may_challenge(struct worker *w, uint32_t *at)
{
	uint32_t now = tcp_deadline(w, 0);

	if (*at == 0 || seq_lt(*at, now))
		*at = now;
	if (*at - now > TCP_CHALLENGE_BURST - TCP_CHALLENGE_MS) {
		TCP_COUNT(w, challenges_limited);
		return false;
	}
	*at += TCP_CHALLENGE_MS;
	if (*at == 0)
		*at = 1;
	return true;
}

/**
 * By what is left in the pool of payload buffers, whoever holds the others: queues, devices, or caches of
 * lcores, which nobody else can use. No line is shared for it.
 */
enum tcp_pressure
tcp_pressure_look(const struct worker *w)
{
	struct tcp_worker *tw = &w->tcp->workers[w->id];
	const struct rte_mempool *mp = w->mp;
	enum tcp_pressure was = tw->pressure;
	uint32_t left;

	tw->pressure_ms = w->now_ms;
	left = rte_mempool_get_ops(mp->ops_index)->get_count(mp);
	if (left >= mp->size / 2)
		tw->pressure = TCP_PRESSURE_NONE;
	else if (left >= mp->size / 4)
		tw->pressure = TCP_PRESSURE_SOME;
	else
		tw->pressure = left >= mp->size / 8 ? TCP_PRESSURE_HIGH : TCP_PRESSURE_FULL;
	if (was < TCP_PRESSURE_HIGH && tw->pressure >= TCP_PRESSURE_HIGH)
		tw->v[TCP_STAT_pressure_high]++;
	return tw->pressure;
}

/** A racy peek: any thread with a reference. Nothing behind a pointer is looked at but what never changes. */
static void
tcp_status(const struct worker *w, const struct conv *c, struct conv_status *ret)
{
	const struct tcp_conv *tc = (const struct tcp_conv *)c;
	uint32_t flags = tc->c.flags;
	int32_t queued = (int32_t)(tc->snd_end - tc->snd_una);

	ret->proto = tcp_proto.name;
	ret->state = tcp_state_name(c->cn.state);
	ret->recv_queue = tc->rcvq_bytes;
	ret->send_queue = queued > 0 ? (uint32_t)queued : 0;
	ret->srtt_us = tc->srtt_us / 8;
	ret->rttvar_us = tc->rttvar_us / 4;
	ret->cwnd = tc->cwnd;
	ret->ssthresh = tc->ssthresh;
	ret->snd_wnd = tcp_snd_wnd(tc);
	ret->rcv_wnd = tcp_rcv_wnd(tc);
	ret->snd_una = tc->snd_una;
	ret->snd_nxt = tc->snd_nxt;
	ret->rcv_nxt = tc->rcv_nxt;
	ret->mss = (uint16_t)tcp_mss(tc);
	ret->snd_wscale = tc->snd_wscale;
	ret->rcv_wscale = tc->rcv_wscale;
	ret->retransmits = tc->retransmits;
	ret->timestamps = (flags & TCPF_TS) != 0;
	ret->sack = (flags & TCPF_SACK) != 0;
	ret->ecn = (flags & TCPF_ECN) != 0;
	ret->bytes_in = tc->bytes_in;
	ret->bytes_out = tc->bytes_out;
	ret->rto_us = tcp_rto_ms(w, tc) * 1000;
}

static void
tcp_stats_each(const struct worker *w, void (*each)(void *arg, const char *name, uint64_t value),
	void *arg)
{
	static const char *const names[TCP_STAT_MAX] = {
#define X(name) [TCP_STAT_##name] = #name,
		TCP_STATS(X)
#undef X
	};

	for (unsigned s = 0; s < TCP_STAT_MAX; s++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i <= WORKER_MAX; i++)
			sum += *(const volatile uint64_t *)&w->tcp->workers[i].v[s];
		each(arg, names[s], sum);
	}
	tcp_state_stats(w, each, arg);
}

const struct proto tcp_proto = {
	.name = "tcp",
	.number = IPPROTO_TCP,
	.size = sizeof(struct tcp_conv),
	.lines = 0x1e,
	.iput = tcp_iput,
	.advise = tcp_advise,
	.work = tcp_work,
	.flush = tcp_flush,
	.retire = tcp_retire,
	.miss = tcp_miss,
	.connect = tcp_connect,
	.read = tcp_read,
	.write = tcp_write,
	.write_room = tcp_write_room,
	.piece = tcp_piece,
	.readable = tcp_readable,
	.shutdown = tcp_shutdown,
	.close = tcp_close,
	.hangup = tcp_hangup,
	.status = tcp_status,
	.stats = tcp_stats_each,
};

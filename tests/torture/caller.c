/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The calling side: a caller for each tuple, few enough that tuples are used again, and slots at once.
 *
 * An end by RST leaves no TIME-WAIT behind, and rings may hold segments for as long as a thread has no core: TCP can't tell those
 * of the conversation before from those of the next one if it follows within a MSL (RFC 9293 section 3.4.1). So a caller
 * keeps quiet for so long that none is left.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_mbuf.h>

#include "tcp.h"
#include "torture.h"
#include "udp.h"

#define CALLERS     4096
#define CALLERS_UDP 64 /* the first ones: no quiet time, as any datagram of the tuple is welcome */
#define QUIET_MS    1000
#define PORTS_AT    20000

enum caller_end {
	CALLER_SHUTS,
	CALLER_CLOSES,
	CALLER_HANGS_UP,
	CALLER_WAITS, /* for the other side, or until all has come back */
	CALLER_ENDS
};

struct caller {
	_Atomic bool busy; /* a conversation of it lives */
	uint32_t ended_ms;
	uint64_t tuple, incarnation;
	uint32_t total, sent; /* records */
	enum caller_end end;
	struct record_reader in;
};

static struct caller callers[CALLERS];

static struct caller *
caller_of(struct conv *c)
{
	struct caller *k;

	memcpy(&k, c->svc, sizeof(k));
	return k;
}

static struct rte_mbuf *
caller_records(struct worker *w, struct caller *k, uint32_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
	struct record *r;

	if (m == NULL)
		return NULL;
	r = (struct record *)rte_pktmbuf_append(m, (uint16_t)(n * sizeof(*r)));
	for (uint32_t i = 0; i < n; i++)
		record_fill(&r[i], k->tuple, k->incarnation, k->sent + i);
	k->sent += n;
	return m;
}

static void
caller_finish(struct worker *w, struct conv *c, const struct caller *k)
{
	switch (k->end) {
	case CALLER_SHUTS:
		c->proto->shutdown(w, c);
		break;
	case CALLER_CLOSES:
		c->proto->close(w, c);
		break;
	case CALLER_HANGS_UP:
		c->proto->hangup(w, c, CONV_END_HANGUP);
		break;
	default:
		break;
	}
}

static void
caller_stream(struct worker *w, struct conv *c)
{
	struct caller *k = caller_of(c);

	while (k->sent < k->total && c->proto->write_room(c) > 0) {
		uint32_t n = 1 + (uint32_t)(worker_random(w) % 16);
		struct rte_mbuf *m = caller_records(w, k, RTE_MIN(n, k->total - k->sent));

		if (m == NULL || c->proto->write(w, c, m) != 0)
			return;
	}
	if (k->sent == k->total)
		caller_finish(w, c, k);
}

static void
caller_recv(struct worker *w, struct conv *c)
{
	struct caller *k = caller_of(c);
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		/* What comes back is what was sent: our own incarnation, from the start. */
		uint32_t wrong = record_check(&k->in, k->tuple, m);

		if (k->in.at >= 16 && k->in.incarnation != k->incarnation)
			wrong++;
		if (wrong > 0)
			torture_misdelivered(wrong);
		rte_pktmbuf_free(m);
	}
	if (k->in.at == k->total * sizeof(struct record))
		c->proto->close(w, c);
}

static void
caller_eof(struct worker *w, struct conv *c)
{
	caller_recv(w, c);
	c->proto->close(w, c);
}

static void
caller_over(struct worker *w, struct conv *c, enum conv_end why)
{
	torture_count(&torture_counts.ended[why], 1);
	caller_of(c)->ended_ms = w->now_ms;
	/* Release: all that this conversation has written of its caller comes before the next one begins. */
	atomic_store_explicit(&caller_of(c)->busy, false, memory_order_release);
}

static const struct service caller_tcp = {
	.name = "caller",
	.tcp = true,
	.state_size = sizeof(struct caller *),
	.connected = caller_stream,
	.failed = caller_over,
	.recv = caller_recv,
	.drain = caller_stream,
	.shutdown = caller_eof,
	.hangup = caller_over,
};

static void
caller_datagrams(struct worker *w, struct conv *c)
{
	struct caller *k = caller_of(c);

	while (k->sent < k->total) {
		struct rte_mbuf *m;

		m = caller_records(w, k, 1);
		if (m == NULL)
			break;
		/* Each stands for itself. */
		record_fill(rte_pktmbuf_mtod(m, struct record *), k->tuple, k->incarnation, 0);
		c->proto->write(w, c, m);
	}
}

static void
caller_answers(struct worker *w, struct conv *c)
{
	struct caller *k = caller_of(c);
	struct rte_mbuf *m;
	unsigned n = 0;

	while ((m = c->proto->read(w, c)) != NULL) {
		struct record_reader r = {0};

		/* Of an earlier incarnation it may be: the tuple is the same. */
		if (record_check(&r, k->tuple, m) > 0)
			torture_misdelivered(1);
		rte_pktmbuf_free(m);
		n++;
	}
	if (n > 0 && worker_random(w) % 2 == 0)
		c->proto->close(w, c);
}

static const struct service caller_udp = {
	.name = "caller-udp",
	.udp = true,
	.state_size = sizeof(struct caller *),
	.connected = caller_datagrams,
	.failed = caller_over,
	.recv = caller_answers,
	.hangup = caller_over,
};

/** Records: all magnitudes alike, up to 128 KB of a stream. */
static uint32_t
caller_length(struct worker *w, const struct proto *p)
{
	uint32_t most = p == &tcp_proto ? 1u << worker_random(w) % 13 : 8;

	return 1 + (uint32_t)(worker_random(w) % most);
}

static void
caller_open(struct worker *w, unsigned i)
{
	struct caller *k = &callers[i];
	const struct proto *p = i < CALLERS_UDP ? &udp_proto : &tcp_proto;
	struct key key = {.proto = p->number,
		.rport_be = htons((uint16_t)(7000 + i % 2)),
		.lport_be = htons((uint16_t)(PORTS_AT + i / 4))};
	struct conv *c;

	if (i / 2 % 2 == 0) {
		key_map_v4(key.raddr, inet_addr("10.9.0.2"));
		key_map_v4(key.laddr, inet_addr("10.9.0.1"));
	} else {
		(void)inet_pton(AF_INET6, "fd09::2", key.raddr);
		(void)inet_pton(AF_INET6, "fd09::1", key.laddr);
	}
	k->tuple = record_tuple(&key, true);
	k->incarnation++;
	k->sent = 0;
	k->total = caller_length(w, p);
	k->end = (enum caller_end)(worker_random(w) % CALLER_ENDS);
	k->in = (struct record_reader){0};
	atomic_store_explicit(&k->busy, true, memory_order_relaxed);
	if (p->connect(w, p == &tcp_proto ? &caller_tcp : &caller_udp, &key, &k, &c) != 0) {
		torture_count(&torture_counts.refused, 1);
		atomic_store_explicit(&k->busy, false, memory_order_relaxed);
		return;
	}
	torture_count(&torture_counts.opened[p == &udp_proto], 1);
	conv_put(w, &c->cn);
}

static bool
caller_may(struct worker *w, unsigned i)
{
	const struct caller *k = &callers[i];

	/* Acquire: pairs with caller_over. */
	if (i >= CALLERS || atomic_load_explicit(&k->busy, memory_order_acquire))
		return false;
	return i < CALLERS_UDP || k->incarnation == 0 || worker_since_ms(w, k->ended_ms) > QUIET_MS;
}

void
caller_turn(struct worker *w, unsigned workers)
{
	for (unsigned tries = 0; tries < 4; tries++) {
		unsigned of = worker_random(w) % 2 == 0 ? CALLERS_UDP : CALLERS;
		unsigned i = (unsigned)(worker_random(w) % of) / workers * workers + w->id;

		if (caller_may(w, i)) {
			caller_open(w, i);
			return;
		}
	}
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * UDP in the mix: datagrams with a number and a pattern, which come back whole and right or not at all.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "mix.h"

#define HEAD 8 /* the client's seed, the datagram's number */

static uint32_t
datagram_len(const struct mix_udp *u, uint32_t number)
{
	uint32_t x = (number + 1) * 2654435761u ^ u->seed;

	return HEAD + (x >> 3) % (u->longest + 1);
}

static uint8_t
datagram_byte(const struct mix_udp *u, uint32_t number, uint32_t at)
{
	return (uint8_t)((at + number * 7919 + u->seed) * 2654435761u >> 24);
}

static struct mix_udp *
udp_of(struct conv *c)
{
	struct mix_udp *u;

	memcpy(&u, c->svc, sizeof(u));
	return u;
}

/** A datagram in as many buffers as it takes. NULL: none left */
static struct rte_mbuf *
datagram_make(struct worker *w, const struct mix_udp *u, uint32_t number)
{
	uint32_t len = datagram_len(u, number), head[2] = {u->seed, number};
	struct rte_mbuf *m = NULL;

	for (uint32_t at = 0; at < len;) {
		struct rte_mbuf *seg = rte_pktmbuf_alloc(w->mp);
		uint32_t n;
		uint8_t *to;

		if (seg == NULL || (m != NULL && rte_pktmbuf_chain(m, seg) != 0)) {
			rte_pktmbuf_free(seg);
			rte_pktmbuf_free(m);
			return NULL;
		}
		if (m == NULL)
			m = seg;
		n = RTE_MIN(len - at, (uint32_t)rte_pktmbuf_tailroom(seg));
		to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)n);
		for (uint32_t i = 0; i < n; i++, at++)
			to[i] = at < HEAD ? ((const uint8_t *)head)[at]
					  : datagram_byte(u, number, at);
	}
	return m;
}

static void
datagram_check(struct mix_udp *u, const struct rte_mbuf *m)
{
	static uint8_t buf[65536];
	const uint8_t *b = rte_pktmbuf_read(m, 0, m->pkt_len, buf);
	uint32_t head[2];

	u->came++;
	if (m->pkt_len < HEAD) {
		u->wrong++;
		return;
	}
	memcpy(head, b, HEAD);
	if (head[0] != u->seed || head[1] >= u->sent || m->pkt_len != datagram_len(u, head[1])) {
		u->wrong++;
		return;
	}
	for (uint32_t i = HEAD; i < m->pkt_len; i++)
		u->wrong += b[i] != datagram_byte(u, head[1], i);
}

static void
udp_recv(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		datagram_check(udp_of(c), m);
		rte_pktmbuf_free(m);
	}
}

/** One datagram for each kick; when all have gone, some time for the last answers. */
static void
udp_kicked(struct worker *w, struct conv *c)
{
	struct mix_udp *u = udp_of(c);
	struct rte_mbuf *m;

	if (u->left)
		return;
	if (u->sent >= u->total) {
		u->left = true;
		c->proto->close(w, c);
		return;
	}
	m = datagram_make(w, u, u->sent);
	if (m != NULL) {
		u->sent++;
		c->proto->write(w, c, m);
	}
	u->wake_us = w->now_us + (u->sent == u->total ? 1500000 : u->gap_us);
}

static void
udp_over(struct worker *w, struct conv *c, enum conv_end why)
{
	struct mix_udp *u = udp_of(c);

	(void)w;
	u->over = true;
	u->wake_us = 0;
	u->why = why;
}

static const struct service mix_udp_client = {
	.name = "mix_udp",
	.udp = true,
	.state_size = sizeof(struct mix_udp *),
	.failed = udp_over,
	.recv = udp_recv,
	.kicked = udp_kicked,
	.hangup = udp_over,
};

static void
lazy_recv(struct worker *w, struct conv *c)
{
	(void)w;
	(void)c;
}

const struct service mix_lazy = {.name = "lazy", .udp = true, .recv = lazy_recv};

int
mix_udp_open(struct mix *x, struct mix_udp *u)
{
	static const uint16_t ports[MIX_UDP_KINDS] = {
		[MIX_UDP_ECHO] = MIX_PORT_ECHO,
		[MIX_UDP_ONE] = MIX_PORT_ONE,
		[MIX_UDP_LAZY] = MIX_PORT_LAZY,
		[MIX_UDP_CLOSED] = MIX_PORT_CLOSED,
		[MIX_UDP_LOOP] = MIX_PORT_ECHO,
	};
	struct key k = sim_key_to(1 - u->host, u->v6, IPPROTO_UDP, ports[u->kind]);
	struct stack *s = sim_stack(x->s, u->host);

	if (u->kind == MIX_UDP_LOOP)
		k.lport_be = htons(19);
	u->wake_us = 0;
	return udp_proto.connect(stack_seat(s, (unsigned)(sim_random(x->s) % stack_seats(s))),
		&mix_udp_client, &k, &u, &u->c);
}

void
mix_udp_wake(struct mix *x, struct mix_udp *u)
{
	struct stack *s = sim_stack(x->s, u->host);

	u->wake_us = 0;
	if (!u->over)
		conv_post(stack_convs(s), (unsigned)(sim_random(x->s) % stack_seats(s)), &u->c->cn,
			NODE_KICK);
}

bool
mix_udp_ok(const struct mix_udp *u, char *what, size_t len)
{
	bool answered = u->kind == MIX_UDP_ECHO || u->kind == MIX_UDP_ONE;
	bool end = u->why == CONV_END_CLOSED || u->why == CONV_END_TIMEOUT ||
		u->why == CONV_END_UNREACHABLE;

	if (u->over && end && u->wrong == 0 && (answered || u->came == 0))
		return true;
	snprintf(what, len, "udp kind %u: over %d (%s), sent %u, came %u, wrong %lu", u->kind,
		u->over, u->over ? conv_end_name(u->why) : "-", u->sent, u->came, u->wrong);
	return false;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Character generator (RFC 864): lines of 72 of the 95 printable characters, each
 * starting one further than the line before. Over TCP without end, over UDP 0 to 512 characters for each datagram.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "services.h"
#include "udp.h"

#define PRINTABLE 95
#define WIDTH     72
#define LINE      (WIDTH + 2)
#define PERIOD    ((size_t)LINE * PRINTABLE)
#define UDP_MOST  512

/* All printable characters, twice: each line is a part of it. */
#define ALL                                                       \
	" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTU" \
	"VWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
static const char ring[] = ALL ALL;
_Static_assert(sizeof(ring) == 2 * PRINTABLE + 1, "95 characters, twice");

/* The pattern, and so much of it again that a buffer can be filled from any place of it in one go. */
static uint8_t pattern[PERIOD + UINT16_MAX];
static pthread_once_t pattern_once = PTHREAD_ONCE_INIT;

static void
chargen_pattern(void)
{
	for (uint32_t at = 0; at < sizeof(pattern); at++) {
		uint32_t line = at / LINE, column = at % LINE;

		if (column < WIDTH)
			pattern[at] = (uint8_t)ring[line % PRINTABLE + column];
		else
			pattern[at] = column == WIDTH ? '\r' : '\n';
	}
}

/** len characters from place at of the pattern. */
static struct rte_mbuf *
chargen_mbuf(struct worker *w, uint32_t at, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);

	pthread_once(&pattern_once, chargen_pattern);
	if (m != NULL)
		memcpy(rte_pktmbuf_append(m, len), pattern + at, len);
	return m;
}

static void
chargen_fill(struct worker *w, struct conv *c)
{
	uint32_t most = rte_pktmbuf_data_room_size(w->mp) - RTE_PKTMBUF_HEADROOM;
	uint16_t len = (uint16_t)RTE_MIN(most, c->proto->piece(c));

	while (c->proto->write_room(c) > 0) {
		struct rte_mbuf *m = chargen_mbuf(w, (uint32_t)c->svc[0], len);

		if (m == NULL) {
			/* No drain will follow, as the queue is not full: try again next turn. */
			conv_kick_next(w, &c->cn);
			return;
		}
		if (c->proto->write(w, c, m) != 0)
			return;
		c->svc[0] = (c->svc[0] + len) % PERIOD;
	}
}

static void
chargen_stream(struct worker *w, struct conv *c)
{
	if (c->proto->number == IPPROTO_TCP)
		chargen_fill(w, c);
}

/** TCP: what comes is thrown away. UDP: it asks for a datagram. */
static void
chargen_recv(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		rte_pktmbuf_free(m);
		if (c->proto->number == IPPROTO_TCP)
			continue;
		m = chargen_mbuf(w, 0, (uint16_t)(worker_random(w) % (UDP_MOST + 1)));
		if (m != NULL)
			c->proto->write(w, c, m);
	}
}

static void
chargen_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	struct key k = pkt_of(m)->key.k;

	rte_pktmbuf_free(m);
	m = chargen_mbuf(w, 0, (uint16_t)(worker_random(w) % (UDP_MOST + 1)));
	if (m != NULL)
		udp_reply(w, l, &k, m);
}

/** A peer that sends no more may still listen: the stream ends when it hangs up (RFC 864). */
const struct service svc_chargen = {
	.name = "chargen",
	.tcp = true,
	.udp = true,
	.state_size = sizeof(uint64_t), /* place in the pattern */
	.accept = chargen_stream,
	.recv = chargen_recv,
	.drain = chargen_stream,
	.kicked = chargen_stream,
	.shutdown = chargen_recv,
	.datagram = chargen_datagram,
};

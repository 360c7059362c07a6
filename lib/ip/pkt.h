/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What is known of a packet: the private area of every mbuf inside the stack.
 * Buffers of other pools are wrapped on arrival (pkt_adopt), so it is always there.
 * Belongs to whoever owns the mbuf.
 */
#pragma once

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "key.h"

enum pkt_kind {
	PKT_TCP,
	PKT_UDP,
	PKT_ICMP_ERROR, /* about a packet of ours: key is that of the conversation it names */
	PKT_FRAGMENT,
	PKT_KINDS
};

#define PKT_V6     0x01 /* came over IPv6 */
#define PKT_GROUP  0x02 /* sent to a broadcast or multicast address, of either layer */
#define PKT_CE     0x04 /* ECN: congestion experienced (RFC 3168) */
#define PKT_JOINED 0x08 /* was joined from fragments */

struct pkt {
	/* What parsing found. In a send queue, where it means nothing, lib/tcp keeps its own up to `next`. */
	struct key48 key; /* as seen from us: raddr is the packet's source */
	uint32_t hash; /* of the key */
	uint8_t kind; /* enum pkt_kind */
	uint8_t flags; /* PKT_* */
	uint8_t ifc; /* interface it came by */
	uint8_t ttl; /* IPv4 TTL or IPv6 hop limit */
	uint16_t l3_off; /* from the start of the mbuf's data, which is the frame's */
	uint16_t l4_off;
	uint16_t data_off; /* of the payload: past the UDP or TCP header */
	uint16_t data_len; /* bytes of payload; link padding is already cut off */
	uint8_t tos; /* traffic class */
	uint8_t pack; /* in a backlog: how many more stand in its headroom (lib/conv) */
	uint8_t spare[6];

	struct rte_mbuf *next; /* the next packet of the queue this one stands in */
	union {
		struct { /* PKT_TCP, filled by lib/tcp */
			uint32_t seq, ack;
			uint32_t ts_val, ts_ecr;
			uint32_t sack_off; /* of the SACK blocks, 0 if none */
			uint16_t wnd;
			uint16_t mss;
			uint8_t flags, opts, wscale, nsack;
		} tcp;
		struct { /* PKT_ICMP_ERROR */
			uint32_t seq; /* TCP: sequence number of the packet it speaks of */
			uint32_t mtu; /* packet too big: the next hop's MTU */
			uint8_t type, code;
			uint8_t hard; /* RFC 1122 section 4.2.3.9 */
			uint8_t too_big;
		} icmp;
		struct { /* PKT_FRAGMENT */
			uint32_t offset; /* bytes */
			uint16_t len; /* bytes of this piece */
			uint8_t more; /* not the last piece */
			uint8_t proto; /* IPv6: next header of the fragment header */
		} frag;
		struct { /* in a send queue: lib/tcp */
			uint32_t seq; /* of the first byte */
			uint32_t len; /* bytes, FIN not counted */
			uint64_t sent_us; /* last time sent, 0 never */
			uint8_t flags; /* lib/tcp's */
			uint8_t sends; /* times sent */
			uint16_t
				off; /* while it is lent: where its bytes begin, as data_off says else */
		} tx;
		uint64_t u64[4];
	};
	/* Of a queue whose first packet this is (struct pktq): */
	struct rte_mbuf *tail;
};
_Static_assert(sizeof(struct pkt) <= 128, "two cache lines");

#define PKT_PRIV_SIZE RTE_ALIGN(sizeof(struct pkt), RTE_MBUF_PRIV_ALIGN)

static inline struct pkt *
pkt_of(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/** Fetch what is known of a packet that another core had. */
static inline void
pkt_prefetch(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	rte_prefetch0(m);
	rte_prefetch0(p);
	rte_prefetch0((const uint8_t *)p + RTE_CACHE_LINE_SIZE);
}

/**
 * A FIFO of packets in 8 bytes: the tail is kept in the first packet's private
 * area, so an empty queue costs its owner one pointer.
 */
struct pktq {
	struct rte_mbuf *head;
};

static inline void
pktq_push(struct pktq *q, struct rte_mbuf *m)
{
	pkt_of(m)->next = NULL;
	if (q->head == NULL) {
		q->head = m;
		pkt_of(m)->tail = m;
		return;
	}
	struct pkt *first = pkt_of(q->head);

	pkt_of(first->tail)->next = m;
	first->tail = m;
}

static inline struct rte_mbuf *
pktq_pop(struct pktq *q)
{
	struct rte_mbuf *m = q->head;

	if (m == NULL)
		return NULL;
	q->head = pkt_of(m)->next;
	if (q->head != NULL)
		pkt_of(q->head)->tail = pkt_of(m)->tail;
	pkt_of(m)->next = NULL;
	return m;
}

static inline struct rte_mbuf *
pktq_last(const struct pktq *q)
{
	return q->head == NULL ? NULL : pkt_of(q->head)->tail;
}

/** Free every packet of the queue; returns how many there were. */
static inline unsigned
pktq_free(struct pktq *q)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	while ((m = pktq_pop(q)) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Input: datagrams and ICMP errors for a conversation, and datagrams for which there is none yet.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>

#include "udp_priv.h"

/**
 * Ports below 1024 of well-known services that answer whatever they are sent. An answer of ours to
 * one of them could go back and forth for ever (CERT CA-1996-01, CVE-2024-2169).
 */
static bool
udp_port_answers(uint16_t port)
{
	switch (port) {
	case 7: /* echo */
	case 11: /* active users */
	case 13: /* daytime */
	case 17: /* quote of the day */
	case 19: /* chargen */
	case 37: /* time */
	case 53: /* DNS */
	case 69: /* TFTP */
	case 111: /* port mapper */
	case 123: /* NTP */
	case 137: /* NetBIOS names */
	case 161: /* SNMP */
	case 177: /* XDMCP */
	case 389: /* CLDAP */
	case 427: /* SLP */
	case 520: /* RIP */
	case 623: /* IPMI */
		return true;
	default:
		return false;
	}
}

/** Cut m to its payload; its pkt says so. lib/ip has made the header contiguous, and cut off what follows. */
static void
udp_trim(struct rte_mbuf *m)
{
	uint16_t front = pkt_of(m)->data_off;

	m->data_off += front;
	m->data_len -= front;
	m->pkt_len -= front;
	pkt_of(m)->data_off = 0;
}

/** A datagram comes in: m is cut to its payload. l may be NULL. */
static void
udp_delivered(struct worker *w, struct listener *l, struct rte_mbuf *m, uint32_t bytes)
{
	uint64_t *stats = udp_stats(w);

	udp_trim(m);
	w->c.delivered++;
	stats[UDP_STAT_datagrams_in]++;
	stats[UDP_STAT_bytes_in] += bytes;
	if (l != NULL)
		LISTENER_ADD(w, l, bytes_in, bytes);
}

/** @see struct proto: iput */
void
udp_iput(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct udp_conv *uc = udp_conv(c);
	uint32_t bytes = pkt_of(m)->data_len;

	c->active_ms = w->now_ms;
	if (c->service->take != NULL) {
		/* Who enters a conversation first does the work of its birth, and then brings packets. */
		assert((uc->c.flags & (UDPF_BORN | UDPF_OVER)) == UDPF_BORN);
		uc->bytes_in += bytes;
		udp_delivered(w, c->listener, m, bytes);
		udp_take(w, uc, m);
		return;
	}
	if (uc->rcvq_n >= w->udp->conf.queue_max || uc->rcvq_bytes + bytes > UDP_QUEUE_BYTES) {
		UDP_COUNT(w, queue_full);
		drop(w, m, DROP_UDP_QUEUE);
		return;
	}
	uc->bytes_in += bytes;
	udp_delivered(w, c->listener, m, bytes);
	uc->rcvq_n++;
	uc->rcvq_bytes += bytes;
	uc->c.flags |= UDPF_RECV;
	pktq_push(&uc->rcvq, m);
}

/**
 * @see struct proto: advise. RFC 1122 section 4.1.3.3: the application hears of errors. If nobody is there, the
 * conversation is over; that costs little if it was a lie: the peer's next datagram opens a new one.
 */
void
udp_advise(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if (p->icmp.too_big) {
		if (ip_path_mtu(&c->path, &c->cn.n.key, p->icmp.mtu))
			UDP_COUNT(w, path_mtu_falls);
	} else if (p->icmp.hard) {
		UDP_COUNT(w, unreachables);
		c->flags |= UDPF_GONE;
	} else {
		UDP_COUNT(w, soft_errors);
		udp_trouble(w, c, (unsigned)p->icmp.type << 8 | p->icmp.code);
	}
	w->c.delivered++;
	rte_pktmbuf_free(m);
}

/** The open listener for a tuple, or NULL. Valid until the quiescent state. */
struct listener *
udp_listener(struct worker *w, const struct key *k)
{
	struct node *n = ipht_match(conv_ipht(w->convs), k);

	/* Acquire: pairs with listener_open. */
	if (n == NULL || atomic_load_explicit(&listener_of(n)->closed, memory_order_acquire))
		return NULL;
	return listener_of(n);
}

/** A complete conversation for the sender of a datagram, not published. NULL: the limit is reached. */
static struct conv_node *
udp_newcall(struct worker *w, struct listener *l, const struct pkt *p)
{
	struct conv_node *cn = conv_alloc(w, NODE_CONV, &p->key.k, p->hash);
	struct udp_conv *uc;

	if (cn == NULL)
		return NULL;
	POINT("post_newcall_pre_init", &cn->n.word);
	uc = udp_conv(conv_of(cn));
	uc->c.proto = &udp_proto;
	uc->c.listener = l;
	uc->c.service = l->service;
	uc->c.born_ms = uc->c.active_ms = w->now_ms;
	LISTENER_ADD(w, l, convs, 1);
	return cn;
}

/**
 * A peer's first datagram. Of several workers that make its conversation one wins; all look again,
 * and whoever enters it first calls accept. Consumes m.
 */
static void
udp_accept(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	POINT("pre_newcall", &l->closed);
	switch (conv_newcall(w, udp_newcall(w, l, pkt_of(m)), m, DROP_CONV_LIMIT)) {
	case 0:
		LISTENER_ADD(w, l, accepted, 1);
		UDP_COUNT(w, passive_opens);
		break;
	case -EEXIST:
		UDP_COUNT(w, open_races);
		break;
	default:
		LISTENER_ADD(w, l, refused, 1);
		break;
	}
}

/** One for all peers: entered by nobody, so all workers serve it at once. Consumes m. */
static void
udp_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	uint32_t bytes = pkt_of(m)->data_len;

	udp_delivered(w, l, m, bytes);
	l->service->datagram(w, l, m);
}

/** @see struct proto: miss */
void
udp_miss(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct key *k = &p->key.k;
	struct listener *l;

	/* An answer to what was sent to a group could come from many at once (fraggle), and has no source address. */
	l = (p->flags & PKT_GROUP) != 0 ? NULL : udp_listener(w, k);
	if (l == NULL) {
		UDP_COUNT(w, no_ports);
		ip_send_error(w, m, IP_ERROR_PORT);
		drop(w, m, DROP_UDP_NO_CONV);
	} else if (!listener_allows(l, k->raddr)) {
		LISTENER_ADD(w, l, denied, 1);
		drop(w, m, DROP_DENIED);
	} else if (!w->udp->conf.answer_responders && udp_port_answers(ntohs(k->rport_be))) {
		UDP_COUNT(w, responders_ignored);
		drop(w, m, DROP_UDP_LOOP);
	} else if (l->one) {
		udp_datagram(w, l, m);
	} else {
		udp_accept(w, l, m);
	}
}

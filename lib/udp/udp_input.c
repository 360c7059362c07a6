/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <errno.h>
#include <netinet/in.h>

#include "udp_priv.h"

/**
 * Ports of well-known services that answer whatever they are sent. An answer of ours to one of
 * them could go back and forth for ever (CVE-2024-2169).
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
	case 123: /* NTP */
	case 161: /* SNMP */
	case 389: /* CLDAP */
	case 520: /* RIP */
		return true;
	default:
		return false;
	}
}

/** Cut m to its payload; its pkt says so. The first buffer may be left empty of bytes. */
static void
udp_trim(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	rte_pktmbuf_adj(m, p->data_off);
	p->data_off = 0;
}

static void
udp_end(struct udp_conv *uc, enum conv_end why)
{
	if ((uc->flags & UDPF_OVER) != 0)
		return;
	uc->flags |= UDPF_OVER;
	uc->end = (uint8_t)why;
}

void
udp_iput(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct udp_conv *uc = udp_conv(c);
	uint16_t bytes = pkt_of(m)->data_len;

	c->active_ms = w->now_ms;
	if (uc->rcvq_n >= w->udp->conf.queue_max) {
		udp_count(w, UDP_STAT_queue_full, 1);
		drop(w, m, DROP_UDP_QUEUE);
		return;
	}
	udp_trim(m);
	w->c.delivered++;
	udp_count(w, UDP_STAT_datagrams_in, 1);
	udp_count(w, UDP_STAT_bytes_in, bytes);
	uc->bytes_in += bytes;
	if (c->listener != NULL)
		LISTENER_ADD(w, c->listener, bytes_in, bytes);
	uc->rcvq_n++;
	uc->rcvq_bytes += bytes;
	uc->flags |= UDPF_RECV;
	pktq_push(&uc->rcvq, m);
}

/** RFC 1122 section 4.1.3.3: errors reach the application. A peer that has nobody listening is gone. */
void
udp_advise(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if (p->icmp.too_big) {
		if (ip_path_mtu(&c->path, &c->cn.n.key, p->icmp.mtu))
			udp_count(w, UDP_STAT_path_mtu_falls, 1);
	} else if (p->icmp.hard) {
		udp_count(w, UDP_STAT_unreachables, 1);
		udp_end(udp_conv(c), CONV_END_UNREACHABLE);
	}
	w->c.delivered++;
	rte_pktmbuf_free(m);
}

static struct udp_conv *
udp_newcall(struct worker *w, struct listener *l, const struct pkt *p)
{
	struct conv_node *cn = conv_alloc(w, NODE_CONV, &p->key.k, p->hash);
	struct udp_conv *uc;

	if (cn == NULL)
		return NULL;
	uc = udp_conv(conv_of(cn));
	uc->c.proto = &udp_proto;
	uc->c.listener = l;
	uc->c.service = l->service;
	uc->c.born_ms = uc->c.active_ms = w->now_ms;
	LISTENER_ADD(w, l, convs, 1);
	return uc;
}

/** A peer's first datagram. Of several workers that make its conversation one wins; all look again. */
static void
udp_accept(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	struct udp_conv *uc = udp_newcall(w, l, pkt_of(m));
	struct conv_node *winner = NULL;
	int err;

	if (uc == NULL) {
		LISTENER_ADD(w, l, refused, 1);
		drop(w, m, DROP_CONV_LIMIT);
		return;
	}
	/* KICK: whoever enters first, with this datagram or another, calls accept. */
	err = conv_publish(w, &uc->c.cn, NODE_KICK, &winner);
	if (err == 0) {
		LISTENER_ADD(w, l, accepted, 1);
		udp_count(w, UDP_STAT_passive_opens, 1);
		conv_again(w, m);
		return;
	}
	conv_abandon(w, &uc->c.cn);
	if (err != -EEXIST) {
		LISTENER_ADD(w, l, refused, 1);
		drop(w, m, DROP_CONV_LIMIT);
		return;
	}
	udp_count(w, UDP_STAT_open_races, 1);
	conv_put(w, winner);
	conv_again(w, m);
}

/** One conversation for all peers: entered by nobody, so all workers serve it at once. */
static void
udp_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	uint16_t bytes = pkt_of(m)->data_len;

	udp_trim(m);
	w->c.delivered++;
	udp_count(w, UDP_STAT_datagrams_in, 1);
	udp_count(w, UDP_STAT_bytes_in, bytes);
	LISTENER_ADD(w, l, bytes_in, bytes);
	l->service->datagram(w, l, m);
}

void
udp_miss(struct worker *w, struct rte_mbuf *m)
{
	const struct key *k = &pkt_of(m)->key.k;
	struct node *n = ipht_match(conv_ipht(w->convs), k);
	struct listener *l = n == NULL ? NULL : listener_of(n);

	if (l == NULL) {
		udp_count(w, UDP_STAT_no_ports, 1);
		ip_send_error(w, m, IP_ERROR_PORT);
		drop(w, m, DROP_UDP_NO_CONV);
	} else if (!listener_allows(l, k->raddr)) {
		LISTENER_ADD(w, l, denied, 1);
		drop(w, m, DROP_DENIED);
	} else if (udp_port_answers(ntohs(k->rport_be)) && !w->udp->conf.answer_responders) {
		drop(w, m, DROP_UDP_LOOP);
	} else if (l->one) {
		udp_datagram(w, l, m);
	} else {
		udp_accept(w, l, m);
	}
}

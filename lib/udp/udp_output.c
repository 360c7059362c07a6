/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Output: the header in front of what a service has written; it goes out at once or not at all.
 */
#include <errno.h>
#include <netinet/in.h>

#include <rte_udp.h>

#include "udp_priv.h"

/** Room for the header: in m's own headroom if m is ours alone, else in a fresh mbuf in front. NULL: m is the caller's. */
static struct rte_mbuf *
udp_header_room(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *h;

	if (rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m) &&
		rte_pktmbuf_prepend(m, UDP_HLEN) != NULL)
		return m;
	h = ip_header_mbuf(w);
	if (h == NULL)
		return NULL;
	if (rte_pktmbuf_append(h, UDP_HLEN) == NULL || rte_pktmbuf_chain(h, m) != 0) {
		rte_pktmbuf_free(h);
		return NULL;
	}
	return h;
}

/** Send a datagram with payload m. p may be NULL. Consumes m. @return as struct proto's write, see udp.h */
static int
udp_send(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m)
{
	const struct ip_tx tx = {
		.proto = IPPROTO_UDP,
		.l4_len = UDP_HLEN,
		.cksum_off = offsetof(struct rte_udp_hdr, dgram_cksum),
	};
	uint32_t bytes = m->pkt_len;
	struct rte_udp_hdr *h;
	struct rte_mbuf *d;
	int err;

	/* RFC 768: from port 0 means "there is nobody to answer". */
	if (k->rport_be == 0 || bytes > UINT16_MAX - UDP_HLEN) {
		rte_pktmbuf_free(m);
		return k->rport_be == 0 ? -EDESTADDRREQ : -EMSGSIZE;
	}
	d = udp_header_room(w, m);
	if (d == NULL) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	h = rte_pktmbuf_mtod(d, struct rte_udp_hdr *);
	h->src_port = k->lport_be;
	h->dst_port = k->rport_be;
	h->dgram_len = htons((uint16_t)(UDP_HLEN + bytes));
	h->dgram_cksum = 0;
	err = ip_output(w, p, k, d, &tx);
	if (err != 0)
		return err;
	UDP_COUNT(w, datagrams_out);
	udp_count(w, UDP_STAT_bytes_out, bytes);
	return 0;
}

/** @see struct proto: write */
int
udp_write(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct udp_conv *uc = udp_conv(c);
	uint32_t bytes = m->pkt_len;
	int err;

	if ((uc->flags & (UDPF_OVER | UDPF_SHUT)) != 0) {
		rte_pktmbuf_free(m);
		return -EPIPE;
	}
	POINT("output_mid", &c->cn.n.word);
	err = udp_send(w, &c->path, &c->cn.n.key, m);
	if (err != 0) {
		UDP_COUNT(w, out_failed);
		return err;
	}
	c->active_ms = w->now_ms;
	uc->bytes_out += bytes;
	if (c->listener != NULL)
		LISTENER_ADD(w, c->listener, bytes_out, bytes);
	return 0;
}

/** What leaves at once has always room. */
uint32_t
udp_write_room(const struct conv *c)
{
	const struct udp_conv *uc = (const struct udp_conv *)c;

	return (uc->flags & (UDPF_OVER | UDPF_SHUT)) != 0 ? 0 : UDP_DATA_MAX;
}

int
udp_reply(struct worker *w, struct listener *l, const struct key *k, struct rte_mbuf *m)
{
	uint32_t bytes = m->pkt_len;
	int err = udp_send(w, NULL, k, m);

	if (err == 0)
		LISTENER_ADD(w, l, bytes_out, bytes);
	else
		UDP_COUNT(w, out_failed);
	return err;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <errno.h>
#include <netinet/in.h>

#include <rte_udp.h>

#include "udp_priv.h"

/** Room for the header: in m's own headroom if m is ours alone, else in a fresh mbuf in front. */
static struct rte_mbuf *
udp_header_room(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *h;

	if (rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m) &&
		rte_pktmbuf_prepend(m, UDP_HLEN) != NULL)
		return m;
	h = ip_header_mbuf(w);
	if (h == NULL || rte_pktmbuf_append(h, UDP_HLEN) == NULL || rte_pktmbuf_chain(h, m) != 0) {
		rte_pktmbuf_free(h);
		rte_pktmbuf_free(m);
		return NULL;
	}
	return h;
}

/** Send a datagram with payload m. Consumes m. */
int
udp_send(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m)
{
	const struct ip_tx tx = {.proto = IPPROTO_UDP,
		.l4_len = UDP_HLEN,
		.cksum_off = offsetof(struct rte_udp_hdr, dgram_cksum)};
	uint32_t bytes = m->pkt_len;
	struct rte_udp_hdr *h;
	int err;

	if (bytes > UDP_DATA_MAX) {
		rte_pktmbuf_free(m);
		return -EMSGSIZE;
	}
	m = udp_header_room(w, m);
	if (m == NULL)
		return -ENOBUFS;
	h = rte_pktmbuf_mtod(m, struct rte_udp_hdr *);
	h->src_port = k->lport_be;
	h->dst_port = k->rport_be;
	h->dgram_len = htons((uint16_t)(UDP_HLEN + bytes));
	h->dgram_cksum = 0;
	err = ip_output(w, p, k, m, &tx);
	if (err != 0) {
		udp_count(w, UDP_STAT_out_failed, 1);
		return err;
	}
	udp_count(w, UDP_STAT_datagrams_out, 1);
	udp_count(w, UDP_STAT_bytes_out, bytes);
	return 0;
}

int
udp_reply(struct worker *w, struct listener *l, const struct key *k, struct rte_mbuf *m)
{
	uint32_t bytes = m->pkt_len;
	int err = udp_send(w, NULL, k, m);

	if (err == 0)
		LISTENER_ADD(w, l, bytes_out, bytes);
	return err;
}

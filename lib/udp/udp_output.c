/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Output: the header in front of what a service has written; it goes out at once or not at all.
 */
#include <errno.h>
#include <netinet/in.h>

#include <rte_udp.h>

#include "udp_priv.h"

/** Room for the header in front of m, in a fresh mbuf. NULL: m is the caller's. */
static __rte_noinline struct rte_mbuf *
udp_header_mbuf(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *h = ip_header_mbuf(w);

	if (h == NULL)
		return NULL;
	if (rte_pktmbuf_append(h, UDP_HLEN) == NULL || rte_pktmbuf_chain(h, m) != 0) {
		rte_pktmbuf_free(h);
		return NULL;
	}
	return h;
}

/** Room for the header: in m's own headroom if m is ours alone, else in a fresh mbuf in front. NULL: m is the caller's. */
static inline struct rte_mbuf *
udp_header_room(struct worker *w, struct rte_mbuf *m)
{
	if (unlikely(rte_mbuf_refcnt_read(m) != 1 || !RTE_MBUF_DIRECT(m) || m->data_off < UDP_HLEN))
		return udp_header_mbuf(w, m);
	m->data_off -= UDP_HLEN;
	m->data_len += UDP_HLEN;
	m->pkt_len += UDP_HLEN;
	return m;
}

/** Send a datagram with payload m. p may be NULL. Consumes m. @return as struct proto's write, see udp.h */
static inline int
udp_send(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m, uint32_t bytes)
{
	static const struct ip_tx tx = {
		.proto = IPPROTO_UDP,
		.l4_len = UDP_HLEN,
		.cksum_off = offsetof(struct rte_udp_hdr, dgram_cksum),
	};
	uint64_t *stats = udp_stats(w);
	struct rte_udp_hdr h;
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
	h = (struct rte_udp_hdr){k->lport_be, k->rport_be, htons((uint16_t)(UDP_HLEN + bytes)), 0};
	memcpy(rte_pktmbuf_mtod(d, void *), &h, sizeof(h));
	err = ip_output(w, p, k, d, &tx);
	if (err != 0)
		return err;
	stats[UDP_STAT_datagrams_out]++;
	stats[UDP_STAT_bytes_out] += bytes;
	return 0;
}

/** @see struct proto: write */
int
udp_write(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct udp_conv *uc = udp_conv(c);
	uint32_t bytes = m->pkt_len;
	int err;

	if ((uc->c.flags & (UDPF_OVER | UDPF_SHUT)) != 0) {
		rte_pktmbuf_free(m);
		return -EPIPE;
	}
	POINT("output_mid", &c->cn.n.word);
	err = udp_send(w, &c->path, &c->cn.n.key, m, bytes);
	if (err != 0) {
		UDP_COUNT(w, out_failed);
		return err;
	}
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

	return (uc->c.flags & (UDPF_OVER | UDPF_SHUT)) != 0 ? 0 : UDP_DATA_MAX;
}

/** @see struct proto: piece. Before the first datagram no path is known, and the least that one carries counts. */
uint32_t
udp_piece(const struct conv *c)
{
	uint16_t mtu = c->path.mtu;

	return (mtu == 0 ? 1280u : mtu) - (key_is_v4(&c->cn.n.key) ? 20u : 40u) - UDP_HLEN;
}

int
udp_reply(struct worker *w, struct listener *l, const struct key *k, struct rte_mbuf *m)
{
	uint32_t bytes = m->pkt_len;
	int err = udp_send(w, NULL, k, m, bytes);

	if (err == 0)
		LISTENER_ADD(w, l, bytes_out, bytes);
	else
		UDP_COUNT(w, out_failed);
	return err;
}

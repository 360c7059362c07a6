/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Headers and options: read with distrust, written with care. No state.
 */
#include <errno.h>
#include <netinet/in.h>

#include "tcp_priv.h"

#define OPT_END     0
#define OPT_NOP     1
#define OPT_MSS     2
#define OPT_WSCALE  3
#define OPT_SACK_OK 4
#define OPT_SACK    5
#define OPT_TS      8
/* The timestamp option as nearly all write it, and we do (RFC 7323 appendix A). */
#define OPT_TS_WORD ((uint32_t)OPT_NOP << 24 | OPT_NOP << 16 | OPT_TS << 8 | 10)

static inline uint16_t
get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return ntohs(v);
}

static inline uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

static inline uint8_t *
put16(uint8_t *p, uint16_t v)
{
	v = htons(v);
	memcpy(p, &v, 2);
	return p + 2;
}

static inline uint8_t *
put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
	return p + 4;
}

/** One option, len bytes of it, at o; off is its place in the packet. MSS, scale and SACK-permitted count only on a SYN. */
static void
tcp_parse_option(struct pkt *p, const uint8_t *o, unsigned len, unsigned off)
{
	bool syn = (p->tcp.flags & TCP_SYN) != 0;

	if (o[0] == OPT_MSS && len == 4 && syn) {
		p->tcp.opts |= TCP_OPT_MSS;
		p->tcp.mss = get16(o + 2);
	} else if (o[0] == OPT_WSCALE && len == 3 && syn) {
		p->tcp.opts |= TCP_OPT_WSCALE;
		p->tcp.wscale = o[2] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : o[2];
	} else if (o[0] == OPT_SACK_OK && len == 2 && syn) {
		p->tcp.opts |= TCP_OPT_SACK_OK;
	} else if (o[0] == OPT_SACK && len >= 10 && (len - 2) % 8 == 0 && !syn) {
		p->tcp.sack_off = off + 2;
		p->tcp.nsack = (uint8_t)RTE_MIN((len - 2) / 8, (unsigned)TCP_SACK_MAX);
	} else if (o[0] == OPT_TS && len == 10) {
		p->tcp.opts |= TCP_OPT_TS;
		p->tcp.ts_val = get32(o + 2);
		p->tcp.ts_ecr = get32(o + 6);
	}
}

/**
 * Fill in pkt->tcp from the header at pkt->l4_off.
 * RFC 9293 section 3.1: unknown options are skipped (MUST-6), a bad length ends the list (MUST-7).
 * @return false if header or data offset go past the packet
 */
bool
tcp_parse(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	unsigned total = (unsigned)(p->data_off - p->l4_off) + p->data_len, hlen, at, len;
	uint8_t copy[TCP_HLEN_MAX];
	const uint8_t *h;

	if (total < TCP_HLEN)
		return false;
	/* All of it is there: lib/ip has seen to that. */
	h = rte_pktmbuf_read(m, p->l4_off, RTE_MIN(total, (unsigned)TCP_HLEN_MAX), copy);
	hlen = (unsigned)(h[12] >> 4) * 4;
	if (hlen < TCP_HLEN || hlen > total)
		return false;
	memset(&p->tcp, 0, sizeof(p->tcp));
	p->data_off = (uint16_t)(p->l4_off + hlen);
	p->data_len = (uint16_t)(total - hlen);
	p->tcp.seq = get32(h + 4);
	p->tcp.ack = get32(h + 8);
	p->tcp.flags = h[13];
	p->tcp.wnd = get16(h + 14);
	if (likely(hlen == TCP_HLEN + TCP_TS_LEN && get32(h + TCP_HLEN) == OPT_TS_WORD)) {
		p->tcp.opts = TCP_OPT_TS;
		p->tcp.ts_val = get32(h + TCP_HLEN + 4);
		p->tcp.ts_ecr = get32(h + TCP_HLEN + 8);
		return true;
	}
	for (at = TCP_HLEN; at < hlen && h[at] != OPT_END; at += len) {
		if (h[at] == OPT_NOP) {
			len = 1;
			continue;
		}
		if (at + 1 >= hlen)
			break;
		len = h[at + 1];
		if (len < 2 || at + len > hlen)
			break;
		tcp_parse_option(p, h + at, len, p->l4_off + at);
	}
	return true;
}

/** The SACK blocks of a segment, as they stand there. @return how many */
unsigned
tcp_parse_sack(const struct rte_mbuf *m, struct tcp_sack_block ret[TCP_SACK_MAX])
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): only read */
	const struct pkt *p = rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m);
	uint8_t copy[TCP_SACK_MAX * 8];
	const uint8_t *b;

	if (p->tcp.nsack == 0)
		return 0;
	b = rte_pktmbuf_read(m, p->tcp.sack_off, p->tcp.nsack * 8u, copy);
	if (b == NULL)
		return 0;
	for (unsigned i = 0; i < p->tcp.nsack; i++, b += 8)
		ret[i] = (struct tcp_sack_block){get32(b), get32(b + 4)};
	return p->tcp.nsack;
}

unsigned
tcp_header_len(const struct tcp_out *o)
{
	unsigned len = TCP_HLEN;

	if (o->mss != 0)
		len += 4;
	if ((o->opts & TCP_OPT_WSCALE) != 0)
		len += 4;
	if ((o->opts & TCP_OPT_TS) != 0)
		len += TCP_TS_LEN;
	else if ((o->opts & TCP_OPT_SACK_OK) != 0)
		len += 4;
	if (o->nsack > 0)
		len += 4 + 8u * o->nsack;
	return len;
}

static inline uint8_t *
tcp_put_sack(uint8_t *p, const struct tcp_out *o)
{
	if (likely(o->nsack == 0))
		return p;
	p = put16(p, OPT_NOP << 8 | OPT_NOP);
	*p++ = OPT_SACK;
	*p++ = (uint8_t)(2 + 8 * o->nsack);
	for (unsigned i = 0; i < o->nsack; i++) {
		p = put32(p, o->sack[i].start);
		p = put32(p, o->sack[i].end);
	}
	return p;
}

/** Every option takes whole words: those that don't are padded in front (RFC 7323 appendix A). */
static uint8_t *
tcp_put_options(uint8_t *p, const struct tcp_out *o)
{
	bool sack_ok = (o->opts & TCP_OPT_SACK_OK) != 0;

	if (o->mss != 0) {
		p = put16(p, OPT_MSS << 8 | 4);
		p = put16(p, o->mss);
	}
	if (likely(o->mss == 0 && o->opts == TCP_OPT_TS)) {
		p = put32(p, OPT_TS_WORD);
		p = put32(p, o->ts_val);
		return tcp_put_sack(put32(p, o->ts_ecr), o);
	}
	if ((o->opts & TCP_OPT_TS) != 0 || sack_ok)
		p = sack_ok ? put16(p, OPT_SACK_OK << 8 | 2) : put16(p, OPT_NOP << 8 | OPT_NOP);
	if ((o->opts & TCP_OPT_TS) != 0) {
		p = put16(p, OPT_TS << 8 | 10);
		p = put32(p, o->ts_val);
		p = put32(p, o->ts_ecr);
	} else if (sack_ok) {
		p = put16(p, OPT_NOP << 8 | OPT_NOP);
	}
	if ((o->opts & TCP_OPT_WSCALE) != 0) {
		*p++ = OPT_NOP;
		*p++ = OPT_WSCALE;
		*p++ = 3;
		*p++ = o->wscale;
	}
	return tcp_put_sack(p, o);
}

/** Write the header, hlen = tcp_header_len(o) bytes, to p. */
void
tcp_header_put(uint8_t *p, const struct tcp_out *o, unsigned hlen)
{
	assert(hlen <= TCP_HLEN_MAX);
	memcpy(p, &o->k->lport_be, 2);
	memcpy(p + 2, &o->k->rport_be, 2);
	put32(p + 4, o->seq);
	put32(p + 8, o->ack);
	p[12] = (uint8_t)(hlen / 4 << 4);
	p[13] = o->flags;
	put16(p + 14, o->wnd);
	put32(p + 16, 0); /* checksum, urgent pointer */
	tcp_put_options(p + TCP_HLEN, o);
}

/** A fresh mbuf with the header; payload may be put behind it. NULL: no buffer (counted). */
struct rte_mbuf *
tcp_header(struct worker *w, const struct tcp_out *o)
{
	unsigned hlen = tcp_header_len(o);
	struct rte_mbuf *h = ip_header_mbuf(w);
	uint8_t *p;

	if (h == NULL)
		return NULL;
	p = (uint8_t *)rte_pktmbuf_append(h, (uint16_t)hlen);
	assert(p != NULL);
	tcp_header_put(p, o, hlen);
	return h;
}

/** What lib/ip has to know of a segment whose header is so long. */
struct ip_tx
tcp_ip_tx(const struct tcp_out *o, unsigned hlen)
{
	return (struct ip_tx){
		.proto = IPPROTO_TCP,
		.df = true,
		.l4_len = (uint16_t)hlen,
		.cksum_off = 16,
		.tos = o->ect ? IP_ECT_0 : 0,
		.tso = o->tso,
	};
}

/** Send what tcp_header made. Consumes h. @return see ip_output */
int
tcp_transmit(struct worker *w, const struct tcp_out *o, struct rte_mbuf *h)
{
	/* The length stands in it. */
	struct ip_tx tx = tcp_ip_tx(o, (*rte_pktmbuf_mtod_offset(h, uint8_t *, 12) >> 4) * 4u);

	TCP_COUNT(w, segs_out);
	return ip_output(w, o->path, o->k, h, &tx);
}

/** Send a segment that has no payload. @return see ip_output; -ENOBUFS */
int
tcp_transmit_bare(struct worker *w, const struct tcp_out *o)
{
	struct rte_mbuf *h = tcp_header(w, o);

	return h == NULL ? -ENOBUFS : tcp_transmit(w, o, h);
}

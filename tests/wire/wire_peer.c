/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The peer: its segments, made byte by byte, and what it makes of ours.
 */
#include <arpa/inet.h>
#include <string.h>

#include "wire_priv.h"

void
wire_conn(struct wire *w, struct wire_conn *k)
{
	memset(k, 0, sizeof(*k));
	k->w = w;
	k->peer_port = w->next_port++;
	k->our_port = WIRE_PORT;
	k->isn = UINT32_MAX - 700; /* wraps early */
	k->wnd = 65535;
	k->ts = true;
	k->sack_ok = true;
	k->mss = 1460;
	k->wscale = 0;
}

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
	return p + 4;
}

static uint8_t *
put_options(struct wire_conn *k, uint8_t flags, uint8_t *p)
{
	if ((flags & SYN) != 0 && k->mss != WIRE_NONE) {
		*p++ = 2;
		*p++ = 4;
		*p++ = (uint8_t)(k->mss >> 8);
		*p++ = (uint8_t)k->mss;
	}
	if ((flags & SYN) != 0 && k->wscale != WIRE_NONE) {
		*p++ = 3;
		*p++ = 3;
		*p++ = (uint8_t)k->wscale;
	}
	if ((flags & SYN) != 0 && k->sack_ok) {
		*p++ = 4;
		*p++ = 2;
	}
	if (k->ts) {
		*p++ = 8;
		*p++ = 10;
		p = put32(p, k->ts_val != 0 ? k->ts_val : (uint32_t)(k->w->now_us / 1000) + 77);
		p = put32(p, k->ts_ecr);
	}
	if (k->nsack > 0) {
		*p++ = 5;
		*p++ = (uint8_t)(2 + 8 * k->nsack);
		for (unsigned i = 0; i < k->nsack; i++) {
			p = put32(p, k->sack[i][0] + k->iss);
			p = put32(p, k->sack[i][1] + k->iss);
		}
	}
	return p;
}

/** A router has marked it: congestion experienced. */
static void
mark(const struct wire_conn *k, struct test_frame *f)
{
	if (k->w->conf.v6) {
		f->b[f->l3 + 1] |= 3 << 4;
		return;
	}
	f->b[f->l3 + 1] |= 3;
	test_frame_ip4_cksum(f);
}

void
wire_queue(struct wire_conn *k, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	uint8_t opts[64] = {0}, data[65536], *end = put_options(k, flags, opts);
	struct test_frame f;
	struct test_tcp t = {
		.sport = k->peer_port,
		.dport = k->our_port,
		.seq = k->isn + seq,
		.ack = (flags & ACK) != 0 ? k->iss + ack : 0,
		.wnd = k->wnd,
		.flags = flags,
		.opts = opts,
		.opts_len = RTE_ALIGN((size_t)(end - opts), 4),
	};
	uint32_t first = seq + ((flags & SYN) != 0) - 1;

	for (uint32_t i = 0; i < len; i++)
		data[i] = pattern((uint64_t)first + i, false);
	test_frame_tcp(&f, peer_addr(k->w), our_addr(k->w), &t, data, len);
	if (k->ce)
		mark(k, &f);
	k->ce = false;
	wire_in(k->w, &f);
	k->nsack = 0;
}

void
wire_send(struct wire_conn *k, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	wire_queue(k, flags, seq, ack, len);
	wire_turn(k->w);
}

void
wire_icmp(struct wire_conn *k, enum wire_icmp what, uint16_t mtu, uint32_t seq)
{
	static const uint8_t codes[2][3][2] = {{{3, 1}, {3, 3}, {3, 4}}, {{1, 3}, {1, 4}, {2, 0}}};
	const uint8_t *code = codes[k->w->conf.v6][what];
	uint8_t body[8 + 60] = {code[0], code[1], 0, 0, 0, 0, (uint8_t)(mtu >> 8), (uint8_t)mtu};
	size_t inner = k->w->conf.v6 ? 60 : 28;
	struct test_frame f, in;
	struct test_tcp t = {.sport = k->our_port, .dport = k->peer_port, .seq = k->iss + seq};

	test_frame_tcp(&in, our_addr(k->w), peer_addr(k->w), &t, NULL, 0);
	memcpy(body + 8, in.b + in.l3, inner);
	test_frame_icmp(&f, peer_addr(k->w), our_addr(k->w), 64, body, 8 + inner);
	wire_in(k->w, &f);
	wire_turn(k->w);
}

/* ---- what we sent ---- */

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

static void
seg_options(struct wire_seg *s, const uint8_t *o, const uint8_t *end, uint32_t isn)
{
	while (o < end && *o != 0) {
		if (*o == 1) {
			o++;
			continue;
		}
		assert_true(o + 2 <= end && o[1] >= 2 && o + o[1] <= end);
		if (o[0] == 2)
			s->mss = o[2] << 8 | o[3];
		if (o[0] == 3)
			s->wscale = o[2];
		if (o[0] == 4)
			s->sack_ok = true;
		if (o[0] == 8) {
			s->ts = true;
			s->ts_val = get32(o + 2);
			s->ts_ecr = get32(o + 6);
		}
		if (o[0] == 5) {
			s->nsack = (o[1] - 2u) / 8;
			assert_in_range(s->nsack, 1, 4);
			for (unsigned i = 0; i < s->nsack; i++) {
				s->sack[i][0] = get32(o + 2 + 8 * i) - isn;
				s->sack[i][1] = get32(o + 6 + 8 * i) - isn;
			}
		}
		o += o[1];
	}
}

static void
seg_parse(struct wire_conn *k, const struct out_frame *o, struct wire_seg *s)
{
	const uint8_t *ip = o->b + 14, *t = ip + (k->w->conf.v6 ? 40 : (ip[0] & 15) * 4);
	uint32_t total = (uint32_t)(k->w->conf.v6 ? 40 + (ip[4] << 8 | ip[5]) : ip[2] << 8 | ip[3]);
	uint32_t hlen = (uint32_t)(t[12] >> 4) * 4;

	if (!k->w->conf.v6)
		assert_int_equal(ip[6] & 0x40, 0x40); /* DF */
	memset(s, 0, sizeof(*s));
	s->tos = k->w->conf.v6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1];
	s->ttl = ip[k->w->conf.v6 ? 7 : 8];
	s->mss = s->wscale = WIRE_NONE;
	s->at_us = o->at_us;
	s->peer_port = (uint16_t)(t[2] << 8 | t[3]);
	s->flags = t[13];
	s->raw_seq = get32(t + 4);
	s->raw_ack = get32(t + 8);
	if (!k->iss_known && (s->flags & SYN) != 0) {
		k->iss = s->raw_seq;
		k->iss_known = true;
	}
	s->seq = s->raw_seq - k->iss;
	s->ack = s->raw_ack - k->isn;
	s->wnd = (uint16_t)(t[14] << 8 | t[15]);
	s->len = total - (uint32_t)(t - ip) - hlen;
	assert_true(s->len <= sizeof(s->data));
	memcpy(s->data, t + hlen, s->len);
	seg_options(s, t + 20, t + hlen, k->isn);
}

bool
wire_next(struct wire *w, struct wire_conn *k, struct wire_seg *ret)
{
	if (w->first == w->nout)
		return false;
	seg_parse(k, &w->out[w->first++], ret);
	if (w->first == w->nout)
		w->first = w->nout = 0;
	if (ret->ts)
		k->ts_ecr = ret->ts_val;
	return true;
}

static void
seg_show(const struct wire_seg *s)
{
	print_error("sent: flags %02x seq %u ack %u len %u wnd %u nsack %u\n", s->flags, s->seq,
		s->ack, s->len, s->wnd, s->nsack);
}

struct wire_seg
wire_expect(struct wire_conn *k, int flags, int64_t seq, int64_t ack, int64_t len)
{
	struct wire_seg s = {0};
	bool echo = k->w->conf.service.echo;

	if (!wire_next(k->w, k, &s))
		fail_msg("nothing was sent; flags %02x seq %ld ack %ld len %ld were expected",
			flags, seq, ack, len);
	if (s.peer_port != k->peer_port || (flags != WIRE_ANY && (s.flags & ~PSH) != flags) ||
		(seq != WIRE_ANY && s.seq != (uint32_t)seq) ||
		(ack != WIRE_ANY && s.ack != (uint32_t)ack) || (len != WIRE_ANY && s.len != len)) {
		seg_show(&s);
		fail_msg("not what was expected: flags %02x seq %ld ack %ld len %ld", flags, seq,
			ack, len);
	}
	for (uint32_t i = 0; i < s.len; i++)
		if (s.data[i] != pattern(s.seq - 1 + i, !echo))
			fail_msg("byte %u of a segment is wrong", i);
	return s;
}

unsigned
wire_pending(struct wire *w)
{
	return w->nout - w->first;
}

void
wire_silent(struct wire *w)
{
	struct wire_conn k = {.w = w};
	struct wire_seg s;

	if (wire_pending(w) == 0)
		return;
	wire_next(w, &k, &s);
	seg_show(&s);
	fail_msg("nothing should have been sent");
}

void
wire_discard(struct wire *w)
{
	w->first = w->nout = 0;
}

/* ---- handshakes ---- */

void
wire_accept(struct wire_conn *k)
{
	wire_send(k, SYN, 0, 0, 0);
	wire_expect(k, SYN | ACK, 0, 1, 0);
	wire_expect_accept(k);
}

void
wire_accepting(struct wire_conn *k)
{
	k->w->accepting = k;
}

void
wire_expect_accept(struct wire_conn *k)
{
	wire_accepting(k);
	wire_send(k, ACK, 1, 1, 0);
	assert_int_equal(k->accepted, 1);
	assert_non_null(k->c);
	wire_silent(k->w);
}

void
wire_connect(struct wire_conn *k)
{
	struct key key = {.rport_be = htons(k->peer_port), .proto = IPPROTO_TCP};
	struct worker *w = wire_worker(k->w, 0);

	memcpy(key.raddr, peer_addr(k->w).b, 16);
	key.lport_be = k->our_port == WIRE_PORT ? 0 : htons(k->our_port);
	assert_int_equal(tcp_proto.connect(w, &k->w->service, &key, &k, &k->c), 0);
	k->our_port = ntohs(k->c->cn.n.key.lport_be);
	wire_turn(k->w);
}

struct wire *
wire_open_one(const struct wire_conf *conf, struct wire_conn *k)
{
	struct wire *w = wire_open(conf);

	wire_conn(w, k);
	wire_accept(k);
	return w;
}

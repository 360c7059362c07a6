/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tso.h"
#include "wire_priv.h"

#define QUIET_MS 400
#define DAD_MS   1100 /* until an IPv6 address is ours (RFC 4862 section 5.4) */

static bool wire_all_v6;

void
wire_args(int argc, char **argv)
{
	wire_all_v6 = argc > 1 && strcmp(argv[1], "v6") == 0;
}

bool
wire_v6(void)
{
	return wire_all_v6;
}

static struct wire *wire_now; /* callbacks of services have no argument of the test's */

/* ---- ports ---- */

static uint64_t
wire_clock(void *arg)
{
	return ((struct wire *)arg)->now_us;
}

static uint16_t
wire_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct wire *w = arg;
	uint16_t got = (uint16_t)RTE_MIN(w->nin[queue], (unsigned)n);

	(void)ifc;
	memcpy(m, w->inbox[queue], got * sizeof(*m));
	w->nin[queue] -= got;
	memmove(w->inbox[queue], w->inbox[queue] + got, w->nin[queue] * sizeof(*m));
	return got;
}

void
wire_in(struct wire *w, const struct test_frame *f)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(stack_mempool(w->s));

	assert_non_null(m);
	assert_true(w->nin[w->to] < INBOX);
	memcpy(rte_pktmbuf_append(m, (uint16_t)f->len), f->b, f->len);
	w->inbox[w->to][w->nin[w->to]++] = m;
}

/** Our side asks who has the peer's address: it has. */
static void
wire_arp_answer(struct wire *w, const uint8_t *b)
{
	struct test_frame f;
	struct test_addr peer = peer_addr(w);

	if (memcmp(b + 38, peer.b + 12, 4) != 0)
		return;
	test_frame_eth(&f, test_mac_us, test_mac_peer, 0x0806);
	memcpy(f.b + 14, b + 14, 6);
	f.b[20] = 0;
	f.b[21] = 2;
	memcpy(f.b + 22, test_mac_peer, 6);
	memcpy(f.b + 28, b + 38, 4);
	memcpy(f.b + 32, b + 22, 10);
	f.len = 60;
	memset(f.b + 42, 0, 18);
	wire_in(w, &f);
}

/** The same by neighbour discovery (RFC 4861 section 4.4): solicited, override. */
static void
wire_ndp_answer(struct wire *w, const uint8_t *b)
{
	uint8_t na[32] = {136, 0, 0, 0, 0x60, 0, 0, 0};
	struct test_addr peer = peer_addr(w);
	struct test_frame f;

	if (b[54] != 135 || memcmp(b + 62, peer.b, 16) != 0)
		return;
	memcpy(na + 8, peer.b, 16);
	na[24] = 2;
	na[25] = 1;
	memcpy(na + 26, test_mac_peer, 6);
	test_frame_icmp(&f, peer, our_addr(w), 255, na, sizeof(na));
	wire_in(w, &f);
}

/** @return true for a segment of TCP; neighbours are answered */
static bool
wire_is_tcp(struct wire *w, const uint8_t *b)
{
	switch (b[12] << 8 | b[13]) {
	case 0x0806:
		if (b[21] == 1)
			wire_arp_answer(w, b);
		return false;
	case 0x86dd:
		if (b[20] == IPPROTO_ICMPV6)
			wire_ndp_answer(w, b);
		return b[20] == IPPROTO_TCP;
	case 0x0800:
		return b[23] == IPPROTO_TCP;
	default:
		return false;
	}
}

static uint16_t
wire_mtu(const struct wire_conf *conf)
{
	return (uint16_t)((conf->mtu != 0 ? conf->mtu : 1500) + (wire_all_v6 ? 20 : 0));
}

static void
wire_piece(void *arg, const uint8_t *frame, uint32_t len)
{
	struct wire *w = arg;
	struct out_frame *o = &w->out[w->nout];

	assert_true(len <= sizeof(o->b));
	assert_true(w->nout < WIRE_OUTBOX);
	o->len = len;
	o->at_us = w->now_us;
	rte_memcpy(o->b, frame, len);
	if (!wire_is_tcp(w, o->b))
		return;
	assert_true(test_l4_cksum_ok(o->b + 14, o->len - 14));
	w->nout++;
}

static uint16_t
wire_tx(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct wire *w = arg;

	(void)worker;
	(void)ifc;
	for (unsigned i = 0; i < n; i++) {
		const char *fault = tso_cut(m[i], wire_mtu(&w->conf), wire_piece, w);

		if (fault != NULL)
			fail_msg("%s", fault);
		assert_true(w->conf.tso || (m[i]->ol_flags & RTE_MBUF_F_TX_TCP_SEG) == 0);
		if (w->hold)
			assert_true(held_put(&w->held, m[i]));
		else
			rte_pktmbuf_free(m[i]);
	}
	return n;
}

void
wire_hold(struct wire *w, bool hold)
{
	w->hold = hold;
	if (!hold)
		assert_true(held_free(&w->held));
}

/* ---- our side: the service ---- */

static struct wire_conn *
svc_conn(struct conv *c)
{
	return *(struct wire_conn **)c->svc;
}

static void
svc_take(struct worker *w, struct conv *c, struct wire_conn *k, bool echo)
{
	struct rte_mbuf *m;

	while ((!echo || c->proto->write_room(c) > 0) && (m = c->proto->read(w, c)) != NULL) {
		const struct pkt *p = pkt_of(m);
		uint8_t buf[65536];

		assert_int_equal(p->data_off, 0);
		assert_int_equal(p->data_len, m->pkt_len);
		const uint8_t *b = rte_pktmbuf_read(m, 0, m->pkt_len, buf);

		for (uint32_t i = 0; i < m->pkt_len; i++, k->read++)
			if (b[i] != pattern(k->read, false))
				fail_msg("byte %lu of what was read is wrong", k->read);
		if (echo)
			assert_int_equal(c->proto->write(w, c, m), 0);
		else
			rte_pktmbuf_free(m);
	}
}

static void
svc_accept(struct worker *w, struct conv *c)
{
	struct wire_conn *k = wire_now->accepting;

	(void)w;
	assert_non_null(k);
	*(struct wire_conn **)c->svc = k;
	k->accepted++;
	k->c = c;
	conv_hold(&c->cn);
}

static void
svc_connected(struct worker *w, struct conv *c)
{
	(void)w;
	svc_conn(c)->connected++;
}

static void
svc_recv(struct worker *w, struct conv *c)
{
	struct wire_conn *k = svc_conn(c);
	const struct wire_service *s = &wire_now->conf.service;

	k->recvs++;
	if (s->read || s->echo)
		svc_take(w, c, k, s->echo);
}

static void
svc_write(struct worker *w, struct wire_conn *k, uint32_t left)
{
	k->result = 0;
	while (left > 0 && k->result == 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
		uint32_t n = RTE_MIN(left, 1900u);
		uint8_t *b = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)n);

		for (uint32_t i = 0; i < n; i++)
			b[i] = pattern(k->written + i, true);
		k->result = k->c->proto->write(w, k->c, m);
		if (k->result == 0)
			k->written += n;
		left -= n;
	}
}

static void
svc_drain(struct worker *w, struct conv *c)
{
	struct wire_conn *k = svc_conn(c);

	k->drains++;
	if (wire_now->conf.service.fills)
		svc_write(w, k, c->proto->write_room(c));
}

static void
svc_shutdown(struct worker *w, struct conv *c)
{
	svc_conn(c)->shutdowns++;
	if (wire_now->conf.service.close_on_fin)
		c->proto->close(w, c);
}

static void
svc_gone(struct worker *w, struct wire_conn *k, struct conv *c, enum conv_end why)
{
	k->why = why;
	k->c = NULL;
	conv_put(w, &c->cn);
}

static void
svc_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	struct wire_conn *k = svc_conn(c);

	k->hangups++;
	assert_int_equal(k->hangups + k->failed, 1);
	svc_gone(w, k, c, why);
}

static void
svc_trouble(struct worker *w, struct conv *c, enum conv_trouble what, unsigned detail)
{
	struct wire_conn *k = svc_conn(c);

	k->troubles++;
	k->trouble = what;
	k->detail = detail;
	if (k->hangup_in_trouble)
		c->proto->hangup(w, c, CONV_END_HANGUP);
}

static void
svc_failed(struct worker *w, struct conv *c, enum conv_end why)
{
	struct wire_conn *k = svc_conn(c);

	k->failed++;
	assert_int_equal(k->hangups + k->failed, 1);
	svc_gone(w, k, c, why);
}

static void
svc_kicked(struct worker *w, struct conv *c)
{
	struct wire_conn *k = svc_conn(c);
	void (*todo)(struct worker *, struct wire_conn *);

	if (k == NULL || k->todo == NULL)
		return;
	todo = k->todo;
	k->todo = NULL;
	todo(w, k);
}

/* ---- the stack ---- */

static uint32_t
otherwise(uint32_t v, uint32_t d)
{
	return v != 0 ? v : d;
}

struct wire *
wire_open(const struct wire_conf *conf)
{
	static unsigned serial;
	struct wire *w = calloc(1, sizeof(*w));
	char name[9];
	struct ip_ifc_conf ifc = {.name = "wire",
		.mtu = wire_mtu(conf),
		.off = {.multi_segs = true, .tso_segs = conf->tso ? IP_TSO_SEGS : 0}};
	struct stack_conf sc = {
		.name = name,
		.workers = otherwise(conf->workers, 1),
		.seats = otherwise(conf->workers, 1),
		.spread = STACK_SPREAD_RSS,
		.limit_conversations = otherwise(conf->conversations, 64),
		.limit_half_open = otherwise(conf->half_open, 64),
		.limit_time_wait = otherwise(conf->time_wait, 64),
		.limit_fragments = 16,
		.listeners = 8,
		.mbufs = 4095,
		.udp_idle_ms = 1000,
		.tcp = conf->tcp,
		.seed = 42,
		.virtual_workers = true,
		.socket_id = SOCKET_ID_ANY,
		.io = {.rx = wire_rx, .tx = wire_tx, .now_us = wire_clock, .arg = w},
	};
	struct listener_conf lc = {
		.name = "test",
		.proto = IPPROTO_TCP,
		.port_lo = WIRE_PORT,
		.port_hi = WIRE_PORT,
		.service = &w->service,
		.half_open = otherwise(conf->listener_half_open, 64),
	};
	int err = 0;

	(void)snprintf(name, sizeof(name), "w%u", serial++);
	wire_now = w;
	w->conf = *conf;
	w->conf.v6 |= wire_all_v6;
	w->now_us = 5000000;
	w->next_port = 40000;
	w->out = calloc(WIRE_OUTBOX + 1, sizeof(*w->out));
	memcpy(ifc.mac.addr_bytes, test_mac_us, 6);
	w->service = (struct service){
		.name = "wire",
		.tcp = true,
		.state_size = sizeof(void *),
		.accept = svc_accept,
		.connected = svc_connected,
		.failed = svc_failed,
		.recv = svc_recv,
		.drain = svc_drain,
		.kicked = svc_kicked,
		.shutdown = conf->service.no_shutdown ? NULL : svc_shutdown,
		.hangup = svc_hangup,
		.trouble = conf->service.no_trouble ? NULL : svc_trouble,
	};
	w->s = stack_create(&sc, &err);
	assert_int_equal(err, 0);
	assert_int_equal(stack_service_add(w->s, &w->service), 0);
	assert_int_equal(stack_ifc_add(w->s, &ifc, sc.workers), 0);
	assert_int_equal(ip_address_add(stack_ip(w->s), 0, our_addr(w).b, w->conf.v6 ? 64 : 24), 0);
	assert_int_equal(stack_start(w->s), 0);
	assert_int_equal(stack_listen(w->s, &lc, &w->listener), 0);
	for (unsigned i = 0; i < sc.workers; i++)
		assert_int_equal(stack_worker_join(w->s, i), 0);
	assert_int_equal(stack_control_join(w->s), 0);
	ip_ifc_link(stack_ip(w->s), 0, true);
	wire_run(w, w->conf.v6 ? DAD_MS : 10);
	wire_discard(w);
	return w;
}

struct stack *
wire_stack(struct wire *w)
{
	return w->s;
}

struct worker *
wire_worker(struct wire *w, unsigned i)
{
	return stack_seat(w->s, i);
}

struct listener *
wire_listener(struct wire *w)
{
	return w->listener;
}

void
wire_to(struct wire *w, unsigned worker)
{
	w->to = worker;
}

uint64_t
wire_now_us(const struct wire *w)
{
	return w->now_us;
}

void
wire_turn(struct wire *w)
{
	unsigned n;

	for (unsigned round = 0; round < 100; round++) {
		n = 0;
		for (unsigned i = 0; i < stack_workers(w->s); i++)
			n += stack_turn(w->s, i);
		if (n == 0)
			return;
	}
	fail_msg("the stack does not come to rest");
}

void
wire_run(struct wire *w, unsigned ms)
{
	for (; ms > 0; ms--) {
		w->now_us += 1000;
		wire_turn(w);
	}
}

static void
wire_end_check(struct wire *w)
{
	char fault[256] = "";
	struct stack_stats st;

	if (stack_check(w->s, fault, sizeof(fault)) != 0)
		fail_msg("%s", fault);
	stack_stats(w->s, &st);
	assert_int_equal(st.missing, 0);
	assert_int_equal(st.held, 0);
	assert_int_equal(st.conv.recheck_failed, 0);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		assert_int_equal(st.live[k], 0);
	assert_int_equal(st.table, 0);
	assert_int_equal(st.mbufs_in_use, 0);
	assert_int_equal(st.mbufs_small_in_use, 0);
}

void
wire_close(struct wire *w)
{
	wire_hold(w, false);
	stack_control_online(w->s);
	stack_drain(w->s);
	stack_hangup_all(w->s);
	stack_control_offline(w->s);
	for (unsigned i = 0; i < QUIET_MS; i++) {
		wire_run(w, 1);
		stack_control_tick(w->s);
	}
	wire_end_check(w);
	for (unsigned i = 0; i < stack_workers(w->s); i++)
		stack_worker_leave(w->s, i);
	stack_free(w->s);
	free(w->out);
	free(w);
}

/* ---- our side, from inside ---- */

static void
wire_do(struct wire_conn *k, void (*todo)(struct worker *w, struct wire_conn *k), uint32_t n)
{
	assert_non_null(k->c);
	k->todo = todo;
	k->todo_n = n;
	conv_kick(wire_worker(k->w, k->w->to), &k->c->cn, NODE_KICK);
	wire_turn(k->w);
	assert_null(k->todo);
}

static void
do_write(struct worker *w, struct wire_conn *k)
{
	svc_write(w, k, k->todo_n);
}

void
wire_write(struct wire_conn *k, uint32_t len)
{
	wire_do(k, do_write, len);
}

static void
do_read(struct worker *w, struct wire_conn *k)
{
	svc_take(w, k->c, k, false);
}

void
wire_read(struct wire_conn *k)
{
	wire_do(k, do_read, 0);
}

static void
do_shutdown(struct worker *w, struct wire_conn *k)
{
	k->c->proto->shutdown(w, k->c);
}

void
wire_shutdown(struct wire_conn *k)
{
	wire_do(k, do_shutdown, 0);
}

static void
do_close(struct worker *w, struct wire_conn *k)
{
	k->c->proto->close(w, k->c);
}

void
wire_do_close(struct wire_conn *k)
{
	wire_do(k, do_close, 0);
}

static void
do_hangup(struct worker *w, struct wire_conn *k)
{
	k->c->proto->hangup(w, k->c, CONV_END_HANGUP);
}

void
wire_hangup(struct wire_conn *k)
{
	wire_do(k, do_hangup, 0);
}

/* ---- looking in ---- */

static bool
wire_find(struct wire_conn *k, struct conv_status *ret)
{
	uint32_t slot = 0;
	struct conv_node *cn;
	bool found = false;

	memset(ret, 0, sizeof(*ret));
	while (!found && (cn = conv_next(stack_convs(k->w->s), &slot, UINT32_MAX)) != NULL) {
		found = cn->n.key.rport_be == htons(k->peer_port) &&
			cn->n.key.lport_be == htons(k->our_port) &&
			stack_conv_status(k->w->s, cn, ret);
		conv_put(stack_control(k->w->s), cn);
	}
	return found;
}

const char *
wire_state_name(struct wire_conn *k)
{
	struct conv_status st;

	return wire_find(k, &st) ? st.state : "";
}

void
wire_state(struct wire_conn *k, const char *state)
{
	assert_string_equal(wire_state_name(k), state);
}

struct conv_status
wire_status(struct wire_conn *k)
{
	struct conv_status st;

	assert_true(wire_find(k, &st));
	return st;
}

struct stat_ask {
	const char *name;
	uint64_t value;
	bool found;
};

static void
stat_each(void *arg, const char *name, uint64_t value)
{
	struct stat_ask *a = arg;

	if (strcmp(a->name, name) == 0) {
		a->value = value;
		a->found = true;
	}
}

uint64_t
wire_stat(struct wire *w, const char *name)
{
	struct stat_ask a = {.name = name};

	tcp_proto.stats(wire_worker(w, 0), stat_each, &a);
	assert_true(a.found);
	return a.value;
}

uint64_t
wire_drops(struct wire *w, enum drop_reason r)
{
	struct stack_stats st;

	stack_stats(w->s, &st);
	return st.sum.drops[r];
}

uint64_t
wire_delivered(struct wire *w)
{
	struct stack_stats st;

	stack_stats(w->s, &st);
	return st.sum.delivered;
}

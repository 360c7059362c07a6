/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "conv_toy.h"

#include <stdio.h>
#include <string.h>

struct test_net net;
struct reclaim *reclaim;
struct conv_table *ct;
struct entry logbook[LOG_MAX];
unsigned nlog;
void (*on_input)(struct worker *w, struct toy *t, struct rte_mbuf *m);
void (*on_work)(struct worker *w, struct toy *t, uint64_t bits);
const struct key_secret secret = {1, 2};

void
toy_note(struct worker *w, enum event ev, struct conv_node *cn, struct rte_mbuf *m)
{
	assert_true(nlog < LOG_MAX);
	logbook[nlog++] = (struct entry){ev, w->id, cn == NULL ? 0 : cn->n.id,
		m == NULL ? 0 : pkt_of(m)->tcp.seq, w->now_ms};
}

unsigned
toy_count(enum event ev)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nlog; i++)
		n += logbook[i].ev == ev;
	return n;
}

static void
toy_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct toy *t = (struct toy *)cn;

	assert_true(conv_inside(w, cn));
	assert_int_equal(t->marker, pkt_of(m)->key.k.rport_be);
	t->inputs++;
	toy_note(w, EV_PACKET, cn, m);
	if (on_input != NULL)
		on_input(w, t, m);
	w->c.delivered++;
	rte_pktmbuf_free(m);
}

static void
toy_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	assert_true(conv_inside(w, cn));
	if (bits & NODE_TIMER)
		toy_note(w, EV_TIMER, cn, NULL);
	if (bits & NODE_KICK)
		toy_note(w, EV_KICK, cn, NULL);
	if (bits & NODE_HANGUP)
		toy_note(w, EV_HANGUP, cn, NULL);
	if (on_work != NULL)
		on_work(w, (struct toy *)cn, bits);
}

static void
toy_flush(struct worker *w, struct conv_node *cn)
{
	toy_note(w, EV_FLUSH, cn, NULL);
}

static void
toy_retire(struct worker *w, struct conv_node *cn)
{
	assert_null(w->in == cn ? cn : NULL);
	toy_note(w, EV_RETIRE, cn, NULL);
}

static const struct node_ops toy_ops = {
	.name = "toy",
	.size = sizeof(struct toy),
	.input = toy_input,
	.work = toy_work,
	.flush = toy_flush,
	.retire = toy_retire,
};

static void
toy_miss(struct worker *w, struct rte_mbuf *m)
{
	assert_null(w->in);
	toy_note(w, EV_MISS, NULL, m);
	drop(w, m, DROP_TCP_NO_CONV);
}

int
toy_setup(void **state)
{
	static unsigned made;
	char name[16];
	struct conv_table_conf conf = {
		.name = name,
		.seats = SEATS,
		.limit = {NODES_MAX, NODES_MAX, NODES_MAX, NODES_MAX},
		.listeners = 16,
		.secret = secret,
		.socket_id = SOCKET_ID_ANY,
		.backlog_max = 8,
		.now_us = 1000000,
	};
	int err = 0;

	(void)state;
	snprintf(name, sizeof(name), "ct%u", made++);
	test_net_init(&net, WORKERS);
	reclaim = reclaim_virtual_create(SEATS + 1, SEATS + 1, &err);
	assert_non_null(reclaim);
	conf.reclaim = reclaim;
	ct = conv_table_create(&conf, &err);
	assert_non_null(ct);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		conv_ops_set(ct, k, &toy_ops);
	conv_miss_set(ct, PKT_TCP, toy_miss);
	assert_int_equal(conv_table_start(ct), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		net.w[i].convs = ct;
		conv_seat_take(&net.w[i], i);
		assert_int_equal(reclaim->ops->join(reclaim, i), 0);
	}
	nlog = 0;
	on_input = NULL;
	on_work = NULL;
	return 0;
}

void
toy_turn(uint64_t us)
{
	test_net_advance(&net, us);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = &net.w[i];

		w->now_ms = (uint32_t)(w->now_us / 1000);
		conv_turn(w);
		conv_turn_end(w);
		assert_null(w->in);
		assert_null(w->again);
		reclaim->ops->quiescent(reclaim, i);
	}
}

void
toy_check(void)
{
	char fault[256] = "";

	if (conv_check(ct, fault, sizeof(fault)) != 0)
		fail_msg("%s", fault);
}

int
toy_teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		toy_turn(2000);
	toy_check();
	for (unsigned k = 0; k < NODE_KINDS; k++)
		assert_int_equal(conv_live(ct, k), 0);
	test_net_balance(&net);
	conv_table_free(ct);
	reclaim->ops->free(reclaim);
	test_net_fini(&net);
	return 0;
}

struct key48
toy_key(uint16_t port)
{
	struct key48 k = {.k = {.rport_be = port, .lport_be = 7, .proto = 6}};

	key_map_v4(k.k.raddr, 0x0100000a);
	key_map_v4(k.k.laddr, 0x0200000a);
	return k;
}

struct toy *
toy_new(struct worker *w, uint16_t port)
{
	struct key48 k = toy_key(port);
	struct toy *t = (struct toy *)conv_alloc(w, NODE_CONV, &k.k, key_hash(&secret, &k.k));

	assert_non_null(t);
	t->marker = port;
	return t;
}

struct toy *
toy_born(struct worker *w, uint16_t port)
{
	struct toy *t = toy_new(w, port);

	assert_int_equal(conv_publish(w, &t->cn, 0, NULL), 0);
	return t;
}

struct rte_mbuf *
toy_packet(struct worker *w, uint16_t port, uint32_t serial)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.mp);
	struct pkt *p = pkt_of(m);

	memset(p, 0, sizeof(*p));
	p->key = toy_key(port);
	p->hash = key_hash(&secret, &p->key.k);
	p->kind = PKT_TCP;
	p->tcp.seq = serial;
	w->c.received++;
	return m;
}

void
toy_input_one(struct worker *w, uint16_t port, uint32_t serial)
{
	struct rte_mbuf *m = toy_packet(w, port, serial);

	conv_input_burst(w, &m, 1);
}

void
toy_die(struct worker *w, struct toy *t)
{
	assert_int_equal(conv_enter(w, &t->cn), CONV_IN);
	conv_die(w, &t->cn);
	conv_leave(w, &t->cn);
}

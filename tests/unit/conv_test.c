/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * lib/conv with a node of the test's own: what comes in is written down, so that
 * delivery, order, lifetime and timers can be checked. Two workers in one thread:
 * a packet that arrives "while somebody is inside" is put in from the node's own input.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conv_priv.h"
#include "util.h"

#define WORKERS   3
#define SEATS     WORKERS
#define NODES_MAX 64
#define LOG_MAX   4096

struct toy {
	struct conv_node cn;
	uint64_t marker; /* of the key it was made for */
	uint32_t inputs;
};

enum event {
	EV_PACKET,
	EV_TIMER,
	EV_KICK,
	EV_HANGUP,
	EV_FLUSH,
	EV_RETIRE,
	EV_MISS
};

struct entry {
	enum event ev;
	unsigned worker;
	uint32_t id;
	uint32_t serial; /* of the packet */
	uint32_t now_ms;
};

static struct test_net net;
static struct reclaim *reclaim;
static struct conv_table *ct;
static struct entry logbook[LOG_MAX];
static unsigned nlog;
static void (*on_input)(struct worker *w, struct toy *t, struct rte_mbuf *m);
static void (*on_work)(struct worker *w, struct toy *t, uint64_t bits);
static const struct key_secret secret = {1, 2};

static void
note(struct worker *w, enum event ev, struct conv_node *cn, struct rte_mbuf *m)
{
	assert_true(nlog < LOG_MAX);
	logbook[nlog++] = (struct entry){ev, w->id, cn == NULL ? 0 : cn->n.id,
		m == NULL ? 0 : pkt_of(m)->tcp.seq, w->now_ms};
}

static unsigned
count(enum event ev)
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
	note(w, EV_PACKET, cn, m);
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
		note(w, EV_TIMER, cn, NULL);
	if (bits & NODE_KICK)
		note(w, EV_KICK, cn, NULL);
	if (bits & NODE_HANGUP)
		note(w, EV_HANGUP, cn, NULL);
	if (on_work != NULL)
		on_work(w, (struct toy *)cn, bits);
}

static void
toy_flush(struct worker *w, struct conv_node *cn)
{
	note(w, EV_FLUSH, cn, NULL);
}

static void
toy_retire(struct worker *w, struct conv_node *cn)
{
	assert_null(w->in == cn ? cn : NULL);
	note(w, EV_RETIRE, cn, NULL);
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
	note(w, EV_MISS, NULL, m);
	drop(w, m, DROP_TCP_NO_CONV);
}

static int
setup(void **state)
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

/** One turn of every worker, us later. */
static void
turn(uint64_t us)
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

static void
check(void)
{
	char fault[256] = "";

	if (conv_check(ct, fault, sizeof(fault)) != 0)
		fail_msg("%s", fault);
}

static int
teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		turn(2000);
	check();
	for (unsigned k = 0; k < NODE_KINDS; k++)
		assert_int_equal(conv_live(ct, k), 0);
	test_net_balance(&net);
	conv_table_free(ct);
	reclaim->ops->free(reclaim);
	test_net_fini(&net);
	return 0;
}

static struct key48
key_of(uint16_t port)
{
	struct key48 k = {.k = {.rport_be = port, .lport_be = 7, .proto = 6}};

	key_map_v4(k.k.raddr, 0x0100000a);
	key_map_v4(k.k.laddr, 0x0200000a);
	return k;
}

static struct toy *
toy_new(struct worker *w, uint16_t port)
{
	struct key48 k = key_of(port);
	struct toy *t = (struct toy *)conv_alloc(w, NODE_CONV, &k.k, key_hash(&secret, &k.k));

	assert_non_null(t);
	t->marker = port;
	return t;
}

static struct toy *
toy_born(struct worker *w, uint16_t port)
{
	struct toy *t = toy_new(w, port);

	assert_int_equal(conv_publish(w, &t->cn, 0, NULL), 0);
	return t;
}

static struct rte_mbuf *
packet(struct worker *w, uint16_t port, uint32_t serial)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.mp);
	struct pkt *p = pkt_of(m);

	memset(p, 0, sizeof(*p));
	p->key = key_of(port);
	p->hash = key_hash(&secret, &p->key.k);
	p->kind = PKT_TCP;
	p->tcp.seq = serial;
	w->c.received++;
	return m;
}

static void
input(struct worker *w, uint16_t port, uint32_t serial)
{
	struct rte_mbuf *m = packet(w, port, serial);

	conv_input_burst(w, &m, 1);
}

static void
die_by(struct worker *w, struct toy *t)
{
	assert_int_equal(conv_enter(w, &t->cn), CONV_IN);
	conv_die(w, &t->cn);
	conv_leave(w, &t->cn);
}

/* ---- birth, death, reuse ---- */

static void
test_birth_and_death(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t;
	struct conv_handle h;

	(void)state;
	input(w, 1, 100);
	assert_int_equal(count(EV_MISS), 1);
	t = toy_born(w, 1);
	h = conv_handle(ct, &t->cn);
	input(w, 1, 101);
	assert_int_equal(count(EV_PACKET), 1);
	check();
	die_by(w, t);
	assert_int_equal(count(EV_RETIRE), 1);
	assert_null(conv_by_handle(ct, h));
	input(w, 1, 102);
	assert_int_equal(count(EV_MISS), 2);
	assert_int_equal(conv_live(ct, NODE_CONV), 1); /* its grace period is not over */
}

/** Nothing is reused before every reader was quiescent; then the generation has grown. */
static void
test_grace_period(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_handle h = conv_handle(ct, &t->cn);
	uint64_t word;

	(void)state;
	die_by(w, t);
	test_net_advance(&net, 2000);
	conv_turn_end(w);
	reclaim->ops->quiescent(reclaim, 0);
	reclaim->ops->quiescent(reclaim, 1);
	conv_turn(w);
	word = atomic_load(&t->cn.n.word);
	assert_int_equal(node_gen(word), h.gen);
	assert_int_equal(conv_live(ct, NODE_CONV), 1);
	reclaim->ops->quiescent(reclaim, 2);
	conv_turn(w);
	word = atomic_load(&t->cn.n.word);
	assert_int_equal(node_gen(word), h.gen + 1);
	assert_int_equal(node_refs(word), 0);
	assert_int_equal(conv_live(ct, NODE_CONV), 0);
	assert_null(conv_by_handle(ct, h));
}

static void
test_limit_is_exact(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t[NODES_MAX];
	struct key48 k = key_of(9999);
	struct conv_counters c;

	(void)state;
	for (unsigned i = 0; i < NODES_MAX; i++)
		t[i] = toy_born(w, (uint16_t)(1 + i));
	assert_null(conv_alloc(w, NODE_CONV, &k.k, key_hash(&secret, &k.k)));
	conv_stats(ct, &c);
	assert_int_equal(c.refused[NODE_CONV], 1);
	for (unsigned i = 0; i < NODES_MAX; i++)
		die_by(w, t[i]);
	for (unsigned i = 0; i < 4; i++)
		turn(2000);
	die_by(w, toy_born(w, 1));
}

static void
test_publish_is_insert_if_absent(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *a = toy_born(w, 1), *b = toy_new(&net.w[1], 1);
	struct conv_node *winner = NULL;

	(void)state;
	assert_int_equal(conv_publish(&net.w[1], &b->cn, NODE_KICK, &winner), -EEXIST);
	assert_ptr_equal(winner, &a->cn);
	conv_put(w, winner);
	conv_abandon(&net.w[1], &b->cn);
	assert_int_equal(count(EV_RETIRE), 1);
	check();
	die_by(w, a);
}

static void
test_unpublished_is_invisible(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_new(w, 1);
	uint32_t slot = 0;

	(void)state;
	assert_null(conv_next(ct, &slot, UINT32_MAX));
	assert_null(conv_by_handle(ct, conv_handle(ct, &t->cn)));
	conv_abandon(w, &t->cn);
}

static void
test_work_at_birth(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_new(w, 1);

	(void)state;
	assert_int_equal(conv_publish(w, &t->cn, NODE_KICK, NULL), 0);
	input(w, 1, 5);
	assert_int_equal(logbook[0].ev, EV_KICK);
	assert_int_equal(logbook[1].ev, EV_PACKET);
	assert_int_equal(logbook[2].ev, EV_FLUSH);
	die_by(w, t);
}

/* ---- bursts ---- */

static void
test_burst_groups(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *a = toy_born(w, 1), *b = toy_born(w, 2);
	struct rte_mbuf *m[WORKER_BURST];
	uint32_t last[3] = {0};

	(void)state;
	for (unsigned i = 0; i < WORKER_BURST; i++)
		m[i] = packet(w, (uint16_t)(1 + i % 3), i + 1);
	conv_input_burst(w, m, WORKER_BURST);
	assert_int_equal(count(EV_FLUSH), 2); /* each entered once */
	assert_int_equal(count(EV_PACKET) + count(EV_MISS), WORKER_BURST);
	for (unsigned i = 0; i < nlog; i++) {
		unsigned which = (logbook[i].serial - 1) % 3;

		if (logbook[i].ev != EV_PACKET && logbook[i].ev != EV_MISS)
			continue;
		assert_true(logbook[i].serial > last[which]);
		last[which] = logbook[i].serial;
	}
	die_by(w, a);
	die_by(w, b);
}

static void
make_on_miss(struct worker *w, struct rte_mbuf *m)
{
	note(w, EV_MISS, NULL, m);
	toy_born(w, pkt_of(m)->key.k.rport_be);
	conv_again(w, m);
}

/** Trap (a): an earlier packet of the burst makes the node that a later one belongs to. */
static void
test_burst_makes_node(void **state)
{
	struct worker *w = &net.w[0];
	struct rte_mbuf *m[4];
	struct node *n;
	struct key48 k = key_of(1);

	(void)state;
	conv_miss_set(ct, PKT_TCP, make_on_miss);
	for (unsigned i = 0; i < 4; i++)
		m[i] = packet(w, 1, i);
	conv_input_burst(w, m, 4);
	assert_int_equal(count(EV_MISS), 1);
	assert_int_equal(count(EV_PACKET), 4);
	n = ipht_look(conv_ipht(ct), &k, key_hash(&secret, &k.k));
	assert_non_null(n);
	die_by(w, (struct toy *)n);
	conv_put(w, (struct conv_node *)n);
}

static void
die_on_two(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	if (pkt_of(m)->tcp.seq == 2)
		conv_die(w, &t->cn);
}

/** Trap (b): an earlier packet closes it; the rest is looked up again, and has no match. */
static void
test_burst_closes_node(void **state)
{
	struct worker *w = &net.w[0];
	struct rte_mbuf *m[5];

	(void)state;
	toy_born(w, 1);
	on_input = die_on_two;
	for (unsigned i = 0; i < 5; i++)
		m[i] = packet(w, 1, i);
	conv_input_burst(w, m, 5);
	assert_int_equal(count(EV_PACKET), 3);
	assert_int_equal(count(EV_MISS), 2);
	assert_int_equal(count(EV_RETIRE), 1);
}

/* ---- busy nodes ---- */

static unsigned burst_size;

static void
others_come(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	(void)t;
	if (w->id != 0 || pkt_of(m)->tcp.seq != 0)
		return;
	for (unsigned i = 1; i <= burst_size; i++)
		input(&net.w[1 + i % 2], 1, i);
}

/** Packets that come while worker 0 is inside are done by worker 0, in their order, before it leaves. */
static void
test_backlog(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_counters c;
	uint32_t next = 0;

	(void)state;
	burst_size = 6;
	on_input = others_come;
	input(w, 1, 0);
	assert_int_equal(count(EV_PACKET), 7);
	for (unsigned i = 0; i < nlog; i++) {
		if (logbook[i].ev != EV_PACKET)
			continue;
		assert_int_equal(logbook[i].serial, next++);
		assert_int_equal(logbook[i].worker, 0);
	}
	conv_stats(ct, &c);
	assert_int_equal(c.backlog_pushes, 6);
	assert_int_equal(c.backlog_drained, 6);
	die_by(w, t);
}

static void
test_backlog_is_bounded(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);

	(void)state;
	burst_size = 11;
	on_input = others_come;
	input(w, 1, 0);
	assert_int_equal(count(EV_PACKET), 9);
	assert_int_equal(
		net.w[1].c.drops[DROP_BACKLOG_FULL] + net.w[2].c.drops[DROP_BACKLOG_FULL], 3);
	die_by(w, t);
}

static void
come_and_die(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	others_come(w, t, m);
	if (w->id == 0)
		conv_die(w, &t->cn);
}

/** What waits in the backlog of a node that dies is looked up again, never lost. */
static void
test_backlog_of_the_dead(void **state)
{
	struct worker *w = &net.w[0];

	(void)state;
	toy_born(w, 1);
	burst_size = 4;
	on_input = come_and_die;
	input(w, 1, 0);
	assert_int_equal(count(EV_PACKET), 1);
	assert_int_equal(count(EV_MISS), 4);
}

static struct toy *young;

static void
come_and_replace(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	if (w->id != 0 || young != NULL)
		return;
	others_come(w, t, m);
	young = toy_new(w, 1);
	assert_int_equal(conv_replace(w, &t->cn, &young->cn, NODE_KICK), 0);
	conv_again(w, packet(w, 1, 50));
}

/** Replacing leaves no gap: the backlog of the old one reaches the young one. */
static void
test_replace(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *old = toy_born(w, 1);

	(void)state;
	young = NULL;
	burst_size = 3;
	on_input = come_and_replace;
	input(w, 1, 0);
	assert_int_equal(count(EV_MISS), 0);
	assert_int_equal(old->inputs, 1);
	assert_int_equal(young->inputs, 4);
	assert_int_equal(count(EV_KICK), 1);
	check();
	die_by(w, young);
}

static void
kick_self(struct worker *w, struct toy *t, uint64_t bits)
{
	if ((bits & NODE_KICK) != 0 && t->inputs < 100)
		conv_kick(w, &t->cn, NODE_KICK);
	t->inputs++;
}

/** A node that makes work for itself does not keep its worker: the rest comes in later turns. */
static void
test_leaving_has_a_budget(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	unsigned first;

	(void)state;
	on_work = kick_self;
	conv_kick(w, &t->cn, NODE_KICK);
	turn(0);
	first = t->inputs;
	assert_true(first >= 1 && first < 20);
	for (unsigned i = 0; i < 100; i++)
		turn(0);
	assert_int_equal(t->inputs, 101);
	on_work = NULL;
	die_by(w, t);
}

static struct toy *other;

static void
kick_other(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	(void)m;
	if (t != other)
		conv_kick(w, &other->cn, NODE_KICK);
}

/** Kicking a second node from inside a first (I7): not entered before the first is left. */
static void
test_kick_from_inside(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);

	(void)state;
	other = toy_born(w, 2);
	on_input = kick_other;
	input(w, 1, 0);
	input(w, 1, 1);
	assert_int_equal(count(EV_KICK), 0);
	turn(0);
	assert_int_equal(count(EV_KICK), 1); /* two kicks, one run */
	die_by(w, t);
	die_by(w, other);
}

static void
test_hangup_from_control(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);

	(void)state;
	conv_post(ct, 1, &t->cn, NODE_HANGUP);
	conv_post(ct, 2, &t->cn, NODE_HANGUP);
	turn(0);
	assert_int_equal(count(EV_HANGUP), 1);
	assert_int_equal(logbook[0].worker, 1);
	check();
	die_by(w, t);
}

/** A reference keeps the slot, not the conversation. */
static void
test_handle_outlives_death(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_node *cn = conv_by_handle(ct, conv_handle(ct, &t->cn));

	(void)state;
	assert_ptr_equal(cn, &t->cn);
	die_by(w, t);
	assert_int_equal(count(EV_RETIRE), 0);
	for (unsigned i = 0; i < 4; i++)
		turn(2000);
	assert_int_equal(conv_live(ct, NODE_CONV), 1);
	conv_put(&net.w[2], cn);
	assert_int_equal(count(EV_RETIRE), 1);
}

static void
test_listing(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t[8];
	struct conv_node *cn;
	uint32_t slot = 0, seen = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		t[i] = toy_born(w, (uint16_t)(1 + i));
	while (slot < conv_slots(ct)) {
		cn = conv_next(ct, &slot, 3);
		if (cn == NULL)
			continue;
		seen |= 1u << (((struct toy *)cn)->marker - 1);
		conv_put(w, cn);
	}
	assert_int_equal(seen, 0xff);
	for (unsigned i = 0; i < 8; i++)
		die_by(w, t[i]);
}

/* ---- timers ---- */

static void
timer_set_by(struct worker *w, struct toy *t, uint32_t at_ms)
{
	w->now_ms = (uint32_t)(w->now_us / 1000);
	assert_int_equal(conv_enter(w, &t->cn), CONV_IN);
	conv_timer_set(w, &t->cn, at_ms);
	conv_leave(w, &t->cn);
}

static uint32_t
ms_now(void)
{
	return (uint32_t)(net.w[0].now_us / 1000);
}

static void
test_timer_fires_once(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	uint32_t start = ms_now();

	(void)state;
	timer_set_by(w, t, start + 10);
	for (unsigned i = 0; i < 9; i++)
		turn(1000);
	assert_int_equal(count(EV_TIMER), 0);
	turn(1000);
	assert_int_equal(count(EV_TIMER), 1);
	for (unsigned i = 0; i < 300; i++)
		turn(1000);
	assert_int_equal(count(EV_TIMER), 1);
	check();
	die_by(w, t);
}

static void
test_timer_later_is_lazy(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	uint32_t start = ms_now();

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		timer_set_by(&net.w[i % WORKERS], t, ms_now() + 10);
		turn(1000);
	}
	assert_int_equal(count(EV_TIMER), 0);
	for (unsigned i = 0; i < 20; i++)
		turn(1000);
	assert_int_equal(count(EV_TIMER), 1);
	for (unsigned i = 0; i < nlog; i++)
		if (logbook[i].ev == EV_TIMER)
			assert_in_range(logbook[i].now_ms, start + 59, start + 60);
	die_by(w, t);
}

/** An earlier deadline set on another worker reaches the owner, who fires it in time. */
static void
test_timer_earlier_elsewhere(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_counters c;
	uint32_t start = ms_now();

	(void)state;
	timer_set_by(w, t, start + 100000);
	timer_set_by(&net.w[2], t, start + 5);
	timer_set_by(&net.w[1], t, start + 4);
	for (unsigned i = 0; i < 4; i++)
		turn(1000);
	assert_int_equal(count(EV_TIMER), 1);
	for (unsigned i = 0; i < nlog; i++)
		if (logbook[i].ev == EV_TIMER)
			assert_int_equal(logbook[i].worker, 0);
	conv_stats(ct, &c);
	assert_true(c.timers_moved_remote >= 1);
	for (unsigned i = 0; i < 400; i++)
		turn(500000);
	assert_int_equal(count(EV_TIMER), 1);
	die_by(w, t);
}

static void
test_timer_stop_and_death(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1), *u = toy_born(w, 2);

	(void)state;
	timer_set_by(w, t, ms_now() + 5);
	timer_set_by(w, u, ms_now() + 1000000);
	assert_int_equal(conv_enter(&net.w[1], &t->cn), CONV_IN);
	conv_timer_stop(&net.w[1], &t->cn);
	conv_leave(&net.w[1], &t->cn);
	for (unsigned i = 0; i < 10; i++)
		turn(1000);
	assert_int_equal(count(EV_TIMER), 0);
	check();
	die_by(&net.w[1], t);
	/* Died on another worker than its timer's: the owner lets go within a turn. */
	die_by(&net.w[1], u);
	assert_int_equal(count(EV_RETIRE), 1);
	turn(0);
	assert_int_equal(count(EV_RETIRE), 2);
}

/** Random sets, moves and stops on random workers against a model: never late, never lost, never early. */
static void
test_timer_model(void **state)
{
	enum {
		N = 32,
		STEPS = 20000
	};
	struct toy *t[N];
	uint32_t want[N]; /* 0: none */
	bool fired[N];
	unsigned seed = 12345;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		t[i] = toy_born(&net.w[0], (uint16_t)(1 + i));
		want[i] = 0;
	}
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand_r(&seed) % N, kind = (unsigned)rand_r(&seed) % 8;
		struct worker *w = &net.w[(unsigned)rand_r(&seed) % WORKERS];

		if (kind < 6) {
			uint32_t ms = 1u << (unsigned)rand_r(&seed) % 18;

			want[i] = ms_now() + 1 + (uint32_t)rand_r(&seed) % ms;
			timer_set_by(w, t[i], want[i]);
		} else {
			assert_int_equal(conv_enter(w, &t[i]->cn), CONV_IN);
			conv_timer_stop(w, &t[i]->cn);
			conv_leave(w, &t[i]->cn);
			want[i] = 0;
		}
		nlog = 0;
		memset(fired, 0, sizeof(fired));
		turn((uint64_t)rand_r(&seed) % 4000);
		for (unsigned j = 0; j < nlog; j++)
			if (logbook[j].ev == EV_TIMER)
				for (unsigned k = 0; k < N; k++)
					fired[k] |= t[k]->cn.n.id == logbook[j].id;
		for (unsigned k = 0; k < N; k++) {
			bool due = want[k] != 0 && (int32_t)(ms_now() - want[k]) >= 0;

			if (fired[k] != due)
				fail_msg("seed 12345 step %u: node %u %s", step, k,
					due ? "did not fire" : "fired early");
			if (due)
				want[k] = 0;
		}
	}
	for (unsigned i = 0; i < N; i++)
		die_by(&net.w[0], t[i]);
}

/* ---- listeners ---- */

static const struct service nothing = {.name = "nothing", .tcp = true};

static void
test_listener(void **state)
{
	struct worker *w = &net.w[0];
	struct prefix deny = {.len = 96 + 8}, allow = {.len = 96 + 16};
	struct listener_conf conf = {.name = "l",
		.proto = 6,
		.port_lo = 80,
		.port_hi = 82,
		.service = &nothing,
		.allow = &allow,
		.nallow = 1,
		.deny = &deny,
		.ndeny = 1};
	struct listener *l = NULL, *again = NULL;
	struct key k = key_of(1).k;
	struct test_addr a;
	struct node *n;

	(void)state;
	deny.addr[10] = deny.addr[11] = allow.addr[10] = allow.addr[11] = 0xff;
	deny.addr[12] = 9;
	allow.addr[12] = 10;
	allow.addr[13] = 1;
	assert_int_equal(listener_open(w, &conf, &l), 0);
	conf.port_lo = 79;
	assert_int_equal(listener_open(w, &conf, &again), -EADDRINUSE);
	for (uint16_t port = 79; port <= 83; port++) {
		k.lport_be = (uint16_t)(port << 8);
		n = ipht_match(conv_ipht(ct), &k);
		assert_int_equal(n != NULL, port >= 80 && port <= 82);
		if (n != NULL)
			assert_ptr_equal(listener_of(n), l);
	}
	a = test_addr("10.1.2.3");
	assert_true(listener_allows(l, a.b));
	a = test_addr("10.2.2.3");
	assert_false(listener_allows(l, a.b));
	a = test_addr("9.1.2.3");
	assert_false(listener_allows(l, a.b));
	l->deny[0] = (struct prefix){.len = 0}; /* ::/0 */
	a = test_addr("10.1.2.3");
	assert_true(listener_allows(l, a.b));
	l->allow[0] = (struct prefix){.len = 0};
	assert_false(listener_allows(l, a.b));
	a = test_addr("fd00::1");
	assert_false(listener_allows(l, a.b));
	LISTENER_ADD(&net.w[1], l, convs, 1);
	listener_close(w, l);
	k.lport_be = (uint16_t)(80 << 8);
	assert_null(ipht_match(conv_ipht(ct), &k));
	assert_int_equal(listener_sweep(w), 2);
	for (unsigned i = 0; i < 4; i++) {
		turn(2000);
		listener_sweep(w);
	}
	assert_int_equal(listener_sweep(w), 1); /* it is held by a conversation */
	LISTENER_ADD(&net.w[2], l, convs, -1);
	assert_int_equal(listener_sweep(w), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_birth_and_death),
		T(test_grace_period),
		T(test_limit_is_exact),
		T(test_publish_is_insert_if_absent),
		T(test_unpublished_is_invisible),
		T(test_work_at_birth),
		T(test_burst_groups),
		T(test_burst_makes_node),
		T(test_burst_closes_node),
		T(test_backlog),
		T(test_backlog_is_bounded),
		T(test_backlog_of_the_dead),
		T(test_replace),
		T(test_leaving_has_a_budget),
		T(test_kick_from_inside),
		T(test_hangup_from_control),
		T(test_handle_outlives_death),
		T(test_listing),
		T(test_timer_fires_once),
		T(test_timer_later_is_lazy),
		T(test_timer_earlier_elsewhere),
		T(test_timer_stop_and_death),
		T(test_timer_model),
		T(test_listener),
#undef T
	};

	test_eal("conv_test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

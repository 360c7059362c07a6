/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX 8 /* few, so that slots are used again */
#define SLOTS     16 /* more than ever live at once: those on top of a pool */
#define TURNS     6 /* after a schedule: enough for grace periods and timers */

struct test_net net;
struct conv_table *ct;
struct reclaim *reclaim;
uint32_t world_got[64], world_order[64];
unsigned world_ngot, world_missed;
void (*world_on_miss)(struct worker *w, struct rte_mbuf *m);
void (*world_on_input)(struct worker *w, struct world_node *n, struct rte_mbuf *m);
void (*world_on_work)(struct worker *w, struct world_node *n, uint64_t bits);

static const struct key_secret secret = {11, 12};

static void
node_enter(struct world_node *n)
{
	if (n->inside++ != 0)
		explore_fail("two are inside one node");
}

static void
node_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct world_node *n = (struct world_node *)cn;
	uint32_t life = pkt_of(m)->tcp.ack, serial = pkt_of(m)->tcp.seq;

	node_enter(n);
	if (n->port != pkt_of(m)->key.k.rport_be)
		explore_fail("packet %u of port %u delivered to the node of port %u", serial,
			pkt_of(m)->key.k.rport_be, n->port);
	if (life != 0 && n->life != life)
		explore_fail("packet %u of life %u delivered to life %u", serial, life, n->life);
	n->inputs++;
	world_got[serial] = n->life;
	world_order[world_ngot++] = serial;
	explore_place("inside");
	if (world_on_input != NULL)
		world_on_input(w, n, m);
	n->inside--;
	if (n->echo_dead)
		conv_die(w, cn);
	w->c.delivered++;
	rte_pktmbuf_free(m);
}

static void
node_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	struct world_node *n = (struct world_node *)cn;

	node_enter(n);
	if (conv_dead(cn))
		explore_fail("work for a dead node");
	n->works++;
	n->timers += (bits & NODE_TIMER) != 0;
	n->kicks += (bits & NODE_KICK) != 0;
	n->hangups += (bits & NODE_HANGUP) != 0;
	explore_place("working");
	if (world_on_work != NULL)
		world_on_work(w, n, bits);
	n->inside--;
	if ((bits & NODE_HANGUP) != 0)
		conv_die(w, cn);
}

static void
node_retire(struct worker *w, struct conv_node *cn)
{
	struct world_node *n = (struct world_node *)cn;

	(void)w;
	if (n->retired++ != 0)
		explore_fail("a node was retired twice");
	if (n->inside != 0)
		explore_fail("a node was retired while somebody was inside");
}

static const struct node_ops node_ops = {
	.name = "world",
	.size = sizeof(struct world_node),
	.input = node_input,
	.work = node_work,
	.retire = node_retire,
};

static void
node_miss(struct worker *w, struct rte_mbuf *m)
{
	world_missed++;
	if (world_on_miss != NULL)
		world_on_miss(w, m);
	else
		drop(w, m, DROP_TCP_NO_CONV);
}

void
world_open(void)
{
	struct conv_table_conf conf = {
		.name = "world",
		.seats = WORLD_WORKERS,
		.limit = {NODES_MAX, NODES_MAX, NODES_MAX, NODES_MAX},
		.listeners = 16,
		.secret = secret,
		.socket_id = SOCKET_ID_ANY,
		.backlog_max = 4,
		.now_us = 1000000,
	};
	int err = 0;

	test_net_init(&net, WORLD_WORKERS + 1);
	reclaim = reclaim_virtual_create(WORLD_WORKERS + 1, WORLD_WORKERS + 1, &err);
	conf.reclaim = reclaim;
	ct = conv_table_create(&conf, &err);
	if (reclaim == NULL || ct == NULL)
		abort();
	for (unsigned k = 0; k < NODE_KINDS; k++)
		conv_ops_set(ct, k, &node_ops);
	conv_miss_set(ct, PKT_TCP, node_miss);
	if (conv_table_start(ct) != 0)
		abort();
	for (unsigned i = 0; i <= WORLD_WORKERS; i++) {
		net.w[i].convs = ct;
		conv_seat_take(&net.w[i], i);
		reclaim->ops->join(reclaim, i);
		reclaim->ops->offline(reclaim, i);
	}
}

static int
by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;

	return x < y ? 1 : -1; /* what is put back last is taken first */
}

void
world_sort_slots(struct conv_table *t)
{
	void *slot[SLOTS];

	for (unsigned k = 0; k < NODE_KINDS; k++) {
		if (rte_mempool_get_bulk(t->slab[k].mp, slot, SLOTS) != 0)
			abort();
		qsort(slot, SLOTS, sizeof(slot[0]), by_address);
		rte_mempool_put_bulk(t->slab[k].mp, slot, SLOTS);
	}
}

uint32_t
world_next_slot(struct conv_table *t, enum node_kind kind)
{
	struct conv_node *cn;

	if (rte_mempool_get(t->slab[kind].mp, (void **)&cn) != 0)
		abort();
	rte_mempool_put(t->slab[kind].mp, cn);
	return conv_handle(t, cn).slot;
}

struct worker *
world_worker(unsigned i)
{
	return &net.w[i];
}

struct worker *
world_on(unsigned i)
{
	reclaim->ops->online(reclaim, i);
	return &net.w[i];
}

void
world_off(struct worker *w)
{
	reclaim->ops->offline(reclaim, w->id);
}

struct key48
world_key(uint16_t port)
{
	struct key48 k = {.k = {.rport_be = port, .lport_be = 7, .proto = 6}};

	key_map_v4(k.k.raddr, 0x0100000a);
	key_map_v4(k.k.laddr, 0x0200000a);
	return k;
}

struct world_node *
world_made(struct worker *w, uint16_t port, uint32_t life)
{
	struct key48 k = world_key(port);
	struct world_node *n =
		(struct world_node *)conv_alloc(w, NODE_CONV, &k.k, key_hash(&secret, &k.k));

	if (n == NULL) {
		explore_fail("no node left: one was lost");
		return NULL;
	}
	n->port = port;
	n->life = life;
	return n;
}

struct world_node *
world_born(struct worker *w, uint16_t port, uint32_t life)
{
	struct world_node *n = world_made(w, port, life);

	if (n != NULL && conv_publish(w, &n->cn, 0, NULL) != 0)
		explore_fail("a key is taken that should be free");
	return n;
}

struct rte_mbuf *
world_packet(struct worker *w, uint16_t port, uint32_t life, uint32_t serial)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.mp);
	struct pkt *p;

	if (m == NULL) {
		explore_fail("no buffer left: one was lost");
		abort();
	}
	p = pkt_of(m);
	memset(p, 0, sizeof(*p));
	p->key = world_key(port);
	p->hash = key_hash(&secret, &p->key.k);
	p->kind = PKT_TCP;
	p->tcp.seq = serial;
	p->tcp.ack = life;
	w->c.received++;
	return m;
}

void
world_input(struct worker *w, uint16_t port, uint32_t life, uint32_t serial)
{
	struct rte_mbuf *m = world_packet(w, port, life, serial);

	conv_input_burst(w, &m, 1);
}

bool
world_kill(struct worker *w, struct world_node *n)
{
	if (conv_enter(w, &n->cn) != CONV_IN)
		return false;
	conv_die(w, &n->cn);
	conv_leave(w, &n->cn);
	return true;
}

void
world_turn(struct worker *w, uint64_t us)
{
	w->now_us += us;
	w->now_ms = (uint32_t)(w->now_us / 1000);
	conv_turn(w);
	conv_turn_end(w);
	reclaim->ops->quiescent(reclaim, w->id);
}

/** All living nodes go, as the control thread would have them go. */
static void
hang_up_all(void)
{
	uint32_t slot = 0;
	struct conv_node *cn;

	while ((cn = conv_next(ct, &slot, UINT32_MAX)) != NULL) {
		conv_post(ct, 0, cn, NODE_HANGUP);
		conv_put(&net.w[WORLD_CONTROL], cn);
	}
}

/** received - delivered - consumed - drops, and what is held: both 0 at rest (I10). */
static void
check_sum(void)
{
	int64_t open = 0, held = 0;

	for (unsigned i = 0; i <= WORLD_WORKERS; i++) {
		const struct worker_counters *c = &net.w[i].c;

		open += (int64_t)(c->received - c->delivered - c->consumed);
		for (unsigned r = 0; r < DROP_MAX; r++)
			open -= (int64_t)c->drops[r];
		held += (int64_t)(c->held_in - c->held_out);
	}
	if (open != 0 || held != 0)
		explore_fail("I10: %ld packets are not accounted for, %ld are held", (long)open,
			(long)held);
}

static void
forget(void)
{
	memset(world_got, 0, sizeof(world_got));
	world_ngot = world_missed = 0;
	world_on_miss = NULL;
	world_on_input = NULL;
	world_on_work = NULL;
}

void
world_rest(void)
{
	char fault[256] = "";

	for (unsigned t = 0; t < TURNS; t++) {
		for (unsigned i = 0; i <= WORLD_WORKERS; i++)
			world_turn(&net.w[i], 2000);
		if (t == 1)
			hang_up_all();
	}
	for (unsigned i = 0; i <= WORLD_WORKERS; i++)
		reclaim->ops->offline(reclaim, i);
	if (conv_check(ct, fault, sizeof(fault)) != 0)
		explore_fail("%s", fault);
	if (conv_live(ct, NODE_CONV) != 0 || ipht_count(conv_ipht(ct)) != 0)
		explore_fail("%u nodes are left, %u in the table", conv_live(ct, NODE_CONV),
			ipht_count(conv_ipht(ct)));
	if (test_in_use(net.mp) != 0)
		explore_fail("%u buffers are left", test_in_use(net.mp));
	check_sum();
	world_sort_slots(ct);
	forget();
}
